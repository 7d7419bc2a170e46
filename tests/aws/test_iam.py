"""IAM as the engine sees it, against moto, and against answers that moto does not give."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.stub import Stubber

from roles.aws import iam
from roles.aws.sessions import AccountSession
from roles.errors import (
    AwsAccessDenied,
    AwsConflict,
    AwsError,
    AwsLimitExceeded,
    AwsNotFound,
    AwsPropagating,
    PolicySyntax,
)
from roles.policies.builders import pass_role_statements, source_role_trust_statements
from roles.policies.document import PolicyDocument
from roles.policies.equivalence import same_document
from roles.values.accounts import Partition
from roles.values.arns import MANAGED_TAGS, RoleArn
from tests.aws.conftest import ACCOUNT, refusing

PLAIN = RoleArn(Partition.AWS, ACCOUNT, "MyRoleA")
UNDER_A_PATH = RoleArn(Partition.AWS, ACCOUNT, "MyRoleA", "/team/x/")
TRUST = PolicyDocument(source_role_trust_statements(Partition.AWS, services=True, portal_principals=[]))
POLICY = PolicyDocument(pass_role_statements(PLAIN))
NAME = "xacct-portal"

roles = pytest.mark.parametrize("role", [PLAIN, UNDER_A_PATH], ids=["no path", "path"])


def a_role(**changed: Any) -> dict[str, Any]:
    """Return what IAM answers to GetRole."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    role = {"Path": "/", "RoleName": "MyRoleA", "RoleId": "AROAEXAMPLEIDEXAMPLE", "Arn": str(PLAIN), "CreateDate": made}
    return {"Role": {**role, "AssumeRolePolicyDocument": TRUST.as_json(), **changed}}


# --- what is not there, or may not be seen ---


def test_what_does_not_exist_is_none(account: AccountSession) -> None:
    assert iam.get_role(account, PLAIN) is None
    assert iam.get_role_policy(account, PLAIN, NAME) is None
    assert iam.get_instance_profile(account, PLAIN) is None


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("get_role", lambda account: iam.get_role(account, PLAIN)),
        ("get_role_policy", lambda account: iam.get_role_policy(account, PLAIN, NAME)),
        ("get_instance_profile", lambda account: iam.get_instance_profile(account, PLAIN)),
        ("delete_role_policy", lambda account: iam.delete_role_policy(account, PLAIN, NAME)),
    ],
)
def test_what_may_not_be_seen_is_not_taken_for_absent(operation: str, call: Any, account: AccountSession) -> None:
    with refusing(account.iam, operation, "AccessDenied"), pytest.raises(AwsAccessDenied) as raised:
        call(account)
    assert raised.value.account == ACCOUNT
    assert raised.value.operation == "".join(part.title() for part in operation.split("_"))
    assert raised.value.request_id == "req-1"


def test_a_fresh_role_that_shows_its_unique_id_is_not_there_yet(account: AccountSession) -> None:
    with Stubber(account.iam) as stub:
        stub.add_response("get_role", a_role(Arn="AROAEXAMPLEIDEXAMPLE"))
        with pytest.raises(AwsPropagating) as raised:
            iam.get_role(account, PLAIN)
    assert raised.value.arn == str(PLAIN)


@roles
def test_writing_to_a_role_that_does_not_exist_is_refused(role: RoleArn, account: AccountSession) -> None:
    with pytest.raises(AwsNotFound):
        iam.update_assume_role_policy(account, role, TRUST)
    with pytest.raises(AwsNotFound):
        iam.put_role_policy(account, role, NAME, POLICY)


def test_a_name_that_is_taken_is_a_conflict_whatever_the_path(account: AccountSession) -> None:
    iam.create_role(account, PLAIN, TRUST, tags={})
    with pytest.raises(AwsConflict):
        iam.create_role(account, UNDER_A_PATH, TRUST, tags={})
    iam.create_instance_profile(account, PLAIN, tags=MANAGED_TAGS)
    with pytest.raises(AwsConflict):
        iam.create_instance_profile(account, UNDER_A_PATH, tags=MANAGED_TAGS)


