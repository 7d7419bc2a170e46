"""Enable an AWS account again that was disabled."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.models import AwsAccount, Suspension
from roles.operations._rows import locked
from roles.operations._suspending import enable
from roles.permissions import Rule, require


def enable_account(*, actor: Any, account: AwsAccount, reason: str = "") -> Suspension:
    """Enable `account` and return the suspension that ended; what goes through it works as before, if it still may.

    Raises `NotPermitted`, `NotFound`, and `Conflict` if it is not disabled.
    """
    require(actor, Rule.MANAGE_ACCOUNTS, account)
    require(actor, Rule.MAP_ROLES, account)
    with transaction.atomic():
        return enable(locked(AwsAccount, account.pk), actor=actor, reason=reason, code="account.enabled")
