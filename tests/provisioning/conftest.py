"""The engine's world: a strict AWS, patience without waiting, and runs by one word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from roles.aws import waiting
from roles.errors import AwsAccessDenied
from roles.models import GroupRole, IamRole, ProvisioningRun, ResourceLease
from roles.models.choices import MappingState
from roles.provisioning import runner
from tests import factories
from tests.strict_aws.rules.normal import normal
from tests.strict_aws.watched import THEIRS, Killed, WatchedAws

ROLE_A = "arn:aws:iam::111111111111:role/MyRoleA"
PROFILE_A = "arn:aws:iam::111111111111:instance-profile/MyRoleA"
ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"
BUCKET = "arn:aws:s3:::example-data"
DENIED = AwsAccessDenied("AWS said no.", aws_code="AccessDenied", request_id="req-denied")


class Clock:
    """The time that a run believes it is: only its own pauses pass, however slow the machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the engine's patience."""
    found = Clock()
    monkeypatch.setattr(waiting, "time", found)
    monkeypatch.setattr(runner, "time", found)
    monkeypatch.setattr(runner, "patiently", partial(waiting.patiently, sleep=found.sleep))
    return found


@pytest.fixture
def aws(clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchedAws]:
    """The procedure's AWS, strict, with somebody else's statement; nobody has to wait in it for real."""
    settings.XACCT_PROPAGATION_SECONDS = 120.0
    with WatchedAws(THEIRS, clock=clock.monotonic) as world:
        yield world
        monkeypatch.undo()  # first: what a test has replaced in this AWS must not come back once it is gone


Reconcile = Callable[..., ProvisioningRun]


def queued(of: GroupRole | IamRole, **fields: Any) -> ProvisioningRun:
    """Return a queued run of a mapping or of a role."""
    named = {"role": of.role, "mapping": of} if isinstance(of, GroupRole) else {"role": of}
    run: ProvisioningRun = factories.ProvisioningRunFactory(**{**named, **fields})
    return run


def reconciled(of: GroupRole | IamRole, **fields: Any) -> ProvisioningRun:
    """Return a run of a mapping or of a role after a worker had it."""
    done = runner.reconcile(queued(of, **fields).pk)
    assert done is not None
    return done


def again(run: ProvisioningRun) -> ProvisioningRun:
    """Let the claim and the leases of a dead worker run out, and the next worker take the run."""
    past = timezone.now() - timedelta(seconds=1)
    ProvisioningRun.objects.filter(pk=run.pk).update(claimed_until=past)
    ResourceLease.objects.update(expires_at=past)
    done = runner.reconcile(run.pk)
    assert done is not None
    return done


def unmap(mapping: GroupRole) -> GroupRole:
    """End a mapping as the operation does."""
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state=MappingState.REMOVING)
    mapping.refresh_from_db()
    return mapping


def sids(document: dict[str, Any]) -> list[str]:
    """Return the statement ids of a document."""
    return [statement["Sid"] for statement in document["Statement"]]


def steps_of(run: ProvisioningRun) -> list[tuple[int, str, str]]:
    """Return number, action and status of each step of the last attempt."""
    rows = run.steps.filter(attempt=run.attempts).order_by("sequence")
    return list(rows.values_list("step", "action", "status"))


def as_aws_has(*documents: dict[str, Any] | None) -> list[dict[str, Any] | None]:
    """Return documents as AWS gives them back, whose spelling nobody knows before they are written."""
    return [normal(one) if one and "Statement" in one else one for one in documents]


def killed(run: ProvisioningRun) -> bool:
    """Let a worker have the run and return whether it died."""
    try:
        runner.reconcile(run.pk)
    except Killed:
        return True
    return False


def survivors(
    aws: WatchedAws, moment: str, begin: Callable[[], ProvisioningRun], *, most: int
) -> Iterator[tuple[int, ProvisioningRun]]:
    """Have a worker die (`die_before`, `die_after`) at call after call of a run that `begin` makes anew each time.

    Yield the call's number and the run as the next worker left it. Ends with the first run that no worker died in.
    """
    for number in range(1, most):
        run = begin()
        aws.calls.clear()
        setattr(aws, moment, number)
        has_died = killed(run)
        setattr(aws, moment, None)
        if not has_died:
            return
        yield number, again(run)
    raise AssertionError(f"A worker still died at call {most - 1}.")
