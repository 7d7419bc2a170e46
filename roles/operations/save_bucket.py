"""Create or change an S3 bucket."""

from __future__ import annotations

import re
from typing import Any

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import Bucket, BucketGrant
from roles.operations._concerned import (
    forget_mappings,
    mappings_reaching,
    queue_runs,
    require_mappings_fit,
    sources_concerned,
)
from roles.operations._planned import planned
from roles.operations._rows import keep, locked, refused_as, validate
from roles.permissions import Rule, require
from roles.values.accounts import region_name

# KMS Developer Guide, "Key ARN". An alias does not work as the resource of a policy.
_KEY_ARN = re.compile(r"\Aarn:(aws|aws-cn|aws-us-gov):kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+\Z")
_IN_AWS = ("region", "kms_key_arn", "grants_in_identity_policy")  # what the policies of roles and bucket depend on


def save_bucket(*, actor: Any, bucket: Bucket, expected_plan: str = "") -> Bucket:
    """Save a new or changed bucket and return it. Its account and name never change: they say which bucket it is.

    When the region, the key or the place of its grants changes, the roles in use that reach it are provisioned again;
    when the key changes, their tokens leave the cache. Raises `NotPermitted`, `NotFound`, `InputError` with its field,
    `PolicyTooLarge`, `Conflict`.
    """
    is_new = bucket.pk is None
    require(actor, Rule.MANAGE_BUCKETS, None if is_new else bucket)
    with planned(expected_plan):
        before = None if is_new else _kept(bucket)
        validate(bucket)
        region_name(bucket.region, partition=bucket.account.partition)
        _check_key(bucket)
        after = _content(bucket)
        if after == before:
            return bucket
        with refused_as(Conflict(f"There is a bucket '{bucket.name}' already.", hint="Names are unique in S3.")):
            bucket.save()
        code = "bucket.created" if before is None else "bucket.changed"
        record(
            code,
            actor=actor,
            subject=bucket,
            account_id=bucket.account.account_id,
            resource=str(bucket.arn),
            before=before,
            after=after,
        )
        if before is not None:
            _tell_who_reaches_it(bucket, before, actor=actor, trigger=code)
    return bucket


def _kept(bucket: Bucket) -> dict[str, Any]:
    """Return what is stored, after making sure that it is still about the same bucket."""
    stored = locked(Bucket, bucket.pk, "account")
    keep(bucket, stored, ("account", "name"), "Another name or account is another bucket. Add that one.")
    return _content(stored)


def _check_key(bucket: Bucket) -> None:
    if not bucket.kms_key_arn:
        return
    partition, region = bucket.account.partition, bucket.region
    match = _KEY_ARN.match(bucket.kms_key_arn)
    # S3 User Guide, "Using SSE-KMS": the key is in the bucket's region.
    if not match or (match.group(1), match.group(2)) != (partition, region):
        raise InputError(
            f"'{bucket.kms_key_arn}' is not the ARN of a KMS key in {region}.",
            field="kms_key_arn",
            allowed=f"arn:{partition}:kms:{region}:111111111111:key/… (a key, not an alias)",
        )


def _tell_who_reaches_it(bucket: Bucket, before: dict[str, Any], *, actor: Any, trigger: str) -> None:
    grants = BucketGrant.objects.open().filter(bucket=bucket).select_related("role__account")
    targets = {grant.role for grant in grants}
    if any(before[name] != getattr(bucket, name) for name in _IN_AWS):
        queue_runs(sources_concerned(targets), actor=actor, trigger=trigger)
    if before["kms_key_arn"] != bucket.kms_key_arn:
        require_mappings_fit(targets=[role.pk for role in targets])
        forget_mappings({mapping for role in targets for mapping in mappings_reaching(role.pk)}, actor=actor)


def _content(bucket: Bucket) -> dict[str, Any]:
    return {
        "account": bucket.account.account_id,
        "name": bucket.name,
        "region": bucket.region,
        "kms_key_arn": bucket.kms_key_arn,
        "grants_in_identity_policy": bucket.grants_in_identity_policy,
    }
