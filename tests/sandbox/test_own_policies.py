"""Roles' own policies on an AWS that enforces: grants placed there, and more targets than one policy holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT
from roles.models import GroupRole
from roles.models.choices import RunStatus
from tests import factories
from tests.sandbox.proxy import CallLog
from tests.sandbox.test_procedure import bucket_policy, means_foreign, run_of, unmap
from tests.sandbox.test_token_access import denied, keys_in, token_for
from tests.sandbox.world import client_with

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]
TARGETS = 60


def s3_of(mapping: GroupRole, bob: Any, server: sandbox.SandboxServer) -> Any:
    """Return an S3 client of Bob's with the token that the mapping gives him."""
    mapping.refresh_from_db()
    return client_with(token_for(bob, mapping), "s3", server.endpoint_url)


@pytest.fixture
def placed(procedure: factories.Procedure) -> factories.Procedure:
    """The procedure's world with one folder granted, placed in the target role's own policy."""
    procedure.bucket_grant.prefix = "team/"
    procedure.bucket_grant.save()
    procedure.bucket.grants_in_identity_policy = True
    procedure.bucket.save()
    return procedure


def test_a_grant_in_the_roles_own_policy_gives_its_folder_and_nothing_outside(
    aws: CallLog, placed: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = placed.map()
    run = run_of(mapping)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    (statement,) = bucket_policy(sandbox_server)
    assert means_foreign(statement)
    s3 = s3_of(mapping, placed.bob, sandbox_server)
    assert "team/notes.md" in keys_in(s3.list_objects_v2(Bucket=BUCKET, Prefix="team/"))
    s3.put_object(Bucket=BUCKET, Key="team/new.txt", Body=b"by bob")
    assert s3.get_object(Bucket=BUCKET, Key="team/new.txt")["Body"].read() == b"by bob"
    assert denied(s3.get_object, Bucket=BUCKET, Key="team-secret/plan.md")
    assert denied(s3.list_objects_v2, Bucket=BUCKET)
    assert denied(s3.put_object, Bucket=BUCKET, Key="outside.txt", Body=b"x")


def test_a_mapping_narrows_what_the_roles_own_policy_gives(
    aws: CallLog, placed: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = placed.map(access="READ")
    run_of(mapping)
    s3 = s3_of(mapping, placed.bob, sandbox_server)
    assert s3.get_object(Bucket=BUCKET, Key="team/notes.md")["Body"].read()
    assert denied(s3.put_object, Bucket=BUCKET, Key="team/new.txt", Body=b"x")


def test_taking_the_mapping_away_takes_the_access_out_of_the_roles_own_policy(
    aws: CallLog, placed: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = placed.map()
    run_of(mapping)
    s3 = s3_of(mapping, placed.bob, sandbox_server)
    assert s3.get_object(Bucket=BUCKET, Key="team/notes.md")["Body"].read()
    unmap(mapping)
    assert run_of(mapping).status == RunStatus.IN_SYNC
    assert denied(s3.get_object, Bucket=BUCKET, Key="team/notes.md")
    iam = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    assert iam.list_role_policies(RoleName="MyRoleB")["PolicyNames"] == []


def test_sixty_targets_with_long_names_work_through_managed_policies(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    earlier = timezone.now() - timedelta(days=1)
    for number in range(TARGETS - 1):
        name = f"ReportingTargetRoleOfADepartmentWithALongName{number:04}"
        role = factories.IamRoleFactory(account=procedure.account_b, name=name)
        factories.AssumeRoleGrantFactory(source=procedure.role_a, target=role, started_at=earlier)
    mapping = procedure.map()
    run = run_of(mapping)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    iam = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    attached = iam.list_attached_role_policies(RoleName="MyRoleA")["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["xacct-MyRoleA-1"]
    # MyRoleB's grant is the newest, so it is a managed policy that lets MyRoleA assume it.
    document = iam.get_role_policy(RoleName="MyRoleA", PolicyName="xacct-portal")["PolicyDocument"]
    assert str(procedure.role_b.arn) not in str(document)
    s3 = s3_of(mapping, procedure.bob, sandbox_server)
    assert "team/notes.md" in keys_in(s3.list_objects_v2(Bucket=BUCKET))
    aws.clear()
    assert run_of(mapping).status == RunStatus.IN_SYNC
    assert aws.writes == []


@pytest.mark.parametrize("placed", [True, False])
def test_who_may_clean_up_uploads_lists_and_aborts_them_and_others_may_not(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer, placed: bool
) -> None:
    procedure.bucket.grants_in_identity_policy = placed
    procedure.bucket.save()
    mapping = procedure.map()
    run_of(mapping)
    s3 = s3_of(mapping, procedure.bob, sandbox_server)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="team/large.bin")["UploadId"]
    assert denied(s3.list_multipart_uploads, Bucket=BUCKET)
    assert denied(s3.abort_multipart_upload, Bucket=BUCKET, Key="team/large.bin", UploadId=upload)
    procedure.bucket_grant.multipart_cleanup = True
    procedure.bucket_grant.save()
    assert run_of(mapping).status == RunStatus.IN_SYNC
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [upload]
    s3.list_parts(Bucket=BUCKET, Key="team/large.bin", UploadId=upload)
    s3.abort_multipart_upload(Bucket=BUCKET, Key="team/large.bin", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
