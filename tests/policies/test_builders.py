"""Our statements against the procedure's own JSON, and against what they must not open."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.errors import InvalidPrefix, PolicyError
from roles.policies import builders, sids
from roles.policies.document import Statement
from roles.policies.equivalence import texts
from roles.values.accounts import AccountId, Partition
from roles.values.arns import AccessLevel, BucketArn, RoleArn
from tests.policies.strategies import BUCKET, ROLE_A, ROLE_B

PARTITIONS = list(Partition)
LEVELS = list(AccessLevel)


def bare(statements: tuple[Statement, ...]) -> list[dict[str, Any]]:
    """Return the statements without their Sids, which the procedure does not have or leaves to us."""
    return [{key: value for key, value in one.body.items() if key != "Sid"} for one in statements]


def world(partition: Partition) -> tuple[RoleArn, RoleArn, BucketArn]:
    """Return the procedure's MyRoleA, MyRoleB and bucket in `partition`."""
    return (
        RoleArn(partition, AccountId("111111111111"), "MyRoleA"),
        RoleArn(partition, AccountId("222222222222"), "MyRoleB"),
        BucketArn(partition, "example-data"),
    )


def actions_on(statements: tuple[Statement, ...], resource: str) -> set[str]:
    """Return what is allowed on `resource` without any condition."""
    return {
        action
        for one in statements
        if one.body["Resource"] == resource and "Condition" not in one.body
        for action in texts(one.body["Action"])
    }


def may_list(statements: tuple[Statement, ...], prefix: str | None) -> bool:
    """Return whether ListBucket with this `prefix` (None: without one) is allowed, as S3 evaluates StringLike."""
    for one in statements:
        if builders.LIST_BUCKET not in texts(one.body["Action"]):
            continue
        if "Condition" not in one.body:
            return True
        patterns = one.body["Condition"]["StringLike"]["s3:prefix"]
        if prefix is not None and any(fnmatchcase(prefix, pattern) for pattern in patterns):
            return True
    return False


# --- steps 1 to 5 ---


