"""Put a person into a user group."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import Membership, User, UserGroup
from roles.operations._rows import locked, person, refused_as, validate
from roles.permissions import Rule, require


def add_member(*, actor: Any, group: UserGroup, user: User, reason: str = "") -> Membership:
    """Make `user` a member of `group` and return the membership. AWS is not changed.

    Raises `NotPermitted`, `NotFound`, `InputError` for a deactivated person, `Conflict` for a member.
    """
    require(actor, Rule.MANAGE_GROUPS, group)
    with transaction.atomic():
        group, user = locked(UserGroup, group.pk), locked(User, user.pk)
        if not user.is_active:
            raise InputError(f"{user} is deactivated.", field="user", allowed="an active user")
        already = Conflict(f"{user} is a member of {group} already.", hint="Nothing was changed.")
        if Membership.objects.open().filter(group=group, user=user).exists():
            raise already
        row = Membership(group=group, user=user, reason=reason, started_by=person(actor))
        validate(row)
        with refused_as(already):
            row.save()
        after = {"group": group.name, "user": user.username}
        record("member.added", actor=actor, subject=row, group=group.name, after=after, reason=reason)
    return row
