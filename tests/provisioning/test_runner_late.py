"""AWS is late, refuses or throttles: what a run waits for, for how long, and what it says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from roles.errors import AwsConflict, AwsPropagating, AwsUnreachable
from roles.models import AuditEvent, GroupRole, ProvisioningRun, ResourceLease
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import outbox, runner
from tests import factories
from tests.provisioning.conftest import (
    BUCKET,
    DENIED,
    ROLE_A,
    ROLE_B,
    Clock,
    queued,
    reconciled,
    steps_of,
)
from tests.strict_aws.watched import Call, WatchedAws, throttled

pytestmark = pytest.mark.django_db


# --- late ---


def test_an_unknown_principal_is_waited_for_and_the_wait_is_told(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    seen: list[tuple[str, str, str]] = []
    aws.fail_times["update_assume_role_policy"] = [AwsPropagating("Invalid principal", aws_code="MalformedPolicy")] * 3
    mapping = procedure.map()

    def look(call: Call) -> None:
        if call.name == "get_role" and aws.calls and aws.calls[-1].name == "update_assume_role_policy":
            run = ProvisioningRun.objects.get()
            step = run.steps.get(step=5)
            seen.append((run.progress, step.status, GroupRole.objects.get().state))

    aws.before_call = look
    run = reconciled(mapping)
    assert seen[:3] == [("Edit trust relationship of MyRoleB: Invalid principal", "waiting", "waiting")] * 3
    assert run.status == RunStatus.IN_SYNC
    step = run.steps.get(step=5)
    assert (step.status, step.error, step.aws_code) == (StepStatus.DONE, "", "")


def test_an_unknown_principal_that_stays_unknown_fails_with_awss_words(
    aws: WatchedAws, procedure: factories.Procedure, clock: Clock
) -> None:
    aws.fail_always["put_bucket_policy"] = AwsPropagating("Invalid principal: X", aws_code="MalformedPolicy")
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (RunStatus.FAILED, "Invalid principal: X")
    assert aws.writes.count("put_bucket_policy") > 2
    assert clock.now >= 120


@pytest.mark.parametrize("resource", [ROLE_A, ROLE_B])
def test_a_role_that_does_not_show_after_it_was_made_is_waited_for(
    aws: WatchedAws, procedure: factories.Procedure, resource: str
) -> None:
    def hide_once(call: Call) -> None:
        if call == Call("create_role", resource) and call not in aws.calls:
            aws.hide(resource, reads=3)

    aws.before_call = hide_once
    run = reconciled(procedure.map())
    assert run.status == RunStatus.IN_SYNC
    assert run.steps.filter(resource=resource, error="").count() == run.steps.filter(resource=resource).count()


def test_a_trust_policy_waits_for_a_role_that_hides_again(aws: WatchedAws, procedure: factories.Procedure) -> None:
    second = factories.IamRoleFactory(account=procedure.account_b, name="Second")
    factories.AssumeRoleGrantFactory(source=procedure.role_a, target=second)

    def hide_late(call: Call) -> None:
        if call == Call("create_role", str(second.arn)):
            aws.hide(ROLE_B, reads=2)

    aws.before_call = hide_late
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC


def test_a_denial_just_after_a_change_is_waited_out(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.fail_times["assume_role"] = [DENIED] * 4
    run = reconciled(procedure.map())
    assert run.status == RunStatus.IN_SYNC
    assert run.steps.get(step=7).status == StepStatus.DONE


def test_a_denial_without_any_change_fails_soon(aws: WatchedAws, procedure: factories.Procedure, clock: Clock) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    aws.fail_always["list_prefix"] = DENIED
    run = reconciled(mapping)
    assert (run.status, run.error) == (RunStatus.FAILED, "AWS said no.")
    assert run.steps.get(step=7).aws_code == "AccessDenied"
    assert clock.now < 15


def test_a_missing_bucket_fails_at_once_when_nothing_was_written(
    aws: WatchedAws, procedure: factories.Procedure, clock: Clock
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    aws.delete_bucket("example-data")
    run = reconciled(mapping)
    assert run.status == RunStatus.FAILED
    assert (run.steps.get(step=6).aws_code, "example-data" in run.error) == ("NoSuchBucket", True)
    assert clock.now == 0


def test_a_failed_write_is_not_told_as_a_change(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.fail_always["put_bucket_policy"] = DENIED
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED
    event = AuditEvent.objects.get(code="run.failed")
    assert BUCKET not in event.details["changed"]
    assert (event.outcome, event.details["error"]) == ("failed", "AWS said no.")


def test_an_identity_that_cannot_be_asked_for_is_told_at_step_1(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_region: str) -> tuple[str, ...]:
        raise AwsUnreachable("No answer from AWS.")

    monkeypatch.setattr(runner, "portal_principals", unreachable)
    run = reconciled(procedure.map())
    assert run.status == RunStatus.WAITING
    assert run.steps.get(sequence=1).error == "No answer from AWS."


# --- postponed ---


def test_throttled_past_the_bound_is_postponed_and_resent_until_it_works(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(outbox, "send", lambda run_id: bool(sent.append(run_id) or True))
    aws.fail_always["put_role_policy"] = throttled()
    mapping = procedure.map()
    run = reconciled(mapping)
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.WAITING, MappingState.WAITING)
    assert "Waiting for AWS until" in run.progress and run.error == "Rate exceeded"
    assert runner.reconcile(run.pk) is None  # not before its time
    assert outbox.resend_runs() == []
    ProvisioningRun.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert outbox.resend_runs() == [run.pk] == sent
    aws.fail_always.clear()
    done = runner.reconcile(run.pk)
    assert done is not None and done.status == RunStatus.IN_SYNC
    assert steps_of(done)[0] == (1, "none", "done")


@pytest.mark.parametrize(
    ("code", "status"), [("EntityAlreadyExists", RunStatus.FAILED), ("ConcurrentModification", RunStatus.WAITING)]
)
def test_a_name_that_is_taken_fails_but_an_aws_that_is_busy_is_come_back_to(
    aws: WatchedAws, procedure: factories.Procedure, code: str, status: RunStatus
) -> None:
    aws.fail_always["put_role_policy"] = AwsConflict("AWS is busy with that.", aws_code=code)
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (status, "AWS is busy with that.")


def test_a_run_is_not_postponed_for_ever(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.fail_always["get_role"] = throttled()
    run = queued(procedure.map(), attempts=runner.ATTEMPTS_MAX - 1)
    done = runner.reconcile(run.pk)
    assert done is not None and (done.status, done.error) == (RunStatus.FAILED, "Rate exceeded")


def test_a_run_whose_workers_always_die_is_given_up(aws: WatchedAws, procedure: factories.Procedure) -> None:
    run = queued(procedure.map(), attempts=runner.INTERRUPTIONS_MAX)
    done = runner.reconcile(run.pk)
    assert done is not None and done.status == RunStatus.FAILED
    assert "stopped before its end" in done.error
    assert aws.calls == []


def test_a_mistake_of_ours_is_seen_at_the_run_and_at_its_step(aws: WatchedAws, procedure: factories.Procedure) -> None:
    def break_down(call: Call) -> None:
        if call.name == "put_bucket_policy":
            raise ZeroDivisionError

    aws.before_call = break_down
    mapping = procedure.map()
    run = queued(mapping)
    with pytest.raises(ZeroDivisionError):
        runner.reconcile(run.pk)
    run.refresh_from_db()
    mapping.refresh_from_db()
    assert (run.status, mapping.state, run.error) == (RunStatus.FAILED, MappingState.FAILED, runner.UNEXPECTED.message)
    assert run.steps.get(step=6).error == runner.UNEXPECTED.message
    assert not ResourceLease.objects.exists()
    assert runner.reconcile(run.pk) is None
