"""Queue a run: the row first, the message on commit, by task *name*; send again what got lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from roles import context
from roles.models import GroupRole, IamRole, ProvisioningRun, User
from roles.models.choices import FINAL_RUN_STATUSES, MappingState, RunStatus

RECONCILE_RUN_TASK = "roles.reconcile_run"
RESEND_AFTER = timedelta(seconds=20)

log = structlog.get_logger(__name__)


def queue_run(
    *, actor: Any, role: IamRole, trigger: str, mapping: GroupRole | None = None, plan_digest: str = ""
) -> ProvisioningRun:
    """Write a queued run of `role` in the caller's transaction; its message leaves when that commits."""
    run = ProvisioningRun.objects.create(
        role=role,
        mapping=mapping,
        trigger=trigger,
        requested_by=actor if isinstance(actor, User) else None,
        requested_by_name=actor.get_username(),
        request_id=context.current().request_id,
        plan_digest=plan_digest,
    )
    if mapping is not None:
        state = MappingState.QUEUED if mapping.is_open else MappingState.REMOVING
        GroupRole.objects.filter(pk=mapping.pk).update(state=state)
    transaction.on_commit(lambda: send(run.pk))
    return run


def send(run_id: int) -> bool:
    """Send the message "run N" and return whether the broker took it. A failure is not one: the sweeper sends again."""
    try:
        current_app.send_task(RECONCILE_RUN_TASK, [run_id])
    except (OperationalError, OSError) as error:
        log.warning("run_not_sent", run=run_id, error=type(error).__name__)
        return False
    return True


def resend_runs() -> list[int]:
    """Send again the unfinished runs that nobody took in time, or whose claim ran out; return their ids."""
    now = timezone.now()
    lost = ProvisioningRun.objects.exclude(status__in=FINAL_RUN_STATUSES).filter(
        Q(status=RunStatus.QUEUED, queued_at__lt=now - RESEND_AFTER, claimed_until__isnull=True)
        | Q(claimed_until__lt=now)
    )
    ids = list(lost.order_by("id").values_list("id", flat=True)[:500])
    return [run_id for run_id in ids if send(run_id)]
