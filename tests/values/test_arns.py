"""Names, paths, prefixes and ARNs."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.errors import InputError, InvalidArn, InvalidPrefix
from roles.values import accounts, arns
from roles.values.accounts import AccountId, Partition
from roles.values.arns import (
    AccessLevel,
    BucketArn,
    RoleArn,
    bucket_name,
    narrower_prefix,
    object_prefix,
    principal_of_caller,
    role_arn,
    role_name,
    role_path,
)

READ, WRITE, READWRITE = AccessLevel.READ, AccessLevel.WRITE, AccessLevel.READWRITE
ACCOUNT = AccountId("222222222222")


# --- levels ---


@pytest.mark.parametrize(("one", "other"), [(READ, WRITE), (WRITE, READ)])
def test_reading_and_writing_have_nothing_in_common(one: AccessLevel, other: AccessLevel) -> None:
    assert one.narrowed_to(other) is None


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (READ, READ, READ),
        (WRITE, WRITE, WRITE),
        (READWRITE, READ, READ),
        (READ, READWRITE, READ),
        (READWRITE, WRITE, WRITE),
        (READWRITE, READWRITE, READWRITE),
    ],
)
def test_a_narrowed_level_allows_what_both_allow(one: AccessLevel, other: AccessLevel, common: AccessLevel) -> None:
    assert one.narrowed_to(other) is common


# --- role names and paths ---


@pytest.mark.parametrize("text", ["", "x" * 65, "My Role", "Role*", "Role/A", "Rolle-Ä", "Role\n", "${aws:username}"])
def test_a_role_name_that_iam_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a valid IAM role name"):
        role_name(text)


@pytest.mark.parametrize("text", ["A", "x" * 64, "My_Role+=,.@-1"])
def test_a_role_name_may_have_all_that_iam_takes(text: str) -> None:
    assert role_name(text) == text


@pytest.mark.parametrize(
    "text", ["", "team", "/team", "team/", "//", "/a//b/", "/a b/", "/ä/", "/\n/", f"/{'x' * 511}/", "/a/\n"]
)
def test_a_path_that_iam_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a valid IAM path"):
        role_path(text)


@pytest.mark.parametrize("text", ["/*/", "/te?m/", "/${aws:username}/", "/a$/"])
def test_a_path_that_a_policy_would_read_as_a_pattern_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a valid IAM path"):
        role_path(text)
    with pytest.raises(InvalidArn):
        role_arn(f"arn:aws:iam::{ACCOUNT}:role{text}MyRoleB")


@pytest.mark.parametrize("text", ["/", "/team/", "/service-role/a.b/", f"/{'x' * 510}/"])
def test_a_path_begins_and_ends_with_a_slash(text: str) -> None:
    assert role_path(text) == text


# --- role ARNs ---


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MyRoleA",
        "arn:aws:iam::222222222222:user/MyRoleA",
        "arn:aws:iam::222222222222:role/",
        "arn:aws:iam::222222222222:role/a b",
        "arn:aws:iam::22222222222:role/MyRoleA",
        "arn:aws-iso:iam::222222222222:role/MyRoleA",
        "arn:aws:iam:us-east-1:222222222222:role/MyRoleA",
        "arn:aws:iam::222222222222:role//MyRoleA",
        "arn:aws:iam::222222222222:role/MyRoleA\n",
        "arn:aws:iam::222222222222:instance-profile/MyRoleA",
        "arn:aws:sts::222222222222:assumed-role/MyRoleA/session",
        f"arn:aws:iam::222222222222:role/{'x' * 512}/MyRoleA",
    ],
)
def test_what_is_not_a_roles_arn_is_refused(text: str) -> None:
    with pytest.raises(InvalidArn):
        role_arn(text)


@pytest.mark.parametrize("partition", list(Partition))
@pytest.mark.parametrize("path", ["/", "/team/x/"])
def test_a_roles_arn_reads_back_as_it_was_written(partition: Partition, path: str) -> None:
    role = RoleArn(partition, ACCOUNT, "MyRoleB", path)
    assert str(role) == f"arn:{partition}:iam::222222222222:role{path}MyRoleB"
    assert role_arn(str(role)) == role
    assert role.instance_profile == f"arn:{partition}:iam::222222222222:instance-profile{path}MyRoleB"


def test_a_trust_names_the_role_behind_a_session_never_the_session() -> None:
    session = "arn:aws-cn:sts::222222222222:assumed-role/MyRoleA/i-0123"
    assert principal_of_caller(session) == "arn:aws-cn:iam::222222222222:role/MyRoleA"


@pytest.mark.parametrize("arn", ["arn:aws:iam::222222222222:user/portal", "arn:aws:iam::222222222222:root"])
def test_an_identity_that_is_no_session_is_named_as_it_is(arn: str) -> None:
    assert principal_of_caller(arn) == arn


# --- buckets ---


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "3 to 63"),
        ("ab", "3 to 63"),
        ("a" * 64, "3 to 63"),
        ("Example", "3 to 63"),
        ("-example", "3 to 63"),
        ("example_data", "3 to 63"),
        ("example*", "3 to 63"),
        ("example\n", "3 to 63"),
        ("exam..ple", "two dots"),
        ("192.168.0.1", "IP address"),
        ("xn--example", "begin with"),
        ("sthree-example", "begin with"),
        ("amzn-s3-demo-x", "begin with"),
        ("example-s3alias", "end with"),
        ("example--ol-s3", "end with"),
        ("example.mrap", "end with"),
        ("example--x-s3", "end with"),
        ("example--table-s3", "end with"),
    ],
)
def test_a_bucket_name_against_the_rules_is_refused_naming_the_rule(text: str, rule: str) -> None:
    with pytest.raises(InputError) as refused:
        bucket_name(text)
    assert rule in refused.value.allowed


@pytest.mark.parametrize("text", ["abc", "a" * 63, "example-data.2026", "1.2.3"])
def test_a_bucket_name_within_the_rules_is_taken(text: str) -> None:
    assert bucket_name(text) == text


@pytest.mark.parametrize("partition", list(Partition))
def test_a_buckets_arn_has_its_partition(partition: Partition) -> None:
    bucket = BucketArn(partition, "example-data")
    assert str(bucket) == f"arn:{partition}:s3:::example-data"
    assert bucket.objects() == f"arn:{partition}:s3:::example-data/*"
    assert bucket.objects("team/") == f"arn:{partition}:s3:::example-data/team/*"


# --- prefixes ---


@pytest.mark.parametrize(
    "text",
    [
        "/team",
        "/",
        "team//raw",
        "team//",
        "../team",
        "team/../x",
        "./team",
        "team/.",
        "team/*",
        "te?m",
        "${aws:username}/",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "x" * 1024,
        "ä" * 512,
        "team\ud800",
    ],
)
def test_a_prefix_that_would_be_read_differently_is_refused(text: str) -> None:
    with pytest.raises(InvalidPrefix) as refused:
        object_prefix(text)
    assert refused.value.field == "prefix"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("", ""),
        ("  ", ""),
        ("team", "team/"),
        ("team/", "team/"),
        (" team/raw ", "team/raw/"),
        ("日本", "日本/"),
        ("x" * 1023, f"{'x' * 1023}/"),
        ("$5", "$5/"),
    ],
)
def test_a_prefix_is_a_folder(text: str, folder: str) -> None:
    assert object_prefix(text) == folder


@given(st.text(max_size=40))
def test_any_text_is_a_folder_or_refused_and_a_folder_stays_the_same(text: str) -> None:
    try:
        folder = object_prefix(text)
    except InvalidPrefix:
        return
    assert object_prefix(folder) == folder
    assert folder == "" or folder.endswith("/")
    assert not set("*?") & set(folder)


def test_a_folder_beside_another_is_not_inside_it() -> None:
    assert narrower_prefix("team/", "team-secret/") is None
    assert narrower_prefix("team-secret/", "team/") is None


@pytest.mark.parametrize(("one", "other"), [("", "team/"), ("team/", "team/raw/"), ("team/raw/", "team/raw/")])
def test_of_two_nested_folders_the_deeper_one_is_what_both_contain(one: str, other: str) -> None:
    assert narrower_prefix(one, other) == narrower_prefix(other, one) == other


@pytest.mark.parametrize("module", [accounts, arns])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
