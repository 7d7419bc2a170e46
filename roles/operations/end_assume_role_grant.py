"""End that a source role may assume a target role."""

from __future__ import annotations

from typing import Any

from roles.history.recorder import record
from roles.models import AssumeRoleGrant, GroupRole
from roles.operations._concerned import forget_mappings, queue_runs
from roles.operations._planned import planned
from roles.operations._rows import end, locked_open, locked_roles
from roles.permissions import Rule, require
from roles.provisioning import desired


def end_assume_role_grant(
    *, actor: Any, grant: AssumeRoleGrant, reason: str = "", expected_plan: str = ""
) -> AssumeRoleGrant:
    """End the grant and return it; tokens of the source role's mappings leave the cache.

    A source role in use is provisioned again. Raises `NotPermitted`, `NotFound`, `GrantEnded`.
    """
    require(actor, Rule.MANAGE_GRANTS, grant)
    with planned(expected_plan):
        source, target = locked_roles(grant.source, grant.target)
        row = locked_open(AssumeRoleGrant, grant.pk, "source__account", "target__account")
        end(row, actor=actor)
        record(
            "assume_role_grant.ended",
            actor=actor,
            subject=row,
            account_id=source.account.account_id,
            resource=str(source.arn),
            before={"source": str(source.arn), "target": str(target.arn)},
            reason=reason,
        )
        if desired.in_use(source):
            queue_runs([source], actor=actor, trigger="assume_role_grant.ended")
        forget_mappings(GroupRole.objects.in_force().filter(role=source), actor=actor)
    return row
