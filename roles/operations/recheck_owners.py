"""Look again whether account owners have applied what they were handed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from roles.history.recorder import record
from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import RunStatus
from roles.operations._rows import locked_roles
from roles.permissions import Rule, require
from roles.provisioning import outbox

TRIGGER = "run.rechecked"
FIRST_AFTER = timedelta(minutes=5)
LONGEST = timedelta(days=1)
GIVE_UP_AFTER = timedelta(days=30)
AT_ONCE_MAX = 100


def recheck_owners(*, actor: Any) -> list[ProvisioningRun]:
    """Queue a new run for each source role in use whose newest run waits for an owner and is due; return the runs.

    Such a run proves by using the access what the owner has applied, and takes nobody's word for the rest. The pause
    doubles from five minutes to a day, and after thirty days only a person asks again. Raises `NotPermitted`.
    """
    require(actor, Rule.RETRY_RUNS)
    return [run for waiting in _due() if (run := _recheck(waiting, actor)) is not None]


def _due() -> list[ProvisioningRun]:
    """Return the runs that are due, the longest ago first."""
    now = timezone.now()
    of_role = ProvisioningRun.objects.reconciling().filter(role=OuterRef("role")).order_by("-pk")
    asked = of_role.exclude(trigger=TRIGGER)
    waits = Q(status=RunStatus.NEEDS_OWNER) | Q(status=RunStatus.FAILED, trigger=TRIGGER)
    rows = ProvisioningRun.objects.filter(waits, pk=Subquery(of_role.values("pk")[:1]), finished_at__isnull=False)
    in_use = Exists(GroupRole.objects.in_force().filter(role=OuterRef("role")))
    waiting: Any = rows.filter(in_use, finished_at__lte=now - FIRST_AFTER)
    waiting = waiting.annotate(since=Subquery(asked.values("finished_at")[:1])).filter(since__gt=now - GIVE_UP_AFTER)
    oldest_first = waiting.select_related("role").order_by("finished_at", "pk")
    due = [run for run in oldest_first if run.finished_at + _pause(run.finished_at - run.since) <= now]
    return due[:AT_ONCE_MAX]


def _pause(waited: timedelta) -> timedelta:
    """Return how long to wait after a look: as long again as the owner has been waited for."""
    return min(max(waited, FIRST_AFTER), LONGEST)


def _recheck(waiting: ProvisioningRun, actor: Any) -> ProvisioningRun | None:
    """Queue a run of the same role, unless somebody else has queued one meanwhile."""
    with transaction.atomic():
        (role,) = locked_roles(waiting.role)
        if ProvisioningRun.objects.reconciling().filter(role=role, pk__gt=waiting.pk).exists():
            return None
        mapping = GroupRole.objects.in_force().filter(pk=waiting.mapping_id).select_related("group").first()
        run = outbox.queue_run(actor=actor, role=role, trigger=TRIGGER, mapping=mapping)
        record(
            TRIGGER,
            actor=actor,
            subject=waiting,
            group=mapping.group.name if mapping else "",
            account_id=role.account.account_id,
            resource=str(role.arn),
            before={"run": waiting.pk, "status": waiting.status},
            after={"run": run.pk, "status": run.status},
        )
    return run
