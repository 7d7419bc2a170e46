"""What a role or user may do: inline and managed policies, and the session policies that narrow them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.strict_aws.rules import grammar, sizes
from tests.strict_aws.rules.grammar import Statement, as_list, statements_of
from tests.strict_aws.rules.refusal import Refusal, invalid, malformed_iam

SYNTAX = "Syntax errors in policy."
_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|arn:.+", re.DOTALL)


def check_identity_policy(text: str) -> dict[str, Any]:
    """Return the document, or raise what PutRolePolicy, PutUserPolicy and CreatePolicy answer. Sizes are apart."""
    grammar.check_iam_text(text, "policyDocument")
    document = grammar.read(text, malformed_iam, not_json=SYNTAX)
    grammar.check_shape(document, malformed_iam, syntax=SYNTAX)
    statements = statements_of(document)
    for statement in statements:
        _check_statement(statement)
    grammar.check_iam_sids(statements, malformed_iam)
    return document


def _check_statement(statement: Statement) -> None:
    if "Principal" in statement or "NotPrincipal" in statement:
        raise malformed_iam("Policy document should not specify a principal.")
    grammar.require_actions([statement], malformed_iam, message="Policy statement must contain actions.")
    if "Resource" not in statement and "NotResource" not in statement:
        raise malformed_iam("Policy statement must contain resources.")
    _check_each(
        statement, "Action", _ACTION, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
    )
    _check_each(statement, "Resource", _RESOURCE, 'Resource {} must be in ARN format or "*".')


def _check_each(statement: Statement, name: str, pattern: re.Pattern[str], message: str) -> None:
    for value in as_list(statement.get(name)) + as_list(statement.get(f"Not{name}")):
        if not pattern.fullmatch(value):
            raise malformed_iam(message.format(value))


def check_session_policies(text: str, arns: Iterable[str], *, exists: Callable[[str], bool]) -> int:
    """Return how full the room for session policies is, in percent, or raise what AssumeRole answers.

    `exists` says whether there is a managed policy of an ARN in the role's account.
    """
    if text:
        grammar.check_iam_text(text, "policy")
        check_identity_policy(text)
    arns = list(arns)
    if len(text) + sum(map(len, arns)) > sizes.SESSION_CHARACTERS:
        raise invalid("policy", text, f"have length less than or equal to {sizes.SESSION_CHARACTERS}")
    if not all(map(exists, arns)):
        message = (
            "At least one Policy ARN in the PolicyArns parameter does not match an existing IAM Managed Policy ARN."
        )
        raise Refusal("ValidationError", message, 400)
    return packed_percent(text, arns, {})


def packed_percent(text: str, arns: Iterable[str], tags: dict[str, str]) -> int:
    """Return PackedPolicySize, or raise `PackedPolicyTooLarge`.

    AWS does not publish how it packs; here a character of policy, ARN, tag key or value takes a byte of 2,048 x 1.5.
    """
    characters = len(text) + sum(map(len, arns)) + sum(len(key) + len(value) for key, value in tags.items())
    percent = round(100 * characters / (sizes.SESSION_CHARACTERS * 1.5))
    if percent > 100:
        raise Refusal(
            "PackedPolicyTooLarge", f"Packed size of session tags consumes {percent}% of allotted space.", 400
        )
    return percent
