"""Whose a statement is, and how ours get into, stay in and leave a document that we share with others.

A statement is ours when its Sid begins with `Xacct`. Everything else belongs to somebody else: it keeps its place and
goes back exactly as it was read.
"""

from __future__ import annotations

from collections.abc import Sequence

from roles.policies.builders import nobody_statement
from roles.policies.document import PolicyDocument, Statement
from roles.policies.equivalence import same_statement
from roles.policies.sids import (
    ASSUME_SIDS,
    BUCKET_SIDS,
    CUT_OFF_SIDS,
    GRANT_SIDS,
    PASS_ROLE_SIDS,
    ROLE_SIDS,
    SID_PREFIX,
    TRUST_NOBODY,
    TRUST_SIDS,
)

__all__ = [
    "ASSUME_SIDS",
    "BUCKET_SIDS",
    "CUT_OFF_SIDS",
    "GRANT_SIDS",
    "PASS_ROLE_SIDS",
    "ROLE_SIDS",
    "SID_PREFIX",
    "TRUST_SIDS",
    "foreign_statements",
    "is_ours",
    "merged",
    "merged_trust",
    "own_statements",
]


def is_ours(statement: Statement, owned: str = SID_PREFIX) -> bool:
    """Return whether the portal wrote this statement, and for the purpose that `owned` (a Sid prefix) stands for."""
    return statement.sid.startswith(owned)


def own_statements(document: PolicyDocument, *, owned: str = SID_PREFIX) -> tuple[Statement, ...]:
    """Return our statements, in order."""
    return tuple(statement for statement in document.statements if is_ours(statement, owned))


def foreign_statements(document: PolicyDocument, *, owned: str = SID_PREFIX) -> tuple[Statement, ...]:
    """Return everybody else's statements, in order."""
    return tuple(statement for statement in document.statements if not is_ours(statement, owned))


def merged(document: PolicyDocument | None, wanted: Sequence[Statement], *, owned: str) -> PolicyDocument:
    """Return `document` with exactly `wanted` as its statements under `owned`, and all others as they were.

    A wanted statement takes the place of the one with its Sid; new ones go to the end; other statements under `owned`
    go. Where AWS's spelling means the same it stays, and where nothing changes at all the same object comes back, so
    `merged(d, w) is d` says "in sync". Raises `ValueError` for a wanted statement that `owned` would not find again,
    and for two different ones with the same Sid.
    """
    current = document if document is not None else PolicyDocument()
    missing = _by_sid(wanted, owned)
    kept: list[Statement] = []
    for statement in current.statements:
        if not is_ours(statement, owned):
            kept.append(statement)
        elif statement.sid in missing:
            # Taken out of `missing`, so that a second statement with this Sid, which AWS would refuse, goes.
            wish = missing.pop(statement.sid)
            kept.append(statement if same_statement(statement, wish) else wish)
    kept.extend(missing.values())
    unchanged = len(kept) == len(current.statements) and all(map(_is, kept, current.statements))
    return current if unchanged else current.with_statements(kept)


def merged_trust(document: PolicyDocument | None, wanted: Sequence[Statement], *, owned: str) -> PolicyDocument:
    """Return what `merged` does, for a trust policy, which may never become empty.

    Where no statement is left, the placeholder that nobody may assume the role stands in. As it denies, it goes
    as soon as there is any other statement, whosever that is, and `wanted` may hold it without harm.
    """
    wish = [statement for statement in wanted if statement.sid != TRUST_NOBODY]
    there = document.statements if document is not None else ()
    if TRUST_NOBODY.startswith(owned) and any(statement.sid == TRUST_NOBODY for statement in there):
        wish.append(nobody_statement())  # stays where it is for now, so that "in sync" is seen below
    result = merged(document, wish, owned=owned)
    real = [statement for statement in result.statements if statement.sid != TRUST_NOBODY]
    if not real:
        return merged(result, [nobody_statement()], owned=TRUST_NOBODY)
    return result if len(real) == len(result.statements) else result.with_statements(real)


def _by_sid(wanted: Sequence[Statement], owned: str) -> dict[str, Statement]:
    """Return `wanted` by Sid, in order. Raises `ValueError` when a Sid is not under `owned` or is used twice."""
    found: dict[str, Statement] = {}
    for statement in wanted:
        if not is_ours(statement, owned):
            raise ValueError(f"Statement '{statement.sid}' is not under '{owned}': it would never be found again.")
        if statement.sid in found and not same_statement(found[statement.sid], statement):
            raise ValueError(f"Two different statements are both called '{statement.sid}'.")
        found.setdefault(statement.sid, statement)
    return found


def _is(one: Statement, other: Statement) -> bool:
    return one is other
