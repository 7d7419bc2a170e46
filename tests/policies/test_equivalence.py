"""Meaning is compared, never text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.policies.document import PolicyDocument, Statement
from roles.policies.equivalence import same_document, same_statement
from tests.policies.strategies import as_aws_writes_back, foreign_documents, wishes


def statement(**changed: Any) -> Statement:
    body = {"Effect": "Allow", "Principal": {"AWS": "1"}, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]}
    return Statement({key: value for key, value in {**body, **changed}.items() if value is not None})


@pytest.mark.parametrize(
    "changed",
    [
        {"Effect": "Deny"},
        {"Action": ["s3:GetObject", "s3:PutObject"]},
        {"Action": None, "NotAction": ["s3:GetObject"]},
        {"Resource": "arn:aws:s3:::b/A*"},
        {"Resource": "arn:aws:s3:::B/*"},
        {"Principal": "*"},
        {"Principal": {"Service": "1"}},
        {"Principal": None, "NotPrincipal": {"AWS": "1"}},
        {"Principal": {"AWS": "AROAEXAMPLEID"}},
        {"Condition": {"StringEquals": {"s3:prefix": "a"}}},
    ],
)
def test_a_statement_that_allows_something_else_is_different(changed: dict[str, Any]) -> None:
    assert not same_statement(statement(), statement(**changed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"StringEquals": {"s3:prefix": "a"}}, {"StringLike": {"s3:prefix": "a"}}),
        ({"StringEquals": {"s3:prefix": "a"}}, {"StringEquals": {"s3:prefix": "A"}}),
        ({"StringEquals": {"s3:prefix": "a"}}, {"StringEquals": {"s3:prefix": ["a", "b"]}}),
        ({"StringEquals": {"aws:PrincipalTag/team": "a"}}, {"StringEquals": {"aws:PrincipalTag/Team": "a"}}),
        ({"Bool": {"aws:SecureTransport": True}}, {"Bool": {"aws:SecureTransport": False}}),
        (
            {"StringLike": {"s3:prefix": "a", "S3:Prefix": "b"}},
            {"StringLike": {"S3:Prefix": "b"}},
        ),
        ("odd", "other"),
        ({"StringEquals": "odd"}, {"StringEquals": "other"}),
    ],
)
def test_a_different_condition_is_a_different_statement(one: Any, other: Any) -> None:
    assert not same_statement(statement(Condition=one), statement(Condition=other))


@pytest.mark.parametrize(
    "changed",
    [
        {"Sid": "Anything"},
        {"Action": "s3:getobject"},
        {"Resource": "arn:aws:s3:::b/*"},
        {"Principal": {"AWS": ["1", "1"]}},
    ],
)
def test_another_spelling_is_the_same_statement(changed: dict[str, Any]) -> None:
    assert same_statement(statement(), statement(**changed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("*", {"AWS": "*"}),
        ({"AWS": "111111111111"}, {"AWS": ["arn:aws:iam::111111111111:root"]}),
        ({"AWS": "111111111111"}, {"AWS": "arn:aws-cn:iam::111111111111:root"}),
    ],
)
def test_one_principal_has_several_spellings(one: Any, other: Any) -> None:
    assert same_statement(statement(Principal=one), statement(Principal=other))


def test_a_services_principal_is_no_account_even_when_it_looks_like_one() -> None:
    assert not same_statement(
        statement(Principal={"Service": "111111111111"}),
        statement(Principal={"Service": "arn:aws:iam::111111111111:root"}),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Bool": {"aws:SecureTransport": True}}, {"Bool": {"aws:securetransport": ["true"]}}),
        ({"NumericLessThan": {"s3:max-keys": 10}}, {"NumericLessThan": {"s3:Max-Keys": "10"}}),
        ({"StringLike": {"s3:prefix": ["a", "b"]}}, {"StringLike": {"S3:prefix": ["b", "a", "a"]}}),
    ],
)
def test_one_condition_has_several_spellings(one: Any, other: Any) -> None:
    assert same_statement(statement(Condition=one), statement(Condition=other))


@given(st.data(), foreign_documents(), wishes())
def test_what_aws_writes_back_is_what_was_written(
    data: st.DataObject, document: PolicyDocument, ours: list[Statement]
) -> None:
    written = document.with_statements([*document.statements, *ours])
    read = data.draw(as_aws_writes_back(written))
    assert same_document(written, read)
    assert same_document(read, written)


@given(foreign_documents(), st.data())
def test_neither_the_order_of_statements_nor_the_id_means_anything(
    document: PolicyDocument, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(document.statements))
    assert same_document(document, PolicyDocument(tuple(shuffled), document.version, {"Id": "Other"}))


def test_a_statement_more_a_copy_more_or_another_version_is_a_different_document() -> None:
    one = PolicyDocument((statement(),))
    assert not same_document(one, PolicyDocument())
    assert not same_document(one, PolicyDocument((statement(), statement())))
    assert not same_document(one, PolicyDocument((statement(),), "2008-10-17"))


def test_our_own_sids_count_and_those_of_others_do_not() -> None:
    ours, theirs = PolicyDocument((statement(Sid="XacctTrust"),)), PolicyDocument((statement(Sid="Theirs"),))
    assert not same_document(ours, PolicyDocument((statement(Sid="XacctTrustOther"),)))
    assert not same_document(ours, PolicyDocument((statement(),)))
    assert same_document(theirs, PolicyDocument((statement(Sid=""),)))
