from __future__ import annotations

import pytest
from django.utils import timezone

from roles.errors import NotPermitted
from roles.models import DriftFinding, User
from roles.operations import scan_drift as operation
from roles.operations.scan_drift import ask_for_scan, scan_drift
from roles.provisioning import outbox
from roles.provisioning.differences import Difference, Kind
from roles.provisioning.drift import DriftReport
from tests.factories import Procedure
from tests.operations.conftest import event

BUCKET = "arn:aws:s3:::example-data"


@pytest.fixture
def drifted(procedure: Procedure, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """AWS lacks the bucket policy; the accounts that were asked for."""
    asked: list[object] = []
    missing = Difference("222222222222", BUCKET, 6, "Create bucket policy", Kind.MISSING, None, {"Statement": []})

    def compare(account: object) -> DriftReport:
        asked.append(account)
        return DriftReport(timezone.now(), (missing,), frozenset({(BUCKET, 6)}))

    monkeypatch.setattr(operation, "compare", compare)
    return asked


def test_who_may_not_repair_may_not_look_either(drifted: list[object], powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        scan_drift(actor=powerless)
    assert refusal.value.rule == "drift.repair"
    assert drifted == []


def test_what_was_found_is_remembered(drifted: list[object], procedure: Procedure, alice: User) -> None:
    report = scan_drift(actor=alice, account=procedure.account_b)
    assert drifted == [procedure.account_b]
    row = DriftFinding.objects.get()
    assert (row.bucket, row.kind, row.done_by) == (procedure.bucket, "missing", "")
    assert len(report.differences) == 1
    found = event("drift.found")
    assert (found.actor_name, found.details["done_by"]) == ("alice", "unknown")


def test_who_may_have_done_it_is_kept_where_somebody_can_say(drifted: list[object], alice: User) -> None:
    scan_drift(actor=alice, who=lambda one: f"mallory, at {one.resource}")
    assert DriftFinding.objects.get().done_by == f"mallory, at {BUCKET}"
    scan_drift(actor=alice)
    assert DriftFinding.objects.get().done_by == f"mallory, at {BUCKET}"


def test_who_may_not_look_may_not_ask_a_worker_to(powerless: User, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bool] = []
    monkeypatch.setattr(outbox, "send_scan", lambda: sent.append(True))
    with pytest.raises(NotPermitted):
        ask_for_scan(actor=powerless)
    assert sent == []


@pytest.mark.parametrize("is_taken", [False, True])
def test_asking_tells_whether_a_worker_can_be_told(
    is_taken: bool, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "send_scan", lambda: is_taken)
    assert ask_for_scan(actor=alice) is is_taken
    assert event("drift.scan_asked").actor_name == "alice"
