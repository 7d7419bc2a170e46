"""What is remembered of drift, for whom, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from roles.errors import AwsAccessDenied
from roles.models import AuditEvent, DriftFinding, GroupRole
from roles.models.choices import DriftKind, MappingState, RunStatus
from roles.provisioning import findings
from roles.provisioning.differences import Difference, Kind
from tests import factories
from tests.provisioning.conftest import reconciled
from tests.provisioning.drifting import (
    change_listing,
    forget_trust,
    in_sync,
    read_in_bulk,
    remove_bucket_policy,
    remove_policy,
    scanned,
)
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def inventories(aws: WatchedAws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that were read."""
    return read_in_bulk(monkeypatch)


@pytest.fixture
def mapping(aws: WatchedAws, procedure: factories.Procedure) -> GroupRole:
    """A mapping that is in sync."""
    return in_sync(procedure)


def test_the_same_drift_is_one_finding_however_often_it_is_seen(mapping: GroupRole, aws: WatchedAws) -> None:
    change_listing(aws)
    scanned()
    first = DriftFinding.objects.get()
    scanned()
    row = DriftFinding.objects.get()
    assert (row.found_at, row.last_seen_at > first.last_seen_at) == (first.found_at, True)
    assert AuditEvent.objects.filter(code="drift.found").count() == 1
    remove_bucket_policy(aws)
    scanned()
    assert DriftFinding.objects.get().kind == DriftKind.MISSING
    assert AuditEvent.objects.filter(code="drift.found").count() == 2


def test_drift_that_somebody_undid_is_resolved_and_the_mapping_in_sync_again(
    mapping: GroupRole, aws: WatchedAws
) -> None:
    kept = aws.bucket_policies["example-data"]
    change_listing(aws)
    scanned()
    aws.bucket_policies["example-data"] = kept
    assert scanned().is_clean
    row = DriftFinding.objects.get()
    assert (row.is_open, row.resolution) == (False, "gone")
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    assert AuditEvent.objects.filter(code="drift.resolved").count() == 1


def test_only_mappings_that_it_concerns_become_drifted(
    mapping: GroupRole, aws: WatchedAws, procedure: factories.Procedure
) -> None:
    other = factories.GroupRoleFactory(role=factories.IamRoleFactory(account=procedure.account_a, name="Other"))
    reconciled(other)
    shares = factories.GroupRoleFactory(role=factories.IamRoleFactory(account=procedure.account_a, name="Shares"))
    factories.AssumeRoleGrantFactory(source=shares.role, target=procedure.role_b)
    reconciled(shares)
    change_listing(aws)
    scanned()
    states = dict(GroupRole.objects.values_list("role__name", "state"))
    assert states == {"MyRoleA": "drifted", "Shares": "drifted", "Other": "in_sync"}


def test_a_mapping_whose_run_failed_stays_failed(mapping: GroupRole, aws: WatchedAws) -> None:
    GroupRole.objects.update(state=MappingState.FAILED)
    change_listing(aws)
    scanned()
    mapping.refresh_from_db()
    assert mapping.state == MappingState.FAILED


def test_finding_concerned_roles_costs_the_same_however_many_findings(
    mapping: GroupRole, aws: WatchedAws, django_assert_num_queries: Any
) -> None:
    change_listing(aws)
    remove_policy(aws)
    forget_trust(aws)
    scanned()
    assert DriftFinding.objects.open().count() == 4
    with django_assert_num_queries(2):
        findings.sources_of(DriftFinding.objects.open())


def test_kinds_are_those_of_the_table() -> None:
    assert {kind.value for kind in Kind} == set(DriftKind.values)
    assert Difference("1", "arn", 1, "t", Kind.EXTRA, None, None).done_by == ""


def test_a_step_that_failed_resolves_nothing(mapping: GroupRole, aws: WatchedAws) -> None:
    change_listing(aws)
    forget_trust(aws)
    scanned()
    aws.fail_always["put_bucket_policy"] = AwsAccessDenied("no")
    assert reconciled(mapping).status == RunStatus.FAILED
    assert dict(DriftFinding.objects.values_list("step", "resolution")) == {5: "repaired", 6: ""}
    mapping.refresh_from_db()
    assert mapping.state == MappingState.FAILED
