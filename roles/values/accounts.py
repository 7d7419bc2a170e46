"""AWS accounts as values: id, partition, and how the portal gets in."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from roles.errors import InputError, InvalidAccountId

AccountId = NewType("AccountId", str)

EXTERNAL_ID_PATTERN = re.compile(r"\A[A-Za-z0-9_+=,.@:/-]{2,1224}\Z")  # STS API, AssumeRole: ExternalId
# IAM and STS quotas: role trust policy length; AWS raises it for an account up to twice as much.
TRUST_POLICY_CHARACTERS = 2_048
TRUST_POLICY_CHARACTERS_RAISED = 4_096
REGION_PATTERN = re.compile(r"\A[a-z]{2}(-[a-z]+)+-\d{1,2}\Z")


class Partition(StrEnum):
    """AWS's separate worlds; the second part of every ARN."""

    AWS = "aws"
    AWS_CN = "aws-cn"
    AWS_US_GOV = "aws-us-gov"


class AccessMode(StrEnum):
    """How the portal gets into an account."""

    AMBIENT = "ambient"
    ASSUME_ROLE = "assume-role"
    HANDOFF = "handoff"


def account_id(text: str, *, field: str = "account_id") -> AccountId:
    """Return `text` as an account id, or raise `InvalidAccountId`. Leading zeros count: it is text, never a number.

    >>> account_id("000000000012")
    '000000000012'
    """
    if not re.fullmatch(r"[0-9]{12}", text or ""):
        raise InvalidAccountId(
            f"'{text}' is not an AWS account id.",
            field=field,
            allowed="exactly 12 digits",
            hint="An account id is exactly 12 digits, leading zeros included, e.g. 111111111111.",
        )
    return AccountId(text)


def partition_of_region(region: str) -> Partition:
    """Return the partition that `region` belongs to."""
    if region.startswith("cn-"):
        return Partition.AWS_CN
    return Partition.AWS_US_GOV if region.startswith("us-gov-") else Partition.AWS


def region_name(text: str, *, partition: str = Partition.AWS, field: str = "region") -> str:
    """Return `text` as a region of `partition`, or raise `InputError`."""
    if not REGION_PATTERN.match(text or "") or not text.isascii():
        raise InputError(f"'{text}' is not an AWS region.", field=field, allowed="a region code such as us-east-1")
    if partition_of_region(text) != partition:
        raise InputError(
            f"Region '{text}' is not in partition '{partition}'.",
            field=field,
            allowed="cn-… for aws-cn, us-gov-… for aws-us-gov, all others for aws",
        )
    return text


def external_id(text: str, *, field: str = "external_id") -> str:
    """Return `text` as an STS ExternalId, or raise `InputError`."""
    if not EXTERNAL_ID_PATTERN.match(text or ""):
        raise InputError(
            "That is not a valid external id.", field=field, allowed="2 to 1,224 letters, digits or any of _+=,.@:/-"
        )
    return text


def new_external_id() -> str:
    """Return a new external id that nobody can guess: 192 random bits, as letters and digits only.

    One for each account, so that an account's owner can be sure that the portal comes on that account's behalf (IAM
    User Guide, "The confused deputy problem").
    """
    return f"xacct-{secrets.token_hex(24)}"


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """An account and the way in, as `roles.aws` needs it.

    `role_arn` and `external_id` are of the role to assume: for `assume-role`, and for `handoff` where the account's
    owner lets the portal read. `trust_characters` is how long the account's quota lets a role's trust policy be.
    """

    account_id: AccountId
    partition: Partition
    region: str
    mode: AccessMode
    role_arn: str = ""
    external_id: str = ""
    trust_characters: int = TRUST_POLICY_CHARACTERS

    @property
    def is_readable(self) -> bool:
        """Whether there is a way in at all, if only to read."""
        return self.mode is not AccessMode.HANDOFF or bool(self.role_arn)
