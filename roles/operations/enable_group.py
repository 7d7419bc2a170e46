"""Enable a user group again that was disabled."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.models import Suspension, UserGroup
from roles.operations._rows import locked
from roles.operations._suspending import enable
from roles.permissions import Rule, require


def enable_group(*, actor: Any, group: UserGroup, reason: str = "") -> Suspension:
    """Enable `group` and return the suspension that ended; what goes through it works as before, if it still may.

    Raises `NotPermitted`, `NotFound`, and `Conflict` if it is not disabled.
    """
    require(actor, Rule.MANAGE_GROUPS, group)
    require(actor, Rule.MAP_ROLES, group)
    with transaction.atomic():
        return enable(locked(UserGroup, group.pk), actor=actor, reason=reason, code="group.enabled")
