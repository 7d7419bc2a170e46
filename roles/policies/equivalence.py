"""Whether two policies mean the same, however AWS wrote them back.

AWS rewrites documents: a list of one comes back as a string, values change their order, an account id becomes its
`:root` ARN, `"*"` becomes `{"AWS": "*"}`, a Sid may come back empty (IAM User Guide, "AWS JSON policy elements:
Principal"; hashicorp/terraform#4278). Text tells nothing; this module compares meaning:

- Action, NotAction: a set, ignoring case, as IAM does. Resource, NotResource: a set, by exact text.
- Principal, NotPrincipal: a set for each kind of principal. An account's id and its `:root` ARN of any partition are
  the same account, as a document lives in one partition only. A unique id (`AROA…`) is never equal to an ARN: the
  role it named is gone, and only rewriting the statement heals it.
- Condition: key names ignoring case (tag names after the `/` exactly), values as a set of strings (`true` is "true").
- Sid: says whose a statement is, not what it allows. `same_statement` ignores it; `same_document` compares it where
  either side is one of ours, as ownership hangs on it.
- The order of statements and the document's `Id` mean nothing. `Version` does: policy variables work from 2012 on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from roles.policies.document import PolicyDocument, Statement
from roles.policies.sids import SID_PREFIX

_ACCOUNT_ROOT = re.compile(r"\A(?:arn:aws[a-z-]*:iam::([0-9]{12}):root|([0-9]{12}))\Z")


def same_statement(one: Statement, other: Statement) -> bool:
    """Return whether the two allow or deny exactly the same, whatever their Sids."""
    return meaning(one) == meaning(other)


def same_document(one: PolicyDocument, other: PolicyDocument) -> bool:
    """Return whether the two have the same statements in meaning, and ours under the same Sids."""
    return one.version == other.version and fingerprints(one) == fingerprints(other)


def fingerprints(document: PolicyDocument) -> list[str]:
    """Return one text for each statement, sorted: what `same_document` compares."""
    return sorted(fingerprint(statement) for statement in document.statements)


def fingerprint(statement: Statement) -> str:
    """Return a text that is equal for statements of equal meaning and, where it is one of ours, equal Sid."""
    sid = statement.sid if statement.sid.startswith(SID_PREFIX) else ""
    return json.dumps([sid, meaning(statement)], sort_keys=True)


def meaning(statement: Statement) -> dict[str, Any]:
    """Return the statement in the one form that all its spellings share, without its Sid."""
    return {key: _normal(key, value) for key, value in statement.body.items() if key != "Sid"}


def _normal(key: str, value: Any) -> Any:
    if key in ("Action", "NotAction"):
        return sorted({action.lower() for action in texts(value)})
    if key in ("Resource", "NotResource"):
        return sorted(set(texts(value)))
    if key in ("Principal", "NotPrincipal"):
        return _normal_principal(value)
    return _normal_condition(value) if key == "Condition" else value


def texts(value: Any) -> list[str]:
    """Return what stands in a policy as one value or a list of them as a list of strings, as AWS reads it."""
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item, sort_keys=True) for item in items]


def _normal_principal(value: Any) -> Any:
    kinds = value if isinstance(value, Mapping) else {"AWS": value}
    return {kind: sorted({_normal_name(kind, name) for name in texts(names)}) for kind, names in kinds.items()}


def _normal_name(kind: str, name: str) -> str:
    root = _ACCOUNT_ROOT.match(name) if kind == "AWS" else None
    return (root.group(1) or root.group(2)) if root else name


def _normal_condition(value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(tests, Mapping) for tests in value.values()):
        return value
    return {operator: _normal_tests(tests) for operator, tests in value.items()}


def _normal_tests(tests: Mapping[str, Any]) -> dict[str, Any]:
    found = {_normal_condition_key(key): sorted(set(texts(wanted))) for key, wanted in tests.items()}
    # One name in two spellings is two tests: neither may hide the other.
    return found if len(found) == len(tests) else {key: sorted(set(texts(wanted))) for key, wanted in tests.items()}


def _normal_condition_key(key: str) -> str:
    name, slash, tag = key.partition("/")
    return f"{name.lower()}{slash}{tag}"
