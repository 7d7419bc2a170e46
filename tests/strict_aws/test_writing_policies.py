"""What AWS refuses when a policy is written, with its codes, over both emulators; each with its accepted twin."""

from __future__ import annotations

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
    document,
    message,
    text,
    to,
    trust,
)

GHOST = f"arn:aws:iam::{PORTAL}:role/Nobody"


def create(world: Procedure, trusted: Any, name: str = "Fresh", **more: Any) -> str:
    return answer(lambda: world.iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(trusted), **more))


def put_bucket_policy(world: Procedure, policy: Any) -> str:
    return answer(lambda: world.s3.put_bucket_policy(Bucket=world.bucket, Policy=text(policy)))


def put_role_policy(world: Procedure, policy: Any, name: str = "p") -> str:
    return answer(
        lambda: world.iam.put_role_policy(RoleName=world.b_name, PolicyName=name, PolicyDocument=text(policy))
    )


@pytest.mark.parametrize(
    "principal",
    [GHOST, "arn:aws:iam::12:role/Short", f"arn:aws:iam::{PORTAL}:role/Role*", "AROA0000000000000000", "me"],
)
def test_trust_in_somebody_unknown_is_refused(world: Procedure, principal: str) -> None:
    said = message(
        lambda: world.iam.create_role(RoleName="Fresh", AssumeRolePolicyDocument=text(document(trust(principal))))
    )
    assert said == f'400 Invalid principal in policy: "AWS":"{principal}"'
    assert answer(lambda: world.iam.get_role(RoleName="Fresh")) == "NoSuchEntity"
    assert create(world, document(trust([world.a, STRANGER, f"arn:aws:iam::{STRANGER}:root"]))) == "ok"


def test_role_of_that_name_under_another_path_is_somebody_else(world: Procedure) -> None:
    world.aws.role(PORTAL, "Placed", document(trust(world.a)), Path="/portal/")
    assert create(world, document(trust(f"arn:aws:iam::{PORTAL}:role/Placed"))) == "MalformedPolicyDocument"
    assert create(world, document(trust(f"arn:aws:iam::{PORTAL}:role/portal/Placed"))) == "ok"


def test_changing_the_trust_is_checked_like_making_the_role(world: Procedure) -> None:
    before = world.trust()
    assert answer(lambda: world.put_trust(trust(GHOST))) == "MalformedPolicyDocument"
    assert world.trust() == before
    assert answer(lambda: world.put_trust(trust(PORTAL))) == "ok"


def test_bucket_policy_that_names_somebody_unknown_is_refused_without_saying_whom(world: Procedure) -> None:
    mine, ghosts = (to(who, allow("s3:GetObject", world.objects)) for who in (world.b, GHOST))
    said = message(lambda: world.put_policy(mine, ghosts))
    assert said == "400 Invalid principal in policy"
    assert put_bucket_policy(world, document(mine, ghosts)) == "MalformedPolicy"
    assert put_bucket_policy(world, document(mine)) == "ok"


def test_bucket_policy_over_20_kb_has_the_code_of_a_malformed_one(world: Procedure) -> None:
    def grants(count: int) -> dict[str, Any]:
        return document(
            *(to(world.b, allow("s3:GetObject", f"{world.arn}/{'p' * 600}{number}/*")) for number in range(count))
        )

    assert put_bucket_policy(world, grants(25)) == "ok"
    said = message(lambda: world.s3.put_bucket_policy(Bucket=world.bucket, Policy=text(grants(30))))
    assert said == "400 Normalized policy document exceeds the maximum allowed size of 20480 bytes"
    assert put_bucket_policy(world, grants(30)) == "MalformedPolicy"


def test_white_space_is_not_counted_in_a_trust_policy(world: Procedure) -> None:
    statements = [trust(world.a, Sid=f"s{number}") for number in range(14)]
    compact, longer = text(document(*statements)), text(document(*statements, *statements[:8]))
    assert len(compact.replace(" ", "")) < 2_048 < len(longer)
    assert create(world, compact.replace(",", ",\n" + " " * 80)) == "ok"
    too_long = document(*(trust(world.a, Sid=f"s{number}") for number in range(22)))
    said = message(lambda: world.iam.create_role(RoleName="Other", AssumeRolePolicyDocument=text(too_long)))
    assert said == "409 Cannot exceed quota for ACLSizePerRole: 2048"


def test_inline_policies_are_limited_in_sum(world: Procedure) -> None:
    half = document(allow("s3:GetObject", [f"arn:aws:s3:::{'x' * 40}{number}/*" for number in range(100)]))
    assert 5_120 < len(text(half).replace(" ", "")) < 10_240
    assert put_role_policy(world, half) == "ok"
    assert put_role_policy(world, half, "again") == "LimitExceeded"
    assert put_role_policy(world, half) == "ok"  # in place of itself, not beside it
    said = message(
        lambda: (
            put_role_policy(world, half, "again") == ""
            or world.iam.put_role_policy(RoleName=world.b_name, PolicyName="again", PolicyDocument=text(half))
        )
    )
    assert said == f"409 Maximum policy size of 10240 bytes exceeded for role {world.b_name}"


