"""Reading policies and writing them back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from roles.errors import PolicySyntax
from roles.policies.document import PolicyDocument, Statement, parse
from tests.policies.strategies import foreign_documents


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("%7B%22Version%22", "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"Allow"', "not a JSON object"),
        ('{"Statement": "Allow"}', "neither an object nor a list"),
        ('{"Statement": null}', "neither an object nor a list"),
        ('{"Statement": [{}, "Allow"]}', "neither an object nor a list"),
    ],
)
def test_what_is_no_policy_is_refused(text: str, says: str) -> None:
    with pytest.raises(PolicySyntax, match=says):
        parse(text)


def test_one_statement_object_is_a_list_of_one() -> None:
    single, many = parse({"Statement": {"Effect": "Allow"}}), parse({"Statement": [{"Effect": "Allow"}]})
    assert single == many
    assert single.as_dict()["Statement"] == [{"Effect": "Allow"}]


def test_a_missing_version_is_the_one_that_aws_takes_it_for() -> None:
    assert parse({"Statement": []}).version == "2008-10-17"
    assert parse({"Version": "2012-10-17"}).version == "2012-10-17"


def test_the_version_stands_first_and_what_else_is_at_the_top_is_kept() -> None:
    written = parse({"Statement": [], "Id": "MyPolicy", "Version": "2012-10-17"}).as_json()
    assert written == '{"Version":"2012-10-17","Id":"MyPolicy","Statement":[]}'


@given(foreign_documents())
def test_a_document_reads_back_as_it_was_written(document: PolicyDocument) -> None:
    again = parse(document.as_json())
    assert again == document
    assert [list(one.body) for one in again.statements] == [list(one.body) for one in document.statements]
    assert parse(document.pretty()) == document


@given(foreign_documents())
def test_only_characters_that_iam_takes_are_sent(document: PolicyDocument) -> None:
    assert document.as_json().isascii()


def test_people_see_the_characters_themselves() -> None:
    assert "日本" in PolicyDocument((Statement({"Sid": "日本"}),)).pretty()


def test_a_document_without_statements_is_empty() -> None:
    assert PolicyDocument().is_empty
    assert not PolicyDocument((Statement({}),)).is_empty


def test_statements_compare_by_what_stands_in_them() -> None:
    bodies: list[dict[str, Any]] = [{"Sid": "A", "Effect": "Allow"}, {"Effect": "Allow", "Sid": "A"}, {"Sid": "B"}]
    one, same, other = (Statement(body) for body in bodies)
    assert one == same
    assert len({one, same, other}) == 2
    assert json.dumps(one.body) != json.dumps(same.body)
