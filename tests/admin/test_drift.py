"""Drift in the admin: who sees it, what the page shows, and what its buttons do."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from roles.models import AuditEvent, BucketGrant, DriftFinding, ProvisioningRun, User
from roles.policies.builders import bucket_statements
from roles.policies.document import PolicyDocument
from roles.provisioning import outbox, runner
from roles.values.arns import AccessLevel
from tests import factories
from tests.admin.conftest import SignedIn, hidden, provisioned
from tests.provisioning.drifting import with_policy
from tests.strict_aws.rules.normal import normal
from tests.strict_aws.watched import THEIRS, WatchedAws

LIST = "admin:roles_driftfinding_changelist"


def policy(world: factories.Procedure, level: AccessLevel) -> dict[str, Any]:
    return PolicyDocument(bucket_statements(world.role_b.arn, world.bucket.arn, level, "")).as_dict()


@pytest.fixture
def finding(procedure: factories.Procedure) -> DriftFinding:
    """Somebody lowered the level at the bucket of a mapped role."""
    procedure.map(state="drifted")
    return DriftFinding.objects.create(
        bucket=procedure.bucket,
        account_id="222222222222",
        resource=str(procedure.bucket.arn),
        step=6,
        kind="changed",
        title="Create bucket policy of example-data",
        before=policy(procedure, AccessLevel.READ),
        after=policy(procedure, AccessLevel.READWRITE),
    )


def address(name: str, finding: DriftFinding) -> str:
    return reverse(f"admin:roles_driftfinding_{name}", args=[finding.pk])


def open_level() -> str:
    return str(BucketGrant.objects.open().get().access)


# --- refused ---


@pytest.mark.parametrize("name", ["change", "repair", "accept"])
def test_a_stranger_sees_nothing_of_it(name: str, signed_in: SignedIn, charlie: User, finding: DriftFinding) -> None:
    assert signed_in(charlie).get(address(name, finding)).status_code == 403


def test_a_visitor_is_sent_to_sign_in(client: Any, finding: DriftFinding) -> None:
    response = client.get(reverse(LIST))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("name", ["repair", "accept"])
def test_an_auditor_may_look_and_change_nothing(
    name: str, signed_in: SignedIn, audrey: User, finding: DriftFinding
) -> None:
    client = signed_in(audrey)
    page = client.get(address("change", finding)).content.decode()
    assert "s3:DeleteObject" in page
    assert address("repair", finding) not in page
    assert client.get(address(name, finding)).status_code == 403
    assert client.post(address(name, finding)).status_code == 403
    assert open_level() == "READWRITE"
    assert not ProvisioningRun.objects.exists()


def test_an_auditor_may_not_have_a_worker_look(
    signed_in: SignedIn, audrey: User, finding: DriftFinding, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bool] = []
    monkeypatch.setattr(outbox, "send_scan", lambda: sent.append(True))
    client = signed_in(audrey)
    scan = reverse("admin:roles_driftfinding_scan")
    assert scan not in client.get(reverse(LIST)).content.decode()
    page = client.post(scan, follow=True).content.decode()
    assert "may not do this" in page
    assert sent == []
    assert AuditEvent.objects.filter(code="access.denied", actor_name="audrey").exists()


@pytest.mark.parametrize("name", ["add", "change", "delete"])
def test_nobody_writes_a_finding_by_hand(name: str, signed_in: SignedIn, alice: User, finding: DriftFinding) -> None:
    args = [] if name == "add" else [finding.pk]
    response = signed_in(alice).post(reverse(f"admin:roles_driftfinding_{name}", args=args), {"kind": "extra"})
    assert response.status_code in (200, 403)
    finding.refresh_from_db()
    assert (finding.kind, DriftFinding.objects.count()) == ("changed", 1)


def test_looking_now_is_asked_for_with_a_post(signed_in: SignedIn, alice: User, db: None) -> None:
    assert signed_in(alice).get(reverse("admin:roles_driftfinding_scan")).status_code == 405


def test_what_cannot_be_repaired_says_why_and_has_no_button(
    signed_in: SignedIn, alice: User, finding: DriftFinding
) -> None:
    DriftFinding.objects.update(kind="foreign_stale", note="'PartnerReads' names nobody.", after=finding.before)
    page = signed_in(alice).get(address("change", finding)).content.decode()
    assert "&#x27;PartnerReads&#x27; names nobody." in page
    assert address("repair", finding) not in page
    assert address("accept", finding) not in page


def test_repairing_what_is_resolved_meanwhile_says_so(signed_in: SignedIn, alice: User, finding: DriftFinding) -> None:
    DriftFinding.objects.update(resolved_at=timezone.now(), resolution="gone")
    page = signed_in(alice).post(address("repair", finding), follow=True).content.decode()
    assert "This drift is resolved already." in page
    assert not ProvisioningRun.objects.exists()


def test_accepting_what_has_no_words_says_why(signed_in: SignedIn, alice: User, finding: DriftFinding) -> None:
    document = finding.before or {}
    document["Statement"][1]["Action"] = ["s3:GetObject", "s3:GetObjectTorrent"]
    DriftFinding.objects.update(before=document)
    page = signed_in(alice).post(address("accept", finding), follow=True).content.decode()
    assert "The database has no words for what is in AWS now" in page
    assert open_level() == "READWRITE"


# --- shown ---


def test_the_list_has_what_is_open(signed_in: SignedIn, audrey: User, finding: DriftFinding) -> None:
    client = signed_in(audrey)
    assert finding.title in client.get(reverse(LIST)).content.decode()
    DriftFinding.objects.update(resolved_at=timezone.now(), resolution="repaired")
    assert finding.title not in client.get(reverse(LIST)).content.decode()
    resolved = client.get(reverse(LIST), {"state": "resolved"}).content.decode()
    assert finding.title in resolved
    assert "Repaired" in resolved
    assert finding.title in client.get(reverse(LIST), {"state": "all"}).content.decode()


def test_the_page_has_the_diff_the_place_and_whom_it_concerns(
    signed_in: SignedIn, alice: User, finding: DriftFinding, procedure: factories.Procedure
) -> None:
    page = signed_in(alice).get(address("change", finding)).content.decode()
    for text in ("s3:DeleteObject", "arn:aws:s3:::example-data", "deployment/MyRoleA", "Unknown", "Changed"):
        assert text in page
    DriftFinding.objects.update(done_by="mallory")
    assert "mallory" in signed_in(alice).get(address("change", finding)).content.decode()


def test_a_finding_that_never_was_is_not_found(signed_in: SignedIn, alice: User, db: None) -> None:
    for number in ("4711", "x"):
        response = signed_in(alice).get(reverse("admin:roles_driftfinding_change", args=[number]))
        assert response.status_code in (302, 404)


def test_the_overview_the_bucket_and_the_role_say_that_it_drifted(
    signed_in: SignedIn, alice: User, finding: DriftFinding, procedure: factories.Procedure
) -> None:
    client = signed_in(alice)
    at_role = DriftFinding.objects.create(
        role=procedure.role_b, account_id="222222222222", resource=str(procedure.role_b.arn), step=5, kind="stale"
    )
    overview = client.get(reverse("admin:index")).content.decode()
    assert address("change", finding) in overview
    assert address("change", at_role) in overview
    bucket = client.get(reverse("admin:roles_bucket_change", args=[procedure.bucket.pk])).content.decode()
    assert address("change", finding) in bucket
    assert address("change", at_role) not in bucket
    role = client.get(reverse("admin:roles_iamrole_change", args=[procedure.role_b.pk])).content.decode()
    assert address("change", at_role) in role
    assert address("change", finding) not in role
    DriftFinding.objects.update(resolved_at=timezone.now(), resolution="gone")
    assert (
        "Drifted" not in client.get(reverse("admin:roles_bucket_change", args=[procedure.bucket.pk])).content.decode()
    )


def test_list_and_overview_cost_the_same_with_more_findings(
    signed_in: SignedIn, audrey: User, finding: DriftFinding, procedure: factories.Procedure
) -> None:
    client = signed_in(audrey)

    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(page).status_code == 200
        return len(seen)

    pages = [reverse(LIST), reverse("admin:index")]
    few = [queries(page) for page in pages]
    for _ in range(8):
        role = factories.IamRoleFactory()
        DriftFinding.objects.create(role=role, account_id="1" * 12, resource=str(role.arn), step=2, kind="missing")
    assert [queries(page) for page in pages] == few


# --- done ---


@pytest.fixture
def lowered(aws: WatchedAws, procedure: factories.Procedure) -> DriftFinding:
    """The same in an AWS that can be read: the bucket of a provisioned mapping, with a lower level than granted."""
    provisioned(procedure.map())
    wished = aws.bucket_policies["example-data"]
    lower = {**wished, "Statement": [wished["Statement"][0], *policy(procedure, AccessLevel.READ)["Statement"]]}
    aws.bucket_policies["example-data"] = lower = normal(lower)
    return DriftFinding.objects.create(
        bucket=procedure.bucket,
        account_id="222222222222",
        resource=str(procedure.bucket.arn),
        step=6,
        kind="changed",
        title="Create bucket policy of example-data",
        before=lower,
        after=wished,
    )


def test_repair_shows_the_plan_and_the_run_does_it(
    signed_in: SignedIn, alice: User, lowered: DriftFinding, aws: WatchedAws
) -> None:
    client = signed_in(alice)
    asked = client.get(address("repair", lowered)).content.decode()
    assert "Plan: 1 change in AWS" in asked
    assert "s3:DeleteObject" in asked
    assert "of 20,480 bytes" in asked
    assert not ProvisioningRun.objects.filter(trigger="drift.repair_queued").exists()
    response = client.post(address("repair", lowered), {**hidden(asked), "step": "confirm"})
    run = ProvisioningRun.objects.get(trigger="drift.repair_queued")
    assert response["Location"] == reverse("run", args=[run.pk])
    assert run.plan_digest == hidden(asked)["expected_plan"][0]
    runner.reconcile(run.pk)
    assert aws.bucket_policies["example-data"] == lowered.after


def test_repair_by_a_run_that_is_queued_already_shows_that_runs_plan(
    signed_in: SignedIn, alice: User, lowered: DriftFinding
) -> None:
    client = signed_in(alice)
    client.post(address("repair", lowered), hidden(client.get(address("repair", lowered)).content.decode()))
    assert ProvisioningRun.objects.filter(trigger="drift.repair_queued").exists()
    assert "Plan: 1 change in AWS" in client.get(address("repair", lowered)).content.decode()


@pytest.mark.parametrize("name", ["repair", "accept"])
def test_a_plan_that_nobody_looked_at_is_shown_and_nothing_done(
    name: str, signed_in: SignedIn, alice: User, lowered: DriftFinding
) -> None:
    response = signed_in(alice).post(address(name, lowered), {"step": "confirm", "reason": "OPS-12"})
    assert (response.status_code, "Nobody has looked" in response.content.decode()) == (409, True)
    assert not ProvisioningRun.objects.filter(trigger="drift.repair_queued").exists()
    assert open_level() == "READWRITE"


@pytest.mark.parametrize("name", ["repair", "accept"])
def test_a_change_of_aws_since_the_plan_was_shown_is_said_and_the_new_plan_shown(
    name: str, signed_in: SignedIn, alice: User, lowered: DriftFinding, aws: WatchedAws
) -> None:
    client = signed_in(alice)
    asked = client.get(address(name, lowered)).content.decode()
    with_policy(aws, lambda found: [*found, {**THEIRS, "Sid": "CameSince"}])
    response = client.post(address(name, lowered), {**hidden(asked), "step": "confirm"})
    assert response.status_code == 409
    page = response.content.decode()
    assert "AWS changed since you looked." in page
    assert "CameSince" in page
    assert not ProvisioningRun.objects.filter(trigger="drift.repair_queued").exists()
    assert open_level() == "READWRITE"


def test_accept_shows_who_loses_what_and_that_aws_stays_as_it_is(
    signed_in: SignedIn, alice: User, lowered: DriftFinding, aws: WatchedAws
) -> None:
    client = signed_in(alice)
    asked = client.get(address("accept", lowered)).content.decode()
    assert "Plan: nothing to change in AWS" in asked
    assert "can no longer write to example-data" in asked
    response = client.post(address("accept", lowered), {**hidden(asked), "step": "confirm", "reason": "OPS-12"})
    assert response["Location"] == address("change", lowered)
    assert open_level() == "READ"
    assert aws.bucket_policies["example-data"] == lowered.before


@pytest.mark.parametrize(
    "name", ["", "mallory (AWS user) at 2026-03-01 12:05 UTC, by PutBucketPolicy (arn:aws:iam::2:user/m)"]
)
def test_who_may_have_done_it_is_on_the_page_and_in_the_list_or_unknown(
    name: str, signed_in: SignedIn, alice: User, finding: DriftFinding
) -> None:
    DriftFinding.objects.update(done_by=name)
    client = signed_in(alice)
    page, listed = client.get(address("change", finding)).content.decode(), client.get(reverse(LIST)).content.decode()
    assert ("Unknown: CloudTrail of the account has it" in page) == (not name)
    assert ("Maybe mallory (AWS user) at 2026-03-01 12:05 UTC, by PutBucketPolicy (arn" in page) == bool(name)
    assert ("maybe mallory (AWS user) at 2026-03-01 12:05 UTC<" in listed) == bool(name)


def test_repair_asks_first_and_then_shows_the_run(signed_in: SignedIn, alice: User, finding: DriftFinding) -> None:
    client = signed_in(alice)
    asked = client.get(address("repair", finding)).content.decode()
    assert "deployment/MyRoleA" in asked
    assert "bob" in asked
    assert not ProvisioningRun.objects.exists()
    response = client.post(address("repair", finding), hidden(asked))
    run = ProvisioningRun.objects.get()
    assert response["Location"] == reverse("run", args=[run.pk])
    assert (run.requested_by, run.trigger) == (alice, "drift.repair_queued")


def test_accept_asks_first_and_then_changes_the_grant(signed_in: SignedIn, alice: User, finding: DriftFinding) -> None:
    client = signed_in(alice)
    asked = client.get(address("accept", finding)).content.decode()
    assert "Reason" in asked
    assert open_level() == "READWRITE"
    page = client.post(address("accept", finding), {**hidden(asked), "reason": "OPS-12"}, follow=True).content.decode()
    assert "The database says now what AWS has." in page
    assert open_level() == "READ"
    assert BucketGrant.objects.open().get().reason == "OPS-12"


@pytest.mark.parametrize(("is_taken", "said"), [(True, "A worker compares AWS"), (False, "cannot be reached")])
def test_looking_now_tells_a_worker_or_says_that_none_can_be_told(
    is_taken: bool, said: str, signed_in: SignedIn, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "send_scan", lambda: is_taken)
    client = signed_in(alice)
    scan = reverse("admin:roles_driftfinding_scan")
    assert scan in client.get(reverse(LIST)).content.decode()
    assert said in client.post(scan, follow=True).content.decode()
