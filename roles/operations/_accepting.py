"""What statements of ours, as somebody changed them in AWS, say in the words of the database.

A reading is exact or none: built again from what was read, the statements mean the same as those in AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roles.errors import Conflict, InputError
from roles.models import Bucket, IamRole
from roles.policies.builders import bucket_statements, trust_statements
from roles.policies.document import Statement, parse
from roles.policies.equivalence import same_statement, texts
from roles.policies.ownership import BUCKET_SIDS, TRUST_SIDS, own_statements
from roles.policies.sids import TRUST_ATTRIBUTION, TRUST_NOBODY
from roles.values.arns import AccessLevel, object_prefix, role_arn

Document = Mapping[str, Any] | None
# The levels with and without cleaning up after uploads: what says more is looked for first.
_LEVELS = (
    (AccessLevel.READWRITE, True),
    (AccessLevel.READWRITE, False),
    (AccessLevel.READ, False),
    (AccessLevel.WRITE, True),
    (AccessLevel.WRITE, False),
)


@dataclass(frozen=True, slots=True)
class GrantInAws:
    """A bucket grant as statements in AWS say it."""

    role: IamRole
    level: AccessLevel
    prefix: str
    uploads: bool


@dataclass(frozen=True, slots=True)
class TrustInAws:
    """Who may act as a target role, and whether sessions carry who they are for. None: nothing says."""

    sources: frozenset[IamRole]
    attribution: bool | None


def own_in(document: Document, owned: str) -> list[Statement]:
    """Return our statements of one purpose in a document, without the placeholder for "nobody"."""
    found = own_statements(parse(document), owned=owned) if document is not None else ()
    return [statement for statement in found if statement.sid != TRUST_NOBODY]


def is_same(one: Iterable[Statement], other: Iterable[Statement]) -> bool:
    """Return whether two lists of statements mean the same, whatever their order and Sids."""
    left = list(other)
    return _take(left, list(one)) and not left


def bucket_grants_in(document: Document, bucket: Bucket) -> set[GrantInAws]:
    """Return the grants that our statements in a bucket's policy say. Raises `Conflict` for what no grant says."""
    left = own_in(document, BUCKET_SIDS)
    found: set[GrantInAws] = set()
    for role in _roles_named(left):
        for prefix in sorted({folder for statement in left for folder in _folders(statement, bucket)}):
            for level, uploads in _LEVELS:
                if _take(left, bucket_statements(role.arn, bucket.arn, level, prefix, uploads=uploads)):
                    found.add(GrantInAws(role, level, prefix, uploads))
                    break
    if left:
        raise _no_words_for(left, "no role's READ, WRITE or READWRITE on one folder")
    return found


def trust_in(document: Document) -> TrustInAws:
    """Return what our statements in a target role's trust policy say. Raises `Conflict` for what no grant says."""
    own = own_in(document, TRUST_SIDS)
    if not own:
        return TrustInAws(frozenset(), None)
    sources = _roles_named(own)
    attribution = any(statement.sid == TRUST_ATTRIBUTION for statement in own)
    if not is_same(own, trust_statements((role.arn for role in sources), attribution=attribution)):
        raise _no_words_for(own, "not which source roles of the portal may assume it")
    return TrustInAws(frozenset(sources), attribution)


def _take(left: list[Statement], wanted: Sequence[Statement]) -> bool:
    """Take `wanted` out of `left` and return True; or, where one is not in it, take nothing and return False."""
    rest = list(left)
    for statement in wanted:
        index = next((place for place, one in enumerate(rest) if same_statement(one, statement)), None)
        if index is None:
            return False
        del rest[index]
    left[:] = rest
    return True


def _roles_named(statements: Iterable[Statement]) -> list[IamRole]:
    """Return the roles of the portal that are principals of these statements, by ARN."""
    found: dict[str, IamRole] = {}
    for statement in statements:
        principal = statement.body.get("Principal")
        for name in texts(principal.get("AWS", [])) if isinstance(principal, Mapping) else []:
            try:
                arn = role_arn(name)
            except InputError:
                continue
            rows = IamRole.objects.select_related("account").filter(account__account_id=arn.account, name=arn.name)
            found.update({str(row.arn): row for row in rows if str(row.arn) == name})
    return [found[name] for name in sorted(found)]


def _folders(statement: Statement, bucket: Bucket) -> list[str]:
    start = bucket.arn.objects("")[:-1]
    names = texts(statement.body.get("Resource", []))
    folders = [name[len(start) : -1] for name in names if name.startswith(start) and name.endswith("*")]
    return [folder for folder in folders if _is_folder(folder)]


def _is_folder(text: str) -> bool:
    try:
        return object_prefix(text) == text
    except InputError:
        return False


def _no_words_for(statements: Sequence[Statement], what: str) -> Conflict:
    names = ", ".join(sorted(statement.sid for statement in statements))
    return Conflict(
        f"The database has no words for what is in AWS now: {names} say {what}.",
        hint="Repair it, or change the grants in the portal to what you want.",
    )
