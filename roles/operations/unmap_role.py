"""Take a source role out of a user group."""

from __future__ import annotations

from typing import Any

from roles.models import GroupRole
from roles.operations._mappings import end_mapping, locked_mapping
from roles.operations._planned import planned
from roles.permissions import Rule, require


def unmap_role(*, actor: Any, mapping: GroupRole, reason: str = "", expected_plan: str = "") -> GroupRole:
    """End the mapping, forget its tokens, queue the run that takes our statements out; return the mapping.

    `expected_plan` is the digest of the plan that the actor saw, if any. Raises `NotPermitted`, `NotFound`,
    `GrantEnded`, `StalePlan`.
    """
    require(actor, Rule.MAP_ROLES, mapping)
    with planned(expected_plan):
        row = locked_mapping(mapping)
        end_mapping(row, actor=actor, code="mapping.removed", reason=reason)
    return row
