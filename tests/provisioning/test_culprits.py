"""Who may have changed AWS: asked about little, in the right region, and unknown wherever it cannot be said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.aws import trail
from roles.errors import AwsAccessDenied, AwsUnreachable
from roles.models import DriftFinding, User
from roles.operations import scan_drift as operation
from roles.operations.scan_drift import scan_drift
from roles.provisioning import culprits
from roles.provisioning.culprits import LOOKUPS_MAX, Culprits
from roles.provisioning.differences import Difference, Kind
from roles.provisioning.drift import DriftReport
from tests import factories

BUCKET = "arn:aws:s3:::example-data"
PROVISIONER = "arn:aws:iam::222222222222:role/xacct-provisioner"
WRITE = trail.Write(
    "PutBucketPolicy",
    datetime(2026, 3, 1, 12, 5, tzinfo=UTC),
    "alice (AWS user)",
    "arn:aws:iam::222222222222:user/alice",
)
SAID = "alice (AWS user) at 2026-03-01 12:05 UTC, by PutBucketPolicy (arn:aws:iam::222222222222:user/alice)"


def difference(resource: str = BUCKET, step: int = 6, account: str = "222222222222") -> Difference:
    return Difference(account, resource, step, "Create bucket policy", Kind.MISSING, None, {"Statement": []})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, procedure: factories.Procedure) -> list[dict[str, Any]]:
    """What CloudTrail is asked; it knows Alice."""
    calls: list[dict[str, Any]] = []

    def newest_write(_session: object, name: str, **more: Any) -> trail.Write:
        calls.append({"name": name, **more})
        return WRITE

    monkeypatch.setattr(culprits.trail, "newest_write", newest_write)
    return calls


def who() -> Culprits:
    return Culprits(sleep=lambda _seconds: None)


@pytest.mark.parametrize("error", [AwsAccessDenied("No."), AwsUnreachable("No answer.")])
def test_an_account_that_does_not_say_is_unknown_and_not_asked_again(
    error: Exception, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        asked.append({})
        raise error

    monkeypatch.setattr(culprits.trail, "newest_write", refuse)
    ask = who()
    assert [ask(difference()), ask(difference())] == ["", ""]
    assert len(asked) == 1


def test_an_account_that_says_it_names_person_time_and_call(asked: list[dict[str, Any]]) -> None:
    assert who()(difference()) == SAID


def test_nobody_is_named_where_nothing_is_known(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(culprits.trail, "newest_write", lambda *_args, **_more: None)
    assert who()(difference()) == ""


def test_what_is_asked_is_the_name_in_its_region_since_a_run_had_it_in_order(
    asked: list[dict[str, Any]], procedure: factories.Procedure
) -> None:
    procedure.bucket.region = "eu-west-1"
    procedure.bucket.save()
    run = factories.ProvisioningRunFactory(role=procedure.role_a)
    began = timezone.now() - timedelta(hours=1)
    factories.ProvisioningStepFactory(
        run=run, resource=BUCKET, step=6, status="done", started_at=began, duration_ms=2000, sequence=1
    )
    factories.ProvisioningStepFactory(run=run, resource=BUCKET, step=6, status="failed", sequence=2)
    ask = who()
    ask(difference())
    ask(difference("arn:aws:iam::222222222222:role/team/MyRoleB", 5))
    ask(difference("arn:aws:iam::222222222222:policy/xacct-portal/xacct-MyRoleB-1", 6))
    portal = frozenset({PROVISIONER})
    assert asked == [
        {"name": "example-data", "region": "eu-west-1", "since": began + timedelta(seconds=2), "but": portal},
        {"name": "MyRoleB", "region": "us-east-1", "since": None, "but": portal},
        {
            "name": "arn:aws:iam::222222222222:policy/xacct-portal/xacct-MyRoleB-1",
            "region": "us-east-1",
            "since": None,
            "but": portal,
        },
    ]


def test_few_are_asked_about_in_an_account_and_slowly(asked: list[dict[str, Any]]) -> None:
    slept: list[float] = []
    ask = Culprits(sleep=slept.append)
    said = [ask(difference()) for _ in range(LOOKUPS_MAX + 2)]
    assert said == [SAID] * LOOKUPS_MAX + ["", ""]
    assert slept == [0.5] * (LOOKUPS_MAX - 1)


def test_a_look_asks_about_what_is_new_or_lately_unknown_and_never_without_a_finding(
    asked: list[dict[str, Any]], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Difference] = []
    monkeypatch.setattr(operation, "compare", lambda _account: DriftReport(timezone.now(), tuple(found)))
    names: list[str] = []

    def ask(one: Difference) -> str:
        asked.append({"resource": one.resource})
        return names.pop() if names else ""

    def look() -> int:
        asked.clear()
        scan_drift(actor=alice, who=ask)
        return len(asked)

    assert look() == 0
    found.append(difference())
    assert look() == 1  # new
    assert look() == 1  # still unknown: CloudTrail may be late
    names.append(SAID)
    assert look() == 1
    assert DriftFinding.objects.get().done_by == SAID
    assert look() == 0  # known
    DriftFinding.objects.update(done_by="", found_at=timezone.now() - timedelta(hours=2))
    assert look() == 0  # unknown for too long
    found[0] = Difference("222222222222", BUCKET, 6, "Create bucket policy", Kind.CHANGED, {}, {"Statement": []})
    assert look() == 1  # changed again
