from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.context import SystemActor
from roles.errors import NotPermitted
from roles.models import AuditEvent, GroupRole, ProvisioningRun, User
from roles.models.choices import RunStatus
from roles.operations import recheck_owners as module
from roles.operations.recheck_owners import TRIGGER, recheck_owners
from tests.factories import AwsAccountFactory, GroupRoleFactory, IamRoleFactory, Procedure, ProvisioningRunFactory
from tests.operations.conftest import event, traces

WORKER = SystemActor("worker")


@pytest.fixture
def mapping(procedure: Procedure) -> GroupRole:
    return procedure.map(state="needs_owner")


def ended(mapping: GroupRole, ago: timedelta, status: str = "needs_owner", **fields: Any) -> ProvisioningRun:
    """Return a run of the mapping that ended so long ago."""
    moment: datetime = timezone.now() - ago
    run: ProvisioningRun = ProvisioningRunFactory(
        role=mapping.role, mapping=mapping, status=status, queued_at=moment, finished_at=moment, **fields
    )
    return run


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_who_may_not_retry_runs_is_refused(powerless: User, mapping: GroupRole) -> None:
    ended(mapping, minutes(60))
    with pytest.raises(NotPermitted) as refusal:
        recheck_owners(actor=powerless)
    assert refusal.value.rule == "runs.retry"
    assert traces() == (0, 1)


# --- not now ---


@pytest.mark.parametrize("status", [one for one in RunStatus if one != RunStatus.NEEDS_OWNER])
def test_only_what_waits_for_an_owner_is_looked_at(status: RunStatus, mapping: GroupRole) -> None:
    ended(mapping, minutes(60), status)
    assert recheck_owners(actor=WORKER) == []


def test_a_run_that_has_a_newer_one_is_over(mapping: GroupRole) -> None:
    ended(mapping, minutes(90))
    ended(mapping, minutes(60), "in_sync")
    assert recheck_owners(actor=WORKER) == []


def test_what_is_not_mapped_any_more_cannot_be_proved_by_using_it(mapping: GroupRole) -> None:
    ended(mapping, minutes(60))
    GroupRole.objects.update(ended_at=timezone.now())
    assert recheck_owners(actor=WORKER) == []


def test_an_owner_has_five_minutes_at_least(mapping: GroupRole) -> None:
    ended(mapping, minutes(4))
    assert recheck_owners(actor=WORKER) == []


def test_after_thirty_days_only_a_person_asks_again(mapping: GroupRole) -> None:
    ended(mapping, timedelta(days=31))
    ended(mapping, timedelta(days=2), trigger=TRIGGER)
    assert recheck_owners(actor=WORKER) == []


def test_somebody_who_was_quicker_is_not_doubled(mapping: GroupRole, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = ended(mapping, minutes(60))
    due = module._due()
    ended(mapping, minutes(0), "queued")
    monkeypatch.setattr(module, "_due", lambda: due)
    assert (due, recheck_owners(actor=WORKER)) == ([waiting], [])


# --- now ---


def test_a_run_that_waits_is_followed_by_one_that_looks(mapping: GroupRole) -> None:
    waiting = ended(mapping, minutes(6))
    (run,) = recheck_owners(actor=WORKER)
    assert (run.role, run.mapping, run.trigger, run.status) == (mapping.role, mapping, TRIGGER, "queued")
    found = event(TRIGGER)
    assert (found.actor_name, found.subject_id) == ("worker", str(waiting.pk))
    assert found.after == {"run": run.pk, "status": "queued"}
    assert recheck_owners(actor=WORKER) == []


@pytest.mark.parametrize(
    ("waited", "since", "is_due"),
    [(20, 19, False), (20, 21, True), (60 * 24 * 5, 60 * 23, False), (60 * 24 * 5, 60 * 25, True)],
)
def test_pauses_double_up_to_a_day(waited: int, since: int, is_due: bool, mapping: GroupRole) -> None:
    ended(mapping, minutes(waited + since))
    ended(mapping, minutes(since), trigger=TRIGGER)
    assert bool(recheck_owners(actor=WORKER)) is is_due


def test_asking_in_person_begins_the_pauses_anew(mapping: GroupRole) -> None:
    ended(mapping, timedelta(days=20))
    ended(mapping, minutes(6), trigger="run.retried")
    assert len(recheck_owners(actor=WORKER)) == 1


def test_a_look_that_failed_is_not_the_last(mapping: GroupRole) -> None:
    ended(mapping, minutes(60))
    ended(mapping, minutes(50), "failed", trigger=TRIGGER)
    assert len(recheck_owners(actor=WORKER)) == 1


def test_a_mapping_that_ended_is_not_taken_for_one_being_removed(mapping: GroupRole) -> None:
    ended(mapping, minutes(60))
    GroupRoleFactory(role=mapping.role)
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state="removed")
    (run,) = recheck_owners(actor=WORKER)
    mapping.refresh_from_db()
    assert (run.mapping, mapping.state) == (None, "removed")


def test_the_longest_waiting_come_first_and_never_too_many_at_once(
    mapping: GroupRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE_MAX", 2)
    account = AwsAccountFactory()
    for number in range(3):
        role = IamRoleFactory(account=account, name=f"Other{number}")
        ended(GroupRoleFactory(role=role), minutes(60 + number))
    assert [run.role.name for run in recheck_owners(actor=WORKER)] == ["Other2", "Other1"]
    assert AuditEvent.objects.filter(code=TRIGGER).count() == 2
