from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from roles import context
from roles.errors import Conflict, InputError, NotPermitted, StalePlan
from roles.models import AssumeRoleGrant, BucketGrant, CutOff, DriftFinding, ProvisioningRun, User
from roles.operations.delete_managed_role import delete_managed_role
from tests import factories
from tests.factories import Procedure
from tests.operations.conftest import event, runs, traces

SEEN = "0" * 64


def delete(actor: User, role: Any, **given: Any) -> ProvisioningRun:
    return delete_managed_role(actor=actor, role=role, **{"name": role.name, "seen": SEEN, **given})


@pytest.fixture
def unused(procedure: Procedure) -> Procedure:
    """The procedure's roles, with no open grant."""
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    BucketGrant.objects.update(ended_at=timezone.now())
    return procedure


def a_step(procedure: Procedure, number: int, resource: object, **given: Any) -> None:
    """Record that a run found or left the source role's ARN in the document of a resource."""
    run = factories.ProvisioningRunFactory(role=procedure.role_a, status="in_sync")
    named = {"Version": "2012-10-17", "Statement": [{"Principal": {"AWS": str(procedure.role_a.arn)}}]}
    factories.ProvisioningStepFactory(
        run=run, step=number, resource=str(resource), **{"status": "done", "after": named, **given}
    )


def test_who_may_not_delete_roles_is_refused(unused: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        delete(powerless, unused.role_a)
    assert refusal.value.rule == "roles.delete"
    assert traces() == (0, 0)


def test_another_name_than_the_roles_is_refused(unused: Procedure, alice: User) -> None:
    with pytest.raises(InputError, match="not the name") as refusal:
        delete(alice, unused.role_a, name="myrolea")
    assert refusal.value.field == "name"
    assert traces() == (0, 0)


def test_without_having_seen_the_plan_it_is_refused(unused: Procedure, alice: User) -> None:
    with pytest.raises(StalePlan, match="looked"):
        delete(alice, unused.role_a, seen="")
    with context.rehearsal():
        delete(alice, unused.role_a, seen="")


def adopted(procedure: Procedure) -> None:
    procedure.role_a.ownership = "adopted"
    procedure.role_a.save()


def handed_off(procedure: Procedure) -> None:
    procedure.account_a.access_mode = "handoff"
    procedure.account_a.save()


def granted(procedure: Procedure) -> None:
    AssumeRoleGrant.objects.update(ended_at=None)


def cut_off_there(procedure: Procedure) -> None:
    now = timezone.now()
    CutOff.objects.create(target=procedure.role_a, source=procedure.role_b, cut_before=now, lifts_at=now)


def still_trusted(procedure: Procedure) -> None:
    a_step(procedure, 5, procedure.role_b.arn)


def maybe_trusted(procedure: Procedure) -> None:
    a_step(procedure, 5, procedure.role_b.arn, status="failed")


def named_where_drift_is(procedure: Procedure) -> None:
    document = {"Statement": [{"Principal": {"AWS": [str(procedure.role_a.arn)]}}]}
    DriftFinding.objects.create(
        bucket=procedure.bucket,
        account_id="222222222222",
        resource=str(procedure.bucket.arn),
        step=6,
        kind="extra",
        before=document,
    )


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (adopted, "It is adopted"),
        (handed_off, "may not write to account 111111111111"),
        (lambda procedure: procedure.map(), "It is mapped to"),
        (granted, "These grants are open: deployment/MyRoleA → bucket-owner/MyRoleB"),
        (cut_off_there, "cut off there"),
        (still_trusted, "still named, as far as the portal knows, in arn:aws:iam::222222222222:role/MyRoleB"),
        (maybe_trusted, "still named, as far as the portal knows, in arn:aws:iam::222222222222:role/MyRoleB"),
        (named_where_drift_is, "in arn:aws:s3:::example-data (drift)"),
    ],
)
def test_a_role_that_is_not_the_portals_or_is_used_or_named_stays(
    arrange: Any, said: str, unused: Procedure, alice: User
) -> None:
    arrange(unused)
    before = traces()
    with pytest.raises(Conflict) as refusal:
        delete(alice, unused.role_a)
    assert said in refusal.value.message
    assert traces() == before


def test_a_target_that_a_bucket_policy_names_stays(unused: Procedure, alice: User) -> None:
    named = {"Version": "2012-10-17", "Statement": [{"Principal": {"AWS": str(unused.role_b.arn)}}]}
    a_step(unused, 6, unused.bucket.arn, after=named)
    with pytest.raises(Conflict, match="arn:aws:s3:::example-data"):
        delete(alice, unused.role_b)


def test_while_a_run_may_still_name_it_it_stays(unused: Procedure, alice: User) -> None:
    factories.ProvisioningRunFactory(role=unused.role_a)
    for role in (unused.role_a, unused.role_b):  # the run of a source reaches its targets
        with pytest.raises(Conflict, match="under way"):
            delete(alice, role)


def test_deletion_is_queued_as_an_order_once_nothing_names_the_role(unused: Procedure, alice: User) -> None:
    a_step(unused, 5, unused.role_b.arn)
    a_step(unused, 5, unused.role_b.arn, after={"Version": "2012-10-17", "Statement": []})
    run = delete(alice, unused.role_a, reason="OPS-12")
    assert (run.purpose, run.role, run.plan_seen, run.requested_by) == ("delete_role", unused.role_a, SEEN, alice)
    assert runs()[-1] == ("role.deletion_queued", "MyRoleA")
    asked = event("role.deletion_queued")
    assert (asked.resource, asked.details["reason"], asked.details["run"]) == (str(unused.role_a.arn), "OPS-12", run.pk)
    with pytest.raises(Conflict, match="under way"):
        delete(alice, unused.role_a)
