"""Whether AWS takes a document of this size in its place. Pure."""

from __future__ import annotations

from roles.errors import PolicyTooLarge
from roles.policies.document import PolicyDocument
from roles.policies.limits import (
    CUT_OFF_RESERVE_CHARACTERS,
    check_bucket_policy,
    check_inline_policies,
    check_trust_policy,
)
from roles.provisioning.resources import Place, holder_of, is_cut_off
from roles.values.accounts import AccountAccess


def too_large(place: Place, resource: str, document: PolicyDocument, account: AccountAccess) -> tuple[str, str]:
    """Return why AWS would refuse the document in this account for its size and what to do, or two empty texts."""
    try:
        if place is Place.ROLE:
            check_trust_policy(document, owner=resource, limit=account.trust_characters)
        elif place is Place.INLINE_POLICY:
            reserve = 0 if is_cut_off(resource) else CUT_OFF_RESERVE_CHARACTERS
            check_inline_policies(document, owner=holder_of(resource), reserve=reserve)
        else:
            check_bucket_policy(document, owner=resource)
    except PolicyTooLarge as error:
        return error.message, error.hint
    return "", ""
