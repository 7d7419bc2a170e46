"""What one session may do: a role's grants cut to a mapping, and the session policy that makes AWS hold to it.

A session policy gives nothing. What the session may do is what both the bucket policy and the session policy allow
(IAM User Guide, "Session policies"); this works because our bucket policies name role ARNs, never session ARNs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from roles.policies.builders import (
    GET_BUCKET_LOCATION,
    LIST_BUCKET,
    LIST_UPLOADS,
    OBJECT_ACTIONS,
    UPLOAD_ACTIONS,
    listing_condition,
)
from roles.policies.document import PolicyDocument, Statement
from roles.policies.limits import check_session_policy
from roles.values.arns import AccessLevel, BucketArn, narrower_prefix, object_prefix

NOTHING = Statement({"Effect": "Deny", "Action": "*", "Resource": "*"})
KEY_ACTIONS = {
    # S3 User Guide, "Protecting data with SSE-KMS": multipart uploads decrypt too.
    AccessLevel.READ: ("kms:Decrypt",),
    AccessLevel.WRITE: ("kms:Decrypt", "kms:GenerateDataKey"),
    AccessLevel.READWRITE: ("kms:Decrypt", "kms:GenerateDataKey"),
}


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """What may be done in a bucket under `prefix` (a folder, or empty for all of it).

    `kms_key` is the ARN of the bucket's customer-managed key, if it has one: without it in the session policy, S3
    denies access to the encrypted objects. `uploads`: it may clean up after multipart uploads; who only reads has none.
    Raises `InvalidPrefix`.
    """

    bucket: BucketArn
    level: AccessLevel
    prefix: str = ""
    kms_key: str = ""
    uploads: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "uploads", self.uploads and self.level.writes)
        # A prefix without its trailing slash would open `team-secret/` along with `team`.
        object.__setattr__(self, "prefix", object_prefix(self.prefix))

    def covers(self, other: Grant) -> bool:
        """Return whether this grant allows all that `other` does."""
        return (
            self.bucket == other.bucket
            and other.prefix.startswith(self.prefix)
            and self.level.narrowed_to(other.level) is other.level
            and self.uploads >= other.uploads
        )


def effective_grants(
    grants: Iterable[Grant], *, level: AccessLevel, prefix: str, buckets: Collection[BucketArn]
) -> tuple[Grant, ...]:
    """Return what both `grants` and a mapping's narrowing allow, sorted; no `buckets` means all of them.

    Grants that come to the same folder become one with both their levels, and a grant that another covers is left out.
    """
    folder = object_prefix(prefix)
    places: dict[tuple[BucketArn, str], Grant] = {}
    for grant in grants:
        cut = _narrowed(grant, level, folder) if not buckets or grant.bucket in buckets else None
        if cut:
            place = (cut.bucket, cut.prefix)
            places[place] = _united(places[place], cut) if place in places else cut
    found = places.values()
    return tuple(sorted(one for one in found if not any(other is not one and other.covers(one) for other in found)))


def _narrowed(grant: Grant, level: AccessLevel, prefix: str) -> Grant | None:
    common_level = grant.level.narrowed_to(level)
    common_prefix = narrower_prefix(grant.prefix, prefix)
    if common_level is None or common_prefix is None:
        return None
    return Grant(grant.bucket, common_level, common_prefix, grant.kms_key, grant.uploads)


def _united(one: Grant, other: Grant) -> Grant:
    level = one.level if one.level is other.level else AccessLevel.READWRITE
    return Grant(one.bucket, level, one.prefix, one.kms_key or other.kms_key, one.uploads or other.uploads)


def session_policy(grants: Iterable[Grant]) -> str:
    """Return the session policy for these grants as JSON for AssumeRole, or raise `PolicyTooLarge`.

    Statements are pooled and carry no Sid, as there is room for 2,048 characters only. Without any grant it denies
    everything: leaving it out would give the session all that the role has.
    """
    wanted = sorted(set(grants))
    document = PolicyDocument((*_bucket_level(wanted), *_object_level(wanted), *_key_level(wanted)) or (NOTHING,))
    buckets = sorted({grant.bucket.name for grant in wanted})
    check_session_policy(document, owner=f"sessions in {', '.join(buckets)}")
    return document.as_json()


def _bucket_level(grants: list[Grant]) -> tuple[Statement, ...]:
    """Return who may learn the buckets' regions, list them, and list folders in them."""
    folders: dict[str, list[str]] = {}
    for grant in grants:
        if grant.level.reads:
            folders.setdefault(str(grant.bucket), []).append(grant.prefix)
    whole = [bucket for bucket, prefixes in folders.items() if "" in prefixes]
    statements = [
        *_allow(GET_BUCKET_LOCATION, sorted({str(grant.bucket) for grant in grants})),
        *_allow(LIST_BUCKET, whole),
        *_allow(LIST_UPLOADS, sorted({str(grant.bucket) for grant in grants if grant.uploads})),
    ]
    for bucket, prefixes in folders.items():
        if bucket not in whole:
            statements += _allow(LIST_BUCKET, [bucket], Condition=listing_condition(sorted(set(prefixes))))
    return tuple(statements)


def _object_level(grants: list[Grant]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for level, actions in OBJECT_ACTIONS.items():
        found += _allow([*actions], [grant.bucket.objects(grant.prefix) for grant in grants if grant.level is level])
    found += _allow([*UPLOAD_ACTIONS], [grant.bucket.objects(grant.prefix) for grant in grants if grant.uploads])
    return tuple(found)


def _key_level(grants: list[Grant]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for level, actions in KEY_ACTIONS.items():
        keys = {grant.kms_key for grant in grants if grant.level is level and grant.kms_key}
        found += _allow([*actions], sorted(keys))
    return tuple(found)


def _allow(action: str | list[str], resources: list[str], **more: Any) -> list[Statement]:
    if not resources:
        return []
    return [Statement({"Effect": "Allow", "Action": action, "Resource": resources, **more})]
