"""Lock rows, check them, and begin and end intervals: what all operations do the same way.

Locks are taken in one order everywhere, so that no two operations wait for each other: account, user group, user,
roles by id, bucket, then the interval or run; the history's chain comes last, when an event is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from roles.errors import GrantEnded, InputError, NotFound, PortalError
from roles.models import IamRole, User
from roles.models.intervals import Interval
from roles.values.arns import AccessLevel

_M = TypeVar("_M", bound=models.Model)
_I = TypeVar("_I", bound=Interval)


def locked(model: type[_M], pk: object, *related: str) -> _M:
    """Return the row as the database has it now, locked until the transaction ends, or raise `NotFound`.

    `related` are foreign keys to load with it; the rows behind them are not locked.
    """
    # no_key: whoever only points at the row, such as a new run, need not wait.
    rows = model._default_manager.select_for_update(of=("self",), no_key=True)
    found = (rows.select_related(*related) if related else rows).filter(pk=pk).order_by("pk").first()
    if found is None:
        raise NotFound(f"There is no {model._meta.verbose_name} {pk}.", hint="Look at the list again.")
    return found


def locked_roles(*roles: IamRole) -> list[IamRole]:
    """Return these roles with their accounts in the order given, locked in the order of their ids."""
    found = {pk: locked(IamRole, pk, "account") for pk in sorted({role.pk for role in roles})}
    return [found[role.pk] for role in roles]


def locked_open(model: type[_I], pk: object, *related: str) -> _I:
    """Return an open interval's row, locked. Raises `GrantEnded` if somebody ended it, `NotFound` if there is none."""
    row = locked(model, pk, *related)
    if not row.is_open:
        raise GrantEnded(
            f"The {model._meta.verbose_name} {row} was ended already.", hint="Nothing was changed. Look at it again."
        )
    return row


def validate(row: models.Model) -> None:
    """Raise `InputError` that names the first field that is wrong and the rule it breaks."""
    try:
        row.full_clean()
    except ValidationError as error:
        field, broken = next(iter(error.message_dict.items()))
        raise InputError(" ".join(broken), field="" if field == NON_FIELD_ERRORS else field) from error


@contextmanager
def refused_as(refusal: PortalError) -> Iterator[None]:
    """Raise `refusal` when the database refuses what is written in the `with` block: somebody else was quicker."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise refusal from error


def keep(row: models.Model, stored: models.Model, fields: tuple[str, ...], hint: str) -> None:
    """Raise `InputError` if one of `fields` differs from what is stored: it says what the row is about."""
    for field in fields:
        if getattr(row, field) != getattr(stored, field):
            kind, name = row._meta.verbose_name, row._meta.get_field(field).verbose_name  # type: ignore[union-attr]
            raise InputError(f"The {name} of an existing {kind} never changes.", field=field, hint=hint)


def access_level(text: str) -> AccessLevel:
    """Return `text` as a level, or raise `InputError`."""
    try:
        return AccessLevel(text)
    except ValueError as error:
        levels = ", ".join(AccessLevel)
        raise InputError(f"'{text}' is not an access level.", field="access", allowed=levels) from error


def end(row: Interval, *, actor: Any) -> None:
    """End an open row now."""
    # Two hosts' clocks differ a little; a row never ends before it starts.
    row.ended_at = max(timezone.now(), row.started_at)
    row.ended_by = person(actor)
    row.save(update_fields=["ended_at", "ended_by"])


def person(actor: Any) -> User | None:
    """Return the user behind `actor`, or None when the portal itself acts."""
    return actor if isinstance(actor, User) else None
