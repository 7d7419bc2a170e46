"""Who may change IAM, over both emulators: the full ARN, what a call brings along, and conditions of IAM's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.strict_aws.world import OWNER, Aws, Procedure, allow, answer, document, text, trust

ANY = text(document(allow("s3:ListAllMyBuckets", "*")))
TAGS = [{"Key": "made-by", "Value": "portal"}]
ROLES, POLICIES = f"arn:aws:iam::{OWNER}:role/portal/*", f"arn:aws:iam::{OWNER}:policy/portal/*"


def iam_with(aws: Aws, world: Procedure, *statements: Any) -> Any:
    """Return IAM as MyRoleB, which may do what the statements say and nothing else."""
    aws.put_role_policy(OWNER, world.b_name, *statements)
    return aws.client("iam", world.assume())


@pytest.mark.parametrize(("path", "outcome"), [("/portal/", "ok"), ("/", "AccessDenied")])
def test_a_role_is_asked_for_with_its_path(world: Procedure, aws: Aws, path: str, outcome: str) -> None:
    iam = iam_with(aws, world, allow("iam:CreateRole", ROLES))
    made = {"RoleName": f"{world.b_name}-new", "Path": path, "AssumeRolePolicyDocument": text(document(trust(world.a)))}
    assert answer(lambda: iam.create_role(**made)) == outcome


@pytest.mark.parametrize(("path", "outcome"), [("/portal/", "ok"), ("/", "AccessDenied")])
def test_a_policy_is_asked_for_with_its_path(world: Procedure, aws: Aws, path: str, outcome: str) -> None:
    iam = iam_with(aws, world, allow("iam:CreatePolicy", POLICIES))
    made = {"PolicyName": f"{world.b_name}-new", "Path": path, "PolicyDocument": ANY}
    assert answer(lambda: iam.create_policy(**made)) == outcome


@pytest.mark.parametrize(("actions", "outcome"), [(["iam:CreatePolicy", "iam:TagPolicy"], "ok"),
                                                  (["iam:CreatePolicy"], "AccessDenied")])  # fmt: skip
def test_a_policy_with_tags_needs_the_action_for_tags(
    world: Procedure, aws: Aws, actions: list[str], outcome: str
) -> None:
    iam = iam_with(aws, world, allow(actions, POLICIES))
    made = {"PolicyName": f"{world.b_name}-tagged", "Path": "/portal/", "PolicyDocument": ANY}
    assert answer(lambda: iam.create_policy(**made, Tags=TAGS)) == outcome
    assert answer(lambda: iam.create_policy(**{**made, "PolicyName": f"{world.b_name}-plain"})) == "ok"


@pytest.mark.parametrize(("path", "outcome"), [("/portal/", "ok"), ("/", "AccessDenied")])
def test_the_policy_that_is_attached_and_detached_can_be_asked_for(
    world: Procedure, aws: Aws, path: str, outcome: str
) -> None:
    arn = world.iam.create_policy(PolicyName=f"{world.b_name}-x", Path=path, PolicyDocument=ANY)["Policy"]["Arn"]
    only = {"ArnLike": {"iam:PolicyARN": POLICIES}}
    actions = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    iam = iam_with(aws, world, allow(actions, "*", Condition=only))
    assert answer(lambda: iam.attach_role_policy(RoleName=world.b_name, PolicyArn=arn)) == outcome
    world.iam.attach_role_policy(RoleName=world.b_name, PolicyArn=arn)
    assert answer(lambda: iam.detach_role_policy(RoleName=world.b_name, PolicyArn=arn)) == outcome


@pytest.mark.parametrize(("tags", "outcome"), [(TAGS, "ok"), ([], "AccessDenied"),
                                               ([{"Key": "made-by", "Value": "others"}], "AccessDenied")])  # fmt: skip
def test_the_tags_of_a_role_can_be_asked_for(world: Procedure, aws: Aws, tags: Any, outcome: str) -> None:
    name = f"{world.b_name}-tagged"
    world.iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(document(trust(world.a))), Tags=tags)
    only = {"StringEquals": {"iam:ResourceTag/made-by": "portal"}}
    iam = iam_with(aws, world, allow("iam:DeleteRole", "*", Condition=only))
    assert answer(lambda: iam.delete_role(RoleName=name)) == outcome
