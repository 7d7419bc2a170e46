"""What must be in AWS, from the database alone: each rule, with its other side."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, IamRole, ProvisioningRun, ProvisioningStep
from roles.models.choices import RunStatus
from roles.provisioning import desired
from roles.provisioning.resources import Desired, DesiredAccess, DesiredDocument, DesiredProfile, DesiredRole, Step
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_A, ROLE_B

pytestmark = pytest.mark.django_db

PORTAL = ("arn:aws:iam::111111111111:role/portal",)


def wishes(role: IamRole) -> tuple[Desired, ...]:
    return desired.wishes_for(role, lambda: PORTAL)


def of_step(role: IamRole, step: Step) -> list[Any]:
    return [wish for wish in wishes(role) if wish.step is step]


def statement_ids(role: IamRole, step: Step) -> list[str]:
    return [one.sid for wish in of_step(role, step) if isinstance(wish, DesiredDocument) for one in wish.statements]


def trusted(role: IamRole) -> list[str]:
    (wish,) = of_step(role, Step.TARGET_TRUST)
    return list(wish.statements[0].body["Principal"]["AWS"]) if wish.statements else []


def granted_roles(role: IamRole) -> set[str]:
    """Return the roles that the wished bucket policies name."""
    documents = of_step(role, Step.BUCKET_POLICY)
    return {name for wish in documents for one in wish.statements for name in one.body["Principal"]["AWS"]}


def in_sync(role: IamRole, *, ago: timedelta = timedelta(0)) -> ProvisioningRun:
    run: ProvisioningRun = factories.ProvisioningRunFactory(
        role=role, status=RunStatus.IN_SYNC, started_at=timezone.now() - ago
    )
    return run


def step_row(run: ProvisioningRun, role: IamRole, **fields: Any) -> None:
    """Note that a step of `run` had this role before it."""
    row = {"step": 1, "status": "done", "after": {"Statement": []}, "action": "none", **fields}
    sequence = ProvisioningStep.objects.count() + 1
    ProvisioningStep.objects.create(
        **{"run": run, "sequence": sequence, "resource": str(role.arn), "title": "Step", "account_id": "1" * 12, **row}
    )


def ended(grant: AssumeRoleGrant | BucketGrant, *, ago: timedelta = timedelta(0)) -> None:
    moment = timezone.now() - ago
    type(grant).objects.filter(pk=grant.pk).update(ended_at=moment, started_at=moment - timedelta(days=1))


@pytest.fixture
def other(procedure: factories.Procedure) -> IamRole:
    """Another source role that may assume the procedure's target."""
    role: IamRole = factories.IamRoleFactory(account=procedure.account_a, name="OtherA")
    factories.AssumeRoleGrantFactory(source=role, target=procedure.role_b)
    return role


# --- in use ---


def test_a_role_without_a_mapping_is_wished_away(procedure: factories.Procedure) -> None:
    assert not desired.in_use(procedure.role_a)
    for wish in wishes(procedure.role_a):
        if isinstance(wish, DesiredDocument):
            assert wish.statements == ()
        else:
            assert isinstance(wish, DesiredRole | DesiredProfile) and not wish.wanted


def test_a_mapped_role_is_wished_for_in_the_procedures_order(procedure: factories.Procedure) -> None:
    procedure.map()
    assert desired.in_use(procedure.role_a)
    assert [(wish.step.value, wish.resource) for wish in wishes(procedure.role_a)] == [
        ("1", ROLE_A),
        ("1", ROLE_A.replace(":role/", ":instance-profile/")),
        ("2", ROLE_A),
        ("3", ROLE_A),
        ("4", ROLE_B),
        ("5", ROLE_B),
        ("6", BUCKET),
        ("7", BUCKET),
    ]


@pytest.mark.parametrize(
    ("fields", "is_in_use"),
    [
        ({"expires_at": -1}, False),
        ({"ended_at": -1}, False),
        ({"expires_at": 1}, True),
        ({}, True),
    ],
)
def test_an_ended_or_expired_mapping_is_not_a_use(
    procedure: factories.Procedure, fields: dict[str, int], is_in_use: bool
) -> None:
    long_ago = timezone.now() - timedelta(days=1)
    moments = {name: timezone.now() + timedelta(hours=hours) for name, hours in fields.items()}
    procedure.map(started_at=long_ago, **moments)
    assert desired.in_use(procedure.role_a) is is_in_use
    assert bool(statement_ids(procedure.role_a, Step.BUCKET_POLICY)) is is_in_use
    assert bool(of_step(procedure.role_a, Step.VERIFY)) is is_in_use


def test_one_mapping_left_is_enough(procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    factories.GroupRoleFactory(role=procedure.role_a)
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now())
    assert desired.in_use(procedure.role_a)


