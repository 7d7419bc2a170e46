"""How documents come back: AWS keeps their meaning, not their text.

S3: a list of one is a string; lists come in an order of S3's own; a bare account id is its root ARN; each statement's
keys are in one order (hashicorp/terraform#4278, #2432, terraform-provider-aws#13144). IAM is not documented; it is
treated the same way, so that whoever compares text is caught.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.strict_aws.rules.grammar import as_list, statements_of
from tests.strict_aws.rules.names import ACCOUNT
from tests.strict_aws.rules.principals import root_arn, with_principals

_STATEMENT_ORDER = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_SETS = ("Action", "NotAction", "Resource", "NotResource")


def normal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document in the form in which it comes back. Statements stay in order."""
    named = with_principals(document, lambda value: root_arn(value) if ACCOUNT.fullmatch(value) else value)
    statements = [_normal_statement(statement) for statement in statements_of(named)]
    head = {key: document[key] for key in ("Version", "Id") if key in document}
    return {**head, "Statement": statements}


def _normal_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _normal_part(key, statement[key]) for key in _STATEMENT_ORDER if key in statement}


def _normal_part(key: str, value: Any) -> Any:
    if key in _SETS:
        return _set(value)
    if key in ("Principal", "NotPrincipal") and isinstance(value, Mapping):
        return {kind: _set(named) for kind, named in value.items()}
    if key == "Condition":
        return {op: {name: _set(values) for name, values in tests.items()} for op, tests in value.items()}
    return value


def _set(value: Any) -> Any:
    values = sorted(as_list(value), key=str)
    return values[0] if len(values) == 1 else values


def normal_text(document: Mapping[str, Any]) -> str:
    """Return the normal form as compact JSON: what S3 counts, and what GetBucketPolicy gives."""
    return json.dumps(normal(document), separators=(",", ":"), ensure_ascii=False)
