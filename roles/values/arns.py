"""Names and ARNs of IAM roles and S3 buckets, validated against AWS's published rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from roles.errors import InputError, InvalidArn, InvalidPrefix
from roles.values.accounts import AccountId, Partition, account_id

ROLE_NAME_PATTERN = re.compile(r"\A[A-Za-z0-9_+=,.@-]{1,64}\Z")  # IAM API, CreateRole: RoleName
# IAM API, CreateRole: Path; without '$', '*' and '?', which would make a pattern of the role's ARN in a policy.
ROLE_PATH_PATTERN = re.compile(r"\A/(?:[\x21-\x23\x25-\x29\x2b-\x2e\x30-\x3e\x40-\x7e]+/)*\Z")
ROLE_PATH_MAX_CHARACTERS = 512
# Names of managed policies are unique in an account whatever their path, so ours begin with a word of ours.
MANAGED_POLICY_PATH = "/xacct-portal/"
MANAGED_POLICY_PREFIX = "xacct-"
# How a role or policy that the portal made is told from others.
MANAGED_TAG = "xacct-portal"
MANAGED_TAGS = {MANAGED_TAG: "managed"}
BUCKET_NAME_PATTERN = re.compile(r"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")  # S3: Bucket naming rules
BUCKET_FORBIDDEN_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
BUCKET_FORBIDDEN_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
PREFIX_MAX_BYTES = 1024  # S3: object keys are at most 1,024 bytes of UTF-8
_IPV4 = re.compile(r"\A\d+\.\d+\.\d+\.\d+\Z")
_ROLE_ARN = re.compile(r"\Aarn:(aws|aws-cn|aws-us-gov):iam::([0-9]{12}):role(/.*)\Z")
_POLICY_ARN = re.compile(
    r"\Aarn:(aws|aws-cn|aws-us-gov):iam::([0-9]{12}|aws):policy(?:/[\x21-\x29\x2b-\x2e\x30-\x3e\x40-\x7e]+)*/"
    r"[A-Za-z0-9_+=,.@-]{1,128}\Z"
)
_ASSUMED_ROLE_ARN = re.compile(r"\Aarn:(aws|aws-cn|aws-us-gov):sts::([0-9]{12}):assumed-role/([^/]+)/.+\Z")


class AccessLevel(StrEnum):
    """What a bucket grant or a mapping's narrowing allows."""

    READ = "READ"
    WRITE = "WRITE"
    READWRITE = "READWRITE"

    @property
    def reads(self) -> bool:
        """Whether objects may be read."""
        return self is not AccessLevel.WRITE

    @property
    def writes(self) -> bool:
        """Whether objects may be written and deleted."""
        return self is not AccessLevel.READ

    def narrowed_to(self, other: AccessLevel) -> AccessLevel | None:
        """Return what both allow, or None when they have nothing in common (READ and WRITE)."""
        reads, writes = self.reads and other.reads, self.writes and other.writes
        if reads and writes:
            return AccessLevel.READWRITE
        if reads:
            return AccessLevel.READ
        return AccessLevel.WRITE if writes else None


def role_name(text: str, *, field: str = "name") -> str:
    """Return `text` as an IAM role name, or raise `InputError`."""
    if not ROLE_NAME_PATTERN.match(text or ""):
        raise InputError(
            f"'{text}' is not a valid IAM role name.",
            field=field,
            allowed="1 to 64 letters, digits or any of _+=,.@-",
        )
    return text


def role_path(text: str, *, field: str = "path") -> str:
    """Return `text` as an IAM path, or raise `InputError`."""
    if not _is_role_path(text):
        raise InputError(
            f"'{text}' is not a valid IAM path.",
            field=field,
            allowed="begins and ends with '/', at most 512 printable characters without spaces, '$', '*' and '?'",
        )
    return text


def _is_role_path(text: str) -> bool:
    return len(text) <= ROLE_PATH_MAX_CHARACTERS and bool(ROLE_PATH_PATTERN.match(text))


def bucket_name(text: str, *, field: str = "name") -> str:
    """Return `text` as an S3 bucket name, or raise `InputError` naming the rule that was broken."""
    rule = _broken_bucket_rule(text or "")
    if rule:
        raise InputError(f"'{text}' is not a valid bucket name: {rule}.", field=field, allowed=rule)
    return text


def _broken_bucket_rule(text: str) -> str:
    if not BUCKET_NAME_PATTERN.match(text):
        return "3 to 63 lowercase letters, digits, '.' or '-', beginning and ending with a letter or digit"
    if ".." in text:
        return "it may not contain two dots in a row"
    if _IPV4.match(text):
        return "it may not look like an IP address"
    if text.startswith(BUCKET_FORBIDDEN_STARTS):
        return f"it may not begin with {', '.join(BUCKET_FORBIDDEN_STARTS)}"
    if text.endswith(BUCKET_FORBIDDEN_ENDS):
        return f"it may not end with {', '.join(BUCKET_FORBIDDEN_ENDS)}"
    return ""


