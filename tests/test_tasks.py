from __future__ import annotations

from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from roles import tasks
from roles.models import ProvisioningRun
from roles.provisioning import outbox, runner
from tests.factories import GroupRoleFactory, ProvisioningRunFactory


def test_what_is_sent_by_name_is_a_task() -> None:
    sent = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} | {outbox.RECONCILE_RUN_TASK}
    assert sent - set(current_app.tasks) == set()


def test_a_message_hands_its_run_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(runner, "reconcile", taken.append)
    current_app.tasks[outbox.RECONCILE_RUN_TASK].apply([17], throw=True)
    assert taken == [17]


def test_a_message_about_a_run_that_is_over_changes_nothing(db: None) -> None:
    run = ProvisioningRunFactory(status="in_sync")
    tasks.reconcile_run(run.pk)
    assert ProvisioningRun.objects.get().attempts == 0


def test_runs_whose_message_got_lost_are_sent_again(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "send", lambda _run_id: True)
    lost = ProvisioningRunFactory(queued_at=timezone.now() - timedelta(minutes=1))
    ProvisioningRunFactory()
    assert tasks.resend_runs() == [lost.pk]


def test_drift_is_looked_for_and_counted(db: None) -> None:
    assert tasks.scan_drift() == 0


def test_owners_are_looked_at_again(db: None) -> None:
    waiting = ProvisioningRunFactory(status="needs_owner", finished_at=timezone.now() - timedelta(hours=1))
    GroupRoleFactory(role=waiting.role)
    (queued,) = tasks.recheck_owners()
    assert ProvisioningRun.objects.get(pk=queued).requested_by_name == "worker"


def test_rows_of_expired_sessions_are_deleted(db: None) -> None:
    for days in (-1, 1):
        Session.objects.create(session_key=f"days{days}", expire_date=timezone.now() + timedelta(days=days))
    tasks.clear_sessions()
    assert [row.session_key for row in Session.objects.all()] == ["days1"]
