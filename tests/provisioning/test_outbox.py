"""The row first, the message on commit; what gets lost is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from roles import context
from roles.models import GroupRole, ProvisioningRun, User
from roles.models.choices import MappingState, RunStatus
from roles.provisioning import outbox
from tests import factories
from tests.provisioning.conftest import unmap

pytestmark = pytest.mark.django_db


class Broker:
    """What left for the broker; `error` is what it says to each."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, list[Any]]] = []
        self.error: Exception | None = None

    def send_task(self, name: str, args: list[Any]) -> None:
        if self.error:
            raise self.error
        self.messages.append((name, args))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A broker that keeps what it is given."""
    found = Broker()
    monkeypatch.setattr(current_app, "send_task", found.send_task)
    yield found


def lost(role: Any, *, ago: int, **fields: Any) -> ProvisioningRun:
    """Return a run that was queued some seconds ago."""
    queued_at = timezone.now() - timedelta(seconds=ago)
    run: ProvisioningRun = factories.ProvisioningRunFactory(role=role, queued_at=queued_at, **fields)
    return run


# --- queue ---


def test_a_change_that_is_rolled_back_sends_nothing(
    procedure: factories.Procedure, alice: User, broker: Broker, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError), transaction.atomic():
        outbox.queue_run(actor=alice, role=procedure.role_a, trigger="mapping.added")
        raise RuntimeError
    assert broker.messages == []
    assert not ProvisioningRun.objects.exists()


def test_the_message_leaves_on_commit_and_says_only_the_runs_number(
    procedure: factories.Procedure, alice: User, broker: Broker, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = outbox.queue_run(actor=alice, role=procedure.role_a, trigger="mapping.added")
        assert broker.messages == []
    assert broker.messages == [("roles.reconcile_run", [run.pk])]


def test_a_run_says_who_wanted_it_in_which_request(procedure: factories.Procedure, alice: User, broker: Broker) -> None:
    with context.use(context.RequestContext(request_id="r" * 32)):
        run = outbox.queue_run(actor=alice, role=procedure.role_a, trigger="mapping.added", mapping=procedure.map())
    run.refresh_from_db()
    assert (run.requested_by, run.requested_by_name, run.request_id) == (alice, "alice", "r" * 32)
    assert (run.status, run.trigger, run.plan_digest) == (RunStatus.QUEUED, "mapping.added", "")


def test_a_command_has_no_row_but_a_name(procedure: factories.Procedure, broker: Broker) -> None:
    actor = context.SystemActor("command:provision")
    run = outbox.queue_run(actor=actor, role=procedure.role_a, trigger="command.provision")
    assert (run.requested_by, run.requested_by_name) == (None, "command:provision")


def test_a_mapping_is_queued_and_an_ended_one_is_removing(
    procedure: factories.Procedure, alice: User, broker: Broker
) -> None:
    mapping = procedure.map(state="failed")
    outbox.queue_run(actor=alice, role=procedure.role_a, trigger="run.retried", mapping=mapping)
    assert GroupRole.objects.get().state == MappingState.QUEUED
    outbox.queue_run(actor=alice, role=procedure.role_a, trigger="mapping.removed", mapping=unmap(mapping))
    assert GroupRole.objects.get().state == MappingState.REMOVING


# --- resend ---


def test_a_run_that_the_broker_did_not_take_is_sent_once_it_is_back(
    procedure: factories.Procedure, broker: Broker
) -> None:
    run = lost(procedure.role_a, ago=60)
    broker.error = OperationalError("down")
    assert outbox.send(run.pk) is False
    assert outbox.resend_runs() == []
    run.refresh_from_db()
    assert (run.status, run.progress) == (RunStatus.QUEUED, outbox.UNREACHABLE)
    broker.error = None
    assert outbox.resend_runs() == [run.pk]
    assert broker.messages == [("roles.reconcile_run", [run.pk])]
    run.refresh_from_db()
    assert (run.status, run.progress) == (RunStatus.QUEUED, "")


def test_what_a_worker_says_of_its_run_is_not_written_over(procedure: factories.Procedure, broker: Broker) -> None:
    run = lost(procedure.role_a, ago=60, status=RunStatus.WAITING, progress="Waiting for AWS")
    broker.error = OperationalError("down")
    assert outbox.send(run.pk) is False
    broker.error = None
    assert outbox.resend_runs() == [run.pk]
    run.refresh_from_db()
    assert run.progress == "Waiting for AWS"


def test_a_broker_that_is_down_is_asked_once_a_sweep(procedure: factories.Procedure, broker: Broker) -> None:
    for _ in range(3):
        lost(procedure.role_a, ago=60)
    asked: list[int] = []
    broker.error = OperationalError("down")
    with pytest.MonkeyPatch.context() as patch:
        real = outbox.send
        patch.setattr(outbox, "send", lambda run_id: asked.append(run_id) or real(run_id))
        assert outbox.resend_runs() == []
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("ago", "claim", "fields", "is_resent"),
    [
        (1, None, {}, False),  # its message is on its way
        (60, None, {}, True),
        (60, 30, {"status": "applying", "claimed_by": "worker:1"}, False),
        (60, -1, {"status": "applying", "claimed_by": "worker:1"}, True),
        (60, 30, {"status": "waiting"}, False),
        (60, -1, {"status": "waiting"}, True),
        (60, None, {"status": "applying"}, True),  # nobody has it: it must not stay so for ever
        (60, None, {"status": "in_sync"}, False),
        (60, -1, {"status": "failed"}, False),
        (60, None, {"status": "needs_owner"}, False),
    ],
)
def test_only_runs_that_nobody_has_are_sent_again(
    broker: Broker,
    ago: int,
    claim: int | None,
    fields: dict[str, Any],
    is_resent: bool,
) -> None:
    until = None if claim is None else timezone.now() + timedelta(seconds=claim)
    run = lost(factories.IamRoleFactory(), ago=ago, claimed_until=until, **fields)
    assert outbox.resend_runs() == ([run.pk] if is_resent else [])


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.APPLYING])
def test_a_message_that_the_broker_took_is_not_sent_at_every_sweep_while_workers_are_down(
    procedure: factories.Procedure, broker: Broker, status: RunStatus
) -> None:
    claim = timezone.now() - timedelta(seconds=30) if status == RunStatus.APPLYING else None
    run = lost(procedure.role_a, ago=600, status=status, claimed_until=claim)
    assert outbox.resend_runs() == [run.pk]
    assert outbox.resend_runs() == []
    ProvisioningRun.objects.update(sent_at=timezone.now() - outbox.RESEND_TAKEN_AFTER)
    assert outbox.resend_runs() == [run.pk]


def test_a_run_whose_worker_died_is_sent_at_once_though_it_was_sent_just_before(
    procedure: factories.Procedure, broker: Broker
) -> None:
    now = timezone.now()
    run = lost(
        procedure.role_a,
        ago=60,
        status=RunStatus.APPLYING,
        sent_at=now - timedelta(seconds=5),
        claimed_until=now - timedelta(seconds=1),
    )
    assert outbox.resend_runs() == [run.pk]


def test_a_message_that_the_broker_did_not_take_is_due_at_the_next_sweep(
    procedure: factories.Procedure, broker: Broker
) -> None:
    run = lost(procedure.role_a, ago=60)
    broker.error = OperationalError("down")
    outbox.send(run.pk)
    run.refresh_from_db()
    assert run.sent_at is None


def test_the_oldest_are_sent_first_and_not_all_at_once(
    procedure: factories.Procedure, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RESEND_AT_ONCE_MAX", 2)
    runs = [lost(procedure.role_a, ago=60 - number).pk for number in range(3)]
    assert outbox.resend_runs() == runs[:2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError("down"), OSError("down"), RuntimeError("a surprise")])
def test_a_broker_that_is_down_does_not_fail_the_save(broker: Broker, error: Exception) -> None:
    broker.error = error
    actor = context.SystemActor("command:provision")
    with transaction.atomic():
        outbox.queue_run(actor=actor, role=factories.IamRoleFactory(), trigger="mapping.added")
    assert ProvisioningRun.objects.get().status == RunStatus.QUEUED


def test_a_worker_is_asked_to_look_for_drift_or_it_is_said_that_none_can_be(broker: Broker) -> None:
    broker.error = OperationalError("down")
    assert outbox.send_scan() is False
    broker.error = None
    assert outbox.send_scan() is True
    assert broker.messages == [("roles.scan_drift", [])]
