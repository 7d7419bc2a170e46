"""Disable an AWS account for a time: no token is handed out for what is in it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.models import AwsAccount, Suspension
from roles.operations._rows import locked
from roles.operations._suspending import disable
from roles.permissions import Rule, require


def disable_account(*, actor: Any, account: AwsAccount, reason: str) -> Suspension:
    """Disable `account` and return the suspension; cached tokens of the mappings that lead through it are forgotten.

    AWS is not changed: credentials that were handed out work until they expire, unless somebody cuts them off.

    Args:
        reason: why; shown to the people whose access it stops.

    Raises:
        NotPermitted: the actor may not.
        NotFound: there is no such account.
        InputError: no reason is given, or one of more than 200 characters.
        Conflict: it is disabled already.
    """
    require(actor, Rule.MANAGE_ACCOUNTS, account)
    require(actor, Rule.MAP_ROLES, account)
    with transaction.atomic():
        return disable(locked(AwsAccount, account.pk), actor=actor, reason=reason, code="account.disabled")
