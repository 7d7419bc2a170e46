"""What Block Public Access calls a public policy (S3 User Guide, "The meaning of 'public'")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.strict_aws.rules.grammar import Statement, as_list, plain_operator, statements_of
from tests.strict_aws.rules.principals import aws_principals

_FIXED = {
    *("aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:sourceip", "aws:sourcearn"),
    *("aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:userid"),
    *("s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn", "s3:dataaccesspointaccount"),
}
_POSITIVE = {"stringequals", "stringlike", "arnequals", "arnlike", "ipaddress", "stringequalsignorecase"}


def is_public(document: Mapping[str, Any]) -> bool:
    """Whether any statement opens the bucket to whoever comes: `*` without a condition on fixed values."""
    return any(_is_public(statement) for statement in statements_of(document))


def _is_public(statement: Statement) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    everybody = "NotPrincipal" in statement or "*" in list(aws_principals(statement))
    return everybody and not any(
        plain_operator(operator) in _POSITIVE and key.lower() in _FIXED and _fixed(values)
        for operator, tests in statement.get("Condition", {}).items()
        for key, values in tests.items()
    )


def _fixed(values: Any) -> bool:
    """Whether values have no wildcard and no variable; `AROAID:*`, one role's sessions, is public all the same."""
    return not any("*" in str(value) or "?" in str(value) or "${" in str(value) for value in as_list(values))
