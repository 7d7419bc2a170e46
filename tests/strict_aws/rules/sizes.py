"""AWS's limits on the size of documents, each with its source, measured as AWS measures."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.strict_aws.rules.refusal import limit_exceeded, malformed_s3

TRUST_CHARACTERS = 2_048  # IAM and STS quotas: role trust policy length
INLINE_CHARACTERS = 10_240  # IAM and STS quotas: all inline policies of a role together
USER_INLINE_CHARACTERS = 2_048  # the same, of a user
MANAGED_CHARACTERS = 6_144  # IAM and STS quotas: managed policy
SESSION_CHARACTERS = 2_048  # STS API, AssumeRole: Policy and the managed policies' ARNs together
BUCKET_BYTES = 20 * 1024  # Amazon S3 quotas: bucket policy, as S3 normalises it


def iam_size(text: str) -> int:
    """Return how many characters IAM counts: white space between the tokens does not count."""
    return len(json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False))


def check_trust(text: str, *, limit: int = TRUST_CHARACTERS) -> None:
    """Raise when a trust policy is too long. `limit` is an account's own quota, where AWS has raised it."""
    if iam_size(text) > limit:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {limit}")


def check_inline(texts: Iterable[str], *, name: str, kind: str = "role") -> None:
    """Raise when the inline policies `texts` of role or user `name` are too long together."""
    limit = INLINE_CHARACTERS if kind == "role" else USER_INLINE_CHARACTERS
    if sum(iam_size(text) for text in texts) > limit:
        raise limit_exceeded(f"Maximum policy size of {limit} bytes exceeded for {kind} {name}")


def check_managed(text: str) -> None:
    """Raise when a managed policy is too long."""
    if iam_size(text) > MANAGED_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {MANAGED_CHARACTERS}")


def check_bucket(normal_text: str) -> None:
    """Raise when a bucket policy, as S3 normalises it, is too long: the code of a malformed policy, another message."""
    if len(normal_text.encode()) > BUCKET_BYTES:
        raise malformed_s3(f"Normalized policy document exceeds the maximum allowed size of {BUCKET_BYTES} bytes")
