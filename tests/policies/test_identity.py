"""What a role's own policies say: pooled, and spread over as many policies as it takes, with nothing lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roles.policies import builders, limits
from roles.policies.cut_off import Cut, check_cut_off, cut_off_statements
from roles.policies.document import PolicyDocument, Statement
from roles.policies.identity import Identity, OwnGrant, grant_statements, identity_of
from roles.policies.session import Grant
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel, BucketArn, RoleArn
from tests.policies.strategies import ACCOUNT_A, ACCOUNT_B, BUCKET, ROLE_A, ROLE_B

KEY = "arn:aws:kms:us-east-1:222222222222:key/11111111-2222-3333-4444-555555555555"
PAGE = Path(__file__).parents[2] / "docs" / "provisioning.md"
PASS = builders.pass_role_statements(ROLE_A)


def target(number: int, name: str = "MyRoleB") -> tuple[RoleArn, bool]:
    return RoleArn(Partition.AWS, ACCOUNT_B, f"{name}{number:04}"), True


def folder(number: int, level: AccessLevel = AccessLevel.READWRITE, **more: str) -> OwnGrant:
    return OwnGrant(Grant(BUCKET, level, f"team-{number:04}/raw/", **more), placed=True)


def documents(identity: Identity, fixed: tuple[Statement, ...] = ()) -> list[PolicyDocument]:
    return [PolicyDocument((*fixed, *identity.assume, *identity.grants)), *identity.spilled]


def resources(identity: Identity, action: str) -> list[str]:
    """Return on what the role may do `action`, in all of its policies."""
    return [
        name
        for document in documents(identity)
        for statement in document.statements
        if action in statement.body["Action"]
        for name in statement.body["Resource"]
    ]


# --- what it says ---


def test_nothing_granted_says_nothing() -> None:
    assert grant_statements([]) == ()
    assert identity_of() == Identity()


def test_a_grant_that_the_buckets_policy_gives_is_not_given_again() -> None:
    assert grant_statements([OwnGrant(Grant(BUCKET, AccessLevel.READWRITE), placed=False)]) == ()


def test_a_whole_bucket_is_the_procedures_own_actions() -> None:
    statements = grant_statements([OwnGrant(Grant(BUCKET, AccessLevel.READWRITE), placed=True)])
    actions = [statement.body["Action"] for statement in statements]
    assert actions == [
        "s3:GetBucketLocation",
        "s3:ListBucket",
        ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"],
    ]
    assert all(statement.sid.startswith("XacctGrant") for statement in statements)


def test_folders_are_listed_and_used_alone() -> None:
    listing, objects = grant_statements([folder(1, AccessLevel.READ), folder(2, AccessLevel.READ)])[1:]
    assert listing.body["Condition"]["StringLike"]["s3:prefix"] == [
        "team-0001/raw/",
        "team-0001/raw/*",
        "team-0002/raw/",
        "team-0002/raw/*",
    ]
    assert objects.body["Resource"] == [f"{BUCKET}/team-0001/raw/*", f"{BUCKET}/team-0002/raw/*"]
    assert objects.body["Action"] == ["s3:GetObject"]


def test_writing_alone_lists_nothing() -> None:
    actions = [statement.body["Action"] for statement in grant_statements([folder(1, AccessLevel.WRITE)])]
    assert actions == ["s3:GetBucketLocation", ["s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"]]


def test_two_buckets_folders_are_listed_in_their_own_statements() -> None:
    other = BucketArn(Partition.AWS, "other-data")
    found = grant_statements([folder(1), OwnGrant(Grant(other, AccessLevel.READ, "x/"), placed=True)])
    listings = [one for one in found if one.body["Action"] == "s3:ListBucket"]
    assert [one.body["Resource"] for one in listings] == [[str(BUCKET)], [str(other)]]
    assert len({statement.sid for statement in found}) == len(found)


# --- spreading ---


def test_few_targets_are_the_procedures_one_policy() -> None:
    identity = identity_of(fixed=PASS, targets=[(ROLE_B, True)])
    assert identity == Identity(assume=builders.assume_statements([(ROLE_B, True)]))


@pytest.mark.parametrize("count", [1, 90, 200, 900])
def test_every_target_is_in_exactly_one_policy_and_none_is_too_large(count: int) -> None:
    targets = [target(number) for number in range(count)]
    identity = identity_of(fixed=PASS, targets=targets)
    inline, *spilled = documents(identity, PASS)
    assert limits.measure_inline_policies(inline) <= limits.INLINE_ROOM_CHARACTERS
    assert all(limits.measure_inline_policies(one) <= limits.MANAGED_POLICY_MAX_CHARACTERS for one in spilled)
    for action in ("sts:AssumeRole", "sts:SetSourceIdentity"):
        assert sorted(resources(identity, action)) == [str(role) for role, _ in targets]


def test_room_for_a_policy_that_cuts_sessions_off_stays() -> None:
    identity = identity_of(fixed=PASS, targets=[target(number) for number in range(500)])
    cut = Cut(datetime(2026, 11, 25, tzinfo=UTC), tuple(f"somebody.{number:03}" for number in range(140)))
    cut_off = cut_off_statements([cut], attribution=True)
    check_cut_off(cut_off, owner=str(ROLE_A))
    inline = documents(identity, PASS)[0]
    limits.check_inline_policies(inline, PolicyDocument(cut_off), owner=str(ROLE_A))
    assert limits.measure_inline_policies(inline) + 5_120 <= 10_240


def test_a_new_target_comes_last_and_moves_none() -> None:
    before = identity_of(fixed=PASS, targets=[target(number) for number in range(200)])
    after = identity_of(fixed=PASS, targets=[*(target(number) for number in range(200)), target(0, "Before")])
    assert before.spilled and after.assume == before.assume
    assert after.spilled[:-1] == before.spilled[: len(after.spilled) - 1]


def test_what_fits_nowhere_stands_alone_for_the_plan_to_refuse() -> None:
    endless = OwnGrant(Grant(BUCKET, AccessLevel.READ, "ä" * 500 + "/"), placed=True)
    identity = identity_of(grants=[folder(1), *[endless] * 1, folder(2)])
    sizes = [limits.measure_inline_policies(document) for document in documents(identity)]
    assert sizes[0] <= limits.INLINE_ROOM_CHARACTERS
    assert len(resources(identity, "s3:GetObject")) == 3


# --- how many fit ---


def most(fits: Callable[[int], bool]) -> int:
    """Return the highest number that fits."""
    low, high = 1, 2
    while fits(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def targets_fit(policies: int) -> Callable[[int], bool]:
    return lambda n: len(identity_of(fixed=PASS, targets=map(target, range(n))).spilled) <= policies


def grants_fit(policies: int) -> Callable[[int], bool]:
    return lambda n: len(identity_of(grants=map(folder, range(n))).spilled) <= policies


def sources_fit(attribution: bool) -> Callable[[int], bool]:
    def fits(count: int) -> bool:
        sources = [RoleArn(Partition.AWS, ACCOUNT_A, f"MyRoleA{number:04}") for number in range(count)]
        trust = PolicyDocument(builders.trust_statements(sources, attribution=attribution))
        return limits.measure_trust_policy(trust) <= limits.TRUST_POLICY_MAX_CHARACTERS

    return fits


def in_bucket_policy(prefix: str) -> Callable[[int], bool]:
    def fits(count: int) -> bool:
        statements = [
            statement
            for number in range(count)
            for statement in builders.bucket_statements(
                target(number)[0], BUCKET, AccessLevel.READWRITE, prefix.format(number)
            )
        ]
        return limits.measure_bucket_policy(PolicyDocument(tuple(statements))) <= limits.BUCKET_POLICY_MAX_BYTES

    return fits


CAPACITY: dict[str, tuple[Callable[[int], bool], int]] = {
    "target roles of a source role, in its inline policy": (targets_fit(0), 52),
    "target roles of a source role, with ten managed policies": (targets_fit(10), 702),
    "source roles in a target role's trust policy": (sources_fit(True), 20),
    "source roles in a target role's trust policy, without attribution": (sources_fit(False), 42),
    "grants on whole buckets in a bucket's policy": (in_bucket_policy(""), 45),
    "grants on folders in a bucket's policy": (in_bucket_policy("team-{:04}/raw/"), 28),
    "grants on folders of one bucket in a role's own inline policy": (grants_fit(0), 58),
    "grants on folders of one bucket in a role's own policies, with ten managed ones": (grants_fit(10), 768),
}


@pytest.mark.parametrize("what", CAPACITY)
def test_so_many_fit_and_one_more_does_not(what: str) -> None:
    fits, count = CAPACITY[what]
    assert most(fits) == count
    assert fits(count) and not fits(count + 1)


def test_the_page_says_how_many_fit() -> None:
    table = dict(re.findall(r"^\| (.+ polic.+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert table == {what: str(count) for what, (_, count) in CAPACITY.items()}


# --- keys and uploads ---


def test_a_key_is_for_its_level_even_where_the_buckets_policy_gives_the_access() -> None:
    reads = OwnGrant(Grant(BUCKET, AccessLevel.READ, "a/", KEY), placed=False)
    writes = OwnGrant(Grant(BUCKET, AccessLevel.WRITE, "b/", KEY), placed=False)
    (reading,), (writing,) = grant_statements([reads]), grant_statements([writes])
    assert (reading.body["Action"], reading.body["Resource"]) == (["kms:Decrypt"], [KEY])
    assert writing.body["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert grant_statements([reads, writes]) == (writing,)


def test_cleaning_up_uploads_is_a_flag_and_never_for_who_only_reads() -> None:
    def actions(level: AccessLevel, uploads: bool) -> set[str]:
        own = OwnGrant(Grant(BUCKET, level, "a/", uploads=uploads), placed=True)
        return {name for one in grant_statements([own]) for name in one.body["Action"] if "Upload" in name}

    assert actions(AccessLevel.READWRITE, False) == actions(AccessLevel.READ, True) == set()
    assert actions(AccessLevel.WRITE, True) == {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
    (listing,) = [
        one
        for one in grant_statements([OwnGrant(Grant(BUCKET, AccessLevel.WRITE, "a/", uploads=True), placed=True)])
        if one.body["Action"] == builders.LIST_UPLOADS
    ]
    assert listing.body["Resource"] == [str(BUCKET)] and "Condition" not in listing.body
