"""Ours come, change and go; what others wrote stays as it is, where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.policies.builders import (
    bucket_statements,
    nobody_statement,
    source_role_trust_statements,
    trust_statements,
)
from roles.policies.document import PolicyDocument, Statement
from roles.policies.equivalence import same_document
from roles.policies.ownership import (
    BUCKET_SIDS,
    ROLE_SIDS,
    TRUST_SIDS,
    foreign_statements,
    is_ours,
    merged,
    merged_trust,
    own_statements,
)
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel
from tests.policies import strategies
from tests.policies.strategies import BUCKET, ROLE_A, ROLE_B, as_aws_writes_back, foreign_documents, wishes

FOREIGN = Statement({"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})
OURS = bucket_statements(ROLE_B, BUCKET, AccessLevel.READWRITE, "")


# --- refused ---


def test_a_statement_that_would_never_be_found_again_is_refused() -> None:
    with pytest.raises(ValueError, match="never be found again"):
        merged(PolicyDocument(), [FOREIGN], owned=BUCKET_SIDS)


def test_two_different_statements_of_one_sid_are_refused() -> None:
    first, second = OURS
    renamed = Statement({**second.body, "Sid": first.sid})
    with pytest.raises(ValueError, match="both called"):
        merged(PolicyDocument(), [first, renamed], owned=BUCKET_SIDS)
    assert merged(None, [first, first], owned=BUCKET_SIDS).statements == (first,)


# --- what others wrote ---


@given(foreign_documents(), wishes(), wishes())
def test_what_others_wrote_survives_every_merge_in_place_and_untouched(
    document: PolicyDocument, first: list[Statement], second: list[Statement]
) -> None:
    for wanted in (first, second, []):
        result = merged(document, wanted, owned=BUCKET_SIDS)
        assert foreign_statements(result) == document.statements
        kept = foreign_statements(result)
        assert all(one is other for one, other in zip(kept, document.statements, strict=True))
        assert (result.version, result.extra) == (document.version, document.extra)


@given(foreign_documents(), wishes())
def test_merging_twice_is_merging_once(document: PolicyDocument, wanted: list[Statement]) -> None:
    once = merged(document, wanted, owned=BUCKET_SIDS)
    assert merged(once, wanted, owned=BUCKET_SIDS) is once
    assert list(own_statements(once)) == wanted


@given(foreign_documents(), wishes())
def test_removing_ours_restores_what_was_there_before(document: PolicyDocument, wanted: list[Statement]) -> None:
    there = merged(document, wanted, owned=BUCKET_SIDS)
    assert merged(there, [], owned=BUCKET_SIDS) == document


@given(st.data(), foreign_documents(), wishes())
def test_what_aws_writes_back_is_in_sync_and_is_left_alone(
    data: st.DataObject, document: PolicyDocument, wanted: list[Statement]
) -> None:
    read = data.draw(as_aws_writes_back(merged(document, wanted, owned=BUCKET_SIDS)))
    assert merged(read, wanted, owned=BUCKET_SIDS) is read


@given(st.data(), foreign_documents(), wishes(), wishes())
def test_changing_one_wish_for_another_ends_where_the_other_alone_would(
    data: st.DataObject, document: PolicyDocument, first: list[Statement], second: list[Statement]
) -> None:
    there = merged(document, first, owned=BUCKET_SIDS)
    mixed = there.with_statements(data.draw(st.permutations(there.statements)))
    changed = merged(mixed, second, owned=BUCKET_SIDS)
    assert same_document(changed, merged(document, second, owned=BUCKET_SIDS))


# --- ours ---


def test_no_document_and_no_wish_is_an_empty_document() -> None:
    assert merged(None, [], owned=BUCKET_SIDS).is_empty


def test_a_changed_statement_takes_the_place_of_the_old_one() -> None:
    document = PolicyDocument((*OURS, FOREIGN))
    narrower = bucket_statements(ROLE_B, BUCKET, AccessLevel.READ, "")
    assert [one.sid for one in merged(document, narrower, owned=BUCKET_SIDS).statements] == [
        *(one.sid for one in OURS),
        "Theirs",
    ]


def test_a_second_statement_with_a_sid_of_ours_goes() -> None:
    document = PolicyDocument((*OURS, OURS[0]))
    assert merged(document, OURS, owned=BUCKET_SIDS).statements == OURS


def test_a_dead_principal_in_ours_is_written_anew() -> None:
    dead = Statement({**OURS[0].body, "Principal": {"AWS": "AROAEXAMPLEID"}})
    assert merged(PolicyDocument((dead, OURS[1])), OURS, owned=BUCKET_SIDS).statements == OURS


def test_each_purpose_touches_only_its_own_statements() -> None:
    trust, host = (
        trust_statements([ROLE_A], attribution=True),
        source_role_trust_statements(Partition.AWS, services=True, portal_principals=[]),
    )
    document = PolicyDocument((*trust, *host))
    assert merged(document, [], owned=TRUST_SIDS).statements == host
    assert merged(document, [], owned=ROLE_SIDS).statements == trust
    assert [is_ours(one, TRUST_SIDS) for one in document.statements] == [True, True, False]


@pytest.mark.parametrize("sid", ["", "xacctTrust", "Xacc", "NotXacctTrust", None])
def test_a_sid_that_only_resembles_ours_is_somebody_elses(sid: str | None) -> None:
    body = dict(FOREIGN.body)
    body.pop("Sid")
    assert not is_ours(Statement(body if sid is None else {**body, "Sid": sid}))


# --- trust policies ---


def test_a_role_that_nobody_may_assume_keeps_a_placeholder_that_denies() -> None:
    there = merged_trust(None, trust_statements([ROLE_A], attribution=True), owned=TRUST_SIDS)
    left = merged_trust(there, [], owned=TRUST_SIDS)
    assert left.statements == (nobody_statement(),)
    assert merged_trust(left, [], owned=TRUST_SIDS) is left
    assert merged_trust(left, [], owned=ROLE_SIDS) is left


@pytest.mark.parametrize("owned", [TRUST_SIDS, ROLE_SIDS])
def test_the_placeholder_goes_with_the_first_statement_that_lets_somebody_in(owned: str) -> None:
    empty = merged_trust(None, [], owned=owned)
    wanted = (
        trust_statements([ROLE_A], attribution=False)
        if owned == TRUST_SIDS
        else source_role_trust_statements(Partition.AWS, services=True, portal_principals=[])
    )
    assert merged_trust(empty, [*wanted, nobody_statement()], owned=owned).statements == wanted


def test_the_placeholder_goes_when_others_let_somebody_in() -> None:
    assert merged_trust(PolicyDocument((nobody_statement(), FOREIGN)), [], owned=ROLE_SIDS).statements == (FOREIGN,)
    assert merged_trust(PolicyDocument((FOREIGN,)), [], owned=TRUST_SIDS).statements == (FOREIGN,)


@given(strategies.foreign_documents())
def test_a_trust_policy_is_never_empty(document: PolicyDocument) -> None:
    wanted = trust_statements([ROLE_A], attribution=True)
    there = merged_trust(document, wanted, owned=TRUST_SIDS)
    left = merged_trust(there, [], owned=TRUST_SIDS)
    assert not left.is_empty
    assert foreign_statements(left) == document.statements
