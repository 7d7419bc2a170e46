"""Deleting a managed role: only what is the portal's and nobody uses, whatever happens to the worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.utils import timezone

from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, ProvisioningRun
from roles.models.choices import RunPurpose, RunStatus, StepStatus
from roles.operations.delete_managed_role import delete_managed_role
from roles.policies import limits
from roles.provisioning import preview
from tests import factories
from tests.provisioning.conftest import (
    BUCKET,
    PROFILE_A,
    ROLE_A,
    ROLE_B,
    queued,
    reconciled,
    sids,
    survivors,
    unmap,
)
from tests.provisioning.drifting import SCANNER, in_sync, read_in_bulk, scanned
from tests.strict_aws.in_aws import Document, Role
from tests.strict_aws.watched import WatchedAws, foreign

pytestmark = pytest.mark.django_db
OF_OTHERS = "arn:aws:iam::111111111111:policy/of-others"
SOMETHING = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "Theirs", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
deleted = partial(reconciled, purpose=RunPurpose.DELETE_ROLE)


@pytest.fixture
def retired(aws: WatchedAws, procedure: factories.Procedure) -> factories.Procedure:
    """The procedure after its mapping and grants have ended and a run has cleaned up; both roles are still there."""
    reconciled(unmap(in_sync(procedure)))
    end_grants()
    aws.calls.clear()
    return procedure


def end_grants() -> None:
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    BucketGrant.objects.update(ended_at=timezone.now())


def role_a(aws: WatchedAws) -> Role:
    return aws.role(ROLE_A)


def untag(aws: WatchedAws) -> None:
    role_a(aws).untag()


def attach(aws: WatchedAws) -> None:
    aws.add_policy(OF_OTHERS, SOMETHING)
    role_a(aws).attach(OF_OTHERS)


def add_inline(aws: WatchedAws) -> None:
    role_a(aws).policies["AWSRevokeOlderSessions"] = SOMETHING


def add_to_ours(aws: WatchedAws) -> None:
    role_a(aws).policies["xacct-portal"] = SOMETHING


def trust_another(aws: WatchedAws) -> None:
    trust = role_a(aws).trust
    theirs = foreign("Lambda", Principal={"Service": "lambda.amazonaws.com"})
    role_a(aws).trust = {**trust, "Statement": [*trust["Statement"], theirs]}


def hold_elsewhere(aws: WatchedAws) -> None:
    aws.set_profile("arn:aws:iam::111111111111:instance-profile/fleet", "MyRoleA")


def move(aws: WatchedAws) -> None:
    role = role_a(aws)
    trust, tags = role.trust, role.tags
    role.delete()
    aws.add_role("arn:aws:iam::111111111111:role/elsewhere/MyRoleA", trust, **tags)


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (untag, "does not carry the portal's tag"),
        (attach, f"Attached policies that are not the portal's: {OF_OTHERS}"),
        (add_inline, "Inline policies that are not the portal's: AWSRevokeOlderSessions"),
        (add_to_ours, "Statements of others in the policy xacct-portal: Theirs"),
        (trust_another, "Statements of others in its trust policy: Lambda"),
        (hold_elsewhere, "Instance profiles that hold it: fleet"),
        (move, "role/elsewhere/MyRoleA"),
    ],
)
def test_where_it_is_not_ours_or_others_have_something_on_it_nothing_is_deleted(
    arrange: Callable[[WatchedAws], None], said: str, aws: WatchedAws, retired: factories.Procedure
) -> None:
    arrange(aws)
    before = aws.state()
    run = deleted(retired.role_a)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict.blocked")
    assert said in run.error
    assert (aws.writes, aws.state()) == ([], before)


def test_a_role_that_is_mapped_meanwhile_stays_and_its_run_makes_good_what_was_deleted(
    aws: WatchedAws, retired: factories.Procedure
) -> None:
    def mapped_again() -> None:
        AssumeRoleGrant.objects.update(ended_at=None)
        BucketGrant.objects.update(ended_at=None)
        retired.map()

    aws.once("delete_instance_profile", mapped_again)
    run = deleted(retired.role_a)
    assert run.status == RunStatus.FAILED
    assert "It is mapped to" in run.error
    assert role_a(aws).tags == {"xacct-portal": "managed"}
    assert reconciled(GroupRole.objects.in_force().get()).status == RunStatus.IN_SYNC
    assert aws.profiles[PROFILE_A] == ["MyRoleA"]


def test_all_of_the_portals_that_hangs_on_it_goes_and_the_history_keeps_it(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 300)
    for number in range(2):
        role = factories.IamRoleFactory(account=procedure.account_b, name=f"MyRoleB{number}")
        factories.AssumeRoleGrantFactory(source=procedure.role_a, target=role)
    mapping = in_sync(procedure)
    inline, trust, managed = dict(role_a(aws).policies), role_a(aws).trust, list(aws.managed)
    assert inline and managed
    unmap(mapping)
    end_grants()
    reconciled(mapping)
    role_a(aws).policies.update(inline)  # left by a run that was cut off, say
    run = deleted(procedure.role_a)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert not aws.has_role(ROLE_A)
    assert (aws.managed, aws.profiles) == ({}, {})
    kept = {(step.resource, step.action): step.before for step in run.steps.filter(action="delete")}
    assert kept[ROLE_A, "delete"] is not None
    assert {resource for resource, _ in kept} == {ROLE_A, PROFILE_A}
    policies = run.steps.get(resource=ROLE_A, step=2)
    assert (policies.action, policies.before) == ("delete", inline["xacct-portal"])
    assert run.steps.order_by("sequence").last().title == "Delete role MyRoleA"
    assert trust["Statement"]


def test_managed_policies_that_are_left_are_detached_and_deleted(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 200)
    mapping = in_sync(procedure)
    managed = {arn: (policy.document, policy.tags) for arn, policy in aws.managed.items()}
    assert list(managed) == role_a(aws).attached
    unmap(mapping)
    end_grants()
    reconciled(mapping)
    for arn, (document, tags) in managed.items():
        aws.add_policy(arn, document, **tags)
        role_a(aws).attach(arn)
    assert deleted(procedure.role_a).status == RunStatus.IN_SYNC
    assert (aws.managed, aws.has_role(ROLE_A)) == ({}, False)


def test_a_profile_that_the_portal_did_not_make_stays_without_the_role(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    services = foreign("XacctRoleServices", Principal={"Service": "ec2.amazonaws.com"})
    aws.add_role(ROLE_A, {"Version": "2012-10-17", "Statement": [services]}, **{"xacct-portal": "managed"})
    aws.set_profile(PROFILE_A, "MyRoleA")
    reconciled(unmap(in_sync(procedure)))
    end_grants()
    assert deleted(procedure.role_a).status == RunStatus.IN_SYNC
    assert aws.profiles == {PROFILE_A: []}
    assert "delete_instance_profile" not in aws.writes


def test_a_target_role_is_deleted_without_asking_for_an_instance_profile(
    aws: WatchedAws, retired: factories.Procedure
) -> None:
    assert deleted(retired.role_b).status == RunStatus.IN_SYNC
    assert aws.writes == ["delete_role"]
    assert "get_instance_profile" not in [call.name for call in aws.calls]


def test_a_role_that_is_gone_already_is_as_good_as_deleted(aws: WatchedAws, retired: factories.Procedure) -> None:
    assert deleted(retired.role_a).status == RunStatus.IN_SYNC
    aws.calls.clear()
    assert deleted(retired.role_a).status == RunStatus.IN_SYNC
    assert aws.writes == []


def rebuilt(aws: WatchedAws, trust: Document, tags: dict[str, str]) -> None:
    """Put the role back as it was, with all that is the portal's on it, as if nothing had been deleted."""
    if not aws.has_role(ROLE_A):
        aws.add_role(ROLE_A, trust, **tags)
    policy = {"Version": "2012-10-17", "Statement": [foreign("XacctAssume", Resource=[ROLE_B])]}
    role_a(aws).policies["xacct-portal"] = policy
    aws.set_profile(PROFILE_A, "MyRoleA")
    for run in ProvisioningRun.objects.filter(trigger="role.deletion_queued"):
        run.steps.all().delete()
        run.delete()


