"""What a comparison of AWS with the database finds, and what it takes care not to call drift."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.aws.inventory import AccountInventory
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied
from roles.models import AssumeRoleGrant, AuditEvent, BucketGrant, DriftFinding, GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus
from roles.provisioning import findings, snapshot
from roles.provisioning.differences import Kind
from tests import factories
from tests.provisioning.conftest import BUCKET, PROFILE_A, ROLE_A, ROLE_B, queued, reconciled, sids, unmap
from tests.provisioning.drifting import (
    change_listing,
    copy_statement,
    delete_target,
    drop,
    empty_profile,
    forget_trust,
    in_sync,
    read_in_bulk,
    remove_bucket_policy,
    remove_policy,
    replace_source,
    scanned,
    seen,
    statement,
    take_ours_out,
)
from tests.strict_aws.watched import PARTNER, THEIRS, WatchedAws

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def inventories(aws: WatchedAws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that were read."""
    return read_in_bulk(monkeypatch)


@pytest.fixture
def mapping(aws: WatchedAws, procedure: factories.Procedure) -> GroupRole:
    """A mapping that is in sync."""
    return in_sync(procedure)


# --- not drift ---


def test_what_a_run_left_is_no_drift(mapping: GroupRole, aws: WatchedAws) -> None:
    report = scanned()
    assert (report.differences, report.unread, report.handoff) == ((), (), ())
    assert report.is_clean
    assert not DriftFinding.objects.exists()


def test_reading_writes_nothing(mapping: GroupRole, aws: WatchedAws) -> None:
    take_ours_out(aws)
    aws.calls.clear()
    scanned()
    assert aws.writes == []


def test_aws_is_read_by_account_and_by_bucket_and_never_by_role(
    mapping: GroupRole, aws: WatchedAws, inventories: list[str], procedure: factories.Procedure
) -> None:
    for number in range(30):
        role = factories.IamRoleFactory(account=procedure.account_a, name=f"Many{number}")
        aws.add_role(str(role.arn))
    aws.calls.clear()
    assert scanned().is_clean
    assert sorted(inventories) == ["111111111111", "222222222222"]
    assert [call.name for call in aws.calls] == ["get_bucket_policy"]


def test_a_role_that_a_run_is_about_is_left_out_until_the_run_has_ended(mapping: GroupRole, aws: WatchedAws) -> None:
    del aws.bucket_policies["example-data"]
    run = queued(mapping)
    report = scanned()
    assert (report.differences, report.under_way > 0) == ((), True)
    ProvisioningRun.objects.filter(pk=run.pk).update(
        status=RunStatus.FAILED, finished_at=timezone.now() - timedelta(seconds=1)
    )
    assert seen(scanned()) == [(BUCKET, 6, "missing")]