# --- the source role ---


def test_the_source_roles_trust_admits_the_portal_and_never_the_role_itself(procedure: factories.Procedure) -> None:
    procedure.map()
    role = procedure.role_a
    first = desired.wishes_for(role, lambda: (ROLE_A, *PORTAL))[0]
    assert isinstance(first, DesiredRole) and first.trust is not None
    assert [one.body["Principal"] for one in first.trust] == [
        {"Service": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]},
        {"AWS": list(PORTAL)},
    ]


def test_who_the_portal_is_is_not_asked_for_a_role_that_is_not_in_use(procedure: factories.Procedure) -> None:
    def ask() -> tuple[str, ...]:
        raise AssertionError("asked")

    assert desired.wishes_for(procedure.role_a, ask)


def test_an_adopted_source_role_gets_no_profile(procedure: factories.Procedure) -> None:
    procedure.map()
    IamRole.objects.update(ownership="adopted")
    role, adopted_profile = of_step(procedure.role_a, Step.SOURCE_ROLE)
    assert (role.wanted, role.managed, adopted_profile.wanted) == (True, False, False)


def test_attribution_is_switched_per_target(procedure: factories.Procedure) -> None:
    procedure.map()
    assert statement_ids(procedure.role_a, Step.ASSUME_POLICY) == ["XacctAssume", "XacctAssumeAttribution"]
    IamRole.objects.filter(pk=procedure.role_b.pk).update(attribution=False)
    assert statement_ids(procedure.role_a, Step.ASSUME_POLICY) == ["XacctAssume"]
    assert statement_ids(procedure.role_a, Step.TARGET_TRUST) == ["XacctTrust"]


# --- shared targets and buckets ---


def test_a_source_role_without_a_mapping_is_not_trusted(procedure: factories.Procedure, other: IamRole) -> None:
    procedure.map()
    step_row(in_sync(other), other)
    assert trusted(procedure.role_a) == [ROLE_A]
    assert desired.sources_in_use(procedure.role_b) == [procedure.role_a]


def test_another_runs_source_role_is_named_only_once_a_step_has_seen_it(
    procedure: factories.Procedure, other: IamRole
) -> None:
    procedure.map()
    factories.GroupRoleFactory(role=other)
    assert desired.sources_in_use(procedure.role_b) == [procedure.role_a, other]
    assert trusted(procedure.role_a) == [ROLE_A]
    assert trusted(other) == [str(other.arn)]
    step_row(in_sync(other), other)
    assert trusted(procedure.role_a) == [ROLE_A, str(other.arn)]


@pytest.mark.parametrize(
    "fields", [{"status": "failed"}, {"status": "needs_owner"}, {"after": None}, {"step": 2}, {"step": 5}]
)
def test_a_step_that_did_not_see_the_role_does_not_count(
    procedure: factories.Procedure, other: IamRole, fields: dict[str, Any]
) -> None:
    procedure.map()
    factories.GroupRoleFactory(role=other)
    step_row(in_sync(other), other, **fields)
    assert trusted(procedure.role_a) == [ROLE_A]


def test_a_source_role_whose_own_run_named_it_stays_named(procedure: factories.Procedure, other: IamRole) -> None:
    procedure.map()
    factories.GroupRoleFactory(role=other)
    step_row(in_sync(other), procedure.role_b, step=5)
    assert trusted(procedure.role_a) == [ROLE_A, str(other.arn)]


def test_the_last_mapping_of_one_source_role_leaves_the_other_in_the_shared_documents(
    procedure: factories.Procedure, other: IamRole
) -> None:
    mapping = procedure.map()
    factories.GroupRoleFactory(role=other)
    step_row(in_sync(other), other)
    step_row(in_sync(other), procedure.role_b, step=4)
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now())
    assert trusted(procedure.role_a) == [str(other.arn)]
    assert granted_roles(procedure.role_a) == {ROLE_B}
    (target,) = of_step(procedure.role_a, Step.TARGET_ROLE)
    assert target.wanted
    assert statement_ids(procedure.role_a, Step.ASSUME_POLICY) == []
    assert of_step(procedure.role_a, Step.VERIFY) == []


def test_a_shared_bucket_names_another_runs_target_only_once_seen(
    procedure: factories.Procedure, other: IamRole
) -> None:
    procedure.map()
    factories.GroupRoleFactory(role=other)
    second = factories.IamRoleFactory(account=procedure.account_b, name="SecondB")
    factories.AssumeRoleGrantFactory(source=other, target=second)
    factories.BucketGrantFactory(role=second, bucket=procedure.bucket)
    assert granted_roles(procedure.role_a) == {ROLE_B}
    assert granted_roles(other) == {ROLE_B, str(second.arn)}
    step_row(in_sync(other), second, step=4)
    assert granted_roles(procedure.role_a) == {ROLE_B, str(second.arn)}