def test_managed_policies_are_limited_in_size_versions_and_number(world: Procedure) -> None:
    big = document(allow("s3:GetObject", [f"arn:aws:s3:::{'x' * 40}{number}/*" for number in range(120)]))
    small = text(document(allow("s3:GetObject", world.objects)))
    assert answer(lambda: world.iam.create_policy(PolicyName="big", PolicyDocument=text(big))) == "LimitExceeded"
    made = [world.iam.create_policy(PolicyName=f"p{n}", PolicyDocument=small)["Policy"]["Arn"] for n in range(11)]
    attached = [
        answer(lambda arn=arn: world.iam.attach_role_policy(RoleName=world.b_name, PolicyArn=arn)) for arn in made
    ]
    assert attached == ["ok"] * 10 + ["LimitExceeded"]
    versions = [
        answer(lambda: world.iam.create_policy_version(PolicyArn=made[0], PolicyDocument=small)) for _ in range(5)
    ]
    assert versions == ["ok"] * 4 + ["LimitExceeded"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"name": "r" * 65}, "ValidationError"),
        ({"name": "with space"}, "ValidationError"),
        ({"Path": "/no-end"}, "ValidationError"),
        ({"MaxSessionDuration": 50_000}, "ValidationError"),
        ({"Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]}, "ValidationError"),
        ({"name": "r" * 64, "Path": "/portal/", "MaxSessionDuration": 43_200}, "ok"),
    ],
)
def test_names_and_numbers_of_a_role_are_checked(world: Procedure, more: dict[str, Any], code: str) -> None:
    assert create(world, document(trust(world.a)), **more) == code


def test_role_names_are_taken_whatever_their_case_and_path(world: Procedure) -> None:
    assert create(world, document(trust(world.a)), world.b_name.lower(), Path="/x/") == "EntityAlreadyExists"
    assert create(world, document(trust(world.a)), world.b_name + "x") == "ok"


def test_expected_bucket_owner_is_compared_on_every_call(world: Procedure) -> None:
    s3 = world.s3
    for call in (s3.get_bucket_location, s3.head_bucket, s3.list_objects_v2, s3.delete_bucket_policy):
        assert answer(lambda call=call: call(Bucket=world.bucket, ExpectedBucketOwner=STRANGER)) == "AccessDenied"
        assert answer(lambda call=call: call(Bucket=world.bucket, ExpectedBucketOwner=OWNER)) == "ok"
    grant = text(document(to(world.b, allow("s3:GetObject", world.objects))))
    put = {"Bucket": world.bucket, "Policy": grant}
    assert answer(lambda: s3.put_bucket_policy(**put, ExpectedBucketOwner=STRANGER)) == "AccessDenied"
    assert answer(lambda: s3.get_bucket_policy(Bucket=world.bucket)) == "NoSuchBucketPolicy"
    assert answer(lambda: s3.put_bucket_policy(**put, ExpectedBucketOwner=OWNER)) == "ok"


def test_bucket_policy_is_another_accounts_only_with_405(world: Procedure, aws: Aws) -> None:
    """Right permission, wrong account (S3 API, PutBucketPolicy)."""
    theirs = aws.root("s3", STRANGER)
    assert answer(lambda: theirs.get_bucket_policy(Bucket=world.bucket)) == "AccessDenied"
    world.put_policy(to(STRANGER, allow("s3:*", [world.arn, world.objects])))
    assert answer(lambda: theirs.get_bucket_policy(Bucket=world.bucket)) == "MethodNotAllowed"
    assert answer(lambda: theirs.get_object(Bucket=world.bucket, Key="hr/1")) == "ok"


def test_public_policy_is_refused_where_public_access_is_blocked(world: Procedure) -> None:
    block = {
        "BlockPublicPolicy": True,
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    world.s3.put_public_access_block(Bucket=world.bucket, PublicAccessBlockConfiguration=block)
    assert put_bucket_policy(world, document(to("*", allow("s3:GetObject", world.objects)))) == "AccessDenied"
    assert put_bucket_policy(world, document(to(world.b, allow("s3:GetObject", world.objects)))) == "ok"


def test_documents_come_back_normalised(world: Procedure) -> None:
    grant = to([world.b], allow(["s3:PutObject", "s3:GetObject"], [world.objects]))
    world.put_policy({key: grant[key] for key in reversed(grant)}, to(PORTAL, allow(["s3:GetObject"], world.objects)))
    first, second = world.policy()["Statement"]
    assert list(first) == ["Effect", "Principal", "Action", "Resource"]
    assert first["Principal"] == {"AWS": world.b}
    assert first["Resource"] == world.objects
    assert sorted(first["Action"]) == ["s3:GetObject", "s3:PutObject"]
    assert second["Principal"] == {"AWS": f"arn:aws:iam::{PORTAL}:root"}
    assert second["Action"] == "s3:GetObject"
    world.put_trust(trust([PORTAL], ["sts:AssumeRole"]))
    assert world.trust()["Statement"] == [trust(f"arn:aws:iam::{PORTAL}:root")]
    listed = {role["RoleName"]: role["AssumeRolePolicyDocument"] for role in world.iam.list_roles()["Roles"]}
    assert listed[world.b_name] == world.trust()
    detailed = world.iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    assert {role["RoleName"]: role["AssumeRolePolicyDocument"] for role in detailed} == listed


def test_a_role_that_is_not_in_an_instance_profile_is_not_taken_out_of_it(world: Procedure) -> None:
    named = {"InstanceProfileName": world.b_name, "RoleName": world.b_name}
    world.iam.create_instance_profile(InstanceProfileName=world.b_name)
    assert answer(lambda: world.iam.remove_role_from_instance_profile(**named)) == "NoSuchEntity"
    world.iam.add_role_to_instance_profile(**named)
    assert answer(lambda: world.iam.remove_role_from_instance_profile(**named)) == "ok"
