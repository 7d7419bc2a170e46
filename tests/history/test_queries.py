"""Reading the history: only for those who may, filtered, by key, in a constant number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from roles.errors import NotFound
from roles.history import queries
from roles.history.queries import HistoryFilter
from roles.history.recorder import record
from roles.models import AuditEvent, IssuedToken, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import Outcome, RunStatus, StepAction, StepStatus
from tests.factories import Procedure, ProvisioningRunFactory


def codes(user: User, **wanted: Any) -> list[str]:
    return [event.code for event in queries.events(user, HistoryFilter(**wanted)).rows]


def a_run(procedure: Procedure, steps: int = 1, **fields: Any) -> ProvisioningRun:
    run: ProvisioningRun = ProvisioningRunFactory(role=procedure.role_a, **fields)
    for number in range(1, steps + 1):
        ProvisioningStep.objects.create(
            run=run, sequence=number, step=number % 7 + 1, account_id="222222222222",
            resource=f"arn:aws:s3:::bucket-{run.pk}-{number}", title="A step", action=StepAction.UPDATE,
            status=StepStatus.DONE, after={"Version": "2012-10-17"},
        )  # fmt: skip
    return run


def test_strangers_and_members_see_no_event_and_no_run(procedure: Procedure, charlie: User, alice: User) -> None:
    event, run = record("group.created", actor=alice), a_run(procedure)
    for user in (charlie, procedure.bob):
        assert queries.events(user, HistoryFilter()).rows == ()
        assert queries.runs(user, HistoryFilter()).rows == ()
        assert queries.runs_of_request(user, run.request_id) == ()
        with pytest.raises(NotFound):
            queries.event(user, event.pk)
        with pytest.raises(NotFound):
            queries.run(user, run.pk)


def test_an_auditor_who_was_switched_off_sees_nothing(audrey: User) -> None:
    record("group.created", actor=audrey)
    audrey.is_active = False
    assert codes(audrey) == []


def test_a_name_that_only_aws_knows_finds_what_the_person_did(audrey: User, alice: User, procedure: Procedure) -> None:
    record("group.created", actor=alice)
    record("token.issued", actor=procedure.bob)
    assert codes(audrey, actor="_=u17") == []
    IssuedToken.objects.create(
        user=procedure.bob,
        mapping=procedure.map(),
        session_name="_=u17",
        expires_at=timezone.now(),
    )
    assert codes(audrey, actor="_=u17") == ["token.issued"]
    assert codes(audrey, actor="_=u1") == []


def test_each_filter_finds_its_own(audrey: User, alice: User, procedure: Procedure) -> None:
    record("group.created", actor=alice, group="analysts", account_id="111111111111")
    record("group.renamed", actor=audrey, resource="arn:aws:s3:::example-data", subject=procedure.bucket)
    record("groups_other", actor=audrey, outcome=Outcome.FAILED)
    assert codes(audrey, actor="ALICE") == ["group.created"]
    assert codes(audrey, group="Analysts") == ["group.created"]
    assert codes(audrey, account="111111111111") == ["group.created"]
    assert codes(audrey, resource="example-DATA") == ["group.renamed"]
    assert codes(audrey, outcome="failed") == ["groups_other"]
    assert codes(audrey, code="group") == ["group.renamed", "group.created"]
    assert codes(audrey, code="group.renamed") == ["group.renamed"]
    newest = AuditEvent.objects.first()
    assert newest and codes(audrey, request=newest.request_id)[0] == "groups_other"
    assert codes(audrey, actor="alice", outcome="failed") == []


def test_times_include_the_beginning_and_exclude_the_end(audrey: User) -> None:
    event = record("group.created", actor=audrey)
    at = event.occurred_at
    assert codes(audrey, since=at) and codes(audrey, until=at + timedelta(microseconds=1))
    assert not codes(audrey, until=at) and not codes(audrey, since=at + timedelta(microseconds=1))


def test_a_percent_sign_in_a_filter_is_a_percent_sign(audrey: User) -> None:
    record("group.created", actor=audrey, resource="arn:aws:s3:::example-data")
    assert codes(audrey, resource="%") == []


def test_pages_follow_each_other_in_both_directions_without_gaps(audrey: User) -> None:
    ids = [record("group.created", actor=audrey).pk for _ in range(7)]
    first = queries.events(audrey, HistoryFilter(), limit=3)
    assert [event.pk for event in first.rows] == ids[:3:-1] and first.newer is None
    second = queries.events(audrey, HistoryFilter(), before=first.older, limit=3)
    assert [event.pk for event in second.rows] == ids[3:0:-1]
    last = queries.events(audrey, HistoryFilter(), before=second.older, limit=3)
    assert [event.pk for event in last.rows] == ids[:1] and last.older is None
    back = queries.events(audrey, HistoryFilter(), after=last.newer, limit=3)
    assert back.rows == second.rows
    top = queries.events(audrey, HistoryFilter(), after=back.newer, limit=3)
    assert top.rows == first.rows and top.newer is None


def test_new_events_do_not_shift_an_older_page(audrey: User) -> None:
    for _ in range(4):
        record("group.created", actor=audrey)
    older = queries.events(audrey, HistoryFilter(), limit=2).older
    before = queries.events(audrey, HistoryFilter(), before=older, limit=2).rows
    record("group.created", actor=audrey)
    assert queries.events(audrey, HistoryFilter(), before=older, limit=2).rows == before


def test_runs_are_found_by_what_their_steps_touched(audrey: User, procedure: Procedure) -> None:
    mapping = procedure.map()
    one = a_run(procedure, mapping=mapping, status=RunStatus.FAILED)
    other = a_run(procedure, requested_by_name="carol", trigger="grant.ended")

    def found(**wanted: Any) -> list[ProvisioningRun]:
        return list(queries.runs(audrey, HistoryFilter(**wanted)).rows)

    assert found() == [other, one]
    assert found(resource=f"bucket-{one.pk}-") == [one]
    assert found(resource="MyRoleA") == [other, one]
    assert found(account="222222222222") == [other, one] and found(account="999999999999") == []
    assert found(outcome="failed") == [one] and found(group="analysts") == [one]
    assert found(actor="Carol") == [other] and found(code="grant") == [other]
    assert found(since=timezone.now() + timedelta(minutes=1)) == []


def test_a_run_lists_the_steps_of_its_newest_attempt_only(audrey: User, procedure: Procedure) -> None:
    run = a_run(procedure, steps=2)
    retried = ProvisioningStep.objects.create(
        run=run, attempt=2, sequence=1, step=1, account_id="111111111111", resource="arn", title="Again",
        action=StepAction.NONE, status=StepStatus.DONE,
    )  # fmt: skip
    listed: Any = queries.runs(audrey, HistoryFilter()).rows[0]
    assert listed.newest_steps == [retried]
    assert queries.steps_of(run) == (retried,)
    assert len(queries.steps_of(run, 1)) == 2
    assert queries.attempts_of(run) == (1, 2)


def test_lists_cost_the_same_for_five_and_for_fifty(audrey: User, procedure: Procedure) -> None:
    def cost(number: int) -> list[int]:
        for _ in range(number):
            record("group.created", actor=audrey)
            a_run(procedure, steps=3)
        counts = []
        for read in (queries.events, queries.runs):
            user = User.objects.get(pk=audrey.pk)
            with CaptureQueriesContext(connection) as captured:
                rows = read(user, HistoryFilter()).rows
                assert [str(row) for row in rows] and [getattr(row, "newest_steps", None) for row in rows]
            counts.append(len(captured))
        return counts

    assert cost(5) == cost(45)
