"""Take a person out of a user group."""

from __future__ import annotations

from typing import Any

from roles.errors import GrantEnded, NotFound
from roles.history.recorder import record
from roles.models import Membership, User, UserGroup
from roles.operations._planned import planned
from roles.operations._rows import end, locked
from roles.permissions import Rule, require
from roles.tokens import revocation


def remove_member(*, actor: Any, group: UserGroup, user: User, reason: str = "", expected_plan: str = "") -> Membership:
    """End the membership and return it; the person's tokens for the group leave the cache. AWS is not changed.

    Raises `NotPermitted`, `GrantEnded` if somebody ended it already, `NotFound` for who never was a member.
    """
    require(actor, Rule.MANAGE_GROUPS, group)
    with planned(expected_plan):
        group = locked(UserGroup, group.pk)
        row = _open_membership(group, user)
        end(row, actor=actor)
        before = {"group": group.name, "user": row.user.username}
        record("member.removed", actor=actor, subject=row, group=group.name, before=before, reason=reason)
        revocation.forget_member(row.user, group, actor=actor)
    return row


def _open_membership(group: UserGroup, user: User) -> Membership:
    rows = Membership.objects.filter(group=group, user=user)
    row: Membership | None = rows.open().select_related("group", "user").first()
    if row is not None:
        return row
    if rows.exists():
        raise GrantEnded(f"{user} was removed from {group} already.", hint="Nothing was changed.")
    raise NotFound(f"{user} is not a member of {group}.", hint="Look at the group's members again.")