def test_a_run_that_came_between_reading_and_comparing_makes_the_difference_unknown(
    mapping: GroupRole, aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    del aws.bucket_policies["example-data"]
    read = snapshot.Snapshot.read

    def read_and_queue(self: snapshot.Snapshot, *args: Any, **options: Any) -> None:
        read(self, *args, **options)
        queued(mapping)

    monkeypatch.setattr(snapshot.Snapshot, "read", read_and_queue)
    report = scanned()
    assert report.differences == ()
    assert (BUCKET, 6) not in report.compared


def test_a_role_that_no_run_has_brought_in_order_yet_has_not_drifted(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    aws.fail_always["put_bucket_policy"] = AwsAccessDenied("no")
    assert reconciled(mapping).status == RunStatus.FAILED
    assert aws.role(ROLE_A).policies
    assert scanned().differences == ()


def test_a_role_that_was_in_order_under_an_earlier_mapping_alone_has_not_drifted(
    mapping: GroupRole, aws: WatchedAws, procedure: factories.Procedure
) -> None:
    reconciled(unmap(mapping))
    again = factories.GroupRoleFactory(role=procedure.role_a)
    aws.fail_always["put_bucket_policy"] = AwsAccessDenied("no")
    assert reconciled(again).status == RunStatus.FAILED
    assert scanned().differences == ()


def test_what_a_failed_removal_left_behind_is_found(mapping: GroupRole, aws: WatchedAws) -> None:
    aws.fail_always["put_bucket_policy"] = AwsAccessDenied("no")
    assert reconciled(unmap(mapping)).status == RunStatus.FAILED
    assert seen(scanned()) == [(BUCKET, 6, "extra")]


def test_a_mapping_that_was_removed_and_cleaned_leaves_nothing_to_find(mapping: GroupRole, aws: WatchedAws) -> None:
    reconciled(unmap(mapping))
    assert scanned().is_clean


# --- not read ---


def test_an_account_that_cannot_be_read_is_said_and_not_taken_for_empty(
    mapping: GroupRole, aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(session: AccountSession) -> AccountInventory:
        raise AwsAccessDenied(f"no in {session.access.account_id}")

    take_ours_out(aws)
    scanned()
    monkeypatch.setattr(snapshot, "account_inventory", denied)
    report = scanned()
    assert {one.resource for one in report.unread} == {ROLE_A, PROFILE_A, ROLE_B}
    assert {one.why for one in report.unread} == {"no in 111111111111", "no in 222222222222"}
    assert seen(report) == [(BUCKET, 6, "missing")]
    assert not report.is_clean


def test_a_bucket_that_cannot_be_read_keeps_what_was_found_there(mapping: GroupRole, aws: WatchedAws) -> None:
    take_ours_out(aws)
    scanned()
    aws.fail_always["get_bucket_policy"] = AwsAccessDenied("no")
    report = scanned()
    assert [(one.resource, one.why) for one in report.unread] == [(BUCKET, "no")]
    assert DriftFinding.objects.open().count() == 1


def test_handoff_accounts_are_said_and_not_taken_for_empty(
    aws: WatchedAws, procedure: factories.Procedure, inventories: list[str]
) -> None:
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    reconciled(procedure.map())
    report = scanned()
    assert report.handoff == ("222222222222",)
    assert inventories == ["111111111111"]
    assert report.differences == ()


# --- drift ---


@pytest.mark.parametrize(
    ("somebody", "expected"),
    [
        (change_listing, [(BUCKET, 6, "changed")]),
        (take_ours_out, [(BUCKET, 6, "missing")]),
        (copy_statement, [(BUCKET, 6, "extra")]),
        (forget_trust, [(ROLE_B, 5, "missing")]),
        (replace_source, [(ROLE_B, 5, "stale")]),
        (delete_target, [(ROLE_B, 4, "missing"), (ROLE_B, 5, "missing"), (BUCKET, 6, "stale")]),
        (remove_policy, [(ROLE_A, 2, "missing"), (ROLE_A, 3, "missing")]),
        (empty_profile, [(PROFILE_A, 1, "missing")]),
    ],
)
def test_what_somebody_did_is_found_and_a_run_heals_it(
    somebody: Callable[[WatchedAws], None],
    expected: list[tuple[str, int, str]],
    mapping: GroupRole,
    aws: WatchedAws,
) -> None:
    before = aws.state()
    somebody(aws)
    assert sorted(seen(scanned())) == sorted(expected)
    mapping.refresh_from_db()
    assert mapping.state == MappingState.DRIFTED
    run = reconciled(mapping)
    assert run.status == RunStatus.IN_SYNC
    assert not DriftFinding.objects.open().exists()
    assert {row.resolution for row in DriftFinding.objects.all()} == {"repaired"}
    assert aws.state() == before
    assert scanned().is_clean


def test_a_finding_has_what_aws_has_and_what_is_wished(mapping: GroupRole, aws: WatchedAws) -> None:
    wished = {"Version": "2012-10-17", "Statement": list(aws.bucket_policies["example-data"]["Statement"])}
    drop(aws, "XacctBucketList")
    scanned()
    row = DriftFinding.objects.get()
    assert row.before == aws.bucket_policies["example-data"]
    assert row.after is not None
    assert sorted(sids(row.after)) == sorted(sids(wished))
    assert (row.account_id, row.foreign_statements, row.done_by) == ("222222222222", 1, "")
    assert (row.bucket, row.role) == (BucketGrant.objects.get().bucket, None)
    event = AuditEvent.objects.get(code="drift.found")
    assert (event.resource, event.before, event.after) == (BUCKET, row.before, row.after)
    assert event.details["done_by"] == "unknown"


def test_a_role_that_was_replaced_by_somebody_elses_is_not_taken_over(mapping: GroupRole, aws: WatchedAws) -> None:
    aws.role(ROLE_B).delete()
    aws.add_role(ROLE_B)
    report = scanned()
    first = next(one for one in report.differences if one.resource == ROLE_B)
    assert (first.step, first.kind) == (4, Kind.NOT_OURS)
    assert "that the portal did not make" in first.note


def test_a_mapping_that_ended_and_was_not_cleaned_is_found_long_after(mapping: GroupRole, aws: WatchedAws) -> None:
    left = aws.bucket_policies["example-data"]
    BucketGrant.objects.update(ended_at=timezone.now())
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    reconciled(unmap(mapping))
    assert scanned().is_clean
    past = timezone.now() - timedelta(days=90)
    for model in (BucketGrant, AssumeRoleGrant):
        model.objects.update(started_at=past, ended_at=past)
    aws.bucket_policies["example-data"] = left
    assert seen(scanned()) == [(BUCKET, 6, "extra")]
    # Nothing wishes for it any more, and still a run of the role that once reached it takes it out.
    assert findings.sources_of(DriftFinding.objects.open()) == []
    (source,) = findings.sources_of(DriftFinding.objects.open(), ever=True)
    assert source == mapping.role_id
    reconciled(mapping.role)
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]
    assert scanned().is_clean


def test_a_copy_on_a_bucket_that_nothing_was_ever_granted_on_is_found(
    mapping: GroupRole, aws: WatchedAws, procedure: factories.Procedure
) -> None:
    other = factories.BucketFactory(account=procedure.account_b, name="other-data")
    aws.add_bucket("other-data")
    copied = statement(aws.bucket_policies["example-data"], "XacctBucketList")
    copied["Resource"] = str(other.arn)
    aws.bucket_policies["other-data"] = {"Version": "2012-10-17", "Statement": [copied]}
    report = scanned()
    assert seen(report) == [(str(other.arn), 6, "extra")]
    assert report.differences[0].after is None


def test_a_dead_principal_in_somebody_elses_statement_is_reported_and_not_edited(
    mapping: GroupRole, aws: WatchedAws
) -> None:
    dead = aws.role(PARTNER).unique_id
    aws.role(PARTNER).delete()
    theirs = aws.bucket_policies["example-data"]["Statement"][0]
    assert theirs == {**THEIRS, "Principal": {"AWS": dead}}
    report = scanned()
    assert seen(report) == [(BUCKET, 6, "foreign_stale")]
    (one,) = report.differences
    assert one.before == one.after
    assert "'PartnerReads'" in one.note
    assert dead in one.note
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    reconciled(mapping)
    assert DriftFinding.objects.open().count() == 1
    assert aws.bucket_policies["example-data"]["Statement"][0] == theirs


def test_drift_of_ours_beside_a_dead_principal_of_others_says_why_it_cannot_be_written(
    mapping: GroupRole, aws: WatchedAws
) -> None:
    change_listing(aws)
    aws.role(PARTNER).delete()
    (one,) = scanned().differences
    assert one.kind is Kind.CHANGED
    assert "AWS refuses every new version" in one.note


def test_one_account_alone_is_looked_at_and_the_rest_stays_unknown(
    mapping: GroupRole, aws: WatchedAws, procedure: factories.Procedure, inventories: list[str]
) -> None:
    remove_bucket_policy(aws)
    remove_policy(aws)
    scanned()
    aws.calls.clear()
    inventories.clear()
    report = scanned(account=procedure.account_a)
    assert {one.account_id for one in report.differences} == {"111111111111"}
    assert (inventories, aws.calls) == (["111111111111"], [])
    assert DriftFinding.objects.open().filter(resource=BUCKET).exists()