def test_a_document_that_iam_refuses_is_an_error_with_its_reason(account: AccountSession) -> None:
    iam.create_role(account, PLAIN, TRUST, tags={})
    with pytest.raises(AwsError) as raised:
        iam.put_role_policy(account, PLAIN, NAME, TRUST)  # a trust policy has no Resource
    assert type(raised.value) is AwsError
    assert raised.value.aws_code == "MalformedPolicyDocument"


def test_a_second_role_does_not_go_into_an_instance_profile(account: AccountSession) -> None:
    other = replace(PLAIN, name="OtherRole")
    for role in (PLAIN, other):
        iam.create_role(account, role, TRUST, tags={})
    iam.create_instance_profile(account, PLAIN, tags=MANAGED_TAGS)
    account.iam.add_role_to_instance_profile(InstanceProfileName=PLAIN.name, RoleName=other.name)
    with pytest.raises(AwsLimitExceeded):
        iam.add_role_to_instance_profile(account, PLAIN)


def test_a_role_that_is_in_its_instance_profile_already_is_as_good_as_added(account: AccountSession) -> None:
    iam.create_role(account, PLAIN, TRUST, tags={})
    iam.create_instance_profile(account, PLAIN, tags=MANAGED_TAGS)
    iam.add_role_to_instance_profile(account, PLAIN)
    iam.add_role_to_instance_profile(account, PLAIN)  # AWS refuses it as it would another role
    assert iam.get_instance_profile(account, PLAIN) == iam.ProfileState(("MyRoleA",), MANAGED_TAGS)


# --- roles ---


@roles
def test_a_role_that_was_made_reads_back(role: RoleArn, account: AccountSession) -> None:
    assert iam.create_role(account, role, TRUST, tags={"xacct-portal": "managed", "team": "data"})
    state = iam.get_role(account, role)
    assert state is not None
    assert (state.arn, state.path) == (str(role), role.path)
    assert state.role_id.startswith("AROA")
    assert same_document(state.trust, TRUST)
    assert state.tags == {"xacct-portal": "managed", "team": "data"}


@roles
def test_a_trust_policy_is_replaced_as_a_whole(role: RoleArn, account: AccountSession) -> None:
    iam.create_role(account, role, TRUST, tags={})
    portal = PolicyDocument(
        source_role_trust_statements(
            Partition.AWS, services=False, portal_principals=[f"arn:aws:iam::{ACCOUNT}:user/portal"]
        )
    )
    assert iam.update_assume_role_policy(account, role, portal)
    state = iam.get_role(account, role)
    assert state is not None
    assert same_document(state.trust, portal)


def test_a_role_under_another_path_is_found_by_its_name_and_shows_its_own_path(account: AccountSession) -> None:
    iam.create_role(account, UNDER_A_PATH, TRUST, tags={})
    state = iam.get_role(account, PLAIN)
    assert state is not None
    assert (state.path, state.arn) == ("/team/x/", str(UNDER_A_PATH))


@pytest.mark.parametrize(
    "text", [TRUST.as_json(), quote(TRUST.as_json()), TRUST.pretty()], ids=["json", "encoded", "spaced"]
)
def test_a_trust_policy_is_read_in_each_form_it_comes_in(text: str, account: AccountSession) -> None:
    with Stubber(account.iam) as stub:
        stub.add_response("get_role", a_role(AssumeRolePolicyDocument=text))
        state = iam.get_role(account, PLAIN)
    assert state is not None
    assert state.trust == TRUST
    assert state.tags == {}


@pytest.mark.parametrize("text", ["{broken", quote("{broken"), "[]"])
def test_a_document_that_cannot_be_read_is_an_error_that_names_its_owner(text: str, account: AccountSession) -> None:
    with Stubber(account.iam) as stub:
        stub.add_response("get_role", a_role(AssumeRolePolicyDocument=text))
        with pytest.raises(PolicySyntax, match="The trust policy of arn:aws:iam::123456789012:role/MyRoleA"):
            iam.get_role(account, PLAIN)


# --- inline policies ---


