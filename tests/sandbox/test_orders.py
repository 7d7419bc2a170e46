"""Deleting managed roles and putting documents back on an AWS that enforces the documented permissions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT
from roles.models import AssumeRoleGrant, BucketGrant, IamRole, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import RunStatus
from roles.operations.delete_managed_role import delete_managed_role
from roles.operations.put_back_document import put_back_document
from roles.operations.retire_role import retire_role
from roles.operations.scan_drift import scan_drift
from roles.policies import limits
from roles.policies.document import Statement
from roles.policies.equivalence import same_statement
from roles.provisioning import outbox, preview, runner
from tests import factories
from tests.sandbox.proxy import CallLog
from tests.sandbox.test_procedure import bucket_policy, means_foreign, run_of

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test looks for drift itself."""
    monkeypatch.setattr(outbox, "send_scan", lambda: True)


def iam_of(account: str, server: sandbox.SandboxServer) -> Any:
    return sandbox.root_client("iam", account, endpoint_url=server.endpoint_url)


def done(run: ProvisioningRun) -> ProvisioningRun:
    found = runner.reconcile(run.pk)
    assert found is not None
    return found


def clean_up() -> None:
    """Do what the worker does with the runs that were queued."""
    for run in ProvisioningRun.objects.unfinished().order_by("pk"):
        found = done(run)
        assert (found.status, found.error) == (RunStatus.IN_SYNC, "")


def deleted(role: IamRole, actor: User) -> ProvisioningRun:
    """Delete as the page does: look, then confirm what was seen."""

    def delete(seen: str = "") -> ProvisioningRun:
        return delete_managed_role(actor=actor, role=role, name=role.name, seen=seen)

    return done(delete(preview.plan_if(delete).seen))


def put_back(run: ProvisioningRun, number: int, actor: User, **given: Any) -> ProvisioningRun:
    return ordered(run.steps.get(step=number), actor, **given)


def ordered(step: ProvisioningStep, actor: User, **given: Any) -> ProvisioningRun:
    """Give the order as the page does: look, then confirm what was seen."""

    def back(seen: str = "") -> ProvisioningRun:
        return put_back_document(actor=actor, step=step, seen=seen, **given)

    return back(preview.plan_if(back).seen)


def test_retired_roles_are_deleted_and_made_again_when_they_are_mapped_again(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer, alice: User
) -> None:
    assert run_of(procedure.map()).status == RunStatus.IN_SYNC
    for role in (procedure.role_a, procedure.role_b):
        retire_role(actor=alice, role=role)
    clean_up()
    for role in (procedure.role_a, procedure.role_b):
        run = deleted(role, alice)
        assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    names = [
        role["RoleName"]
        for account in (PORTAL_ACCOUNT, BUCKET_ACCOUNT)
        for role in iam_of(account, sandbox_server).list_roles()["Roles"]
    ]
    assert {"MyRoleA", "MyRoleB"}.isdisjoint(names)
    assert iam_of(PORTAL_ACCOUNT, sandbox_server).list_instance_profiles()["InstanceProfiles"] == []
    assert [means_foreign(one) for one in bucket_policy(sandbox_server)] == [True]
    assert scan_drift(actor=alice).is_clean
    factories.AssumeRoleGrantFactory(source=procedure.role_a, target=procedure.role_b)
    factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket)
    run = run_of(procedure.map())
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")


@pytest.mark.parametrize("what", ["untagged", "attached"])
def test_a_role_that_is_not_the_portals_any_more_stays(
    what: str, aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer, alice: User
) -> None:
    assert run_of(procedure.map()).status == RunStatus.IN_SYNC
    retire_role(actor=alice, role=procedure.role_a)
    clean_up()
    iam = iam_of(PORTAL_ACCOUNT, sandbox_server)
    if what == "untagged":
        iam.untag_role(RoleName="MyRoleA", TagKeys=["xacct-portal"])
    else:
        statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName="MyRoleA", PolicyName="theirs", PolicyDocument=text)
    aws.clear()
    run = deleted(procedure.role_a, alice)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict.blocked")
    assert ("tag" if what == "untagged" else "theirs") in run.error
    assert aws.writes == []
    assert iam.get_role(RoleName="MyRoleA")["Role"]["RoleName"] == "MyRoleA"


