"""The managed policies that take up what a role's inline policy has no room for: what has to be done. Pure.

They are ours as a whole, by path, name and tag; no statement of others is in them. All of a role's are one thing here,
so that they are read, planned, written and told together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from roles.errors import PolicyTooLarge
from roles.policies.document import PolicyDocument
from roles.policies.equivalence import same_document
from roles.policies.limits import check_managed_policies
from roles.provisioning.resources import Action, Change, DesiredPolicies, ObservedPolicies
from roles.values.arns import MANAGED_TAG, MANAGED_TAGS, RoleArn

NOT_ATTACHED = " (not attached)"


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
    ends = [name.removesuffix(NOT_ATTACHED).rpartition("-")[2] for name in document or {}]
    return max((int(end) for end in ends if end.isdigit()), default=0)


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
    change = Change(wish, action, wish.resource, title, before, after, blocked=blocked, hint=hint, others=there.others)
    return change, ObservedPolicies(wanted, frozenset(wanted), there.others)


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
