"""Runs beside each other and after each other: a worker that dies, one that is overtaken, two that share a document."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, ProvisioningRun, ProvisioningStep, ResourceLease
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import runner
from tests import factories
from tests.provisioning.conftest import BUCKET, DENIED, ROLE_A, ROLE_B, again, queued, reconciled, sids, steps_of, unmap
from tests.strict_aws.watched import THEIRS, Killed, WatchedAws

pytestmark = pytest.mark.django_db

CALLS_OF_A_NEW_MAPPING = 23
CALLS_OF_A_REMOVAL = 15


@pytest.fixture
def other(procedure: factories.Procedure) -> GroupRole:
    """Another group's source role that reaches the same target and bucket."""
    role = factories.IamRoleFactory(account=procedure.account_a, name="OtherA")
    factories.AssumeRoleGrantFactory(source=role, target=procedure.role_b)
    mapping: GroupRole = factories.GroupRoleFactory(role=role)
    return mapping


def assert_history_is_truthful(run: ProvisioningRun) -> None:
    """No step is left open, and only the last attempt may say that all is done."""
    open_steps = ProvisioningStep.objects.filter(run=run, status__in=(StepStatus.APPLYING, StepStatus.WAITING))
    assert not open_steps.exists()
    assert {status for _, _, status in steps_of(run)} == {"done"}
    for step in run.steps.filter(status=StepStatus.FAILED):
        assert (step.error_code, step.attempt) == ("run.interrupted", 1)


# --- killed ---


