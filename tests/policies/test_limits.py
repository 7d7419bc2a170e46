"""AWS's limits, at the boundary: refused by us before AWS does, and not one character earlier."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roles.errors import PolicyTooLarge
from roles.policies import limits
from roles.policies.document import PolicyDocument, Statement
from tests.policies.strategies import BUCKET, ROLE_A

Check = Callable[[PolicyDocument], None]

CHECKS: list[tuple[Check, int, str]] = [
    (lambda document: limits.check_trust_policy(document, owner=str(ROLE_A)), 2_048, "2,049 characters"),
    (lambda document: limits.check_inline_policies(document, owner=str(ROLE_A)), 10_240, "10,241 characters"),
    (lambda document: limits.check_bucket_policy(document, owner=str(BUCKET)), 20_480, "20,481 bytes"),
    (lambda document: limits.check_session_policy(document, owner=str(ROLE_A)), 2_048, "2,049 characters"),
]


def of_size(characters: int) -> PolicyDocument:
    """Return a document of exactly so many characters."""
    empty = len(PolicyDocument((Statement({"Resource": ""}),)).as_json())
    document = PolicyDocument((Statement({"Resource": "x" * (characters - empty)}),))
    assert len(document.as_json()) == characters
    return document


@pytest.mark.parametrize(("check", "limit", "says"), CHECKS[:2] + CHECKS[3:])
def test_one_character_over_the_limit_is_refused(check: Check, limit: int, says: str) -> None:
    with pytest.raises(PolicyTooLarge, match=says) as refused:
        check(of_size(limit + 1))
    assert (refused.value.limit, refused.value.size, refused.value.owner) == (limit, limit + 1, str(ROLE_A))
    assert refused.value.hint


@pytest.mark.parametrize(("check", "limit", "says"), CHECKS[:2] + CHECKS[3:])
def test_exactly_the_limit_is_taken(check: Check, limit: int, says: str) -> None:
    document = of_size(limit)
    check(document)
    assert len(document.as_json()) == limit


def bucket_document(bytes_as_s3_counts: int) -> PolicyDocument:
    """Return a document of which S3 counts so many bytes: the list around its one statement is not counted."""
    document = of_size(bytes_as_s3_counts + len("[]"))
    assert limits.measure_bucket_policy(document) == bytes_as_s3_counts
    return document


def test_one_byte_over_the_limit_of_a_bucket_policy_is_refused() -> None:
    with pytest.raises(PolicyTooLarge, match="20,481 bytes") as refused:
        limits.check_bucket_policy(bucket_document(20_481), owner=str(BUCKET))
    assert (refused.value.limit, refused.value.size, refused.value.owner) == (20_480, 20_481, str(BUCKET))


def test_a_bucket_policy_of_exactly_the_limit_is_taken() -> None:
    document = bucket_document(20_480)
    limits.check_bucket_policy(document, owner=str(BUCKET))
    assert limits.measure_bucket_policy(document) == limits.BUCKET_POLICY_MAX_BYTES


def test_a_bucket_policy_counts_bytes_and_lists_of_one_as_what_is_in_them() -> None:
    listed = PolicyDocument((Statement({"Action": ["a"]}), Statement({"Action": ["a", "b"]})))
    single = PolicyDocument((Statement({"Action": "a"}), Statement({"Action": ["a", "b"]})))
    assert limits.measure_bucket_policy(listed) == limits.measure_bucket_policy(single)
    wide, narrow = PolicyDocument((Statement({"Resource": "ä"}),)), PolicyDocument((Statement({"Resource": "a"}),))
    assert limits.measure_bucket_policy(wide) == limits.measure_bucket_policy(narrow) + 1


def test_a_higher_quota_of_the_account_counts_for_trust_policies() -> None:
    document = of_size(4_096)
    with pytest.raises(PolicyTooLarge):
        limits.check_trust_policy(document, owner=str(ROLE_A))
    limits.check_trust_policy(document, owner=str(ROLE_A), limit=4_096)
    assert limits.measure_trust_policy(document) == 4_096


def test_inline_policies_count_together() -> None:
    halves = of_size(5_120), of_size(5_121)
    limits.check_inline_policies(halves[0], halves[0], owner=str(ROLE_A))
    with pytest.raises(PolicyTooLarge):
        limits.check_inline_policies(*halves, owner=str(ROLE_A))
    assert limits.measure_inline_policies(*halves) == 10_241
