"""The managed policies that take up what a role's inline policy has no room for: what has to be done. Pure.

They are ours as a whole, by path, name and tag; no statement of others is in them. All of a role's are one thing here,
so that they are read, planned, written and told together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from roles.errors import PolicyTooLarge
from roles.policies.document import PolicyDocument, parse
from roles.policies.equivalence import same_document
from roles.policies.limits import check_managed_policies
from roles.provisioning.resources import Action, Change, DesiredPolicies, ObservedPolicies
from roles.values.arns import MANAGED_TAG, MANAGED_TAGS, RoleArn

NOT_ATTACHED = " (not attached)"
NO_ROLE_HINT = "Map it again: a run then makes it anew."


def is_ours(tags: Mapping[str, str]) -> bool:
    """Return whether the portal made the thing with these tags."""
    return tags.get(MANAGED_TAG) == MANAGED_TAGS[MANAGED_TAG]


def numbers_in(role: RoleArn, arns: Iterable[str]) -> frozenset[int]:
    """Return the numbers of the policies among `arns` that stand in our places for the role."""
    start = f"{role.managed_policies}-"
    ends = (arn.removeprefix(start) for arn in arns if arn.startswith(start))
    return frozenset(int(end) for end in ends if end.isascii() and end.isdigit() and not end.startswith("0"))


def policies_document(
    role: RoleArn, documents: Mapping[int, PolicyDocument], attached: frozenset[int] | None = None
) -> dict[str, Any]:
    """Return the policies as one JSON object by name. Without `attached` all are."""
    return {
        _name(role, number, is_attached=attached is None or number in attached): document.as_dict()
        for number, document in sorted(documents.items())
    }


def highest_in(document: Mapping[str, Any] | None) -> int:
    """Return the highest number of a policy in such a JSON object; 0 where there is none."""
    return max(map(_number, document or {}), default=0)


def attached_in(document: Mapping[str, Any] | None) -> tuple[PolicyDocument, ...]:
    """Return the policies in such a JSON object that were attached, by number: the others gave nothing."""
    attached = [name for name in document or {} if not name.endswith(NOT_ATTACHED)]
    return tuple(parse((document or {})[name]) for name in sorted(attached, key=_number))


def is_between(
    before: Mapping[str, Any] | None, now: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> bool:
    """Return whether what is there now is what writing `after` over `before` leaves when it stops half way.

    Policies are written one by one, and attached in a call of their own. Each must be as it was or as it is to be.
    """
    was, there, wanted = _by_number(before), _by_number(now), _by_number(after)
    return all(
        _is_same(there.get(number), was.get(number)) or _is_same(there.get(number), wanted.get(number))
        for number in was | there | wanted
    )


def policies_change(
    wish: DesiredPolicies, current: ObservedPolicies | None, *, title: str
) -> tuple[Change, ObservedPolicies | None]:
    """Return what has to be done to the managed policies of a role, and what AWS has after it."""
    there = current or ObservedPolicies()
    wanted = {number: _kept(there, number, one) for number, one in enumerate(wish.documents, start=1)}
    before = policies_document(wish.role, there.documents, there.attached) or None
    after = policies_document(wish.role, wanted) or None
    action = _action(before, after)
    blocked, hint = _blocked(wish, there) if action is not Action.NONE else ("", "")
    change = Change(
        wish,
        action,
        wish.resource,
        title,
        before,
        after,
        warnings=wish.notes,
        blocked=blocked,
        hint=hint,
        others=there.others,
    )
    return change, ObservedPolicies(wanted, frozenset(wanted), there.others, has_role=there.has_role)


def _number(name: str) -> int:
    """Return the number that a policy's name ends in; 0 for none."""
    end = name.removesuffix(NOT_ATTACHED).rpartition("-")[2]
    return int(end) if end.isdigit() else 0


def _by_number(document: Mapping[str, Any] | None) -> dict[int, PolicyDocument]:
    return {_number(name): parse(one) for name, one in (document or {}).items()}


def _is_same(one: PolicyDocument | None, other: PolicyDocument | None) -> bool:
    return one is other if one is None or other is None else same_document(one, other)


def _name(role: RoleArn, number: int, *, is_attached: bool) -> str:
    return role.managed_policy(number).rpartition("/")[2] + ("" if is_attached else NOT_ATTACHED)


def _kept(there: ObservedPolicies, number: int, wanted: PolicyDocument) -> PolicyDocument:
    """Return AWS's spelling of a document where it means the same."""
    known = there.documents.get(number)
    return known if known is not None and same_document(known, wanted) else wanted


def _action(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Action:
    if before == after:
        return Action.NONE
    if before is None:
        return Action.CREATE
    return Action.DELETE if after is None else Action.UPDATE


def _blocked(wish: DesiredPolicies, there: ObservedPolicies) -> tuple[str, str]:
    """Return why it must not be done and what to do, or two empty texts."""
    if wish.is_order and wish.documents and not there.has_role:
        return f"There is no role {wish.role}.", NO_ROLE_HINT
    if there.taken:
        names = ", ".join(_name(wish.role, number, is_attached=True) for number in sorted(there.taken))
        return (
            f"Managed policies that the portal did not make have the names of its own: {names}.",
            "Delete or rename them in AWS: their names are those of the portal's policies for this role.",
        )
    try:
        check_managed_policies(wish.documents, others=there.others, owner=str(wish.role))
    except PolicyTooLarge as error:
        return error.message, error.hint
    return "", ""
