"""Let a source role assume a target role: steps 2, 3 and 5 of the procedure."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import AssumeRoleGrant, IamRole
from roles.operations._concerned import queue_runs, require_mappings_fit
from roles.operations._own_identities import require_handed_out
from roles.operations._planned import planned
from roles.operations._rows import locked_roles, person, refused_as, validate
from roles.permissions import Rule, require
from roles.provisioning import desired


def grant_assume_role(
    *, actor: Any, source: IamRole, target: IamRole, reason: str = "", expected_plan: str = ""
) -> AssumeRoleGrant:
    """Begin the grant and return it; a source role in use is provisioned again.

    Raises `NotPermitted`, `NotFound`, `Conflict` if there is one, `InputError` at `target`: the same role, or one of
    another partition. Raises `PolicyTooLarge` if a mapping of the source could have no session with the target,
    or one that reaches the source as a target role none with the source.
    """
    require(actor, Rule.MANAGE_GRANTS, source)
    with planned(expected_plan):
        source, target = locked_roles(source, target)
        _check(source, target)
        require_handed_out(target)
        already = Conflict(f"{source} may assume {target} already.", hint="Nothing was changed.")
        if AssumeRoleGrant.objects.open().filter(source=source, target=target).exists():
            raise already
        row = AssumeRoleGrant(source=source, target=target, reason=reason, started_by=person(actor))
        validate(row)
        with refused_as(already):
            row.save()
        # From now on the source's own sessions, where it is a target as well, carry a session policy.
        require_mappings_fit(targets=[target.pk, source.pk])
        record(
            "assume_role_grant.added",
            actor=actor,
            subject=row,
            account_id=source.account.account_id,
            resource=str(source.arn),
            after={"source": str(source.arn), "target": str(target.arn)},
            reason=reason,
        )
        if desired.in_use(source):
            queue_runs([source], actor=actor, trigger="assume_role_grant.added")
    return row


def _check(source: IamRole, target: IamRole) -> None:
    if source.pk == target.pk:
        raise InputError(f"{source} needs no grant to assume itself.", field="target", allowed="another role")
    if source.account.partition != target.account.partition:
        raise InputError(
            f"{target} is in partition '{target.account.partition}', {source} in '{source.account.partition}'.",
            field="target",
            allowed=f"a role in partition '{source.account.partition}'",
            hint="No role can be assumed across partitions.",
        )
