"""Put a document in AWS back to what it was before a run."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import ProvisioningRun, ProvisioningStep
from roles.models.choices import RunPurpose
from roles.operations._planned import is_looking, planned, require_seen
from roles.operations._rows import locked_roles
from roles.permissions import Rule, require
from roles.provisioning import kept, outbox

TRIGGER = "document.put_back_queued"


def put_back_document(
    *,
    actor: Any,
    step: ProvisioningStep,
    exactly: bool = False,
    agrees: bool = False,
    reason: str = "",
    seen: str = "",
    expected_plan: str = "",
) -> ProvisioningRun:
    """Queue the run that puts back the document which the run of `step` replaced, and return it.

    Of it the portal's own statements; those of others stay as they are now. With `exactly` theirs go back too, which
    takes that the actor `agrees`. `seen` is `Plan.seen` of the plan that was looked at: if AWS has anything else when
    the run writes, it writes nothing. Raises `NotPermitted`, `NotFound`, `StalePlan`, and `Conflict` that says why
    where there is nothing to put back.
    """
    require(actor, Rule.RESTORE_DOCUMENTS, step.run)
    require_seen(seen)
    if exactly and not agrees and not is_looking():
        raise Conflict(
            "Statements of others may be lost by this, or come back.",
            hint="Read in the plan which, and confirm that; or put back only the portal's own.",
        )
    kept.check_put_back(step, exactly=exactly)
    with planned(expected_plan):
        (role,) = locked_roles(step.run.role)
        order = outbox.Order(RunPurpose.PUT_BACK, puts_back=step, exactly=exactly, seen=seen)
        run = outbox.queue_run(actor=actor, role=role, trigger=TRIGGER, order=order)
        record(
            TRIGGER,
            actor=actor,
            subject=run,
            account_id=step.account_id,
            resource=step.resource,
            after=kept.what_goes_back(step),
            reason=reason,
            of_run=step.run_id,
            of_step=step.pk,
            exactly=exactly,
        )
    return run