def object_prefix(text: str, *, field: str = "prefix") -> str:
    """Return `text` as a folder prefix: no leading slash, exactly one trailing slash, or empty for the whole bucket.

    `team` and `team/` mean the same folder, and neither opens `team-secret/`.

    >>> object_prefix("team/raw")
    'team/raw/'
    """
    allowed = "a folder path such as team/raw/, without '*', '?', '${', '//' or control characters"
    cleaned = text.strip()
    if not cleaned:
        return ""
    if cleaned.startswith("/") or "//" in cleaned or any(part in (".", "..") for part in cleaned.split("/")):
        raise InvalidPrefix(
            f"'{text}' is not a usable prefix: it has an empty or dotted part.", field=field, allowed=allowed
        )
    # Half a surrogate pair (\ud800 to \udfff) has no UTF-8, so no object's key has one.
    if re.search(r"[*?\x00-\x1f\x7f\ud800-\udfff]|\$\{", cleaned):
        raise InvalidPrefix(
            "That is not a usable prefix: '*', '?', '${' and control characters mean something else in a policy.",
            field=field,
            allowed=allowed,
        )
    folder = cleaned.rstrip("/") + "/"
    if len(folder.encode()) > PREFIX_MAX_BYTES:
        raise InvalidPrefix(
            "The prefix is longer than an object key may be.", field=field, allowed="at most 1,024 bytes"
        )
    return folder


def narrower_prefix(one: str, other: str) -> str | None:
    """Return the deeper of two folder prefixes when one contains the other, else None.

    >>> narrower_prefix("team/", "team/raw/")
    'team/raw/'
    >>> narrower_prefix("team/", "team-secret/") is None
    True
    """
    if one.startswith(other):
        return one
    return other if other.startswith(one) else None


@dataclass(frozen=True, slots=True, order=True)
class RoleArn:
    """An IAM role. `path` begins and ends with '/'."""

    partition: Partition
    account: AccountId
    name: str
    path: str = "/"

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"

    @property
    def instance_profile(self) -> str:
        """The ARN of the instance profile of the same name (step 1 of the procedure)."""
        return f"arn:{self.partition}:iam::{self.account}:instance-profile{self.path}{self.name}"

    @property
    def managed_policies(self) -> str:
        """What the ARNs of the customer managed policies that the portal makes for the role begin with."""
        return f"arn:{self.partition}:iam::{self.account}:policy{MANAGED_POLICY_PATH}{MANAGED_POLICY_PREFIX}{self.name}"

    def managed_policy(self, number: int) -> str:
        """Return the ARN of one of them; numbers begin at 1."""
        return f"{self.managed_policies}-{number}"


def role_arn(text: str, *, field: str = "role_arn") -> RoleArn:
    """Parse `arn:<partition>:iam::<account>:role/<path><name>`, or raise `InvalidArn`."""
    match = _ROLE_ARN.match(text or "")
    path, _, name = match.group(3).rpartition("/") if match else ("", "", "")
    path += "/"
    if not match or not ROLE_NAME_PATTERN.match(name) or not _is_role_path(path):
        raise InvalidArn(
            f"'{text}' is not the ARN of an IAM role.", field=field, allowed="arn:aws:iam::111111111111:role/RoleName"
        )
    return RoleArn(Partition(match.group(1)), account_id(match.group(2)), name, path)


def policy_arn(text: str, *, field: str = "permissions_boundary") -> str:
    """Return `text` as the ARN of a managed policy, of an account or of AWS, or raise `InvalidArn`."""
    if not _POLICY_ARN.match(text or ""):
        raise InvalidArn(
            f"'{text}' is not the ARN of a managed policy.",
            field=field,
            allowed="arn:aws:iam::111111111111:policy/PolicyName",
        )
    return text


def principal_of_caller(caller_arn: str) -> str:
    """Return the principal to name in a trust policy for the identity that STS reports as `caller_arn`.

    A session ARN (`…:assumed-role/Name/session`) becomes its role's ARN, as trust policies should name roles, not
    sessions. An assumed-role ARN carries no path, so a role under a path cannot be recovered from it.
    """
    match = _ASSUMED_ROLE_ARN.match(caller_arn)
    if match:
        return f"arn:{match.group(1)}:iam::{match.group(2)}:role/{match.group(3)}"
    return caller_arn


@dataclass(frozen=True, slots=True, order=True)
class BucketArn:
    """An S3 bucket."""

    partition: Partition
    name: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:s3:::{self.name}"

    def objects(self, prefix: str = "") -> str:
        """Return the ARN pattern of every object under `prefix`, a folder prefix as `object_prefix` makes them."""
        return f"{self}/{prefix}*"
