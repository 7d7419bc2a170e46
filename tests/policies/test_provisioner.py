"""The provisioner role's documents: limited to what the portal has in the account."""

from __future__ import annotations

import re
from pathlib import Path

from roles.policies.provisioner import (
    ACTIONS,
    OPTIONAL_ACTIONS,
    ProvisionerScope,
    optional_statements,
    provisioner_policy,
    provisioner_trust,
    roles_under,
    scope_of,
)
from roles.values.accounts import AccountId, Partition
from roles.values.arns import BucketArn, RoleArn
from tests.policies.strategies import ACCOUNT_B, BUCKET, ROLE_A, ROLE_B

OWN_POLICIES = f"arn:aws:iam::{ACCOUNT_B}:policy/xacct-portal/*"


def allowed(scope: ProvisionerScope) -> dict[str, set[str]]:
    """Return the resources that each allowed action is allowed on."""
    found: dict[str, set[str]] = {}
    for statement in provisioner_policy(scope).statements:
        if statement.body["Effect"] == "Allow":
            for action in statement.body["Action"]:
                found.setdefault(action, set()).update(statement.body["Resource"])
    return found


def test_nothing_is_allowed_where_the_portal_has_nothing() -> None:
    assert provisioner_policy(scope_of(Partition.AWS, ACCOUNT_B)).is_empty


def test_roles_of_other_accounts_are_not_in_it() -> None:
    resources = allowed(scope_of(Partition.AWS, ACCOUNT_B, sources=[ROLE_A], targets=[ROLE_A, ROLE_B]))
    assert resources.pop("iam:GetAccountAuthorizationDetails") == {"*"}
    assert set().union(*resources.values()) == {str(ROLE_B), OWN_POLICIES}


def test_target_roles_get_no_profiles_but_the_policy_that_cuts_off() -> None:
    actions = set(allowed(scope_of(Partition.AWS, ACCOUNT_B, targets=[ROLE_B], buckets=[BUCKET])))
    assert not actions & {"iam:PassRole", "iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile"}
    assert {"iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "s3:PutBucketPolicy"} <= actions


def test_only_policies_under_the_portals_path_may_be_made_and_attached() -> None:
    statements = provisioner_policy(scope_of(Partition.AWS, ACCOUNT_B, targets=[ROLE_B])).statements
    by_sid = {statement.sid: statement.body for statement in statements}
    assert by_sid["OwnPolicies"]["Resource"] == [OWN_POLICIES]
    assert by_sid["AttachOwnPolicies"]["Condition"] == {"ArnLike": {"iam:PolicyARN": OWN_POLICIES}}


def test_only_named_roles_and_buckets_are_in_it() -> None:
    source = RoleArn(Partition.AWS, ACCOUNT_B, "Source", "/portal/")
    resources = allowed(scope_of(Partition.AWS, ACCOUNT_B, sources=[source], targets=[ROLE_B], buckets=[BUCKET]))
    assert set(resources) == set(ACTIONS)
    assert resources["iam:PassRole"] == {str(source)}
    assert resources["iam:CreateRole"] == resources["iam:PutRolePolicy"] == {str(source), str(ROLE_B)}
    assert resources["iam:CreateInstanceProfile"] == {source.instance_profile}
    assert resources["s3:PutBucketPolicy"] == {str(BUCKET)}


def test_portals_own_roles_are_denied_whatever_the_path_allows() -> None:
    scope = ProvisionerScope(Partition.AWS, ACCOUNT_B, targets=(roles_under(Partition.AWS, ACCOUNT_B),))
    (deny,) = [one for one in provisioner_policy(scope).statements if one.body["Effect"] == "Deny"]
    assert deny.body["Resource"] == [f"arn:aws:iam::{ACCOUNT_B}:role/xacct-*"]
    assert {"iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:PassRole"} <= set(deny.body["Action"])


def test_each_partition_has_its_own_arns() -> None:
    account, bucket = AccountId("333333333333"), BucketArn(Partition.AWS_CN, "cn-data")
    role = RoleArn(Partition.AWS_CN, account, "R")
    resources = allowed(scope_of(Partition.AWS_CN, account, sources=[role], buckets=[bucket]))
    assert resources.pop("iam:GetAccountAuthorizationDetails") == {"*"}
    assert all(arn.startswith("arn:aws-cn:") for arns in resources.values() for arn in arns)


def test_documents_say_what_each_action_is_for() -> None:
    page = (Path(__file__).parents[2] / "docs" / "aws-permissions.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `((?:iam|s3):\w+)` \| (.+) \|$", page, flags=re.MULTILINE))
    assert table == ACTIONS


def test_what_says_more_is_apart_and_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "aws-permissions.md").read_text(encoding="utf-8")
    told = {action for one in optional_statements() for action in one.body["Action"]}
    assert told == set(OPTIONAL_ACTIONS)
    assert not told & set(ACTIONS)
    assert all(f"`{action}`" in page for action in told)


def test_trust_asks_for_the_external_id() -> None:
    (statement,) = provisioner_trust("arn:aws:iam::111111111111:role/portal", "xacct-1").statements
    assert statement.body["Principal"] == {"AWS": "arn:aws:iam::111111111111:role/portal"}
    assert statement.body["Condition"] == {"StringEquals": {"sts:ExternalId": "xacct-1"}}
