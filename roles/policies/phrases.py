"""Statements in words: who may do what, and where. For people only; nothing is decided by these words."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roles.policies.document import Statement
from roles.policies.equivalence import meaning, texts

NAMED_AT_MOST = 4
THE_ROLE = "the role"

# In the order in which they are said.
_VERBS: dict[str, str] = {
    "sts:assumerole": "assume",
    "sts:tagsession": "tag sessions of",
    "sts:setsourceidentity": "name the person behind sessions of",
    "iam:passrole": "pass on",
    "s3:getbucketlocation": "see the region of",
    "s3:listbucket": "list",
    "s3:getobject": "read",
    "s3:putobject": "write",
    "s3:putobjectacl": "set the ACL of",
    "s3:deleteobject": "delete",
    "s3:listbucketmultipartuploads": "list unfinished uploads of",
    "s3:abortmultipartupload": "abort uploads of",
    "s3:listmultipartuploadparts": "list the parts of uploads of",
    "kms:decrypt": "decrypt with",
    "kms:generatedatakey": "encrypt with",
    "*": "do anything with",
}
_SPELLED_OUT = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
_IAM_ARN = re.compile(r"\Aarn:aws[a-z-]*:iam::([0-9]{12}):(role|user)/(?:.*/)?([^/]+)\Z")
_ROLE_PATTERN = re.compile(r"\Aarn:aws[a-z-]*:iam::([0-9]{12}):role/\*\Z")
_S3_ARN = re.compile(r"\Aarn:aws[a-z-]*:s3:::([^/]+)(?:/(.*))?\Z", re.DOTALL)
_ACCOUNT = re.compile(r"\A[0-9]{12}\Z")
_UNIQUE_ID = re.compile(r"\A(?:AROA|AIDA)[A-Z0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Saying:
    """The smallest thing that a policy says. `action` is in lower case; `spelled` is as it was written.

    `who` and `where` are words already; `condition` is the condition in its one form, as JSON, or empty.
    """

    effect: str
    who: str
    action: str
    where: str
    condition: str = ""
    spelled: str = field(default="", compare=False)


def sayings(statement: Statement) -> Iterator[Saying]:
    """Yield what the statement says; one with NotAction, NotPrincipal or NotResource is one thing, told by its Sid."""
    body, known = statement.body, meaning(statement)
    effect = str(body.get("Effect", ""))
    if not set(body) <= _SPELLED_OUT or "Action" not in body:
        yield Saying("", statement.sid, "", "", json.dumps(known, sort_keys=True))
        return
    condition = known.get("Condition") or {}
    prefixes = _listed_folders(condition)
    left = "" if prefixes or not condition else json.dumps(condition, sort_keys=True)
    for who in _names(known):
        for where in _places(body, prefixes):
            for action in texts(body["Action"]):
                yield Saying(effect, who, action.lower(), where, left, action)


def clauses(said: Collection[Saying], *, allow: str, deny: str) -> list[str]:
    """Return one clause for everybody who may do the same things, each beginning with `allow` or `deny`."""
    found = [_opaque(one, allow) for one in sorted(said, key=_order) if not one.effect]
    for (effect, people), what in _grouped(said).items():
        if effect == "Deny":
            found.append(f"{deny} {listed(people)} to {' and '.join(what)}")
        else:
            found.append(f"{allow} {listed(people)} {' and '.join(what)}")
    return found


def listed(names: Iterable[str]) -> str:
    """Return the names as words: "a, b and c", or the first few "and 5 more".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    items = list(names)
    if len(items) > NAMED_AT_MOST:
        items = [*items[: NAMED_AT_MOST - 1], f"{len(items) - NAMED_AT_MOST + 1} more"]
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part)


def _grouped(said: Collection[Saying]) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Return what is said for each (effect, people): verbs are pooled first, then places, then people."""
    verbs: dict[tuple[str, str, str, str], list[str]] = {}
    for one in sorted(said, key=_order):
        if one.effect:
            verbs.setdefault((one.effect, one.who, one.where, one.condition), []).append(_verb(one))
    places: dict[tuple[str, str, str, str], list[str]] = {}
    for (effect, who, where, condition), done in verbs.items():
        ending = " under a condition" if condition else ""
        places.setdefault((effect, who, listed(done), ending), []).append(where)
    people: dict[tuple[str, str], list[str]] = {}
    for (effect, who, doing, ending), wheres in places.items():
        people.setdefault((effect, who), []).append(f"{doing} {listed(wheres)}{ending}")
    groups: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
    for (effect, who), what in people.items():
        same = next((key for key, done in groups.items() if key[0] == effect and done == tuple(what)), (effect, ()))
        groups.pop(same, None)
        groups[(effect, (*same[1], who))] = tuple(what)
    return {key: list(what) for key, what in groups.items()}


def _order(one: Saying) -> tuple[str, str, int, str, str, str]:
    rank = list(_VERBS).index(one.action) if one.action in _VERBS else len(_VERBS)
    return one.effect, one.who, rank, one.action, one.where, one.condition


def _verb(one: Saying) -> str:
    return _VERBS.get(one.action) or f"use {one.spelled} on"


def _opaque(one: Saying, allow: str) -> str:
    name = f"the statement '{one.who}'" if one.who else "a statement without a name"
    return f"{'drops' if allow.startswith('no longer') else 'adds'} {name}, which says what it excepts"


def _names(known: Mapping[str, Any]) -> Iterator[str]:
    principal = known.get("Principal")
    if principal is None:
        yield THE_ROLE
    for names in (principal or {}).values():
        yield from (_name(name) for name in names)


def _name(text: str) -> str:
    """Return a principal or a role in words."""
    match = _IAM_ARN.match(text)
    if match:
        account, kind, name = match.groups()
        return f"{'user ' * (kind == 'user')}{name} ({account})"
    if _ACCOUNT.match(text):
        return f"account {text}"
    if _UNIQUE_ID.match(text):
        return f"the identity {text}"
    return "anyone" if text == "*" else text


def _places(body: Mapping[str, Any], prefixes: list[str]) -> Iterator[str]:
    if "Resource" not in body:
        yield THE_ROLE
        return
    for resource in texts(body["Resource"]):
        place = _place(resource)
        if prefixes:
            yield from (f"{place} under {prefix}" for prefix in prefixes)
        else:
            yield place


def _place(resource: str) -> str:
    match, any_role = _S3_ARN.match(resource), _ROLE_PATTERN.match(resource)
    if any_role:
        return f"any role of account {any_role.group(1)}"
    if not match:
        return "everything" if resource == "*" else _name(resource)
    bucket, key = match.groups()
    if key is None:
        return f"the bucket {bucket}"
    if key == "*":
        return f"objects in {bucket}"
    if key.endswith("/*"):
        return f"objects under {key[:-1]} in {bucket}"
    return f"the object {key} in {bucket}"


def _listed_folders(condition: Mapping[str, Any]) -> list[str]:
    """Return the folders of a listing condition as the portal writes it, else nothing."""
    wanted = condition.get("StringLike", {}).get("s3:prefix") if set(condition) == {"StringLike"} else None
    if not wanted or set(condition["StringLike"]) != {"s3:prefix"}:
        return []
    folders = sorted(text for text in wanted if text.endswith("/"))
    return folders if {*folders, *(f"{folder}*" for folder in folders)} == set(wanted) else []
