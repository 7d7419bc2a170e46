"""Our statements: the JSON of the procedure's steps 1, 2, 3, 5 and 6, with a Sid of ours added.

Effect, Action, Principal and Resource stand exactly as the procedure has them, as a list or a string where it has one.
What attribution needs beyond it (`sts:TagSession`, `sts:SetSourceIdentity`) is in statements of its own.

READWRITE without a prefix is the procedure's own list, no more and no less. READ and WRITE are parts of it. A prefix
narrows it further: objects under `<prefix>*` only, and listing for exactly that folder and what is below it. The way
down to the folder is not listable: somebody who was given `team/raw/` does not learn what else is in `team/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from roles.errors import PolicyError
from roles.policies import sids
from roles.policies.document import Statement
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel, BucketArn, RoleArn, object_prefix

ASSUME_ROLE = "sts:AssumeRole"
ATTRIBUTION_ACTIONS = ("sts:TagSession", "sts:SetSourceIdentity")
PASS_ROLE = "iam:PassRole"  # noqa: S105 (an action)
LIST_BUCKET = "s3:ListBucket"
GET_BUCKET_LOCATION = "s3:GetBucketLocation"
# Cleaning up after multipart uploads that ended half-way. Listing them knows no s3:prefix (Service Authorization
# Reference, Amazon S3), so it shows the names of all unfinished uploads of the bucket.
LIST_UPLOADS = "s3:ListBucketMultipartUploads"
UPLOAD_ACTIONS = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")

_PUT_OBJECT, _PUT_OBJECT_ACL = "s3:PutObject", "s3:PutObjectAcl"
_GET_OBJECT, _DELETE_OBJECT = "s3:GetObject", "s3:DeleteObject"
OBJECT_ACTIONS: dict[AccessLevel, tuple[str, ...]] = {
    AccessLevel.READWRITE: (_PUT_OBJECT, _PUT_OBJECT_ACL, _GET_OBJECT, _DELETE_OBJECT),
    AccessLevel.READ: (_GET_OBJECT,),
    AccessLevel.WRITE: (_PUT_OBJECT, _PUT_OBJECT_ACL, _DELETE_OBJECT),
}

_EC2_SERVICE = {
    Partition.AWS: "ec2.amazonaws.com",
    Partition.AWS_CN: "ec2.amazonaws.com.cn",  # AWS China's own suffix; ECS kept the common one
    Partition.AWS_US_GOV: "ec2.amazonaws.com",
}
_ECS_SERVICE = "ecs-tasks.amazonaws.com"


def assume_statements(targets: Iterable[tuple[RoleArn, bool]]) -> tuple[Statement, ...]:
    """Step 2: the source role may assume each target. The bool says whether sessions there carry who they are for.

    One statement for all targets, sorted, and one for attribution; no target, no statement.
    """
    wanted = list(targets)
    return _some(
        _identity(sids.ASSUME, [ASSUME_ROLE], _arns(role for role, _ in wanted)),
        _identity(sids.ASSUME_ATTRIBUTION, [*ATTRIBUTION_ACTIONS], _arns(role for role, named in wanted if named)),
    )


def pass_role_statements(source: RoleArn) -> tuple[Statement, ...]:
    """Step 3: the source role may pass itself to EC2, EMR and ECS, so that its host can launch work under it."""
    return _some(_identity(sids.PASS_ROLE, PASS_ROLE, [str(source)]))


def source_role_trust_statements(
    partition: Partition, *, services: bool, portal_principals: Sequence[str]
) -> tuple[Statement, ...]:
    """Step 1: who may act as the source role: EC2 and ECS tasks, and the portal's own identities (their ARNs)."""
    compute = [_EC2_SERVICE[partition], _ECS_SERVICE] if services else []
    return _some(
        _resource_based(sids.ROLE_SERVICES, "Service", compute, ASSUME_ROLE),
        _resource_based(sids.ROLE_PORTAL, "AWS", sorted(set(portal_principals)), ASSUME_ROLE),
    )


