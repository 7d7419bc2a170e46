"""Take cut-offs out of AWS again: those that nobody needs any more, and one that an admin thinks better of."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from roles.context import SystemActor
from roles.errors import GrantEnded
from roles.history.recorder import record
from roles.models import CutOff, ProvisioningRun
from roles.operations._rows import end, locked_open, locked_roles
from roles.permissions import Rule, require
from roles.provisioning import outbox

WORKER = SystemActor("worker")
LIFTED = "cutoff.lifted"


def lift_cut_offs() -> list[CutOff]:
    """Lift the cut-offs whose credentials have all expired, each in a transaction of its own; return them."""
    return [lifted for row in list(CutOff.objects.due(timezone.now()).order_by("pk")) if (lifted := _due(row))]


def lift_cut_off(*, actor: Any, cut_off: CutOff, reason: str = "") -> tuple[CutOff, ProvisioningRun]:
    """End a cut-off before its time and return it with the run that takes it out of AWS.

    Credentials that it hit and that have not expired work again. Raises `NotPermitted`, `NotFound`, `GrantEnded`.
    """
    require(actor, Rule.CUT_OFF, cut_off)
    return _lifted(cut_off, actor=actor, reason=reason)


def _due(row: CutOff) -> CutOff | None:
    try:
        return _lifted(row, actor=WORKER, reason="The last of these credentials has expired.")[0]
    except GrantEnded:
        return None  # a person was quicker


def _lifted(row: CutOff, *, actor: Any, reason: str) -> tuple[CutOff, ProvisioningRun]:
    with transaction.atomic():
        (target, source) = locked_roles(row.target, row.source)
        found = locked_open(CutOff, row.pk, "mapping__group")
        end(found, actor=actor)
        record(
            LIFTED,
            actor=actor,
            subject=found,
            group=found.mapping.group.name if found.mapping else "",
            account_id=target.account.account_id,
            resource=str(target.arn),
            before={"names": found.names, "cut_before": found.cut_before.isoformat()},
            reason=reason,
            before_its_time=found.lifts_at > timezone.now(),
        )
        run = outbox.queue_run(actor=actor, role=source, trigger=LIFTED)
    return found, run
