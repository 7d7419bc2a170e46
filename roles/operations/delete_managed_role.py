"""Delete a role in AWS that the portal made and that nobody uses any more."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import IamRole, ProvisioningRun
from roles.models.choices import RunPurpose
from roles.operations._planned import is_looking, planned, require_seen
from roles.operations._rows import locked_roles
from roles.permissions import Rule, require
from roles.provisioning import deletion, outbox

TRIGGER = "role.deletion_queued"


def check_delete_managed_role(role: IamRole) -> None:
    """Raise `Conflict` while the database says that the role is not the portal's, or is used or named somewhere."""
    if used := deletion.uses_of(role):
        raise Conflict(
            f"{role} cannot be deleted. {' '.join(used)}",
            hint="Retire the role and let its runs end. What still names it has to be repaired first: AWS would show a "
            "deleted identity there, and take no new version of that policy.",
        )
    if runs := deletion.runs_about(role):
        raise Conflict(f"{runs[0]} is under way.", hint="Wait until it has ended, then look again.")


def delete_managed_role(
    *, actor: Any, role: IamRole, name: str, reason: str = "", seen: str = "", expected_plan: str = ""
) -> ProvisioningRun:
    """Queue the run that deletes the role with all of the portal's that hangs on it, and return it.

    `name` is what the actor typed: the role's name. `seen` is `Plan.seen` of the plan that was looked at. The row
    stays, and a mapping makes the role anew. The run looks at the whole role first and deletes nothing when it does not
    carry the portal's tag or when others have something on it. Raises `NotPermitted`, `NotFound`, `InputError`,
    `StalePlan`, and `Conflict` for a role that is not managed, or is used or named somewhere.
    """
    require(actor, Rule.DELETE_ROLES, role)
    require_seen(seen)
    if name != role.name and not is_looking():
        raise InputError("That is not the name of the role.", field="name", allowed=role.name)
    with planned(expected_plan):
        (row,) = locked_roles(role)
        check_delete_managed_role(row)
        order = outbox.Order(RunPurpose.DELETE_ROLE, seen=seen)
        run = outbox.queue_run(actor=actor, role=row, trigger=TRIGGER, order=order)
        record(
            TRIGGER,
            actor=actor,
            subject=row,
            account_id=row.account.account_id,
            resource=str(row.arn),
            reason=reason,
            run=run.pk,
        )
    return run
