"""The sandbox's world: who may do what there before the portal did anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, EXTERNAL_ID, PORTAL_ACCOUNT, foreign_statement
from tests.sandbox.proxy import CallLog

pytestmark = pytest.mark.sandbox
PROVISIONER = f"arn:aws:iam::{BUCKET_ACCOUNT}:role/xacct-provisioner"


def client_of(profile: str, service: str, endpoint_url: str) -> Any:
    session: Any = boto3.Session(profile_name=profile)
    return session.client(service, region_name="us-east-1", endpoint_url=endpoint_url)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_tokens_identity_cannot_become_the_provisioner(aws: CallLog, sandbox_server: sandbox.SandboxServer) -> None:
    sts = client_of("xacct-tokens", "sts", sandbox_server.endpoint_url)
    with pytest.raises(ClientError) as refused:
        sts.assume_role(RoleArn=PROVISIONER, RoleSessionName="x-y", ExternalId=EXTERNAL_ID)
    assert code_of(refused) == "AccessDenied"


def test_provisioner_is_refused_without_its_external_id(aws: CallLog, sandbox_server: sandbox.SandboxServer) -> None:
    sts = client_of("xacct-portal", "sts", sandbox_server.endpoint_url)
    with pytest.raises(ClientError) as refused:
        sts.assume_role(RoleArn=PROVISIONER, RoleSessionName="x-y")
    assert code_of(refused) == "AccessDenied"
    answer = sts.assume_role(RoleArn=PROVISIONER, RoleSessionName="x-y", ExternalId=EXTERNAL_ID)
    assert answer["AssumedRoleUser"]["Arn"].endswith("xacct-provisioner/x-y")


@pytest.mark.parametrize("profile", ["xacct-portal", "xacct-tokens"])
def test_portal_identities_cannot_read_the_bucket(
    aws: CallLog, sandbox_server: sandbox.SandboxServer, profile: str
) -> None:
    with pytest.raises(ClientError) as refused:
        client_of(profile, "s3", sandbox_server.endpoint_url).list_objects_v2(Bucket=BUCKET)
    assert code_of(refused) == "AccessDenied"


def test_provisioning_identity_cannot_change_the_portals_own_roles(
    aws: CallLog, sandbox_server: sandbox.SandboxServer
) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam = client_of("xacct-portal", "iam", sandbox_server.endpoint_url)
    with pytest.raises(ClientError) as refused:
        iam.create_role(RoleName="xacct-anything", AssumeRolePolicyDocument=trust)
    assert code_of(refused) == "AccessDenied"
    assert iam.create_role(RoleName="MyRoleA", AssumeRolePolicyDocument=trust)["Role"]["RoleName"] == "MyRoleA"


def test_seeding_again_keeps_keys_and_policy_of_the_bucket(
    aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path
) -> None:
    before = (tmp_path / "credentials").read_text()
    s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    s3.delete_object(Bucket=BUCKET, Key="README.txt")
    sandbox.seed(sandbox_server.endpoint_url, credentials_file=tmp_path / "credentials")
    assert (tmp_path / "credentials").read_text() == before
    assert (tmp_path / "credentials").stat().st_mode & 0o777 == 0o600
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert "README.txt" not in keys
    assert "reports/2026/q1.csv" in keys
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"] == [foreign_statement()]


def test_seeding_without_the_file_replaces_the_lost_keys(
    aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path
) -> None:
    (tmp_path / "credentials").unlink()
    sandbox.seed(sandbox_server.endpoint_url, credentials_file=tmp_path / "credentials")
    iam = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    keys = iam.list_access_keys(UserName="xacct-tokens")["AccessKeyMetadata"]
    assert len(keys) == 1
    assert keys[0]["AccessKeyId"] in (tmp_path / "credentials").read_text()
