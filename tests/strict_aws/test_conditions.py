"""Condition operators and variables, refused and allowed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.strict_aws.judge.conditions import conditions_hold, expand

CONTEXT: dict[str, Any] = {
    "aws:principalarn": "arn:aws:iam::111111111111:role/portal/A",
    "aws:userid": "AROAX:alice",
    "aws:sourceip": "10.1.2.3",
    "aws:securetransport": "false",
    "aws:currenttime": "2026-11-25T10:00:00+00:00",
    "aws:tagkeys": ["team", "cost"],
    "s3:max-keys": "10",
    "s3:prefix": "team/a*b",
}


@pytest.mark.parametrize(
    ("operator", "key", "values", "holds"),
    [
        ("StringEquals", "aws:userid", "AROAX:bob", False),
        ("StringEquals", "AWS:UserId", ["AROAX:bob", "AROAX:alice"], True),
        ("StringNotEquals", "aws:userid", ["AROAX:bob", "AROAX:alice"], False),
        ("StringNotEquals", "aws:userid", "AROAX:bob", True),
        ("StringEqualsIgnoreCase", "aws:userid", "aroax:ALICE", True),
        ("StringLike", "aws:userid", "*:al?ce", True),
        ("StringLike", "aws:userid", "*:al?c", False),
        ("StringNotLike", "aws:userid", "AROAX:*", False),
        ("ArnLike", "aws:principalarn", "arn:aws:iam::111111111111:role/*", True),
        ("ArnEquals", "aws:principalarn", "arn:aws:iam::*:role/portal/A", True),
        ("ArnLike", "aws:principalarn", "arn:*", False),
        ("ArnNotLike", "aws:principalarn", "arn:aws:iam::222222222222:*", True),
        ("IpAddress", "aws:sourceip", ["192.168.0.0/16", "10.0.0.0/8"], True),
        ("IpAddress", "aws:sourceip", "not-a-network", False),
        ("NotIpAddress", "aws:sourceip", "10.0.0.0/8", False),
        ("Bool", "aws:securetransport", False, True),
        ("Bool", "aws:securetransport", "true", False),
        ("DateLessThan", "aws:currenttime", "2026-11-25T10:00:01Z", True),
        ("DateGreaterThan", "aws:currenttime", "2026-11-25T10:00:01Z", False),
        ("NumericLessThanEquals", "s3:max-keys", 10, True),
        ("NumericGreaterThan", "s3:max-keys", "10", False),
        ("Null", "aws:sourceidentity", "true", True),
        ("Null", "aws:userid", "true", False),
        ("StringEquals", "aws:sourceidentity", "alice", False),
        ("StringEqualsIfExists", "aws:sourceidentity", "alice", True),
        ("StringNotEquals", "aws:sourceidentity", "alice", True),
        ("ForAllValues:StringEquals", "aws:tagkeys", ["team"], False),
        ("ForAllValues:StringEquals", "aws:tagkeys", ["team", "cost", "x"], True),
        ("ForAllValues:StringEquals", "aws:absent", ["team"], True),
        ("ForAnyValue:StringEquals", "aws:tagkeys", ["team"], True),
        ("ForAnyValue:StringEquals", "aws:absent", ["team"], False),
    ],
)
def test_operator_decides(operator: str, key: str, values: Any, holds: bool) -> None:
    assert conditions_hold({operator: {key: values}}, CONTEXT) is holds


def test_every_test_of_every_operator_has_to_hold() -> None:
    both = {"StringLike": {"aws:userid": "AROAX:*"}, "Bool": {"aws:securetransport": "false"}}
    assert conditions_hold(both, CONTEXT)
    assert not conditions_hold({**both, "Null": {"aws:userid": "true"}}, CONTEXT)


def test_variables_are_filled_in_and_their_wildcards_are_plain_text() -> None:
    assert expand("home/${aws:userid}/*", CONTEXT, pattern=False) == "home/AROAX:alice/*"
    assert expand("${aws:sourceidentity}/*", CONTEXT) is None
    assert expand("${aws:sourceidentity, 'nobody'}/*", CONTEXT, pattern=False) == "nobody/*"
    assert conditions_hold({"StringLike": {"s3:prefix": "${s3:prefix}"}}, CONTEXT)
    assert not conditions_hold({"StringLike": {"s3:prefix": "${s3:prefix}"}}, {**CONTEXT, "s3:prefix": None})
    assert conditions_hold({"StringLike": {"s3:prefix": "team/a${*}b"}}, CONTEXT)
    assert not conditions_hold({"StringLike": {"s3:prefix": "team/a${*}b"}}, {**CONTEXT, "s3:prefix": "team/axb"})
