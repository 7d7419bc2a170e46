"""Condition blocks: context keys, operators, sets, `IfExists`, and `${...}` variables.

IAM User Guide, "IAM JSON policy elements: Condition operators" and "Policy variables".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.strict_aws.rules.grammar import as_list, plain_operator

Context = Mapping[str, str | list[str] | None]
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_LITERAL = {"*": "*", "?": "?", "$": "$"}


def like(value: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """Whether `value` matches `pattern`, in which `*` is any text and `?` any character."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".").replace("\ue000", r"\*")
    expression = expression.replace("\ue001", r"\?")
    return re.fullmatch(expression, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def expand(text: str, context: Context, *, pattern: bool = True) -> str | None:
    """Return `text` with its variables filled in, or None when the request has no value for one of them.

    In a `pattern`, the wildcards of a filled-in value stand for themselves.
    """
    missing = False

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = match.group(1).partition(",")
        value = _LITERAL.get(name.strip()) or context.get(name.strip().lower()) or default.strip(" '")
        missing = missing or not isinstance(value, str) or not value
        filled = str(value)
        return filled.replace("*", "\ue000").replace("?", "\ue001") if pattern else filled

    expanded = _VARIABLE.sub(fill, text)
    return None if missing else expanded


def _moment(text: str) -> datetime:
    if re.fullmatch(r"\d+", text):
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(value: str, network: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)


def _arn_like(value: str, pattern: str) -> bool:
    """Whether each of the six parts of an ARN matches; a wildcard does not reach over a colon before the last part."""
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(like, parts, patterns))


def _compare(order: str, convert: Callable[[str], Any]) -> Callable[[str, str], bool]:
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "lessthan": lambda one, other: one < other,
        "lessthanequals": lambda one, other: one <= other,
        "greaterthan": lambda one, other: one > other,
        "greaterthanequals": lambda one, other: one >= other,
        "equals": lambda one, other: one == other,
    }
    return lambda value, expected: tests[order](convert(value), convert(expected))


_ORDERS = ("lessthan", "lessthanequals", "greaterthan", "greaterthanequals", "equals")
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda value, expected: value == _plain(expected),
    "stringequalsignorecase": lambda value, expected: value.lower() == _plain(expected).lower(),
    "stringlike": like,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
    "bool": lambda value, expected: value.lower() == expected.lower(),
    "binaryequals": lambda value, expected: value == expected,
    "ipaddress": _in_network,
    **{f"numeric{order}": _compare(order, float) for order in _ORDERS},
    **{f"date{order}": _compare(order, _moment) for order in _ORDERS},
}


def _plain(text: str) -> str:
    return text.replace("\ue000", "*").replace("\ue001", "?")


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def holds(operator: str, values: Any, actual: str | list[str] | None, context: Context) -> bool:
    """Whether one test of a condition block holds for the request's value(s) `actual` of its key."""
    name = plain_operator(operator)
    if name == "null":
        return (actual is None) == (_as_text(as_list(values)[0]).lower() == "true")
    negated = name not in _TESTS
    test = _TESTS[name.replace("not", "", 1) if negated else name]
    if actual is None:
        every = operator.lower().startswith("forallvalues:")
        some = operator.lower().startswith("foranyvalue:")
        return every or operator.lower().endswith("ifexists") or (negated and not some)
    expected = [text for value in as_list(values) if (text := expand(_as_text(value), context)) is not None]

    def matches(value: str) -> bool:
        return any(_tried(test, value, item) for item in expected) != negated

    found = as_list(actual)
    return any(map(matches, found)) if operator.lower().startswith("foranyvalue:") else all(map(matches, found))


def _tried(test: Callable[[str, str], bool], value: str, expected: str) -> bool:
    try:
        return test(value, expected)
    except ValueError:
        return False


def conditions_hold(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every test of every operator of a statement's `Condition` holds."""
    return all(
        holds(operator, values, context.get(key.lower()), context)
        for operator, tests in condition.items()
        for key, values in tests.items()
    )


def keys_of(condition: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the context keys that a `Condition` asks for, in lower case."""
    return {key.lower() for tests in condition.values() for key in tests}
