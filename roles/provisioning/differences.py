"""What a change that nobody asked for is: missing, changed, not wished for, or about an identity that is gone. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from roles.policies.document import PolicyDocument, Statement, parse
from roles.policies.equivalence import same_statement, texts
from roles.policies.ownership import ROLE_SIDS, is_ours
from roles.provisioning.resources import Change, Desired, DesiredDocument, DesiredPolicies, DesiredProfile

# IAM User Guide, "IAM identifiers": what a policy shows in place of the ARN of a role or user that was deleted. One
# that is made again under the same name has another id, so only writing the statement anew lets it in.
_UNIQUE_ID = re.compile(r"\A(?:AROA|AIDA)[A-Z0-9]{12,}\Z")


OWNERS_MAY_MEND = (
    "Ask the owner of these statements to name the identity's ARN again if it was made anew, or to remove them. "
    "Then retry: the portal changes no statement of others."
)


class Kind(StrEnum):
    """How AWS differs. The values are those of `models.choices.DriftKind`."""

    MISSING = "missing"
    CHANGED = "changed"
    EXTRA = "extra"
    STALE = "stale"
    FOREIGN_STALE = "foreign_stale"
    NOT_OURS = "not_ours"
    BOUNDARY = "boundary"


@dataclass(frozen=True, slots=True)
class Difference:
    """One step's part of one resource that is not as wished. `before` is what AWS has, `after` what is wished.

    `note` says what else there is to know. `done_by` says who may have done it; empty is unknown.
    """

    account_id: str
    resource: str
    step: int
    title: str
    kind: Kind
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    foreign_statements: int = 0
    note: str = ""
    done_by: str = ""


def differences_of(changes: Sequence[Change]) -> list[Difference]:
    """Return what of the changes of one thing in AWS is drift. `changes` are in the order of the plan.

    A statement of somebody else that names a deleted identity is told at each of them, as AWS then takes no new
    document at all; where nothing of ours differs it is a difference of its own.
    """
    if not changes:
        return []
    # A later change is planned on top of the earlier ones; what AWS has is what the first one found.
    before = changes[0].before
    blocker = foreign_blocker(_policy(before))
    found = [_difference(change, before) for change in changes if change.writes or change.blocked or change.unlike]
    if found or not blocker:
        return [one if blocker in one.note else replace(one, note=_joined(one.note, blocker)) for one in found]
    return [replace(_difference(changes[-1], before), kind=Kind.FOREIGN_STALE, after=before, note=blocker)]


def dead_principals(statement: Statement) -> list[str]:
    """Return the unique ids that stand in a statement in place of identities that are gone."""
    found: list[str] = []
    for key in ("Principal", "NotPrincipal"):
        principal = statement.body.get(key)
        if isinstance(principal, Mapping):
            found += [name for name in texts(principal.get("AWS", [])) if _UNIQUE_ID.match(name)]
    return found


def _difference(change: Change, before: dict[str, Any] | None) -> Difference:
    wish = change.desired
    return Difference(
        account_id=wish.access.account_id,
        resource=change.resource,
        step=int(change.step.value),
        title=change.title,
        kind=_kind(change, before),
        before=before,
        after=change.after,
        foreign_statements=change.foreign_statements,
        note=_joined(change.blocked, change.hint, change.unlike),
    )


def _kind(change: Change, before: dict[str, Any] | None) -> Kind:
    if before is None:
        return Kind.MISSING
    if not change.writes:
        return Kind.NOT_OURS if change.blocked else Kind.BOUNDARY
    if isinstance(change.desired, DesiredPolicies):
        return Kind.EXTRA if change.after is None else Kind.CHANGED
    if isinstance(change.desired, DesiredProfile):
        return Kind.CHANGED
    old, new = _ours(change.desired, before), _ours(change.desired, change.after)
    if any(dead_principals(statement) for statement in old):
        return Kind.STALE
    return _kind_between(old, new)


def _kind_between(old: list[Statement], new: list[Statement]) -> Kind:
    gone = [one for one in new if not _has(old, one)]
    extra = [one for one in old if not _has(new, one)]
    if gone and extra:
        return Kind.CHANGED
    return Kind.MISSING if gone else Kind.EXTRA


def _has(statements: Iterable[Statement], wanted: Statement) -> bool:
    return any(one.sid == wanted.sid and same_statement(one, wanted) for one in statements)


def _ours(wish: Desired, document: dict[str, Any] | None) -> list[Statement]:
    """Return the statements of the step that `wish` is of."""
    owned = wish.owned if isinstance(wish, DesiredDocument) else ROLE_SIDS
    return [one for one in _policy(document).statements if is_ours(one, owned)]


def foreign_blocker(document: PolicyDocument) -> str:
    """Return why AWS would not take this document because of the statements of others in it, or empty."""
    names = [
        f"'{statement.sid or 'without a Sid'}' ({', '.join(dead)})"
        for statement in document.statements
        if not is_ours(statement) and (dead := dead_principals(statement))
    ]
    if not names:
        return ""
    return (
        f"Statements of others name identities that were deleted: {'; '.join(names)}. AWS refuses every new version of "
        "a policy with such a statement in it. It is not the portal's, so its owner has to correct or remove it."
    )


def _policy(document: dict[str, Any] | None) -> PolicyDocument:
    return parse(document) if document is not None and "Statement" in document else PolicyDocument()


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
