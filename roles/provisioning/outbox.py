"""Queue a run: the row first, the message on commit, by task *name*; send again what got lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from roles import context
from roles.models import GroupRole, IamRole, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import MappingState, RunPurpose, RunStatus
from roles.models.runs import RunQuerySet

RECONCILE_RUN_TASK = "roles.reconcile_run"
SCAN_DRIFT_TASK = "roles.scan_drift"
RESEND_AFTER = timedelta(seconds=20)
# A message that the broker took waits there while workers are down or busy: more of it would only be in their way.
RESEND_TAKEN_AFTER = timedelta(minutes=2)
RESEND_AT_ONCE_MAX = 500
UNREACHABLE = "Queued, workers unreachable. It is saved, and is sent by itself as soon as they can be reached."


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is for. `seen` is what AWS had when an admin confirmed an order: `Plan.seen`.

    `puts_back` is the step whose document goes back, `exactly` with the statements of others.
    """

    purpose: RunPurpose = RunPurpose.RECONCILE
    puts_back: ProvisioningStep | None = None
    exactly: bool = False
    seen: str = ""


RECONCILE = Order()

log = structlog.get_logger(__name__)

_gatherings: ContextVar[tuple[list[ProvisioningRun], ...]] = ContextVar("xacct_gathered_runs", default=())


@contextmanager
def gathered() -> Iterator[list[ProvisioningRun]]:
    """Fill the list that is returned with the runs that are queued inside the `with` block, by whatever is called."""
    runs: list[ProvisioningRun] = []
    token = _gatherings.set((*_gatherings.get(), runs))
    try:
        yield runs
    finally:
        _gatherings.reset(token)


def queue_run(
    *, actor: Any, role: IamRole, trigger: str, mapping: GroupRole | None = None, order: Order = RECONCILE
) -> ProvisioningRun:
    """Write a queued run of `role` in the caller's transaction; its message leaves when that commits."""
    run = ProvisioningRun.objects.create(
        role=role,
        mapping=mapping,
        purpose=order.purpose,
        puts_back=order.puts_back,
        exactly=order.exactly,
        plan_seen=order.seen,
        trigger=trigger,
        requested_by=actor if isinstance(actor, User) else None,
        requested_by_name=actor.get_username(),
        request_id=context.current().request_id,
    )
    if mapping is not None:
        state = MappingState.QUEUED if mapping.is_open else MappingState.REMOVING
        GroupRole.objects.filter(pk=mapping.pk).update(state=state)

    note(run)

    def send_it() -> None:
        send(run.pk)

    # The run is committed by then: whatever goes wrong with the message must not look like a failed save.
    transaction.on_commit(send_it, robust=True)
    return run


def note(run: ProvisioningRun) -> None:
    """Let whoever gathers runs know of one that is queued already and does what is asked for."""
    for gathering in _gatherings.get():
        gathering.append(run)


def send(run_id: int) -> bool:
    """Send the message "run N" and return whether the broker took it.

    A failure is not one: it is said at the run, and the sweeper sends again.
    """
    try:
        current_app.send_task(RECONCILE_RUN_TASK, [run_id])
    except (OperationalError, OSError) as error:
        log.warning("run_not_sent", run=run_id, error=type(error).__name__)
        _untaken(run_id).update(progress=UNREACHABLE)
        return False
    ProvisioningRun.objects.filter(pk=run_id).update(sent_at=timezone.now())
    return True


def _untaken(*run_ids: int) -> RunQuerySet:
    return ProvisioningRun.objects.filter(pk__in=run_ids, status=RunStatus.QUEUED)


def send_scan() -> bool:
    """Ask a worker to compare AWS with the database now, and return whether the broker took it."""
    try:
        current_app.send_task(SCAN_DRIFT_TASK, [])
    except (OperationalError, OSError) as error:
        log.warning("scan_not_sent", error=type(error).__name__)
        return False
    return True


def resend_runs() -> list[int]:
    """Send again the unfinished runs that nobody took in time, or whose claim ran out; return the ids that went out.

    Not those whose message the broker took a moment ago. Stops at the first that the broker does not take: it is down,
    and the next sweep begins anew.
    """
    now = timezone.now()
    is_due = Q(sent_at__isnull=True) | Q(sent_at__lt=now - RESEND_TAKEN_AFTER)
    lost = ProvisioningRun.objects.unfinished().filter(
        Q(is_due, queued_at__lt=now - RESEND_AFTER, claimed_until__isnull=True)
        | Q(is_due | Q(sent_at__lt=F("claimed_until")), claimed_until__lt=now)
    )
    ids = lost.order_by("id").values_list("id", flat=True)[:RESEND_AT_ONCE_MAX]
    sent = list(takewhile(send, ids))
    if sent:
        _untaken(*sent).filter(progress=UNREACHABLE).update(progress="")
    return sent
