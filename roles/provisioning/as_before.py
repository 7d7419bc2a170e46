"""What it takes to put a document back to what it was. Pure.

By default only the statements of the portal go back: those of others stay as they are now. A partner's statement that
its owner took away since must not come back because an admin of the portal undoes something of the portal's.
"""

from __future__ import annotations

from collections.abc import Iterable

from roles.policies.document import PolicyDocument, Statement
from roles.policies.equivalence import fingerprint, same_document
from roles.policies.ownership import foreign_statements, merged, merged_trust, own_statements
from roles.provisioning.differences import dead_principals
from roles.provisioning.fitting import too_large
from roles.provisioning.resources import Action, Change, DesiredAsBefore, DesiredDocument, DesiredRole, Place

UNDONE = (
    "The database wishes otherwise for this document. Drift shows that until the next run of a source role that "
    "reaches it brings the wish back. To keep what is put back, change the grants, or accept the drift where grants "
    "can say it."
)
UNDONE_BY_OWNER = (
    "The database wishes otherwise for this document. The next run of a source role that reaches it asks the owner for "
    "the wish again. To keep what is put back, change the grants."
)


def as_before_change(wish: DesiredAsBefore, current: PolicyDocument | None) -> tuple[Change, PolicyDocument | None]:
    """Return the change that puts the document back, and what AWS has after it. `current`: None is nothing."""
    document = _document(wish, current)
    action = _action(current, document)
    blocked, hint = _blocked(wish, document) if action is not Action.NONE else ("", "")
    change = Change(
        wish,
        action,
        wish.resource,
        wish.heading,
        None if current is None else current.as_dict(),
        None if document is None else document.as_dict(),
        len(foreign_statements(document)) if document else 0,
        tuple(_losses(current, document)),
        blocked=blocked,
        hint=hint,
    )
    return change, document


def owners_change(wish: DesiredAsBefore, warning: str) -> Change:
    """Return what the owner of an account is to put back, where nobody can read what is there; `warning` says that."""
    ours = wish.kept.statements if wish.kept else ()
    wished = [one for other in wish.wished for one in _ours(other) if one.sid.startswith(wish.owned)]
    is_wish = {fingerprint(one) for one in ours} == {fingerprint(one) for one in wished}
    after = wish.kept.as_dict() if wish.kept else None
    return Change(
        wish,
        Action.UPDATE if after else Action.DELETE,
        wish.resource,
        wish.heading,
        None,
        after,
        warnings=(warning,) if is_wish else (warning, UNDONE_BY_OWNER),
    )


def _ours(wish: DesiredRole | DesiredDocument) -> tuple[Statement, ...]:
    return wish.statements if isinstance(wish, DesiredDocument) else wish.trust or ()


def _document(wish: DesiredAsBefore, current: PolicyDocument | None) -> PolicyDocument | None:
    if wish.exactly:
        return wish.kept
    kept = wish.kept or PolicyDocument()
    there, ours = current or kept.with_statements(()), own_statements(kept)
    if wish.place is Place.ROLE:
        return merged_trust(there, ours, owned=wish.owned)
    document = merged(there, ours, owned=wish.owned)
    return None if document.is_empty else document


def _action(current: PolicyDocument | None, document: PolicyDocument | None) -> Action:
    if document is None:
        return Action.NONE if current is None else Action.DELETE
    if current is None:
        return Action.CREATE
    return Action.NONE if same_document(current, document) else Action.UPDATE


def _blocked(wish: DesiredAsBefore, document: PolicyDocument | None) -> tuple[str, str]:
    """Return why AWS would refuse it and what to do, or two empty texts."""
    if document is None:
        return "", ""
    dead = sorted({name for statement in document.statements for name in dead_principals(statement)})
    if dead:
        why = f"The document names identities that were deleted: {', '.join(dead)}. AWS takes no document with them."
        return why, "Repair the drift instead: then the statements are written anew."
    return too_large(wish.place, wish.resource, document, wish.access)


def _losses(current: PolicyDocument | None, document: PolicyDocument | None) -> Iterable[str]:
    """Yield what of others goes, and what of theirs comes back."""
    now, then = _foreign(current), _foreign(document)
    if gone := _names(now, then):
        yield f"Statements of others that are there now are LOST: {gone}."
    if back := _names(then, now):
        yield f"Statements of others that were taken away or changed since COME BACK: {back}."


def _foreign(document: PolicyDocument | None) -> dict[str, Statement]:
    return {fingerprint(one): one for one in foreign_statements(document)} if document else {}


def _names(these: dict[str, Statement], those: dict[str, Statement]) -> str:
    return ", ".join(f"'{one.sid or 'without a Sid'}'" for key, one in these.items() if key not in those)
