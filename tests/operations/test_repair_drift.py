from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from roles.errors import Conflict, NotPermitted
from roles.models import AssumeRoleGrant, DriftFinding, GroupRole, ProvisioningRun, User
from roles.operations.repair_drift import repair_drift
from tests import factories
from tests.factories import Procedure
from tests.operations.conftest import event, runs, traces


def a_finding(procedure: Procedure, **given: Any) -> DriftFinding:
    place: dict[str, Any] = {"bucket": procedure.bucket, "resource": str(procedure.bucket.arn), "step": 6}
    return DriftFinding.objects.create(**{**place, "account_id": "222222222222", "kind": "missing", **given})


def at_the_source(procedure: Procedure, **given: Any) -> DriftFinding:
    role = procedure.role_a
    return a_finding(procedure, bucket=None, role=role, resource=str(role.arn), **{"step": 2, **given})


def test_who_may_not_repair_is_refused(procedure: Procedure, powerless: User) -> None:
    procedure.map()
    with pytest.raises(NotPermitted) as refusal:
        repair_drift(actor=powerless, finding=a_finding(procedure))
    assert refusal.value.rule == "drift.repair"
    assert traces() == (0, 0)


def test_what_is_resolved_is_not_repaired(procedure: Procedure, alice: User) -> None:
    procedure.map()
    finding = a_finding(procedure)
    DriftFinding.objects.update(resolved_at=timezone.now(), resolution="gone")
    with pytest.raises(Conflict, match="resolved already"):
        repair_drift(actor=alice, finding=finding)
    assert traces() == (0, 0)


@pytest.mark.parametrize("kind", ["foreign_stale", "not_ours"])
def test_what_is_somebody_elses_is_not_repaired(kind: str, procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(Conflict, match="not its own") as refusal:
        repair_drift(actor=alice, finding=a_finding(procedure, kind=kind, note="'PartnerReads' names nobody."))
    assert refusal.value.hint == "'PartnerReads' names nobody."
    assert traces() == (0, 0)


def test_a_copy_where_no_source_role_ever_reached_is_not_repaired(procedure: Procedure, alice: User) -> None:
    other = factories.BucketFactory(account=procedure.account_b)
    finding = a_finding(procedure, bucket=other, resource=str(other.arn), kind="extra")
    with pytest.raises(Conflict, match="no run looks at it"):
        repair_drift(actor=alice, finding=finding)
    assert traces() == (0, 0)


def test_each_source_role_that_reaches_the_place_gets_a_run(procedure: Procedure, alice: User) -> None:
    procedure.map()
    other = factories.IamRoleFactory(account=procedure.account_a, name="Other")
    factories.AssumeRoleGrantFactory(source=other, target=procedure.role_b)
    factories.IamRoleFactory(account=procedure.account_a, name="Unrelated")
    finding = a_finding(procedure, before={"Version": "2012-10-17", "Statement": []})
    queued = repair_drift(actor=alice, finding=finding)
    assert runs() == [("drift.repair_queued", "MyRoleA"), ("drift.repair_queued", "Other")]
    assert {run.requested_by for run in queued} == {alice}
    asked = event("drift.repair_queued")
    assert (asked.resource, asked.account_id, asked.before) == (
        str(procedure.bucket.arn),
        "222222222222",
        finding.before,
    )
    assert asked.details["runs"] == [run.pk for run in queued]
    finding.refresh_from_db()
    assert finding.is_open


def test_drift_at_a_source_role_is_repaired_by_its_own_run(procedure: Procedure, alice: User) -> None:
    GroupRole.objects.filter(pk=procedure.map().pk).update(state="drifted")
    (run,) = repair_drift(actor=alice, finding=at_the_source(procedure))
    assert (run.role, run.status, run.mapping) == (procedure.role_a, "queued", None)


def test_what_was_left_behind_is_repaired_by_the_last_role_that_reached_it(procedure: Procedure, alice: User) -> None:
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    repair_drift(actor=alice, finding=a_finding(procedure, kind="extra"))
    assert runs() == [("drift.repair_queued", "MyRoleA")]


def test_repairing_twice_gives_one_run(procedure: Procedure, alice: User) -> None:
    procedure.map()
    finding = a_finding(procedure)
    assert repair_drift(actor=alice, finding=finding) == repair_drift(actor=alice, finding=finding)
    assert ProvisioningRun.objects.count() == 1
