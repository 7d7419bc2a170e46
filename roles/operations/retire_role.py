"""End all access that goes through an IAM role."""

from __future__ import annotations

from typing import Any

from roles.history.recorder import record
from roles.models import IamRole
from roles.operations._planned import planned
from roles.operations._retiring import end_all_of
from roles.operations._rows import locked_roles
from roles.permissions import Rule, require


def retire_role(*, actor: Any, role: IamRole, reason: str = "", expected_plan: str = "") -> IamRole:
    """End the role's mappings, the grants to assume it or by it, and its bucket grants; return it.

    Its row stays, and so does the role in AWS: `delete_managed_role` deletes it. Raises `NotPermitted`, `NotFound`,
    `StalePlan`, and `Conflict` when nothing goes through it.
    """
    for rule in (Rule.MANAGE_ROLES, Rule.MAP_ROLES, Rule.MANAGE_GRANTS):
        require(actor, rule, role)
    with planned(expected_plan):
        (row,) = locked_roles(role)
        before = end_all_of([row], actor=actor, reason=reason, nothing=f"Nothing goes through {row}.")
        record(
            "role.retired",
            actor=actor,
            subject=row,
            account_id=row.account.account_id,
            resource=str(row.arn),
            before=before,
            reason=reason,
        )
    return row
