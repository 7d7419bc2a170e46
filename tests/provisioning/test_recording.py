"""What a run leaves behind is true: of steps, of the run, of its mappings, and in the history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.errors import AwsAccessDenied, AwsUnreachable, Conflict, RunAlreadyRunning
from roles.models import AuditEvent, GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import desired, recording
from roles.provisioning.plan import change_for
from roles.provisioning.recording import StepRecord
from roles.provisioning.resources import Step
from tests import factories
from tests.provisioning.conftest import ROLE_B, unmap
from tests.provisioning.test_plan import access, target_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(procedure: factories.Procedure) -> ProvisioningRun:
    """A run that a worker has."""
    made: ProvisioningRun = factories.ProvisioningRunFactory(
        role=procedure.role_a, mapping=procedure.map(), status="applying", claimed_by="worker:1", attempts=1
    )
    return made


def begun(run: ProvisioningRun, sequence: int = 1) -> StepRecord:
    return recording.begin_step(run, sequence, step=Step.TARGET_ROLE, resource=ROLE_B, account_id="222222222222")


def stored(step: StepRecord) -> Any:
    step.row.refresh_from_db()
    return step.row


def mapping_state() -> str:
    return GroupRole.objects.get().state


def test_a_mapping_that_was_ended_meanwhile_by_a_clock_ahead_of_ours_stays_as_it_is(run: ProvisioningRun) -> None:
    ahead = timezone.now() + timedelta(seconds=5)
    recording.progress(run, RunStatus.APPLYING, "Create role MyRoleB", until=timezone.now())
    assert mapping_state() == MappingState.APPLYING
    GroupRole.objects.update(ended_at=ahead, state=MappingState.REMOVING)
    recording.progress(run, RunStatus.WAITING, "Edit trust relationship of MyRoleB", until=timezone.now())
    assert mapping_state() == MappingState.REMOVING
    assert not desired.in_use(run.role)


# --- a step ---


def test_a_step_is_there_before_anything_is_known_of_it(run: ProvisioningRun) -> None:
    row = stored(begun(run))
    assert (row.title, row.status, row.action, row.before) == ("Create role MyRoleB", "applying", "none", None)


def test_a_step_tried_again_keeps_what_was_there_before_its_first_write(run: ProvisioningRun) -> None:
    step = begun(run)
    create, there = change_for(target_role(), None)
    step.planned(create)
    step.written("req-1")
    again, _ = change_for(target_role(), there)
    step.planned(again)
    step.done()
    row = stored(step)
    assert (row.action, row.before, row.after, row.aws_request_id) == ("create", None, again.after, "req-1")


def test_a_write_whose_answer_was_lost_is_told_once_the_next_try_finds_it_done(run: ProvisioningRun) -> None:
    step = begun(run)
    create, there = change_for(target_role(), None)
    nothing, _ = change_for(target_role(), there)
    step.planned(create)
    step.sent()
    step.waiting(AwsUnreachable("No answer from AWS."))
    step.planned(nothing)
    step.done()
    assert (stored(step).action, step.row.before, step.row.status) == ("create", None, "done")
    recording.finish(run, RunStatus.IN_SYNC, concerned=recording.concerned_by(run))
    assert AuditEvent.objects.get(code="run.succeeded").details["changed"] == [ROLE_B]


def test_a_write_that_was_planned_but_never_sent_is_not_told_as_one(run: ProvisioningRun) -> None:
    step = begun(run)
    create, there = change_for(target_role(), None)
    nothing, _ = change_for(target_role(), there)
    step.planned(create)
    step.planned(nothing)
    step.done()
    assert stored(step).action == "none"
    recording.finish(run, RunStatus.IN_SYNC, concerned=recording.concerned_by(run))
    assert AuditEvent.objects.get(code="run.succeeded").details["changed"] == []


def test_a_step_tried_again_before_any_write_takes_what_is_there_now(run: ProvisioningRun) -> None:
    step = begun(run)
    create, there = change_for(target_role(), None)
    step.planned(create)
    step.planned(change_for(target_role(), there)[0])
    step.done()
    assert (stored(step).action, stored(step).before) == ("none", create.after)


def test_a_failed_step_says_what_aws_said(run: ProvisioningRun) -> None:
    step = begun(run)
    step.failed(AwsAccessDenied("No.", hint="Allow it.", aws_code="Access" * 40, request_id="r" * 200))
    row = stored(step)
    assert (row.status, row.error, row.hint, row.error_code) == ("failed", "No.", "Allow it.", "aws.access_denied")
    assert len(row.aws_code) == len(row.aws_request_id) == 128


def test_a_step_that_waited_and_worked_says_nothing_of_it(run: ProvisioningRun) -> None:
    step = begun(run)
    step.waiting(AwsAccessDenied("Not yet.", aws_code="AccessDenied"))
    assert stored(step).status == StepStatus.WAITING
    step.done("req-2")
    row = stored(step)
    assert (row.error, row.aws_code, row.error_code, row.aws_request_id) == ("", "", "", "req-2")


def test_a_title_longer_than_its_column_is_cut(run: ProvisioningRun) -> None:
    step = begun(run)
    step.planned(change_for(access(prefix="x/" * 500), None)[0])
    assert len(stored(step).title) == 200


def test_open_steps_are_closed_with_the_reason_and_closed_ones_left(run: ProvisioningRun) -> None:
    left, waiting, done = begun(run, 1), begun(run, 2), begun(run, 3)
    waiting.waiting(AwsAccessDenied("Not yet."))
    done.done()
    recording.close_interrupted_steps(run)
    assert [stored(one).status for one in (left, waiting, done)] == ["failed", "failed", "done"]
    assert stored(left).error_code == "run.interrupted"
    assert "worker stopped" in stored(waiting).error


# --- the run ---


@pytest.mark.parametrize(
    "write",
    [
        lambda run: recording.progress(run, RunStatus.APPLYING, "Working", until=timezone.now()),
        lambda run: recording.renew_claim(run, timezone.now()),
        lambda run: recording.postpone(run, Conflict("Busy."), until=timezone.now()),
        lambda run: recording.finish(run, RunStatus.FAILED, concerned=recording.concerned_by(run)),
    ],
)
def test_a_worker_that_lost_the_run_writes_nothing(run: ProvisioningRun, write: Any) -> None:
    ProvisioningRun.objects.update(claimed_by="worker:2", status="in_sync")
    with pytest.raises(RunAlreadyRunning):
        write(run)
    row = ProvisioningRun.objects.get()
    assert (row.claimed_by, row.status, row.error) == ("worker:2", "in_sync", "")
    assert mapping_state() == MappingState.QUEUED
    assert not AuditEvent.objects.exists()


def test_progress_is_seen_at_the_run_and_at_the_mapping(run: ProvisioningRun) -> None:
    recording.progress(run, RunStatus.WAITING, "w" * 300, until=timezone.now())
    row = ProvisioningRun.objects.get()
    assert (row.status, len(row.progress), mapping_state()) == ("waiting", 200, "waiting")


def test_a_postponed_run_is_nobodys_and_says_until_when(run: ProvisioningRun) -> None:
    until = timezone.now() + timedelta(seconds=30)
    recording.postpone(run, Conflict("Busy.", hint="Wait."), until=until)
    row = ProvisioningRun.objects.get()
    assert (row.status, row.claimed_by, row.claimed_until) == ("waiting", "", until)
    assert (row.error, row.hint, row.error_code) == ("Busy.", "Wait.", "conflict")
    assert f"{until:%H:%M:%S}" in row.progress


def test_a_failed_run_fails_its_mappings_and_is_an_event(run: ProvisioningRun) -> None:
    recording.finish(run, RunStatus.FAILED, concerned=recording.concerned_by(run), error=Conflict("No.", hint="Do."))
    row = ProvisioningRun.objects.get()
    assert (row.status, row.error, row.hint, row.claimed_by) == ("failed", "No.", "Do.", "")
    assert row.finished_at is not None
    assert mapping_state() == MappingState.FAILED
    event = AuditEvent.objects.get()
    assert (event.code, event.outcome, event.group_name) == ("run.failed", "failed", "analysts")


def test_a_run_in_sync_provisions_the_mappings_it_began_with(run: ProvisioningRun) -> None:
    concerned = recording.concerned_by(run)
    later = factories.GroupRoleFactory(role=run.role)
    recording.finish(run, RunStatus.IN_SYNC, concerned=concerned)
    states = dict(GroupRole.objects.values_list("pk", "state"))
    assert states == {run.mapping_id: MappingState.IN_SYNC, later.pk: MappingState.QUEUED}
    assert AuditEvent.objects.get().code == "run.succeeded"


def test_a_run_without_a_mapping_has_no_group_in_its_event(run: ProvisioningRun) -> None:
    run.mapping = None
    recording.finish(run, RunStatus.NEEDS_OWNER, concerned=recording.concerned_by(run))
    event = AuditEvent.objects.get()
    assert (event.code, event.outcome, event.group_name) == ("run.handed_off", "ok", "")


def test_an_ended_mapping_is_removed_by_a_run_that_began_after_its_end_only(run: ProvisioningRun) -> None:
    mapping = GroupRole.objects.get()
    before = recording.concerned_by(run)
    unmap(mapping)
    after = recording.concerned_by(run)
    assert (before.removing, after.removing, after.in_force) == ((), (mapping.pk,), ())
    recording.finish(run, RunStatus.IN_SYNC, concerned=before)
    assert mapping_state() == MappingState.REMOVING
    run.claimed_by = ""
    recording.finish(run, RunStatus.IN_SYNC, concerned=after)
    assert mapping_state() == MappingState.REMOVED


def test_a_failed_removal_is_not_a_removal(run: ProvisioningRun) -> None:
    unmap(GroupRole.objects.get())
    recording.finish(run, RunStatus.FAILED, concerned=recording.concerned_by(run))
    assert mapping_state() == MappingState.REMOVING


def test_a_mapping_says_what_the_newest_finished_run_said(run: ProvisioningRun) -> None:
    newer = factories.ProvisioningRunFactory(role=run.role, status="in_sync")
    recording.progress(run, RunStatus.WAITING, "Late", until=timezone.now())
    assert mapping_state() == MappingState.QUEUED
    ProvisioningRun.objects.filter(pk=newer.pk).update(status="applying")
    recording.progress(run, RunStatus.WAITING, "Late", until=timezone.now())
    assert mapping_state() == MappingState.WAITING


def test_only_what_aws_took_is_told_as_changed(run: ProvisioningRun) -> None:
    change, _ = change_for(target_role(), None)
    taken, refused, owners, unchanged = (begun(run, number) for number in range(1, 5))
    for step in (taken, refused, owners):
        step.planned(change)
    taken.written("req-1")
    taken.done()
    refused.failed(AwsAccessDenied("No.", aws_code="AccessDenied", request_id="req-2"))
    owners.needs_owner()
    unchanged.done("req-3")
    for number, step in enumerate((taken, refused, owners, unchanged)):
        step.row.resource = f"arn:{number}"
        step.row.save()
    recording.finish(run, RunStatus.FAILED, concerned=recording.concerned_by(run))
    assert AuditEvent.objects.get().details["changed"] == ["arn:0"]