def trust_statements(sources: Iterable[RoleArn], *, attribution: bool) -> tuple[Statement, ...]:
    """Step 5: the target role may be assumed by each source role. No source, no statement."""
    names = _arns(sources)
    return _some(
        _resource_based(sids.TRUST, "AWS", names, ASSUME_ROLE),
        _resource_based(sids.TRUST_ATTRIBUTION, "AWS", names if attribution else [], [*ATTRIBUTION_ACTIONS]),
    )


def nobody_statement() -> Statement:
    """Return the placeholder for a role that nobody may assume yet: IAM takes no role without a trust policy."""
    return Statement(
        {"Sid": sids.TRUST_NOBODY, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ASSUME_ROLE},
    )


def bucket_statements(
    role: RoleArn, bucket: BucketArn, level: AccessLevel, prefix: str, *, uploads: bool = False
) -> tuple[Statement, ...]:
    """Step 6: what the target role may do in the bucket under `prefix`, a folder or empty for the whole bucket.

    `uploads`: it may also clean up after multipart uploads, in statements of their own, as the procedure has none.

    Raises `InvalidPrefix` for a prefix that a policy would read differently, and `PolicyError` when role and bucket
    are in different partitions, which AWS would refuse as an invalid principal.
    """
    if role.partition != bucket.partition:
        raise PolicyError(
            f"{role} and {bucket} are in different partitions.",
            field="bucket",
            hint="A role can only be given access to buckets of its own partition.",
        )
    folder = object_prefix(prefix)
    names = [str(role)]

    def allow(kind: str, action: str | list[str], resource: str, **more: Any) -> Statement | None:
        return _resource_based(sids.bucket_sid(kind, role, folder), "AWS", names, action, Resource=resource, **more)

    cleaning = (
        allow(sids.BUCKET_UPLOADS_LIST, LIST_UPLOADS, str(bucket)),
        allow(sids.BUCKET_UPLOADS, [*UPLOAD_ACTIONS], bucket.objects(folder)),
    )
    objects = (
        allow(sids.BUCKET_OBJECTS, [*OBJECT_ACTIONS[level]], bucket.objects(folder)),
        *(cleaning if uploads and level.writes else ()),
    )
    if level.reads and not folder:
        return _some(allow(sids.BUCKET_LIST, [GET_BUCKET_LOCATION, LIST_BUCKET], str(bucket)), *objects)
    # GetBucketLocation knows no s3:prefix: under that condition it would be denied.
    location = allow(sids.BUCKET_LOCATION, GET_BUCKET_LOCATION, str(bucket))
    if not level.reads:
        return _some(location, *objects)
    listing = allow(sids.BUCKET_LIST, LIST_BUCKET, str(bucket), Condition=listing_condition([folder]))
    return _some(location, listing, *objects)


def listing_condition(folders: Iterable[str]) -> dict[str, Any]:
    """Return the condition that limits `s3:ListBucket` to `folders`, each ending in '/', and what is below them."""
    return {"StringLike": {"s3:prefix": [pattern for folder in folders for pattern in (folder, f"{folder}*")]}}


def _arns(roles: Iterable[RoleArn]) -> list[str]:
    return sorted({str(role) for role in roles})


def _identity(sid: str, action: str | list[str], resources: list[str]) -> Statement | None:
    """Return a statement of a policy that hangs on the role itself, or None when it would name nothing."""
    if not resources:
        return None
    return Statement({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resources})


def _resource_based(sid: str, kind: str, names: list[str], action: str | list[str], **more: Any) -> Statement | None:
    """Return a statement that names who may, or None when it would name nobody."""
    if not names:
        return None
    return Statement({"Sid": sid, "Effect": "Allow", "Principal": {kind: names}, "Action": action, **more})


def _some(*statements: Statement | None) -> tuple[Statement, ...]:
    return tuple(statement for statement in statements if statement)