def test_a_target_that_no_source_role_in_use_reaches_has_nothing_in_the_bucket(procedure: factories.Procedure) -> None:
    procedure.map()
    stray = factories.IamRoleFactory(account=procedure.account_b, name="StrayB")
    factories.BucketGrantFactory(role=stray, bucket=procedure.bucket)
    step_row(in_sync(procedure.role_a), stray, step=4)
    assert granted_roles(procedure.role_a) == {ROLE_B}


# --- ended grants ---


def test_an_ended_bucket_grant_is_cleaned_until_a_run_was_in_sync_long_after(procedure: factories.Procedure) -> None:
    procedure.map()
    ended(procedure.bucket_grant, ago=timedelta(hours=3))
    (document,) = of_step(procedure.role_a, Step.BUCKET_POLICY)
    assert document.statements == ()
    assert of_step(procedure.role_a, Step.VERIFY) == []
    in_sync(procedure.role_a, ago=timedelta(hours=2, minutes=30))  # may not have seen the end yet
    assert of_step(procedure.role_a, Step.BUCKET_POLICY)
    in_sync(procedure.role_a, ago=timedelta(hours=1))
    assert of_step(procedure.role_a, Step.BUCKET_POLICY) == []


def test_an_ended_chain_is_cleaned_until_a_run_was_in_sync_long_after(procedure: factories.Procedure) -> None:
    procedure.map()
    ended(procedure.assume_grant, ago=timedelta(hours=3))
    assert trusted(procedure.role_a) == []
    assert granted_roles(procedure.role_a) == set()
    (target,) = of_step(procedure.role_a, Step.TARGET_ROLE)
    assert not target.wanted
    in_sync(procedure.role_a)
    assert of_step(procedure.role_a, Step.TARGET_TRUST) == []


def test_a_failed_run_after_the_end_does_not_stop_the_cleaning(procedure: factories.Procedure) -> None:
    procedure.map()
    ended(procedure.bucket_grant, ago=timedelta(days=3))
    run = in_sync(procedure.role_a)
    ProvisioningRun.objects.filter(pk=run.pk).update(status=RunStatus.FAILED)
    assert of_step(procedure.role_a, Step.BUCKET_POLICY)


def test_another_roles_run_in_sync_does_not_stop_the_cleaning(procedure: factories.Procedure, other: IamRole) -> None:
    procedure.map()
    ended(procedure.bucket_grant, ago=timedelta(days=3))
    in_sync(other)
    assert of_step(procedure.role_a, Step.BUCKET_POLICY)


# --- what an item needs, and what it verifies ---


def test_taking_out_needs_nothing_to_be_in_order(procedure: factories.Procedure) -> None:
    assert {item.needs for item in desired.items_for(procedure.role_a, lambda: PORTAL)} == {()}
    procedure.map()
    needs = {item.step: item.needs for item in desired.items_for(procedure.role_a, lambda: PORTAL)}
    assert needs[Step.TARGET_TRUST] == (ROLE_A, ROLE_B)
    assert needs[Step.BUCKET_POLICY] == (ROLE_B,)
    assert needs[Step.VERIFY] == (ROLE_A, ROLE_B, BUCKET)


def test_each_grant_is_verified_as_what_it_is(procedure: factories.Procedure) -> None:
    procedure.map()
    factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="in/", access="WRITE")
    found = [(wish.prefix, wish.reads) for wish in of_step(procedure.role_a, Step.VERIFY)]
    assert found == [("", True), ("in/", False)]


def test_a_verification_that_is_not_wished_any_more_is_none(procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    (item,) = [one for one in desired.items_for(procedure.role_a, lambda: PORTAL) if one.step is Step.VERIFY]
    assert isinstance(item.compute(), DesiredAccess)
    for rows in (BucketGrant.objects.all(), AssumeRoleGrant.objects.all(), GroupRole.objects.filter(pk=mapping.pk)):
        rows.update(ended_at=timezone.now())
        assert item.compute() is None
        rows.update(ended_at=None)


# --- the digest ---


def test_the_digest_follows_the_wish_and_nothing_else(procedure: factories.Procedure) -> None:
    before = desired.digest_for(procedure.role_a)
    assert desired.digest_for(procedure.role_a) == before
    mapping = procedure.map()
    mapped = desired.digest_for(procedure.role_a)
    assert mapped != before
    GroupRole.objects.filter(pk=mapping.pk).update(state="failed", access="READ")
    assert desired.digest_for(procedure.role_a) == mapped
    factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="x/")
    assert desired.digest_for(procedure.role_a) != mapped