@pytest.mark.parametrize("moment", ["die_after", "die_before"])
def test_a_worker_that_dies_at_any_call_is_followed_by_one_that_deletes_it_all(
    moment: str, aws: WatchedAws, retired: factories.Procedure
) -> None:
    trust, tags, numbers = role_a(aws).trust, role_a(aws).tags, 0

    def begin() -> ProvisioningRun:
        rebuilt(aws, trust, tags)
        return queued(retired.role_a, purpose=RunPurpose.DELETE_ROLE, trigger="role.deletion_queued")

    for number, run in survivors(aws, moment, begin, most=60):
        assert (number, run.status, run.error) == (number, RunStatus.IN_SYNC, "")
        assert not aws.has_role(ROLE_A)
        assert aws.profiles == {}
        assert not run.steps.filter(status__in=[StepStatus.APPLYING, StepStatus.WAITING]).exists()
        numbers = number
    assert numbers > 12


def test_other_runs_do_not_name_a_role_that_was_deleted(aws: WatchedAws, retired: factories.Procedure) -> None:
    assert deleted(retired.role_a).status == RunStatus.IN_SYNC
    AssumeRoleGrant.objects.update(ended_at=None)
    BucketGrant.objects.update(ended_at=None)
    other = factories.IamRoleFactory(account=retired.account_a, name="Other")
    factories.AssumeRoleGrantFactory(source=other, target=retired.role_b)
    retired.map()  # its own run comes later
    mapping = factories.GroupRoleFactory(role=other)
    run = reconciled(mapping)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert ROLE_A not in str(aws.role(ROLE_B).trust)


