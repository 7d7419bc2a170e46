"""The grammar of every policy document, whoever keeps it (IAM User Guide, "Grammar of the IAM JSON policy")."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.strict_aws.rules.refusal import Refusal

Statement = Mapping[str, Any]
Malformed = Callable[[str], Refusal]

VERSIONS = ("2012-10-17", "2008-10-17")
TOP_KEYS = {"Version", "Id", "Statement"}
STATEMENT_KEYS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
OPERATORS = {
    *(
        f"string{kind}"
        for kind in ("equals", "notequals", "equalsignorecase", "notequalsignorecase", "like", "notlike")
    ),
    *(f"numeric{kind}" for kind in ("equals", "notequals", "lessthan", "lessthanequals")),
    *(f"numeric{kind}" for kind in ("greaterthan", "greaterthanequals")),
    *(f"date{kind}" for kind in ("equals", "notequals", "lessthan", "lessthanequals")),
    *(f"date{kind}" for kind in ("greaterthan", "greaterthanequals")),
    *(f"arn{kind}" for kind in ("equals", "notequals", "like", "notlike")),
    *("bool", "binaryequals", "ipaddress", "notipaddress", "null"),
}
# IAM API, policyDocumentType: tab, line feed, carriage return and U+0020 to U+00FF.
TEXT = re.compile(r"[\t\n\r\x20-\xff]*")
SID = re.compile(r"[0-9A-Za-z]*")


def as_list(value: Any) -> list[Any]:
    """Return what may be written as one thing or as a list of things, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def statements_of(document: Mapping[str, Any]) -> list[Statement]:
    """Return the statements; a single one may stand without a list."""
    return as_list(document.get("Statement"))


def read(text: str, malformed: Malformed, *, not_json: str) -> dict[str, Any]:
    """Return the document in `text`, or raise what `malformed` makes of AWS's message."""
    try:
        document = json.loads(text)
    except ValueError:
        raise malformed(not_json) from None
    if not isinstance(document, dict):
        raise malformed(not_json)
    return document


def check_shape(document: Mapping[str, Any], malformed: Malformed, *, syntax: str) -> None:
    """Raise unless the document and each statement has the keys and the kinds of values that AWS knows."""
    statements = statements_of(document)
    if set(document) - TOP_KEYS or not statements:
        raise malformed(syntax)
    if document.get("Version", VERSIONS[1]) not in VERSIONS:
        raise malformed("The policy must contain a valid version string")
    for statement in statements:
        if not isinstance(statement, Mapping) or set(statement) - STATEMENT_KEYS:
            raise malformed(syntax)
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise malformed(f"Invalid effect: {statement.get('Effect')}" if "Effect" in statement else syntax)
        _check_pairs(statement, malformed, syntax)
        _check_condition(statement.get("Condition", {}), malformed, syntax)


def _check_pairs(statement: Statement, malformed: Malformed, syntax: str) -> None:
    for name in ("Action", "Resource", "Principal"):
        if name in statement and f"Not{name}" in statement:
            raise malformed(syntax)
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        values = as_list(statement.get(name))
        if name in statement and (not values or not all(isinstance(value, str) for value in values)):
            raise malformed(syntax)
    for name in ("Principal", "NotPrincipal"):
        if name in statement and not _is_principal(statement[name]):
            raise malformed(syntax)


def _is_principal(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and set(value) <= {"AWS", "Service", "Federated", "CanonicalUser"}
    return bool(value == "*")


def _check_condition(condition: Any, malformed: Malformed, syntax: str) -> None:
    if not isinstance(condition, Mapping):
        raise malformed(syntax)
    for operator, tests in condition.items():
        if plain_operator(operator) not in OPERATORS or not isinstance(tests, Mapping):
            raise malformed(syntax)
        if any(isinstance(value, Mapping | type(None)) for test in tests.values() for value in as_list(test)):
            raise malformed(syntax)


def plain_operator(operator: str) -> str:
    """Return a condition operator in lower case, without its set prefix and its `IfExists`."""
    name = operator.lower()
    for prefix in ("forallvalues:", "foranyvalue:"):
        name = name.removeprefix(prefix)
    return name if name == "null" else name.removesuffix("ifexists")


def require_actions(statements: Iterable[Statement], malformed: Malformed, *, message: str) -> None:
    """Raise unless each statement says what it is about."""
    if not all("Action" in statement or "NotAction" in statement for statement in statements):
        raise malformed(message)


def require_unique_sids(statements: Iterable[Statement], malformed: Malformed) -> None:
    """Raise when two statements have the same id."""
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(sids) != len(set(sids)):
        raise malformed("Statement IDs (SID) in a single policy must be unique.")


def check_iam_text(text: str, field: str) -> None:
    """Raise unless IAM and STS can take the characters of a document (no emoji, no CJK, in any part of it)."""
    if not text or not TEXT.fullmatch(text):
        message = f"The specified value for {field} is invalid. It must contain only printable ASCII characters."
        raise Refusal("ValidationError", message, 400)


def check_iam_sids(statements: Iterable[Statement], malformed: Malformed) -> None:
    """Raise unless each statement id is what IAM takes: letters and digits, once each."""
    items = list(statements)
    if not all(isinstance(item.get("Sid", ""), str) and SID.fullmatch(item.get("Sid", "")) for item in items):
        raise malformed(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    require_unique_sids(items, malformed)
