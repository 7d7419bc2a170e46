"""What disabling and enabling a user group or an account share: the interval, its event, the tokens."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import AwsAccount, Suspension, UserGroup
from roles.operations._rows import end, locked_open, person, validate
from roles.provisioning import access
from roles.tokens import revocation


def disable(subject: UserGroup | AwsAccount, *, actor: Any, reason: str, code: str) -> Suspension:
    """Begin the suspension of a locked row: event, tokens out of the cache. AWS and the tools' bearers stay.

    Raises `Conflict` if it is disabled already, `InputError` without a reason or for one that is too long.
    """
    found = _open(subject).first()
    if found is not None:
        raise Conflict(f"{subject} is disabled already: {found.reason}", hint="Nothing was changed.")
    row = Suspension(**_of(subject), reason=reason.strip(), started_by=person(actor))
    validate(row)
    row.save()
    record(code, actor=actor, subject=subject, **_where(subject), after={"disabled": True}, reason=row.reason)
    revocation.forget_tokens(_tokens(subject), actor=actor, reason=row.sentence, subject=subject)
    return row


def enable(subject: UserGroup | AwsAccount, *, actor: Any, reason: str, code: str) -> Suspension:
    """End the suspension of a locked row and return it. Raises `Conflict` if it is not disabled."""
    found = _open(subject).first()
    if found is None:
        raise Conflict(f"{subject} is not disabled.", hint="Nothing was changed.")
    row = locked_open(Suspension, found.pk)
    end(row, actor=actor)
    record(
        code,
        actor=actor,
        subject=subject,
        **_where(subject),
        before={"disabled": True, "since": row.started_at.isoformat(), "why": row.reason},
        after={"disabled": False},
        reason=reason.strip(),
    )
    return row


def _of(subject: UserGroup | AwsAccount) -> dict[str, Any]:
    return {"group": subject} if isinstance(subject, UserGroup) else {"account": subject}


def _open(subject: UserGroup | AwsAccount) -> Any:
    return Suspension.objects.open().filter(**_of(subject)).select_related("group", "account")


def _where(subject: UserGroup | AwsAccount) -> dict[str, Any]:
    return {"group": subject.name} if isinstance(subject, UserGroup) else {"account_id": subject.account_id}


def _tokens(subject: UserGroup | AwsAccount) -> Q:
    """Return which tokens it concerns: of the group's mappings, or of all whose way leads through the account."""
    if isinstance(subject, UserGroup):
        return Q(mapping__group=subject)
    return Q(mapping__role__in=access.sources_through([subject.pk]))
