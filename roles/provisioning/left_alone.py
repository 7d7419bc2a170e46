"""What of roles a plan leaves alone in AWS, and what is told of it. Pure."""

from __future__ import annotations

from roles.policies.ownership import foreign_statements
from roles.provisioning.resources import Action, Change, DesiredDocument, DesiredRole, ObservedRole


def other_boundary(wish: DesiredRole, current: ObservedRole) -> str:
    """Return that a role in use which the portal made has another boundary than is wished, or empty."""
    if not (wish.managed and wish.wanted) or wish.boundary == current.boundary:
        return ""
    return (
        f"{wish.role.name} has {_boundary(current.boundary)} in AWS, the portal has {_boundary(wish.boundary)} for it. "
        "The portal sets a boundary only when it creates a role: have the account's owner set it, or correct the "
        "role's page."
    )


def _boundary(arn: str) -> str:
    return f"the permissions boundary {arn}" if arn else "no permissions boundary"


def missing(wish: DesiredRole | DesiredDocument, title: str, why: str) -> Change:
    """Refuse a role that is not there and that the portal must not make; `why` says what is missing."""
    hint = "It is marked as adopted, so the portal does not create it. Create it in AWS, or mark it as managed."
    return Change(wish, Action.NONE, wish.resource, title, None, None, blocked=why, hint=hint)


def not_ours(wish: DesiredRole, title: str, current: ObservedRole) -> Change:
    """Refuse a role that somebody else made, which an admin may adopt."""
    return _left_alone(
        wish,
        title,
        current,
        blocked=f"A role {wish.role.name} exists in account {wish.access.account_id} that the portal did not make.",
        hint="If it is the one you mean, adopt it: the portal then only adds to it and never deletes it.",
        is_adoptable=True,
    )


def elsewhere(wish: DesiredRole, title: str, current: ObservedRole) -> Change:
    """Refuse a role of that name under another path: documents that name ours would name nobody."""
    return _left_alone(
        wish,
        title,
        current,
        blocked=f"The role {wish.role.name} of account {wish.access.account_id} is {current.arn}.",
        hint="Names are unique in an account whatever the path. Correct the role's name or path in the portal.",
    )


def _left_alone(
    wish: DesiredRole, title: str, current: ObservedRole, *, blocked: str, hint: str, is_adoptable: bool = False
) -> Change:
    shown, foreign = current.trust.as_dict(), len(foreign_statements(current.trust))
    return Change(
        *(wish, Action.NONE, wish.resource, title, shown, shown, foreign),
        blocked=blocked,
        hint=hint,
        is_adoptable=is_adoptable,
    )
