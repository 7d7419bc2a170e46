"""Create or change a person, and what they may do in the portal."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import Group
from django.db import transaction

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import User
from roles.operations._admins import is_portal_admin, lock_portal_admins, require_a_portal_admin, require_as_much
from roles.operations._rows import locked, refused_as, validate
from roles.permissions import Rule, require

_FIELDS = ("username", "first_name", "last_name", "email", "time_zone", "is_staff", "is_active")


def save_user(*, actor: Any, user: User, groups: Collection[Group] = ()) -> User:
    """Save a new or changed person with exactly these permission groups, and return them.

    The password of an existing person is left alone, and nobody becomes a superuser here. A new person without a
    password cannot sign in with one. Nobody gives, or changes somebody who has, more rights than their own.
    Raises `NotPermitted`, `NotFound`, `InputError` with its field, `Conflict`.
    """
    is_new = user.pk is None
    require(actor, Rule.MANAGE_USERS, None if is_new else user)
    with transaction.atomic():
        lock_portal_admins()
        require_as_much(actor, user, groups)
        before = None if is_new else _stored(user)
        was_admin = not is_new and is_portal_admin(user)
        _check(user, before)
        after = _content(user, groups)
        if after == before:
            return user
        with refused_as(Conflict(f"There is a user '{user.username}' already.", hint="Look at the users again.")):
            user.save(update_fields=None if is_new else [*_FIELDS])
        user.groups.set(groups)
        if was_admin and not is_portal_admin(user):
            require_a_portal_admin(user)
        code = "user.created" if before is None else "user.changed"
        record(code, actor=actor, subject=user, before=before, after=after)
    return user


def _stored(user: User) -> dict[str, Any]:
    stored = locked(User, user.pk)
    return _content(stored, stored.groups.all())


def _check(user: User, before: dict[str, Any] | None) -> None:
    if before is None and not user.password:
        user.set_unusable_password()
    if before is None and user.is_superuser:
        raise InputError("Nobody is made a superuser here.", field="is_superuser", hint="Use permission groups.")
    if not user.is_active and (before is None or before["is_active"]):
        raise InputError(
            f"{user} cannot be deactivated by saving.",
            field="is_active",
            hint="Deactivate them: that also signs them out and forgets their tokens.",
        )
    validate(user)
    try:
        ZoneInfo(user.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        zones = "an IANA name such as Europe/Berlin, or empty"
        raise InputError(f"'{user.time_zone}' is not a time zone.", field="time_zone", allowed=zones) from error


def _content(user: User, groups: Collection[Group]) -> dict[str, Any]:
    return {**{name: getattr(user, name) for name in _FIELDS}, "groups": sorted(group.name for group in groups)}