def test_a_bucket_policy_goes_back_and_what_others_added_since_stays(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer, alice: User
) -> None:
    mapping = procedure.map()
    run_of(mapping)
    before = bucket_policy(sandbox_server)
    BucketGrant.objects.update(access="READ")
    lowered = run_of(mapping)
    s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    later = {**before[0], "Sid": "CameLater", "Action": ["s3:GetObjectTagging"]}
    now = {"Version": "2012-10-17", "Statement": [*bucket_policy(sandbox_server), later]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(now))

    run = done(put_back(lowered, 6, alice))
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    found = bucket_policy(sandbox_server)
    assert len(found) == len(before) + 1
    for one in [*before, later]:
        assert any(same_statement(Statement(one), Statement(other)) for other in found)
    assert [(one.step, one.kind.value) for one in scan_drift(actor=alice).differences] == [(6, "changed")]

    order = put_back(lowered, 6, alice, exactly=True, agrees=True)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(now))  # somebody else, in between
    aws.clear()
    run = done(order)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict.stale_plan")
    assert aws.writes == []


def test_a_trust_policy_goes_back(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer, alice: User
) -> None:
    mapping = procedure.map()
    run_of(mapping)
    iam = iam_of(BUCKET_ACCOUNT, sandbox_server)
    before = iam.get_role(RoleName="MyRoleB")["Role"]["AssumeRolePolicyDocument"]
    procedure.role_b.attribution = False
    procedure.role_b.save()
    run = done(put_back(run_of(mapping), 5, alice))
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert iam.get_role(RoleName="MyRoleB")["Role"]["AssumeRolePolicyDocument"] == before


def managed_of(server: sandbox.SandboxServer) -> dict[str, Any]:
    """Return the managed policies on the source role by name, in their default version."""
    iam, found = iam_of(PORTAL_ACCOUNT, server), {}
    for one in iam.list_attached_role_policies(RoleName="MyRoleA")["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=one["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=one["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
        found[one["PolicyName"]] = document
    return found


def test_managed_policies_go_back_however_many_versions_they_have(
    aws: CallLog,
    procedure: factories.Procedure,
    sandbox_server: sandbox.SandboxServer,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 300)
    monkeypatch.setattr(limits, "MANAGED_POLICY_MAX_CHARACTERS", 450)
    more = [factories.IamRoleFactory(account=procedure.account_b, name=f"MyRoleB{number}") for number in (0, 1)]
    grants = [factories.AssumeRoleGrantFactory(source=procedure.role_a, target=role).pk for role in more]
    mapping = procedure.map()
    assert run_of(mapping).status == RunStatus.IN_SYNC
    whole = managed_of(sandbox_server)
    assert sorted(whole) == ["xacct-MyRoleA-1", "xacct-MyRoleA-2"]
    AssumeRoleGrant.objects.filter(pk__in=grants).update(ended_at=timezone.now())
    for _ in range(3):
        run = run_of(mapping)
        assert (run.status, sorted(managed_of(sandbox_server))) == (RunStatus.IN_SYNC, ["xacct-MyRoleA-1"])
        step = run.steps.get(resource__endswith="xacct-MyRoleA")
        run = done(ordered(step, alice))
        assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
        assert managed_of(sandbox_server) == whole
    arn = f"arn:aws:iam::{PORTAL_ACCOUNT}:policy/xacct-portal/xacct-MyRoleA-1"
    versions = iam_of(PORTAL_ACCOUNT, sandbox_server).list_policy_versions(PolicyArn=arn)["Versions"]
    assert len(versions) == 5