def test_a_run_makes_the_calls_that_the_kills_below_walk_through(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    assert len(aws.calls) == CALLS_OF_A_NEW_MAPPING
    aws.calls.clear()
    reconciled(unmap(mapping))
    assert len(aws.calls) == CALLS_OF_A_REMOVAL


@pytest.mark.parametrize("number", range(1, CALLS_OF_A_NEW_MAPPING + 1))
def test_a_worker_killed_after_any_call_leaves_a_run_that_the_next_one_completes(
    aws: WatchedAws, procedure: factories.Procedure, number: int
) -> None:
    mapping = procedure.map()
    run = queued(mapping)
    aws.die_after = number
    with pytest.raises(Killed):
        runner.reconcile(run.pk)
    assert runner.reconcile(run.pk) is None  # the dead worker's claim still holds
    aws.die_after = None
    done = again(run)
    assert (done.status, done.attempts, done.error) == (RunStatus.IN_SYNC, 2, "")
    assert_history_is_truthful(done)
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    found = aws.state()
    aws.begin_again()
    reconciled(mapping)
    assert found == aws.state()


@pytest.mark.parametrize("number", range(1, CALLS_OF_A_REMOVAL + 1))
def test_a_worker_killed_while_it_takes_access_away_leaves_no_access_behind(
    aws: WatchedAws, procedure: factories.Procedure, number: int
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    run = queued(unmap(mapping))
    aws.calls.clear()
    aws.die_after = number
    with pytest.raises(Killed):
        runner.reconcile(run.pk)
    aws.die_after = None
    done = again(run)
    assert done.status == RunStatus.IN_SYNC
    assert_history_is_truthful(done)
    mapping.refresh_from_db()
    assert mapping.state == MappingState.REMOVED
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]
    assert sids(aws.role(ROLE_B).trust) == ["XacctTrustNobody"]


def test_a_step_that_was_interrupted_after_its_write_keeps_the_document_from_before(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    run = queued(procedure.map())
    aws.die_after = 20
    with pytest.raises(Killed):
        runner.reconcile(run.pk)
    assert [call.name for call in aws.calls[-2:]] == ["put_bucket_policy", "get_bucket_policy"]
    aws.die_after = None
    done = again(run)
    interrupted = done.steps.get(step=6, attempt=1)
    assert interrupted.status == StepStatus.FAILED
    assert interrupted.before == {"Version": "2012-10-17", "Statement": [THEIRS]}
    assert interrupted.aws_request_id
    assert done.steps.get(step=6, attempt=2).action == "none"


def test_the_next_worker_waits_for_what_the_dead_one_had_just_made(
    aws: WatchedAws, procedure: factories.Procedure, settings: Any
) -> None:
    run = queued(procedure.map())
    aws.die_after = 19
    with pytest.raises(Killed):
        runner.reconcile(run.pk)
    aws.die_after = None
    aws.fail_times["assume_role"] = [DENIED] * 8  # nothing is written any more, and AWS is still late
    assert again(run).status == RunStatus.IN_SYNC


# --- overtaken ---


def test_a_worker_that_was_overtaken_stops_and_says_so(aws: WatchedAws, procedure: factories.Procedure) -> None:
    run = queued(procedure.map())
    aws.once("create_role", lambda: again(run), about=ROLE_B)
    assert runner.reconcile(run.pk) is None
    run.refresh_from_db()
    assert (run.status, run.attempts) == (RunStatus.IN_SYNC, 2)
    assert "update_assume_role_policy" not in aws.writes[aws.writes.index("put_bucket_policy") :]
    assert not run.steps.filter(status__in=(StepStatus.APPLYING, StepStatus.WAITING)).exists()
    assert run.steps.filter(attempt=1, error_code="run.interrupted").exists()


def test_a_worker_that_was_overtaken_at_its_last_call_changes_nothing_in_the_database(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    run = queued(procedure.map())
    done: list[ProvisioningRun] = []
    aws.once("list_prefix", lambda: done.append(again(run)))
    assert runner.reconcile(run.pk) is None
    run.refresh_from_db()
    assert (run.status, run.finished_at) == (RunStatus.IN_SYNC, done[0].finished_at)


def test_a_mistake_of_an_overtaken_worker_does_not_fail_the_run(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    run = queued(procedure.map())

    def overtake() -> None:
        again(run)
        raise ZeroDivisionError

    aws.once("put_bucket_policy", overtake)
    with pytest.raises(ZeroDivisionError):
        runner.reconcile(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.IN_SYNC


def test_a_final_run_is_not_done_again(aws: WatchedAws, procedure: factories.Procedure) -> None:
    run = reconciled(procedure.map())
    aws.calls.clear()
    assert runner.reconcile(run.pk) is None
    assert aws.calls == []


def test_a_document_that_somebody_got_hold_of_while_we_wrote_is_gone_over_again(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    aws.once("put_bucket_policy", lambda: ResourceLease.objects.filter(resource=BUCKET).update(holder="another"))
    first = reconciled(procedure.map())
    assert (first.status, first.error_code) == (RunStatus.WAITING, "conflict.lease_lost")
    assert again(first).status == RunStatus.IN_SYNC


def test_a_document_that_is_always_taken_postpones_the_run(
    aws: WatchedAws, procedure: factories.Procedure, settings: Any
) -> None:
    settings.XACCT_LEASE_SECONDS = 0
    ends = timezone.now() + timedelta(hours=1)
    ResourceLease.objects.create(resource=BUCKET, holder="another", expires_at=ends)
    run = reconciled(procedure.map())
    assert (run.status, run.error_code) == (RunStatus.WAITING, "conflict.lease_busy")
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]


# --- two runs ---


def test_a_worker_that_stalls_over_a_bucket_does_not_undo_what_another_wrote_meanwhile(
    aws: WatchedAws, procedure: factories.Procedure, other: GroupRole, settings: Any
) -> None:
    mine = factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="later/")
    BucketGrant.objects.filter(pk=mine.pk).update(ended_at=timezone.now())
    inner: list[ProvisioningRun] = []

    def meanwhile() -> None:
        BucketGrant.objects.filter(pk=mine.pk).update(ended_at=None)
        inner.append(reconciled(other))

    settings.XACCT_LEASE_SECONDS = 0.1
    aws.once("put_bucket_policy", meanwhile)  # the first has read the bucket's policy and is about to write
    first = reconciled(procedure.map())
    assert inner[0].status == RunStatus.IN_SYNC
    assert (first.status, first.error_code) == (RunStatus.WAITING, "conflict.lease_lost")
    assert again(first).status == RunStatus.IN_SYNC
    assert aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"] == [ROLE_A, str(other.role.arn)]
    policy = aws.bucket_policies["example-data"]["Statement"]
    assert policy[0] == THEIRS
    assert len(policy) == len({statement["Sid"] for statement in policy}) == 6


def test_a_run_names_another_runs_role_only_once_that_exists(
    aws: WatchedAws, procedure: factories.Procedure, other: GroupRole
) -> None:
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC
    assert aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"] == ROLE_A
    assert reconciled(other).status == RunStatus.IN_SYNC
    assert reconciled(GroupRole.objects.get(role=procedure.role_a)).status == RunStatus.IN_SYNC
    assert aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"] == [ROLE_A, str(other.role.arn)]


def test_an_older_run_does_not_overwrite_what_the_newer_one_said(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    older = queued(mapping)

    def overtake() -> None:
        assert reconciled(mapping).status == RunStatus.IN_SYNC
        aws.fail_always["list_prefix"] = DENIED

    aws.once("list_prefix", overtake)
    done = runner.reconcile(older.pk)
    mapping.refresh_from_db()
    assert done is not None and done.status == RunStatus.FAILED
    assert mapping.state == MappingState.IN_SYNC


def test_a_mapping_that_ends_during_the_run_is_left_to_its_own_run(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    aws.once("put_bucket_policy", lambda: unmap(mapping))
    run = reconciled(mapping)
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.IN_SYNC, MappingState.REMOVING)
    assert run.steps.get(step=7).hint == "This access was ended while the run was under way."
    reconciled(mapping)
    mapping.refresh_from_db()
    assert mapping.state == MappingState.REMOVED
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]


@pytest.mark.parametrize("grants", [AssumeRoleGrant, BucketGrant])
def test_an_access_that_ends_during_the_run_is_not_verified(
    aws: WatchedAws, procedure: factories.Procedure, grants: Any
) -> None:
    aws.once("put_bucket_policy", lambda: grants.objects.update(ended_at=timezone.now()))
    run = reconciled(procedure.map())
    assert run.status == RunStatus.IN_SYNC
    assert "list_prefix" not in [call.name for call in aws.calls]


def test_a_mapping_that_begins_during_the_run_is_left_to_its_own_run(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    later: list[GroupRole] = []
    aws.once("put_bucket_policy", lambda: later.append(factories.GroupRoleFactory(role=procedure.role_a)))
    reconciled(procedure.map())
    later[0].refresh_from_db()
    assert later[0].provisioned_at is None
    reconciled(later[0])
    later[0].refresh_from_db()
    assert (later[0].state, later[0].provisioned_at is None) == (MappingState.IN_SYNC, False)
