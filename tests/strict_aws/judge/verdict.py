"""AWS's decision: explicit denials first, then who must allow, and what narrows an allowance.

IAM User Guide, "Policy evaluation logic", "Session policies" and "AWS JSON policy elements: Principal".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.strict_aws.judge.caller import Caller, Document, names_account, names_directly, names_entity
from tests.strict_aws.judge.conditions import Context, conditions_hold, expand, keys_of, like
from tests.strict_aws.rules.grammar import Statement, as_list, statements_of


@dataclass(frozen=True, slots=True)
class Question:
    """May somebody do `action` on `resource`, which belongs to `owner`? `context` has keys in lower case."""

    action: str
    resource: str
    owner: str
    context: Context


Names = Callable[[Statement], bool]


def _any_matches(patterns: Iterable[str], value: str, context: Context, *, ignore_case: bool) -> bool:
    filled = (expand(pattern, context) for pattern in patterns)
    return any(like(value, pattern, ignore_case=ignore_case) for pattern in filled if pattern is not None)


def _covers(statement: Statement, name: str, value: str, context: Context, *, ignore_case: bool) -> bool:
    if f"Not{name}" in statement:
        return not _any_matches(as_list(statement[f"Not{name}"]), value, context, ignore_case=ignore_case)
    if name not in statement:
        return name == "Resource"  # trust policies have none: the role is the resource
    return _any_matches(as_list(statement[name]), value, context, ignore_case=ignore_case)


def _applies(statement: Statement, question: Question) -> bool:
    return (
        _covers(statement, "Action", question.action, question.context, ignore_case=True)
        and _covers(statement, "Resource", question.resource, question.context, ignore_case=False)
        and conditions_hold(statement.get("Condition", {}), question.context)
    )


def _some(documents: Iterable[Document], effect: str, question: Question, names: Names = lambda _: True) -> bool:
    return any(
        statement.get("Effect") == effect and names(statement) and _applies(statement, question)
        for document in documents
        for statement in statements_of(document)
    )


def _named(statement: Statement, test: Callable[[str, Caller], bool], caller: Caller) -> bool:
    principal = statement.get("Principal")
    values = as_list(principal.get("AWS")) if isinstance(principal, Mapping) else as_list(principal)
    return any(test(value, caller) for value in values)


def _everybody(value: str, _: Caller) -> bool:
    return value == "*"


def _concerns(statement: Statement, caller: Caller) -> bool:
    """Whether a statement of a resource's policy is about the caller at all."""
    if "NotPrincipal" in statement:
        excluded: Any = {"Principal": statement["NotPrincipal"]}
        return not any(_named(excluded, test, caller) for test in (names_entity, names_account, _everybody))
    return any(_named(statement, test, caller) for test in (names_entity, names_account, _everybody))


def _unlimited(statement: Statement, caller: Caller) -> bool:
    """Whether a statement gives to the caller what neither boundary nor session policy takes away."""
    by_arn = "aws:principalarn" in keys_of(statement.get("Condition", {}))
    return _named(statement, names_directly, caller) or (by_arn and _named(statement, _everybody, caller))


def _to_itself(statement: Statement, caller: Caller) -> bool:
    """Whether a statement names the caller rather than its account only."""
    return "NotPrincipal" in statement or any(_named(statement, test, caller) for test in (names_entity, _everybody))


def identity_allows(caller: Caller, question: Question) -> bool:
    """Whether the caller's own policies allow, within its limits. Explicit denials are `is_denied`'s."""
    return _some(caller.identity, "Allow", question) and _within_limits(caller, question)


def _within_limits(caller: Caller, question: Question) -> bool:
    return all(_some(limit, "Allow", question) for limit in caller.limits)


def is_denied(caller: Caller, question: Question, resource_policy: Document | None) -> bool:
    """Whether any policy denies explicitly."""
    own = (*caller.identity, *(document for limit in caller.limits for document in limit))
    theirs = [resource_policy] if resource_policy else []
    return _some(own, "Deny", question) or _some(theirs, "Deny", question, lambda item: _concerns(item, caller))


def allows(
    caller: Caller, question: Question, resource_policy: Document | None = None, *, required: bool = False
) -> bool:
    """Whether AWS would let the caller do it.

    In the owner's account the caller's own policies or the resource's suffice; from another account both must allow;
    where `required` (a role's trust policy) the resource's policy must, and suffices when it names the caller itself.
    """
    if is_denied(caller, question, resource_policy):
        return False
    theirs = [resource_policy] if resource_policy else []
    by_identity = identity_allows(caller, question)
    if caller.account != question.owner:
        return by_identity and _some(theirs, "Allow", question, lambda item: _concerns(item, caller))
    if required and not _some(theirs, "Allow", question, lambda item: _concerns(item, caller)):
        return False
    if by_identity or _some(theirs, "Allow", question, lambda item: _unlimited(item, caller)):
        return True
    named = _some(theirs, "Allow", question, lambda item: _to_itself(item, caller))
    return named and _within_limits(caller, question)
