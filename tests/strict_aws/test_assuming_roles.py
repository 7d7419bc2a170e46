"""AssumeRole as AWS answers it, over both emulators: who, how long, under which name, with what along."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.strict_aws.world import (
    OWNER,
    PORTAL,
    STRANGER,
    Aws,
    Procedure,
    allow,
    answer,
    deny,
    document,
    message,
    text,
    trust,
)

BOTH = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def test_stranger_is_refused_and_the_trusted_role_is_let_in(world: Procedure, aws: Aws) -> None:
    _, stranger = aws.user(STRANGER, "mallory", allow("sts:*"))
    assert answer(lambda: aws.assume(stranger, world.b)) == "AccessDenied"
    assert answer(lambda: aws.assume(world.server, world.b)) == "AccessDenied"
    assert answer(lambda: aws.assume(world.server, world.b + "x")) == "AccessDenied"
    assert answer(world.assume) == "ok"


def test_across_accounts_both_sides_must_allow(world: Procedure, aws: Aws) -> None:
    aws.put_role_policy(PORTAL, world.a_name, allow("sts:AssumeRole", world.b + "x"))
    assert answer(world.assume) == "AccessDenied"
    aws.put_role_policy(PORTAL, world.a_name, allow("*"), deny("sts:AssumeRole", world.b))
    assert answer(world.assume) == "AccessDenied"
    aws.put_role_policy(PORTAL, world.a_name, allow("sts:AssumeRole", world.b))
    assert answer(world.assume) == "ok"


def test_root_cannot_assume_roles(world: Procedure, aws: Aws) -> None:
    world.put_trust(trust(PORTAL))
    assert (
        answer(lambda: aws.root("sts", PORTAL).assume_role(RoleArn=world.b, RoleSessionName="root")) == "AccessDenied"
    )
    assert answer(world.assume) == "ok"


def test_chained_sessions_last_an_hour_at_most(world: Procedure, aws: Aws) -> None:
    world.iam.update_role(RoleName=world.b_name, MaxSessionDuration=43_200)
    said = message(lambda: world.assume(DurationSeconds=3_601))
    assert said == (
        "400 The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    )
    assert answer(lambda: world.assume(DurationSeconds=3_600)) == "ok"
    server = aws.root("iam", PORTAL).get_user(UserName=f"server{world.number}")["User"]["Arn"]
    world.put_trust(trust(server))
    assert answer(lambda: aws.assume(world.server, world.b, DurationSeconds=43_200)) == "ok"


def test_sessions_last_no_longer_than_their_role_allows(world: Procedure, aws: Aws) -> None:
    said = message(lambda: aws.assume(world.server, world.a, DurationSeconds=7_200))
    assert said == "400 The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert answer(lambda: aws.assume(world.server, world.a, DurationSeconds=900)) == "ok"


@pytest.mark.parametrize(("name", "code"), [("al ice", "ValidationError"), ("ä-b", "ValidationError"), ("a@b.c", "ok")])
def test_session_names_are_checked(world: Procedure, name: str, code: str) -> None:
    assert answer(lambda: world.assume(name=name)) == code


@pytest.mark.parametrize(("given", "code"), [({}, "AccessDenied"), ({"ExternalId": "other"}, "AccessDenied")])
def test_external_id_is_compared(world: Procedure, given: dict[str, str], code: str) -> None:
    world.put_trust(trust(world.a, Condition={"StringEquals": {"sts:ExternalId": "abc"}}))
    assert answer(lambda: world.assume(**given)) == code
    assert answer(lambda: world.assume(ExternalId="abc")) == "ok"


@pytest.mark.parametrize(
    ("given", "action"),
    [
        ({"SourceIdentity": "alice"}, "sts:SetSourceIdentity"),
        ({"Tags": [{"Key": "team", "Value": "red"}]}, "sts:TagSession"),
    ],
)
def test_what_a_session_carries_needs_its_action_on_both_sides(
    world: Procedure, aws: Aws, given: dict[str, Any], action: str
) -> None:
    assert f"not authorized to perform: {action} on resource: {world.b}" in message(lambda: world.assume(**given))
    world.put_trust(trust(world.a, BOTH))
    assert answer(lambda: world.assume(**given)) == "ok"
    aws.put_role_policy(PORTAL, world.a_name, allow("sts:AssumeRole", world.b))
    assert answer(lambda: world.assume(**given)) == "AccessDenied"


def test_source_identity_is_told_and_sticks_to_what_follows(world: Procedure, aws: Aws) -> None:
    world.put_trust(trust(world.a, BOTH))
    sts = aws.client("sts", world.as_a())
    given = sts.assume_role(RoleArn=world.b, RoleSessionName="alice", SourceIdentity="alice")
    assert given["SourceIdentity"] == "alice"
    third = aws.role(OWNER, "Third", document(trust(world.b, BOTH)))
    aws.put_role_policy(OWNER, world.b_name, allow("sts:*"))
    assert answer(lambda: aws.assume(given["Credentials"], third, SourceIdentity="mallory")) == "AccessDenied"
    assert answer(lambda: aws.assume(given["Credentials"], third)) == "ok"
    world.iam.update_assume_role_policy(RoleName="Third", PolicyDocument=text(document(trust(world.b))))
    assert answer(lambda: aws.assume(given["Credentials"], third)) == "AccessDenied"


@pytest.mark.parametrize("key", ["aws:PrincipalArn", "AWS:principalarn"])
def test_principal_arn_of_a_session_is_its_roles(world: Procedure, key: str) -> None:
    world.put_trust(trust("*", Condition={"ArnEquals": {key: world.a + "x"}}))
    assert answer(world.assume) == "AccessDenied"
    world.put_trust(trust("*", Condition={"ArnEquals": {key: world.a}}))
    assert answer(world.assume) == "ok"


def test_explicit_denial_in_a_trust_wins(world: Procedure) -> None:
    world.put_trust(
        trust(world.a), {**trust("*"), "Effect": "Deny", "Condition": {"ArnEquals": {"aws:PrincipalArn": world.a}}}
    )
    assert answer(world.assume) == "AccessDenied"
    world.put_trust(
        trust(world.a), {**trust("*"), "Effect": "Deny", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": world.a}}}
    )
    assert answer(world.assume) == "ok"


def test_session_policies_are_limited_and_checked(world: Procedure) -> None:
    big = text(document(allow("s3:GetObject", [f"arn:aws:s3:::{'x' * 40}{number}/*" for number in range(60)])))
    assert answer(lambda: world.assume(Policy=big)) == "ValidationError"
    assert answer(lambda: world.assume(Policy="{nope")) == "MalformedPolicyDocument"
    assert answer(lambda: world.assume(PolicyArns=[{"arn": f"arn:aws:iam::{OWNER}:policy/no"}])) == "ValidationError"
    assert answer(lambda: world.assume(Policy=text(document(allow("s3:GetObject", world.objects))))) == "ok"


def test_too_much_for_the_packed_limit_is_refused(world: Procedure, aws: Aws) -> None:
    world.put_trust(trust(world.a, BOTH))
    tags = [{"Key": f"{number:0128}", "Value": "v" * 256} for number in range(10)]
    assert answer(lambda: world.assume(Tags=tags)) == "PackedPolicyTooLarge"
    sts = aws.client("sts", world.as_a())
    given = sts.assume_role(RoleArn=world.b, RoleSessionName="alice", Tags=tags[:2])
    assert 0 < given["PackedPolicySize"] < 100


def test_trust_that_the_emulator_keeps_hidden_is_shown_as_written(world: Procedure) -> None:
    assert json.dumps(world.trust()) == json.dumps(document(trust(world.a)))
