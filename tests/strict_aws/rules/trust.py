"""A role's trust policy, as IAM takes it."""

from __future__ import annotations

from typing import Any

from tests.strict_aws.rules import grammar, sizes
from tests.strict_aws.rules.grammar import Statement, as_list, statements_of
from tests.strict_aws.rules.principals import Directory, check_known
from tests.strict_aws.rules.refusal import malformed_iam

SYNTAX = "Syntax errors in policy."


def check_trust_policy(text: str, directory: Directory, *, limit: int = sizes.TRUST_CHARACTERS) -> dict[str, Any]:
    """Return the document, or raise what CreateRole and UpdateAssumeRolePolicy answer."""
    grammar.check_iam_text(text, "assumeRolePolicyDocument")
    document = grammar.read(text, malformed_iam, not_json="This policy contains invalid Json")
    grammar.check_shape(document, malformed_iam, syntax=SYNTAX)
    statements = statements_of(document)
    for statement in statements:
        _check_statement(statement)
    grammar.check_iam_sids(statements, malformed_iam)
    check_known(document, directory, malformed_iam, tell=True)
    sizes.check_trust(text, limit=limit)
    return document


def _check_statement(statement: Statement) -> None:
    for name in ("Resource", "NotResource"):
        if name in statement:
            raise malformed_iam(f"Has prohibited field {name}")
    if "Principal" not in statement and "NotPrincipal" not in statement:
        raise malformed_iam("Missing required field Principal")
    grammar.require_actions([statement], malformed_iam, message="Missing required field Action")
    actions = as_list(statement.get("Action")) + as_list(statement.get("NotAction"))
    if not all(action == "*" or action.lower().startswith("sts:") for action in actions):
        raise malformed_iam("AssumeRole policy may only specify STS AssumeRole actions.")