@roles
def test_an_inline_policy_is_written_read_and_replaced(role: RoleArn, account: AccountSession) -> None:
    iam.create_role(account, role, TRUST, tags={})
    assert iam.get_role_policy(account, role, NAME) is None
    assert iam.put_role_policy(account, role, NAME, POLICY)
    assert iam.get_role_policy(account, role, NAME) == POLICY
    other = PolicyDocument(pass_role_statements(RoleArn(Partition.AWS, ACCOUNT, "Other")))
    iam.put_role_policy(account, role, NAME, other)
    assert iam.get_role_policy(account, role, NAME) == other


@roles
def test_deleting_a_policy_that_is_gone_already_is_success(role: RoleArn, account: AccountSession) -> None:
    iam.create_role(account, role, TRUST, tags={})
    iam.put_role_policy(account, role, NAME, POLICY)
    iam.put_role_policy(account, role, "theirs", POLICY)
    for _ in range(2):
        assert iam.delete_role_policy(account, role, NAME)
    assert iam.get_role_policy(account, role, NAME) is None
    assert iam.get_role_policy(account, role, "theirs") == POLICY


def test_what_is_sent_is_compact_and_has_the_version_first(account: AccountSession) -> None:
    iam.create_role(account, PLAIN, TRUST, tags={})
    iam.put_role_policy(account, PLAIN, NAME, POLICY)
    client = boto3.client("iam", region_name="us-east-1")
    held = client.get_role_policy(RoleName=PLAIN.name, PolicyName=NAME)["PolicyDocument"]
    assert list(held) == ["Version", "Statement"]
    assert json.loads(POLICY.as_json()) == held


# --- instance profiles ---


@roles
def test_an_instance_profile_holds_the_role_of_its_name(role: RoleArn, account: AccountSession) -> None:
    iam.create_role(account, role, TRUST, tags={})
    assert iam.create_instance_profile(account, role, tags=MANAGED_TAGS)
    assert iam.get_instance_profile(account, role) == iam.ProfileState((), MANAGED_TAGS)
    assert iam.add_role_to_instance_profile(account, role)
    assert iam.get_instance_profile(account, role) == iam.ProfileState(("MyRoleA",), MANAGED_TAGS)
    client = boto3.client("iam", region_name="us-east-1")
    made = client.get_instance_profile(InstanceProfileName=role.name)["InstanceProfile"]
    assert made["Arn"] == role.instance_profile


def test_a_role_is_created_with_a_boundary_only_if_one_is_given(account: AccountSession) -> None:
    client = boto3.client("iam", "us-east-1")
    boundary = client.create_policy(PolicyName="Limits", PolicyDocument=POLICY.as_json())["Policy"]["Arn"]
    iam.create_role(account, PLAIN, TRUST, tags={}, boundary=boundary)
    other = RoleArn(Partition.AWS, ACCOUNT, "Other")
    iam.create_role(account, other, TRUST, tags={})
    limited, free = (client.get_role(RoleName=role.name)["Role"] for role in (PLAIN, other))
    assert limited["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert "PermissionsBoundary" not in free


# --- deleting a role ---


def made(account: AccountSession, role: RoleArn) -> None:
    iam.create_role(account, role, TRUST, tags={})
    iam.create_instance_profile(account, role, tags=MANAGED_TAGS)
    iam.add_role_to_instance_profile(account, role)
    iam.put_role_policy(account, role, NAME, POLICY)


@roles
def test_what_hangs_on_a_role_is_listed_and_keeps_it_until_it_is_gone(account: AccountSession, role: RoleArn) -> None:
    made(account, role)
    assert (iam.role_policies(account, role), iam.instance_profiles_of(account, role)) == ((NAME,), (role.name,))
    with pytest.raises(AwsConflict):
        iam.delete_role(account, role)
    iam.delete_role_policy(account, role, NAME)
    iam.remove_role_from_instance_profile(account, role)
    iam.delete_instance_profile(account, role)
    iam.delete_role(account, role)
    assert (iam.get_role(account, role), iam.get_instance_profile(account, role)) == (None, None)


def test_what_is_gone_already_is_as_good_as_deleted(account: AccountSession) -> None:
    assert (iam.role_policies(account, PLAIN), iam.instance_profiles_of(account, PLAIN)) == ((), ())
    iam.remove_role_from_instance_profile(account, PLAIN)
    iam.delete_instance_profile(account, PLAIN)
    iam.delete_role(account, PLAIN)
