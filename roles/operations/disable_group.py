"""Disable a user group for a time: its mappings hand out no token."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.models import Suspension, UserGroup
from roles.operations._rows import locked
from roles.operations._suspending import disable
from roles.permissions import Rule, require


def disable_group(*, actor: Any, group: UserGroup, reason: str) -> Suspension:
    """Disable `group` and return the suspension; cached tokens of its mappings are forgotten.

    AWS is not changed: credentials that were handed out work until they expire, unless somebody cuts them off.

    Args:
        reason: why; shown to the people whose access it stops.

    Raises:
        NotPermitted: the actor may not.
        NotFound: there is no such group.
        InputError: no reason is given, or one of more than 200 characters.
        Conflict: it is disabled already.
    """
    require(actor, Rule.MANAGE_GROUPS, group)
    require(actor, Rule.MAP_ROLES, group)
    with transaction.atomic():
        return disable(locked(UserGroup, group.pk), actor=actor, reason=reason, code="group.disabled")
