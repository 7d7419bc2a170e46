"""A third of all calls to AWS goes wrong, in every way there is: all mappings converge, and the history has it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import botocore.endpoint
import pytest
from django.db import transaction
from django.utils import timezone

from roles import context
from roles.aws import sts
from roles.models import AuditEvent, GroupRole, ProvisioningRun, ProvisioningStep, ResourceLease
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import outbox, preview, runner
from tests import factories
from tests.provisioning.conftest import Clock
from tests.sandbox.conftest import portal_settings
from tests.strict_aws.estate import Estate, Rows, theirs
from tests.strict_aws.layer.faults import Kind
from tests.strict_aws.moto_front import MotoFront

pytestmark = pytest.mark.django_db

ANYWHERE = "http://127.0.0.1:1"  # nothing listens there, and nothing has to: the front is in this process
OWNERS = {f"{200000000000 + number}": f"data-{number}" for number in range(10)}
MAPPINGS = 100
SEED = 11
FAULT_RATE = 0.3
PATIENCE_SECONDS = 6
AWAY = (Kind.THROTTLED, Kind.UNAVAILABLE)  # all the time: every run's patience ends, and it is postponed
ADMIN = context.SystemActor("command:test")


@pytest.fixture
def front(clock: Clock, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[MotoFront]:
    """A strict AWS; all who wait, for it and in it, do so by the same clock, at once."""
    monkeypatch.setattr(botocore.endpoint, "time", clock)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name, value in portal_settings(ANYWHERE).items():
        setattr(settings, name, value)
    with MotoFront(clock=clock.monotonic) as aws:
        sts.forget_identity()
        yield aws
    sts.forget_identity()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The messages that left and that no worker has taken yet."""
    messages: list[int] = []
    monkeypatch.setattr(outbox, "send", lambda run_id: messages.append(run_id) or True)
    return messages


def work(sent: list[int]) -> None:
    """Be the worker until there is no message left."""
    while sent:
        runner.reconcile(sent.pop(0))


def work_off(sent: list[int]) -> None:
    """Be the worker, and the sweeper once there is nothing to do; a postponed run's time comes at once."""
    for _ in range(runner.ATTEMPTS_MAX * 2):
        work(sent)
        past = timezone.now() - timedelta(seconds=1)
        ProvisioningRun.objects.unfinished().update(claimed_until=past)
        if not outbox.resend_runs():
            return
    raise AssertionError("The runs never ended.")


@pytest.fixture
def commit(django_capture_on_commit_callbacks: Any) -> Any:
    """What is done inside is committed at its end."""
    return partial(django_capture_on_commit_callbacks, execute=True)


def test_a_hundred_mappings_converge_while_a_third_of_all_calls_fails(
    front: MotoFront, clock: Clock, sent: list[int], commit: Any, settings: Any
) -> None:
    estate, rows = Estate(ANYWHERE, OWNERS), Rows(OWNERS)
    estate.build(Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]))
    sources = [rows.source(f"Source{number}", rows.targets[number % 10]) for number in range(MAPPINGS)]
    clock.sleep(60)  # what was built is known everywhere
    faults = front.strict.faults
    settings.XACCT_PROPAGATION_SECONDS = PATIENCE_SECONDS
    front.strict.propagation.seconds = PATIENCE_SECONDS / 3
    for half, is_away in ((sources[::2], False), (sources[1::2], True)):
        with commit(), transaction.atomic():
            for role in half:
                mapping = factories.GroupRoleFactory(role=role)
                outbox.queue_run(actor=ADMIN, role=role, trigger="mapping.added", mapping=mapping)
        if is_away:
            faults.at_rate(1, *AWAY, seed=SEED)
            work(sent)
            waiting = ProvisioningRun.objects.filter(role__in=half, status=RunStatus.WAITING, attempts=1)
            assert waiting.count() == len(half)
        faults.at_rate(FAULT_RATE, seed=SEED)
        work_off(sent)
    assert faults.struck > FAULT_RATE * faults.calls > MAPPINGS * 10
    faults.clear()

    assert Counter(ProvisioningRun.objects.values_list("status", "error")) == {(RunStatus.IN_SYNC, ""): MAPPINGS}
    assert Counter(GroupRole.objects.values_list("state", flat=True)) == {MappingState.IN_SYNC: MAPPINGS}
    assert not ResourceLease.objects.exists()
    for role in sources:
        assert preview.plan_now(role).writes == 0
    for account_id, bucket in OWNERS.items():
        policy = estate.bucket_policy(bucket)
        assert policy[0]["Sid"] == theirs(account_id, bucket)["Sid"]
        assert len(policy) == len({statement["Sid"] for statement in policy}) == 3
    assert_history_has_the_failures(sources)


def assert_history_has_the_failures(sources: list[Any]) -> None:
    """Each attempt that did not end well says at which step and why; what was made is told once, as made."""
    for run in ProvisioningRun.objects.all():
        failed = run.steps.filter(status=StepStatus.FAILED)
        assert {step.attempt for step in failed} == set(range(1, run.attempts))
        assert all(step.error and step.error_code.startswith("aws.") for step in failed)
    postponed = ProvisioningRun.objects.filter(attempts__gt=1)
    assert postponed.count() >= MAPPINGS // 2
    made = ProvisioningStep.objects.filter(step=1, action="create", resource__contains=":role/")
    arns = sorted(str(role.arn) for role in sources)
    assert sorted(set(made.values_list("resource", flat=True))) == arns
    done = Counter(made.filter(status=StepStatus.DONE).values_list("resource", flat=True))
    assert max(done.values()) == 1  # a role is made once; where AWS would not show it at once, by the next attempt
    for event in AuditEvent.objects.filter(code="run.succeeded"):
        profile = event.resource.replace(":role/", ":instance-profile/")
        assert {event.resource, profile} <= set(event.details["changed"])
