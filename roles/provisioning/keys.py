"""What the owner of a bucket's KMS key has to see to. The portal never changes a key's policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from roles.models import Bucket, BucketGrant
from roles.policies.session import KEY_ACTIONS
from roles.values.arns import AccessLevel


@dataclass(frozen=True, slots=True)
class KeyAdvice:
    """What to tell, and the statements for the key's policy as a JSON object; None while no role needs the key."""

    text: str
    is_elsewhere: bool
    document: dict[str, Any] | None


def key_advice(bucket: Bucket) -> KeyAdvice | None:
    """Return what the owner of the bucket's key has to add to its policy; None for a bucket without a key of its own.

    KMS Developer Guide, "Allowing users in other accounts to use a KMS key" and "Default key policy": in its own
    account a key's policy can leave it to the roles' policies, which the portal writes; for other accounts it must
    name the roles itself.
    """
    if not bucket.kms_key_arn:
        return None
    account = bucket.kms_key_arn.split(":")[4]
    is_elsewhere = account != bucket.account.account_id
    if is_elsewhere:
        text = (
            f"The key is in account {account}. The roles' own policies allow it, but its owner has to allow it too: "
            "the key's policy needs these statements."
        )
    else:
        text = (
            "The roles' own policies allow the key. That is enough while the key's policy leaves it to IAM, as the "
            f"default one does (kms:* for arn:{bucket.account.partition}:iam::{account}:root). If it does not, the "
            "key's owner has to add these statements."
        )
    return KeyAdvice(text, is_elsewhere, _document(bucket))


def _document(bucket: Bucket) -> dict[str, Any] | None:
    grants = BucketGrant.objects.open().filter(bucket=bucket).select_related("role__account")
    levels = {(str(grant.role.arn), AccessLevel(grant.access).writes) for grant in grants}
    writing = sorted({arn for arn, writes in levels if writes})
    reading = sorted({arn for arn, _ in levels} - {*writing})
    parts = (("XacctKeyRead", AccessLevel.READ, reading), ("XacctKeyWrite", AccessLevel.WRITE, writing))
    statements = [
        {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": names}, "Action": [*KEY_ACTIONS[level]], "Resource": "*"}
        for sid, level, names in parts
        if names
    ]
    return {"Version": "2012-10-17", "Statement": statements} if statements else None
