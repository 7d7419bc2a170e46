"""The names and numbers that IAM, STS and S3 take. botocore checks least lengths only, emulators next to nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.strict_aws.rules.refusal import Refusal, invalid

ACCOUNT = re.compile(r"[0-9]{12}")
_WORD = r"[A-Za-z0-9_+=,.@-]"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
ROLE_SECONDS = (3_600, 43_200)  # IAM API, CreateRole: MaxSessionDuration
SESSION_SECONDS = (900, 43_200)  # STS API, AssumeRole: DurationSeconds
CHAINED_SECONDS = 3_600  # IAM User Guide, "Roles terms and concepts": role chaining
TAGS = 50
TAG_KEY_CHARACTERS = 128
TAG_VALUE_CHARACTERS = 256


def _check(field: str, value: str, pattern: str, shortest: int, longest: int) -> None:
    if len(value) < shortest:
        raise invalid(field, value, f"have length greater than or equal to {shortest}")
    if len(value) > longest:
        raise invalid(field, value, f"have length less than or equal to {longest}")
    if not re.fullmatch(pattern, value, re.ASCII):
        raise invalid(field, value, f"satisfy regular expression pattern: {pattern}")


def check_role_name(value: str) -> None:
    """Raise unless IAM takes this RoleName."""
    _check("roleName", value, f"{_WORD}+", 1, 64)


def check_policy_name(value: str) -> None:
    """Raise unless IAM takes this PolicyName."""
    _check("policyName", value, f"{_WORD}+", 1, 128)


def check_path(value: str) -> None:
    """Raise unless IAM takes this Path: `/`, or something between two slashes."""
    _check("path", value, r"(/)|(/[!-~]+/)", 1, 512)


def check_session_name(value: str) -> None:
    """Raise unless STS takes this RoleSessionName."""
    _check("roleSessionName", value, f"{_WORD}*", 2, 64)


def check_source_identity(value: str) -> None:
    """Raise unless STS takes this SourceIdentity."""
    _check("sourceIdentity", value, f"{_WORD}*", 2, 64)
    if value.startswith("aws:"):
        raise invalid("sourceIdentity", value, "not begin with aws:")


def check_external_id(value: str) -> None:
    """Raise unless STS takes this ExternalId."""
    _check("externalId", value, r"[A-Za-z0-9_+=,.@:/-]*", 2, 1_224)


def check_role_seconds(value: str) -> None:
    """Raise unless a role may have this MaxSessionDuration."""
    _check_seconds("maxSessionDuration", value, ROLE_SECONDS)


def check_session_seconds(value: str) -> None:
    """Raise unless any role could give sessions of this DurationSeconds."""
    _check_seconds("durationSeconds", value, SESSION_SECONDS)


def _check_seconds(field: str, value: str, allowed: tuple[int, int]) -> None:
    number = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else -1
    if number < allowed[0]:
        raise invalid(field, value, f"have value greater than or equal to {allowed[0]}")
    if number > allowed[1]:
        raise invalid(field, value, f"have value less than or equal to {allowed[1]}")


def check_session_length(seconds: int, *, chained: bool, role_seconds: int) -> None:
    """Raise when a session would outlast its role's maximum, or an hour when it comes from another session."""
    if chained and seconds > CHAINED_SECONDS:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise Refusal("ValidationError", message, 400)
    if seconds > role_seconds:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise Refusal("ValidationError", message, 400)


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise unless a role or a session may have these tags."""
    if len(tags) > TAGS:
        raise invalid("tags", list(tags), f"have length less than or equal to {TAGS}")
    for key, value in tags.items():
        if not 1 <= len(key) <= TAG_KEY_CHARACTERS:
            raise invalid("tags.member.key", key, f"have length less than or equal to {TAG_KEY_CHARACTERS}")
        if len(value) > TAG_VALUE_CHARACTERS:
            raise invalid("tags.member.value", value, f"have length less than or equal to {TAG_VALUE_CHARACTERS}")


def check_bucket_name(value: str) -> None:
    """Raise unless S3 makes a bucket of this name (S3 User Guide, "Bucket naming rules")."""
    numbers = re.fullmatch(r"[0-9]+(\.[0-9]+){3}", value)
    reserved = value.startswith(_BUCKET_STARTS) or value.endswith(_BUCKET_ENDS)
    if not _BUCKET.fullmatch(value) or ".." in value or numbers or reserved:
        raise Refusal("InvalidBucketName", "The specified bucket is not valid.", 400)
