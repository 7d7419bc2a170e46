"""Managed policies of the portal's own as the engine sees them, against moto."""

from __future__ import annotations

import boto3
import pytest

from roles.aws import iam, managed_policies
from roles.aws.inventory import account_inventory
from roles.aws.sessions import AccountSession
from roles.errors import AwsConflict, AwsNotFound
from roles.policies.builders import pass_role_statements
from roles.policies.document import PolicyDocument, Statement
from roles.values.accounts import Partition
from roles.values.arns import RoleArn
from tests.aws.conftest import ACCOUNT

ROLE = RoleArn(Partition.AWS, ACCOUNT, "MyRoleA", "/team/")
ARN = ROLE.managed_policy(1)
TAGS = {"xacct-portal": "managed"}


def document(name: str) -> PolicyDocument:
    return PolicyDocument(
        (Statement({"Sid": "XacctAssume", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [name]}),)
    )


ONE = document("arn:aws:iam::222222222222:role/One")


@pytest.fixture
def made(account: AccountSession) -> AccountSession:
    """An account with the role and its first managed policy."""
    iam.create_role(account, ROLE, PolicyDocument(pass_role_statements(ROLE)), tags=TAGS)
    managed_policies.create_policy(account, ARN, ONE, tags=TAGS)
    managed_policies.attach_role_policy(account, ROLE, ARN)
    return account


def versions() -> list[str]:
    found = boto3.client("iam", "us-east-1").list_policy_versions(PolicyArn=ARN)["Versions"]
    return sorted(version["VersionId"] for version in found)


def test_what_does_not_exist_is_none(account: AccountSession) -> None:
    assert managed_policies.get_policy(account, ARN) is None
    assert managed_policies.attached_policies(account, ROLE) is None


def test_a_policy_has_the_portals_path_its_tags_and_its_document(made: AccountSession) -> None:
    state = managed_policies.get_policy(made, ARN)
    assert state is not None
    assert (state.document, dict(state.tags)) == (ONE, TAGS)
    assert managed_policies.attached_policies(made, ROLE) == (ARN,)
    assert f"arn:aws:iam::{ACCOUNT}:policy/xacct-portal/xacct-MyRoleA-1" == ARN


def test_a_name_that_is_taken_is_a_conflict(made: AccountSession) -> None:
    with pytest.raises(AwsConflict):
        managed_policies.create_policy(made, ARN, ONE, tags=TAGS)


def test_a_new_version_is_the_default_at_once_and_the_oldest_goes_when_there_are_five(made: AccountSession) -> None:
    for number in range(7):
        wanted = document(f"arn:aws:iam::222222222222:role/R{number}")
        managed_policies.put_policy_version(made, ARN, wanted)
        state = managed_policies.get_policy(made, ARN)
        assert state is not None and state.document == wanted
    assert versions() == ["v4", "v5", "v6", "v7", "v8"]


def test_a_policy_is_deleted_with_all_its_versions(made: AccountSession) -> None:
    managed_policies.put_policy_version(made, ARN, document("arn:aws:iam::222222222222:role/Two"))
    managed_policies.detach_role_policy(made, ROLE, ARN)
    managed_policies.delete_policy(made, ARN)
    assert managed_policies.get_policy(made, ARN) is None


def test_taking_away_what_is_gone_is_success(made: AccountSession) -> None:
    other = ROLE.managed_policy(2)
    managed_policies.detach_role_policy(made, ROLE, other)
    managed_policies.delete_policy(made, other)
    assert managed_policies.attached_policies(made, ROLE) == (ARN,)


def test_a_version_of_what_is_gone_is_not_made(account: AccountSession) -> None:
    with pytest.raises(AwsNotFound):
        managed_policies.put_policy_version(account, ARN, ONE)


def test_the_inventory_of_an_account_has_them_too(made: AccountSession) -> None:
    changed = document("arn:aws:iam::222222222222:role/Two")
    managed_policies.put_policy_version(made, ARN, changed)
    inventory = account_inventory(made)
    role = inventory.role(ROLE)
    assert role is not None and role.attached == (ARN,)
    assert inventory.managed_policy(ARN) == changed
    assert inventory.managed_policy(ROLE.managed_policy(2)) is None
