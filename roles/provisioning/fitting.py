"""Whether AWS takes a document of this size in its place, and how much it takes there. Pure."""

from __future__ import annotations

from roles.errors import PolicyTooLarge
from roles.policies import limits
from roles.policies.document import PolicyDocument
from roles.provisioning.resources import Place, holder_of, is_cut_off
from roles.values.accounts import AccountAccess


def room(place: Place, resource: str, account: AccountAccess, *, others: int = 0) -> tuple[int, str]:
    """Return how much a plan may put there before it is blocked, and the unit; 0 where nothing is measured.

    `others` is how much of AWS's limit is somebody else's, in the same unit: characters of inline policies, or attached
    managed policies. A trust or bucket policy has the statements of others in it, so they are measured with it.
    """
    if place is Place.ROLE:
        return account.trust_characters, "characters"
    if place is Place.INLINE_POLICY:
        whole = limits.INLINE_POLICIES_MAX_CHARACTERS - others
        return max(0, whole) if is_cut_off(resource) else limits.inline_room(others=others), "characters"
    if place is Place.MANAGED_POLICIES:
        return max(0, limits.MANAGED_POLICIES_MAX - others), "managed policies"
    return (limits.BUCKET_POLICY_MAX_BYTES, "bytes") if place is Place.BUCKET_POLICY else (0, "characters")


def too_large(
    place: Place, resource: str, document: PolicyDocument, account: AccountAccess, *, others: int = 0
) -> tuple[str, str]:
    """Return why AWS would refuse the document in this account for its size and what to do, or two empty texts.

    `others` as in `room`.
    """
    limit, _ = room(place, resource, account, others=others)
    try:
        if place is Place.ROLE:
            limits.check_trust_policy(document, owner=resource, limit=limit)
        elif place is Place.INLINE_POLICY:
            limits.check_inline_policies(document, owner=holder_of(resource), limit=limit, others=others)
        else:
            limits.check_bucket_policy(document, owner=resource)
    except PolicyTooLarge as error:
        return error.message, error.hint
    return "", ""
