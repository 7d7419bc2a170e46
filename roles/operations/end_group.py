"""End all that a user group gives: its mapped roles and its memberships."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import GroupRole, Membership, UserGroup
from roles.operations._planned import planned
from roles.operations._rows import locked, locked_roles
from roles.operations.remove_member import remove_member
from roles.operations.unmap_role import unmap_role
from roles.permissions import Rule, require


def end_group(*, actor: Any, group: UserGroup, reason: str = "", expected_plan: str = "") -> UserGroup:
    """End the group's open mappings and memberships and return it. Its row stays, empty: the history names it.

    Raises `NotPermitted`, `NotFound`, `StalePlan`, and `Conflict` for a group without members and roles.
    """
    require(actor, Rule.MANAGE_GROUPS, group)
    require(actor, Rule.MAP_ROLES, group)
    with planned(expected_plan):
        row = locked(UserGroup, group.pk)
        mappings = list(GroupRole.objects.open().filter(group=row).select_related("role__account").order_by("pk"))
        members = list(Membership.objects.open().filter(group=row).select_related("user").order_by("pk"))
        if not mappings and not members:
            raise Conflict(f"{row} has no members and no mapped roles.", hint="There is nothing to end.")
        locked_roles(*(mapping.role for mapping in mappings))
        for mapping in mappings:
            unmap_role(actor=actor, mapping=mapping, reason=reason)
        for member in members:
            remove_member(actor=actor, group=row, user=member.user, reason=reason)
        before = {
            "roles": [str(mapping.role.arn) for mapping in mappings],
            "members": [member.user.username for member in members],
        }
        record("group.ended", actor=actor, subject=row, group=row.name, before=before, reason=reason)
    return row
