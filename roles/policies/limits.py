"""AWS's limits on policy documents, measured the way AWS does, so that we refuse before AWS does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from roles.errors import PolicyTooLarge
from roles.policies.document import PolicyDocument
from roles.values.accounts import TRUST_POLICY_CHARACTERS

TRUST_POLICY_MAX_CHARACTERS = TRUST_POLICY_CHARACTERS  # an account can have it raised
INLINE_POLICIES_MAX_CHARACTERS = 10_240  # IAM and STS quotas: all inline policies of a role together; fixed
# Kept free in every role for the inline policy that cuts its sessions off: who is to be cut off must not find it full.
# Half of them, so that what others have there fits beside it.
CUT_OFF_RESERVE_CHARACTERS = 5_120
INLINE_ROOM_CHARACTERS = INLINE_POLICIES_MAX_CHARACTERS - CUT_OFF_RESERVE_CHARACTERS
# So much of that stays free whatever others have there: it takes a cut-off of everybody and of some people besides.
CUT_OFF_LEAST_CHARACTERS = 1_024
MANAGED_POLICY_MAX_CHARACTERS = 6_144  # IAM and STS quotas: managed policy length; fixed
MANAGED_POLICIES_MAX = 10  # IAM and STS quotas: managed policies attached to a role; an account can have it raised
BUCKET_POLICY_MAX_BYTES = 20 * 1024  # Amazon S3 quotas: bucket policy, as S3 normalises it
SESSION_POLICY_MAX_CHARACTERS = 2_048  # STS API, AssumeRole: Policy, in plain text


def measure_trust_policy(document: PolicyDocument) -> int:
    """Return the characters that IAM counts: all but the white space between the tokens."""
    return len(document.as_json())


def measure_inline_policies(*documents: PolicyDocument) -> int:
    """Return the characters that IAM counts for these inline policies of one role together, or a managed policy."""
    return sum(len(document.as_json()) for document in documents)


def inline_room(*, others: int = 0) -> int:
    """Return the characters that our inline policy of a role may have where `others` are in those of others."""
    least = INLINE_POLICIES_MAX_CHARACTERS - CUT_OFF_LEAST_CHARACTERS - others
    return max(0, min(INLINE_ROOM_CHARACTERS, least))


def measure_bucket_policy(document: PolicyDocument) -> int:
    """Return about how many bytes S3 counts.

    S3 measures its own normal form, in which a list of one is a string. The rest of that form is not published, so
    S3 can still refuse a document that is near the limit.
    """
    return len(json.dumps(_collapsed(document.as_dict()), separators=(",", ":"), ensure_ascii=False).encode())


def measure_session_policy(document: PolicyDocument) -> int:
    """Return the characters of the text that goes to STS, white space included.

    STS packs policy and session tags into a second, smaller room that only STS can measure (`PackedPolicySize`).
    """
    return len(document.as_json())


def check_trust_policy(document: PolicyDocument, *, owner: str, limit: int = TRUST_POLICY_MAX_CHARACTERS) -> None:
    """Raise `PolicyTooLarge` if IAM would refuse this trust policy of `owner`, a role's ARN.

    `limit` is the account's own quota.
    """
    size = measure_trust_policy(document)
    if size > limit:
        hint = (
            "Let fewer source roles assume this role, or ask AWS for a higher quota (up to 4,096 characters) and enter "
            "it at the account."
        )
        raise _too_large(f"The trust policy of {owner}", f"{size:,} characters", size, limit, owner=owner, hint=hint)


def check_inline_policies(
    *documents: PolicyDocument, owner: str, limit: int = INLINE_POLICIES_MAX_CHARACTERS, others: int = 0
) -> None:
    """Raise `PolicyTooLarge` if these inline policies of `owner`, a role's ARN, have more than `limit` characters.

    `limit` is what is left of the role's 10,240 characters: `inline_room`, or for a cut-off all but `others`, which are
    the characters in the inline policies of others.
    """
    size = measure_inline_policies(*documents)
    if size > limit:
        hint = "Spread the target roles over several source roles, or make managed policies of other inline policies."
        beside = f" beside {others:,} in those of others" if others else ""
        kept = INLINE_POLICIES_MAX_CHARACTERS - others - limit
        told = f" in all, and {kept:,} are kept for cutting sessions off" if kept > 0 else ""
        message = (
            f"The inline policies of {owner} would have {size:,} characters{beside}; AWS allows "
            f"{INLINE_POLICIES_MAX_CHARACTERS:,}{told}."
        )
        raise PolicyTooLarge(message, limit=limit, size=size, owner=owner, hint=hint)


def check_managed_policies(documents: Sequence[PolicyDocument], *, others: int, owner: str) -> None:
    """Raise `PolicyTooLarge` if IAM would refuse these managed policies of `owner`, a role's ARN.

    `others` is how many managed policies of somebody else are attached to the role.
    """
    hint = "Spread the target roles over several source roles, and the grants over several target roles."
    for document in documents:
        size, limit = measure_inline_policies(document), MANAGED_POLICY_MAX_CHARACTERS
        if size > limit:
            what = f"A managed policy of {owner}"
            raise _too_large(what, f"{size:,} characters", size, limit, owner=owner, hint=hint)
    count, limit = len(documents) + others, MANAGED_POLICIES_MAX
    if documents and count > limit:
        size = sum(map(measure_inline_policies, documents))
        message = (
            f"{owner} needs {len(documents)} managed policies ({size:,} characters) beside its inline policy, and has "
            f"{others} of others; AWS allows {limit} on a role."
        )
        raise PolicyTooLarge(message, limit=limit, size=count, owner=owner, hint=hint)


def check_bucket_policy(document: PolicyDocument, *, owner: str) -> None:
    """Raise `PolicyTooLarge` if S3 would refuse this policy of `owner`, a bucket's ARN or name."""
    size, limit = measure_bucket_policy(document), BUCKET_POLICY_MAX_BYTES
    if size > limit:
        hint = (
            "On the bucket's page, place its grants in the roles' own policies, where each role has room of its own; "
            "or end grants that are no longer needed, or give one folder further up in place of many below it."
        )
        raise _too_large(f"The bucket policy of {owner}", f"{size:,} bytes", size, limit, owner=owner, hint=hint)


def check_session_policy(document: PolicyDocument, *, owner: str) -> None:
    """Raise `PolicyTooLarge` if STS would refuse this session policy for `owner`, what the session is for."""
    size, limit = measure_session_policy(document), SESSION_POLICY_MAX_CHARACTERS
    if size > limit:
        hint = "Narrow the mapping to fewer buckets, or split it into several mappings."
        raise _too_large(f"The session policy for {owner}", f"{size:,} characters", size, limit, owner=owner, hint=hint)


def _too_large(what: str, measured: str, size: int, limit: int, *, owner: str, hint: str) -> PolicyTooLarge:
    message = f"{what} would have {measured}; AWS allows {limit:,}."
    return PolicyTooLarge(message, limit=limit, size=size, owner=owner, hint=hint)


def _collapsed(value: Any) -> Any:
    """Return `value` with each list of one replaced by what is in it, as S3 stores it."""
    if isinstance(value, Mapping):
        return {key: _collapsed(item) for key, item in value.items()}
    if isinstance(value, list):
        return _collapsed(value[0]) if len(value) == 1 else [_collapsed(item) for item in value]
    return value
