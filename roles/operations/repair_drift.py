"""Bring back in AWS what the database wishes for, where drift was found."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import DriftFinding, IamRole, ProvisioningRun
from roles.models.choices import DriftKind, RunStatus
from roles.operations._rows import locked, locked_roles
from roles.permissions import Rule, require
from roles.provisioning import findings, outbox

TRIGGER = "drift.repair_queued"


def check_repair_drift(finding: DriftFinding) -> None:
    """Raise `Conflict` unless a run can repair what was found."""
    if not finding.is_open:
        raise Conflict("This drift is resolved already.", hint="Look at the list again.")
    if finding.kind == DriftKind.BOUNDARY:
        raise Conflict(f"The portal does not change the boundary of {finding.resource}.", hint=finding.note)
    if finding.kind in (DriftKind.FOREIGN_STALE, DriftKind.NOT_OURS):
        raise Conflict(
            f"The portal does not change what is not its own at {finding.resource}.",
            hint=finding.note or "Its owner has to put it right.",
        )


def repair_drift(*, actor: Any, finding: DriftFinding) -> list[ProvisioningRun]:
    """Queue a run of each source role that the finding concerns and return the runs; they heal it.

    Source roles that reach the place now; when none does, the last one that did takes out what is left there.
    Raises `NotPermitted`, `NotFound`, and `Conflict` for a finding that is resolved, that is about something that is
    not the portal's, or that no source role ever reached.
    """
    require(actor, Rule.REPAIR_DRIFT, finding)
    check_repair_drift(finding)
    with transaction.atomic():
        roles = locked_roles(*_sources(finding))
        row = locked(DriftFinding, finding.pk)
        check_repair_drift(row)
        runs = [_run(role, actor) for role in roles]
        record(
            TRIGGER,
            actor=actor,
            subject=row,
            account_id=row.account_id,
            resource=row.resource,
            before=row.before,
            after=row.after,
            kind=row.kind,
            step=row.step,
            runs=[run.pk for run in runs],
        )
    return runs


def _sources(finding: DriftFinding) -> list[IamRole]:
    one = DriftFinding.objects.filter(pk=finding.pk)
    now = findings.sources_of(one)
    chosen = now or findings.sources_of(one, ever=True)[-1:]
    if not chosen:
        raise Conflict(
            f"No source role of the portal reaches {finding.resource}, or ever did, so no run looks at it.",
            hint="Somebody has copied statements of the portal there. Take those whose Sid begins with 'Xacct' out.",
        )
    return list(IamRole.objects.filter(pk__in=chosen).order_by("pk"))


def _run(role: IamRole, actor: Any) -> ProvisioningRun:
    """Return a run of the role that has yet to begin, a new one if there is none."""
    queued = ProvisioningRun.objects.reconciling().filter(
        role=role, status=RunStatus.QUEUED, claimed_until__isnull=True
    )
    there = queued.order_by("-pk").first()
    if there is None:
        return outbox.queue_run(actor=actor, role=role, trigger=TRIGGER)
    outbox.note(there)
    return there
