"""What a change of a document means, in one sentence for people who do not read policies.

A document is taken apart into the smallest things it says: this one may do that there. What one side says and the
other does not is what changed, whatever statements it stands in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from roles.errors import PolicySyntax
from roles.policies.document import PolicyDocument, parse
from roles.policies.equivalence import fingerprint, fingerprints
from roles.policies.ownership import foreign_statements
from roles.policies.phrases import Saying, clauses, listed, sayings

_PROFILE_KEYS = {"InstanceProfileName", "Roles"}


def explain_change(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """Return one sentence on what changes from `before` to `after`; None is "there is none". Empty for two of them.

    Both may be policies, descriptions of an instance profile, or any other JSON objects, of which the keys are named.
    """
    given = [document for document in (before, after) if document is not None]
    if not given:
        return ""
    if all(document.keys() >= _PROFILE_KEYS for document in given):
        return _sentence(_profile_change(before, after))
    policies = [_policy(before), _policy(after)]
    if sum(policy is not None for policy in policies) == len(given):
        return _sentence(_policy_change(*policies))
    return _sentence(_object_change(before or {}, after or {}))


def _policy(document: dict[str, Any] | None) -> PolicyDocument | None:
    if document is None or "Statement" not in document:
        return None
    try:
        return parse(document)
    except PolicySyntax:
        return None


def _policy_change(before: PolicyDocument | None, after: PolicyDocument | None) -> list[str]:
    old, new = before or PolicyDocument(), after or PolicyDocument()
    said_before, said_after = _said(old), _said(new)
    words = [
        *clauses(said_after - said_before, allow="lets", deny="forbids"),
        *clauses(said_before - said_after, allow="no longer lets", deny="no longer forbids"),
    ]
    if before and after and old.version != new.version:
        words.append(f"the version of the policy's language changes from {old.version} to {new.version}")
    if not words:
        words.append("nothing changes" if fingerprints(old) == fingerprints(new) else "only how it is written changes")
    if before and not after:
        words.append("the policy is deleted")
    kept = _kept(old, new)
    if kept:
        words.append(f"{kept} statement{'s' * (kept > 1)} of others {'are' if kept > 1 else 'is'} kept")
    return words


def _said(document: PolicyDocument) -> set[Saying]:
    return {saying for statement in document.statements for saying in sayings(statement)}


def _kept(before: PolicyDocument, after: PolicyDocument) -> int:
    """Return how many statements of others are in both."""
    old, new = (Counter(fingerprint(one) for one in foreign_statements(document)) for document in (before, after))
    return (old & new).total()


def _profile_change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    old, new = (before or {}).get("Roles", []), (after or {}).get("Roles", [])
    name = (after or before or {})["InstanceProfileName"]
    put, taken = [role for role in new if role not in old], [role for role in old if role not in new]
    words = [f"makes the instance profile {name}"] if before is None else []
    words += [f"puts {listed(put)} into {'it' if before is None else f'the instance profile {name}'}"] if put else []
    words += [f"takes {listed(taken)} out of the instance profile {name}"] if taken else []
    words += [f"deletes the instance profile {name}"] if after is None else []
    return words or ["nothing changes"]


def _object_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    kinds = {
        "sets": [key for key in after if key not in before],
        "changes": [key for key in after if key in before and before[key] != after[key]],
        "removes": [key for key in before if key not in after],
    }
    return [f"{verb} {listed(keys)}" for verb, keys in kinds.items() if keys] or ["nothing changes"]


def _sentence(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
