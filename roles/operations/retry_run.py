"""Try again what a run could not do."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import ProvisioningRun
from roles.models.choices import RunPurpose, RunStatus
from roles.operations._rows import locked, locked_roles
from roles.permissions import Rule, require
from roles.provisioning import kept, outbox

RETRIABLE = (RunStatus.FAILED, RunStatus.NEEDS_OWNER)
# Who retries an order gives it anew.
_GIVES = {RunPurpose.DELETE_ROLE: Rule.DELETE_ROLES, RunPurpose.PUT_BACK: Rule.RESTORE_DOCUMENTS}


def retry_run(*, actor: Any, run: ProvisioningRun) -> ProvisioningRun:
    """Queue a new run for the same role and mapping and return it; the old one stays what it was.

    The new run does what the database wishes then; no plan was confirmed for it. If a newer run of the role is on its
    way already, that one is returned. Of orders only one that waits for an account's owner has this, as long as the
    account is the owner's to change: it takes the actor's word that the owner has done it. Raises `NotPermitted`,
    `NotFound`, and `Conflict` for a run that did not fail.
    """
    require(actor, Rule.RETRY_RUNS, run)
    with transaction.atomic():
        (role,) = locked_roles(run.role)
        row = locked(ProvisioningRun, run.pk)
        if gives := _GIVES.get(RunPurpose(row.purpose)):
            require(actor, gives, run)
        if row.purpose != RunPurpose.RECONCILE and not (row.status == RunStatus.NEEDS_OWNER and _is_by_owner(row)):
            raise Conflict(
                f"Run {row.pk} was an order for what AWS had then, so it is not tried again.",
                hint="Give the order anew: then its plan is what AWS has now.",
            )
        if row.status not in RETRIABLE:
            raise Conflict(
                f"Run {row.pk} is '{row.get_status_display()}', so there is nothing to retry.",
                hint="Only a run that failed or needs the owner can be retried.",
            )
        alike = ProvisioningRun.objects.filter(purpose=row.purpose, puts_back=row.puts_back, exactly=row.exactly)
        underway = alike.unfinished().filter(role=role, pk__gt=row.pk).order_by("-pk").first()
        if underway is not None:
            return underway
        mapping = row.mapping
        order = outbox.Order(RunPurpose(row.purpose), row.puts_back, row.exactly, row.plan_seen)
        new = outbox.queue_run(actor=actor, role=role, trigger="run.retried", mapping=mapping, order=order)
        record(
            "run.retried",
            actor=actor,
            subject=row,
            group=mapping.group.name if mapping else "",
            account_id=role.account.account_id,
            resource=str(role.arn),
            before={"run": row.pk, "status": row.status},
            after={"run": new.pk, "status": new.status},
        )
    return new


def _is_by_owner(order: ProvisioningRun) -> bool:
    """Return whether an order is still the owner's to carry out: else the portal would write what nobody confirmed."""
    return order.puts_back is not None and kept.is_by_owner(order.puts_back)
