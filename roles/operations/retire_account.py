"""End all access that goes through an AWS account."""

from __future__ import annotations

from typing import Any

from roles.history.recorder import record
from roles.models import AwsAccount, IamRole
from roles.operations._planned import planned
from roles.operations._retiring import end_all_of
from roles.operations._rows import locked
from roles.permissions import Rule, require


def retire_account(*, actor: Any, account: AwsAccount, reason: str = "", expected_plan: str = "") -> AwsAccount:
    """End all mappings and grants that go through a role of the account and return it.

    Its row stays, as the history names it, and so do its roles and buckets in AWS. Raises `NotPermitted`, `NotFound`,
    `StalePlan`, and `Conflict` when nothing goes through it.
    """
    for rule in (Rule.MANAGE_ACCOUNTS, Rule.MAP_ROLES, Rule.MANAGE_GRANTS):
        require(actor, rule, account)
    with planned(expected_plan):
        row = locked(AwsAccount, account.pk)
        roles = list(IamRole.objects.filter(account=row).select_related("account").order_by("pk"))
        before = end_all_of(roles, actor=actor, reason=reason, nothing=f"Nothing goes through {row}.")
        record("account.retired", actor=actor, subject=row, account_id=row.account_id, before=before, reason=reason)
    return row