@pytest.mark.parametrize(
    ("partition", "ec2"),
    [
        (Partition.AWS, "ec2.amazonaws.com"),
        (Partition.AWS_CN, "ec2.amazonaws.com.cn"),
        (Partition.AWS_US_GOV, "ec2.amazonaws.com"),
    ],
)
def test_step_1_lets_the_host_and_the_portal_act_as_the_source_role(partition: Partition, ec2: str) -> None:
    portal = f"arn:{partition}:iam::111111111111:role/portal"
    made = builders.source_role_trust_statements(partition, services=True, portal_principals=[portal, portal])
    assert bare(made) == [
        {
            "Effect": "Allow",
            "Principal": {"Service": [ec2, "ecs-tasks.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        },
        {"Effect": "Allow", "Principal": {"AWS": [portal]}, "Action": "sts:AssumeRole"},
    ]


def test_step_1_trusts_nobody_who_was_not_asked_for() -> None:
    assert builders.source_role_trust_statements(Partition.AWS, services=False, portal_principals=[]) == ()


@pytest.mark.parametrize("partition", PARTITIONS)
def test_step_2_is_the_procedures(partition: Partition) -> None:
    _, target, _ = world(partition)
    assert bare(builders.assume_statements([(target, False)])) == [
        {
            "Effect": "Allow",
            "Action": ["sts:AssumeRole"],
            "Resource": [f"arn:{partition}:iam::222222222222:role/MyRoleB"],
        }
    ]


def test_step_2_without_a_target_allows_nothing() -> None:
    assert builders.assume_statements([]) == ()


def test_step_2_names_sessions_only_in_targets_that_take_names() -> None:
    other = RoleArn(Partition.AWS, AccountId("222222222222"), "Adopted")
    both, named = builders.assume_statements([(ROLE_B, True), (other, False), (ROLE_B, True)])
    assert both.body["Resource"] == sorted([str(ROLE_B), str(other)])
    assert named.body["Resource"] == [str(ROLE_B)]
    assert named.body["Action"] == ["sts:TagSession", "sts:SetSourceIdentity"]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_step_3_is_the_procedures(partition: Partition) -> None:
    source, _, _ = world(partition)
    assert bare(builders.pass_role_statements(source)) == [
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": [f"arn:{partition}:iam::111111111111:role/MyRoleA"],
        }
    ]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_step_5_is_the_procedures(partition: Partition) -> None:
    source, _, _ = world(partition)
    assert bare(builders.trust_statements([source], attribution=False)) == [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:{partition}:iam::111111111111:role/MyRoleA"]},
            "Action": "sts:AssumeRole",
        }
    ]


def test_step_5_with_attribution_adds_a_statement_and_leaves_the_procedures_alone() -> None:
    plain = builders.trust_statements([ROLE_A], attribution=False)
    named = builders.trust_statements([ROLE_A], attribution=True)
    assert named[:1] == plain
    assert named[1].body["Action"] == ["sts:TagSession", "sts:SetSourceIdentity"]
    assert named[1].body["Principal"] == plain[0].body["Principal"]


def test_step_5_without_a_source_trusts_nobody() -> None:
    assert builders.trust_statements([], attribution=True) == ()


def test_the_placeholder_trust_lets_nobody_in() -> None:
    body = builders.nobody_statement().body
    assert (body["Effect"], body["Principal"]) == ("Deny", {"AWS": "*"})


# --- step 6 ---


@pytest.mark.parametrize("partition", PARTITIONS)
def test_step_6_is_the_procedures(partition: Partition) -> None:
    _, target, bucket = world(partition)
    principal = {"AWS": [f"arn:{partition}:iam::222222222222:role/MyRoleB"]}
    assert bare(builders.bucket_statements(target, bucket, AccessLevel.READWRITE, "")) == [
        {
            "Effect": "Allow",
            "Principal": principal,
            "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
            "Resource": f"arn:{partition}:s3:::example-data",
        },
        {
            "Effect": "Allow",
            "Principal": principal,
            "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"],
            "Resource": f"arn:{partition}:s3:::example-data/*",
        },
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("prefix", ["team/*", "/team", "${aws:username}", "a//b", ".."])
def test_a_prefix_that_would_open_more_than_it_says_is_refused(level: AccessLevel, prefix: str) -> None:
    with pytest.raises(InvalidPrefix):
        builders.bucket_statements(ROLE_B, BUCKET, level, prefix)


@pytest.mark.parametrize("level", LEVELS)
def test_a_role_of_another_partition_is_refused(level: AccessLevel) -> None:
    with pytest.raises(PolicyError, match="different partitions"):
        builders.bucket_statements(ROLE_B, BucketArn(Partition.AWS_CN, "example-data"), level, "")


@pytest.mark.parametrize("prefix", ["", "team/"])
def test_reading_writes_nothing(prefix: str) -> None:
    made = builders.bucket_statements(ROLE_B, BUCKET, AccessLevel.READ, prefix)
    assert actions_on(made, BUCKET.objects(prefix)) == {"s3:GetObject"}
    assert "s3:GetBucketLocation" in actions_on(made, str(BUCKET))
    assert may_list(made, prefix)


@pytest.mark.parametrize("prefix", ["", "team/"])
def test_writing_reads_and_lists_nothing(prefix: str) -> None:
    made = builders.bucket_statements(ROLE_B, BUCKET, AccessLevel.WRITE, prefix)
    assert actions_on(made, BUCKET.objects(prefix)) == {"s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"}
    # What a client needs to find the bucket's region, and step 7 to prove the access.
    assert actions_on(made, str(BUCKET)) == {"s3:GetBucketLocation"}
    assert not may_list(made, prefix)


@pytest.mark.parametrize("prefix", ["", "team/"])
def test_reading_and_writing_are_the_parts_of_both(prefix: str) -> None:
    read, write, both = (
        actions_on(builders.bucket_statements(ROLE_B, BUCKET, level, prefix), BUCKET.objects(prefix))
        for level in (AccessLevel.READ, AccessLevel.WRITE, AccessLevel.READWRITE)
    )
    assert read | write == both
    assert not read & write


@pytest.mark.parametrize("outside", [None, "", "/", "t", "team", "team-secret/", "teams/", "other/", "TEAM/"])
def test_a_folder_does_not_open_what_is_beside_or_above_it(outside: str | None) -> None:
    made = builders.bucket_statements(ROLE_B, BUCKET, AccessLevel.READWRITE, "team")
    assert not may_list(made, outside)
    assert {one.body["Resource"] for one in made} == {str(BUCKET), f"{BUCKET}/team/*"}


@pytest.mark.parametrize("inside", ["team/", "team/raw/", "team/a"])
def test_a_folder_opens_itself_and_what_is_below(inside: str) -> None:
    assert may_list(builders.bucket_statements(ROLE_B, BUCKET, AccessLevel.READ, "team"), inside)


def test_the_region_is_not_behind_the_folders_condition() -> None:
    # GetBucketLocation has no s3:prefix, so a condition on it would deny the call.
    made = builders.bucket_statements(ROLE_B, BUCKET, AccessLevel.READ, "team")
    assert actions_on(made, str(BUCKET)) == {"s3:GetBucketLocation"}


# --- Sids ---


@given(st.sampled_from(LEVELS), st.sampled_from(["", "team/", "日本/"]))
def test_sids_are_letters_and_digits_and_never_twice_in_one_document(level: AccessLevel, prefix: str) -> None:
    made = [
        statement for role in (ROLE_A, ROLE_B) for statement in builders.bucket_statements(role, BUCKET, level, prefix)
    ]
    found = [statement.sid for statement in made]
    assert all(sid.isalnum() and sid.isascii() and sid.startswith(sids.BUCKET_SIDS) for sid in found)
    assert len(set(found)) == len(found)


def test_a_grant_that_changes_its_level_keeps_the_sid_of_its_objects() -> None:
    found = {
        one.sid
        for level in LEVELS
        for one in builders.bucket_statements(ROLE_B, BUCKET, level, "team/")
        if one.sid.startswith(sids.BUCKET_OBJECTS)
    }
    assert len(found) == 1


def test_roles_of_one_name_in_two_accounts_or_folders_have_different_sids() -> None:
    other = RoleArn(Partition.AWS, AccountId("333333333333"), ROLE_B.name)
    kinds = [sids.bucket_sid(sids.BUCKET_LIST, role, prefix) for role in (ROLE_B, other) for prefix in ("", "team/")]
    assert len(set(kinds)) == 4


@pytest.mark.parametrize("prefix", ["", "team/"])
@pytest.mark.parametrize("level", list(AccessLevel))
def test_cleaning_up_uploads_adds_statements_and_changes_none(level: AccessLevel, prefix: str) -> None:
    plain = builders.bucket_statements(ROLE_B, BUCKET, level, prefix)
    more = builders.bucket_statements(ROLE_B, BUCKET, level, prefix, uploads=True)
    assert more[: len(plain)] == plain
    added = {str(one.body["Action"]): one.body["Resource"] for one in more[len(plain) :]}
    if level is AccessLevel.READ:
        assert added == {}
    else:
        assert added == {
            "s3:ListBucketMultipartUploads": str(BUCKET),
            "['s3:AbortMultipartUpload', 's3:ListMultipartUploadParts']": f"{BUCKET}/{prefix}*",
        }
