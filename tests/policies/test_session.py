"""What a session may do: never more than the role's grants, never more than the mapping."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.errors import InvalidPrefix, PolicyTooLarge
from roles.policies.document import parse
from roles.policies.equivalence import texts
from roles.policies.limits import SESSION_POLICY_MAX_CHARACTERS
from roles.policies.session import Grant, effective_grants, session_policy
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel, BucketArn
from tests.policies.strategies import BUCKET

READ, WRITE, READWRITE = AccessLevel.READ, AccessLevel.WRITE, AccessLevel.READWRITE
OTHER = BucketArn(Partition.AWS, "other-data")
KEY = "arn:aws:kms:us-east-1:222222222222:key/1234"
READ_ACTION, WRITE_ACTION, LIST_ACTION = "s3:GetObject", "s3:PutObject", "s3:ListBucket"

buckets = st.sampled_from([BUCKET, OTHER])
levels = st.sampled_from(list(AccessLevel))
folders = st.sampled_from(["", "team/", "team/raw/", "team-secret/"])
grants = st.lists(st.builds(Grant, buckets, levels, folders), max_size=4)
KEYS = ["a.txt", "team/a.txt", "team/raw/a.txt", "team-secret/a.txt", "team-secret"]


def allows(policy: str, action: str, resource: str, prefix: str | None = None) -> bool:
    """Return what AWS decides on this session policy alone, for the few elements that ours have."""
    allowed = False
    for one in parse(policy).statements:
        conditions = one.body.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        matches = (
            any(fnmatchcase(action, wanted) for wanted in texts(one.body["Action"]))
            and any(fnmatchcase(resource, wanted) for wanted in texts(one.body["Resource"]))
            and (conditions is None or (prefix is not None and any(fnmatchcase(prefix, one) for one in conditions)))
        )
        if matches and one.body["Effect"] == "Deny":
            return False
        allowed = allowed or matches
    return allowed


def narrowed(given_grants: list[Grant], level: AccessLevel = READWRITE, prefix: str = "") -> tuple[Grant, ...]:
    return effective_grants(given_grants, level=level, prefix=prefix, buckets=())


# --- what a mapping narrows away ---


def test_reading_through_a_grant_that_only_writes_is_nothing() -> None:
    assert narrowed([Grant(BUCKET, WRITE)], level=READ) == ()
    assert narrowed([Grant(BUCKET, READ)], level=WRITE) == ()


def test_a_folder_beside_the_granted_one_is_nothing() -> None:
    assert narrowed([Grant(BUCKET, READWRITE, "team-secret")], prefix="team") == ()
    assert narrowed([Grant(BUCKET, READWRITE, "team")], prefix="team-secret") == ()


def test_a_bucket_that_was_not_chosen_is_nothing() -> None:
    both = [Grant(BUCKET, READ), Grant(OTHER, READ)]
    assert effective_grants(both, level=READWRITE, prefix="", buckets=[OTHER]) == (Grant(OTHER, READ),)
    assert effective_grants(both, level=READWRITE, prefix="", buckets=[]) == tuple(sorted(both))


@pytest.mark.parametrize("prefix", ["/team", "team/*", "${aws:username}"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidPrefix):
        Grant(BUCKET, READ, prefix)
    with pytest.raises(InvalidPrefix):
        narrowed([Grant(BUCKET, READ)], prefix=prefix)


def test_the_deeper_folder_and_the_lower_level_win() -> None:
    wide, deep = Grant(BUCKET, READWRITE, "team"), Grant(OTHER, READ, "team/raw")
    assert narrowed([wide, deep], level=READ, prefix="team/raw/") == (
        Grant(BUCKET, READ, "team/raw/"),
        Grant(OTHER, READ, "team/raw/"),
    )


# --- several grants ---


def test_two_grants_that_come_to_one_folder_are_one_with_both_levels() -> None:
    two = [Grant(BUCKET, READ, "team"), Grant(BUCKET, WRITE, "", KEY)]
    assert narrowed(two, prefix="team") == (Grant(BUCKET, READWRITE, "team/", KEY),)
    assert narrowed([two[0], two[0]], prefix="team") == (two[0],)


def test_a_grant_inside_a_wider_one_is_left_out_only_if_it_gives_nothing_more() -> None:
    inside = Grant(BUCKET, READ, "team/raw")
    assert narrowed([Grant(BUCKET, READ, "team"), inside]) == (Grant(BUCKET, READ, "team"),)
    assert narrowed([Grant(BUCKET, WRITE, "team"), inside]) == (inside, Grant(BUCKET, WRITE, "team"))
    assert narrowed([Grant(OTHER, READ, "team"), inside]) == (inside, Grant(OTHER, READ, "team"))


@given(grants, levels, folders)
def test_narrowing_never_gives_more_than_the_grants_or_than_the_mapping(
    held: list[Grant], level: AccessLevel, prefix: str
) -> None:
    policy = session_policy(narrowed(held, level, prefix))
    for bucket in (BUCKET, OTHER):
        for key in KEYS:
            inside = [one for one in held if one.bucket == bucket and key.startswith(one.prefix)]
            reads = level.reads and key.startswith(prefix) and any(one.level.reads for one in inside)
            writes = level.writes and key.startswith(prefix) and any(one.level.writes for one in inside)
            assert allows(policy, READ_ACTION, f"{bucket}/{key}") is reads
            assert allows(policy, WRITE_ACTION, f"{bucket}/{key}") is writes
            assert allows(policy, "s3:DeleteObject", f"{bucket}/{key}") is writes


@given(grants)
def test_narrowing_again_in_the_same_way_changes_nothing(held: list[Grant]) -> None:
    once = narrowed(held)
    assert narrowed(list(once)) == once


# --- the session policy ---


def test_without_any_grant_everything_is_denied() -> None:
    policy = session_policy(())
    assert json.loads(policy)["Statement"] == [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    assert not allows(policy, READ_ACTION, f"{BUCKET}/a")


def test_team_does_not_open_team_secret() -> None:
    policy = session_policy([Grant(BUCKET, READWRITE, "team")])
    assert not allows(policy, READ_ACTION, f"{BUCKET}/team-secret/plan.md")
    assert not allows(policy, LIST_ACTION, str(BUCKET), "team-secret/")
    assert not allows(policy, LIST_ACTION, str(BUCKET), "team")
    assert not allows(policy, LIST_ACTION, str(BUCKET), "")
    assert not allows(policy, LIST_ACTION, str(BUCKET))
    assert allows(policy, READ_ACTION, f"{BUCKET}/team/plan.md")
    assert allows(policy, LIST_ACTION, str(BUCKET), "team/")
    assert allows(policy, LIST_ACTION, str(BUCKET), "team/raw/")


def test_a_bucket_that_is_only_written_cannot_be_listed() -> None:
    policy = session_policy([Grant(BUCKET, WRITE), Grant(OTHER, READ)])
    assert not allows(policy, LIST_ACTION, str(BUCKET), "")
    assert not allows(policy, READ_ACTION, f"{BUCKET}/a")
    assert not allows(policy, WRITE_ACTION, f"{OTHER}/a")
    assert allows(policy, WRITE_ACTION, f"{BUCKET}/a")
    assert allows(policy, LIST_ACTION, str(OTHER))
    assert allows(policy, "s3:GetBucketLocation", str(BUCKET))


def test_several_folders_of_one_bucket_are_listed_by_one_statement() -> None:
    policy = session_policy([Grant(BUCKET, READ, "b"), Grant(BUCKET, READ, "a"), Grant(OTHER, READ, "c")])
    listing = [one for one in json.loads(policy)["Statement"] if one["Action"] == LIST_ACTION]
    assert [one["Condition"]["StringLike"]["s3:prefix"] for one in listing] == [
        ["a/", "a/*", "b/", "b/*"],
        ["c/", "c/*"],
    ]
    assert not allows(policy, LIST_ACTION, str(OTHER), "a/")


def test_a_whole_bucket_makes_its_folders_listings_needless() -> None:
    policy = session_policy([Grant(BUCKET, READ), Grant(BUCKET, READWRITE, "team")])
    assert "Condition" not in policy
    assert allows(policy, LIST_ACTION, str(BUCKET))


def test_an_encrypted_bucket_needs_its_key_and_reading_does_not_make_keys() -> None:
    reading, writing = session_policy([Grant(BUCKET, READ, "", KEY)]), session_policy([Grant(BUCKET, WRITE, "", KEY)])
    assert not allows(session_policy([Grant(BUCKET, READWRITE)]), "kms:Decrypt", KEY)
    assert not allows(reading, "kms:GenerateDataKey", KEY)
    assert allows(reading, "kms:Decrypt", KEY)
    assert allows(writing, "kms:GenerateDataKey", KEY)
    assert allows(writing, "kms:Decrypt", KEY)


def test_the_order_of_grants_makes_no_other_policy() -> None:
    two = [Grant(BUCKET, READ, "a"), Grant(OTHER, WRITE)]
    assert session_policy(two) == session_policy([*reversed(two), two[0]])


def test_a_policy_that_sts_would_refuse_is_refused_naming_the_buckets() -> None:
    many = [Grant(BUCKET, READWRITE, f"folder-{number:02}/with-a-long-name") for number in range(30)]
    with pytest.raises(PolicyTooLarge, match="example-data") as refused:
        session_policy(many)
    assert refused.value.limit == SESSION_POLICY_MAX_CHARACTERS < refused.value.size


def test_the_last_policy_that_fits_is_made() -> None:
    fitting = 0
    for count in range(1, 40):
        try:
            policy = session_policy([Grant(BUCKET, READ, f"folder-{number:02}") for number in range(count)])
        except PolicyTooLarge:
            break
        assert len(policy) <= SESSION_POLICY_MAX_CHARACTERS
        fitting = count
    assert 10 < fitting < 39


def test_cleaning_up_uploads_is_in_the_session_only_where_the_grant_has_it() -> None:
    plain, cleaning = (Grant(BUCKET, AccessLevel.WRITE, "team/", uploads=uploads) for uploads in (False, True))
    assert "Multipart" not in session_policy([plain])
    text = session_policy([cleaning])
    assert all(name in text for name in ("AbortMultipartUpload", "ListMultipartUploadParts", "ListBucketMultipart"))


def test_a_mapping_that_only_reads_cleans_no_uploads_up() -> None:
    (left,) = effective_grants(
        [Grant(BUCKET, AccessLevel.READWRITE, uploads=True)], level=AccessLevel.READ, prefix="", buckets=()
    )
    assert left.uploads is False
    (kept,) = effective_grants(
        [Grant(BUCKET, AccessLevel.READWRITE, uploads=True)], level=AccessLevel.WRITE, prefix="", buckets=()
    )
    assert kept.uploads is True


def test_a_grant_covers_another_only_if_it_cleans_up_what_that_one_does() -> None:
    plain, cleaning = (Grant(BUCKET, AccessLevel.READWRITE, uploads=uploads) for uploads in (False, True))
    assert cleaning.covers(plain) and not plain.covers(cleaning)
