"""The engine's world: an AWS in memory, patience without waiting, and runs by one word."""

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
from tests.fakes.aws import FakeAws, foreign, installed

ROLE_A = "arn:aws:iam::111111111111:role/MyRoleA"
PROFILE_A = "arn:aws:iam::111111111111:instance-profile/MyRoleA"
ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"
BUCKET = "arn:aws:s3:::example-data"
DENIED = AwsAccessDenied("AWS said no.", aws_code="AccessDenied", request_id="req-denied")
PARTNER = "arn:aws:iam::222222222222:role/partner"
THEIRS = foreign(
    "PartnerReads", Principal={"AWS": PARTNER}, Action=["s3:GetObject"], Resource=["arn:aws:s3:::example-data/r/*"]
)


def new_world() -> FakeAws:
    """Return the procedure's AWS before the portal: a bucket with somebody else's statement."""
    aws = FakeAws(buckets={"example-data": "222222222222"})
    aws.add_role(PARTNER)
    aws.bucket_policies["example-data"] = {"Version": "2012-10-17", "Statement": [THEIRS]}
    return aws


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
def aws(clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """The procedure's AWS, in which nobody has to wait for real."""
    settings.XACCT_PROPAGATION_SECONDS = 120.0
    for world in installed(new_world()):
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
