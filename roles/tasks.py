"""Celery tasks: thin bodies over the rooms below. Sent by name from `provisioning.outbox` and by Celery beat."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from roles import context
from roles.operations.expire_mappings import expire_mappings as end_expired
from roles.operations.lift_cut_offs import lift_cut_offs as lift_due
from roles.operations.recheck_owners import recheck_owners as look_again
from roles.operations.scan_drift import scan_drift as look_for_drift
from roles.provisioning import outbox, runner
from roles.provisioning.culprits import Culprits
from roles.provisioning.recording import WORKER


@shared_task(name=outbox.RECONCILE_RUN_TASK)
def reconcile_run(run_id: int) -> None:
    """Bring AWS in line with the database for one run; delivered twice or late, it ends the same."""
    runner.reconcile(run_id)


@shared_task(name="roles.resend_runs")
def resend_runs() -> list[int]:
    """Send again the runs whose message got lost or whose worker died."""
    return outbox.resend_runs()


@shared_task(name="roles.expire_mappings")
def expire_mappings() -> list[int]:
    """End the mappings whose time is over."""
    with context.use(context.RequestContext()):
        return [mapping.pk for mapping in end_expired()]


@shared_task(name="roles.lift_cut_offs")
def lift_cut_offs() -> list[int]:
    """Lift the cut-offs whose credentials have all expired."""
    with context.use(context.RequestContext()):
        return [row.pk for row in lift_due()]


@shared_task(name="roles.recheck_owners")
def recheck_owners() -> list[int]:
    """Look again whether account owners have applied what they were handed."""
    with context.use(context.RequestContext()):
        return [run.pk for run in look_again(actor=WORKER)]


@shared_task(name=outbox.SCAN_DRIFT_TASK)
def scan_drift() -> int:
    """Compare AWS with the database and return how many differences there are."""
    with context.use(context.RequestContext()):
        return len(look_for_drift(actor=WORKER, who=Culprits()).differences)


@shared_task(name="roles.clear_sessions")
def clear_sessions() -> None:
    """Delete the rows of expired sessions."""
    call_command("clearsessions")