def test_a_target_that_was_deleted_is_not_named_in_a_bucket_policy_before_it_is_made_again(
    aws: WatchedAws, retired: factories.Procedure
) -> None:
    assert deleted(retired.role_b).status == RunStatus.IN_SYNC
    BucketGrant.objects.update(ended_at=None)
    other = factories.IamRoleFactory(account=retired.account_b, name="OtherB")
    factories.BucketGrantFactory(role=other, bucket=retired.bucket)
    first = factories.IamRoleFactory(account=retired.account_a, name="First")
    factories.AssumeRoleGrantFactory(source=first, target=other)
    third = factories.IamRoleFactory(account=retired.account_a, name="Third")
    factories.AssumeRoleGrantFactory(source=third, target=retired.role_b)
    factories.GroupRoleFactory(role=third)  # reaches the deleted target; its run comes later
    run = reconciled(factories.GroupRoleFactory(role=first))
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert ROLE_B not in str(aws.bucket_policies["example-data"])


def test_mapping_it_again_makes_it_again(aws: WatchedAws, retired: factories.Procedure) -> None:
    for role in (retired.role_a, retired.role_b):
        assert deleted(role).status == RunStatus.IN_SYNC
    AssumeRoleGrant.objects.update(ended_at=None)
    BucketGrant.objects.update(ended_at=None)
    run = reconciled(retired.map())
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert sids(aws.role(ROLE_B).trust)[0] == "XacctTrust"


def test_what_a_deletion_did_says_nothing_of_mappings_and_is_no_drift(
    aws: WatchedAws, retired: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = list(GroupRole.objects.order_by("pk").values_list("state", "provisioned_at"))
    assert deleted(retired.role_a).status == RunStatus.IN_SYNC
    assert list(GroupRole.objects.order_by("pk").values_list("state", "provisioned_at")) == states
    read_in_bulk(monkeypatch)
    assert scanned().is_clean


def test_the_plan_shows_all_steps_and_reads_only(aws: WatchedAws, retired: factories.Procedure) -> None:
    before = aws.state()
    rehearsal = preview.rehearse(lambda: delete_managed_role(actor=SCANNER, role=retired.role_a, name="MyRoleA"))
    plan = rehearsal.plan(partly=True)
    assert [(change.resource, change.action.value) for change in plan.changes if change.writes] == [
        (PROFILE_A, "delete"),
        (ROLE_A, "delete"),
    ]
    assert plan.changes[-1].resource == ROLE_A
    assert (aws.writes, aws.state()) == ([], before)
    assert BUCKET not in str([change.resource for change in plan.changes])
