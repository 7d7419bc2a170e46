"""CloudTrail: which call last changed something, and whose it was. Asked rarely, and only to say more.

CloudTrail API, LookupEvents: two calls a second in an account and region, one attribute a call, newest events first,
the management events of 90 days. CloudTrail User Guide, "Global service events": IAM's are in one region of the
partition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from roles.aws.errors import translated
from roles.aws.sessions import AccountSession
from roles.values.accounts import Partition

CALLS_PER_SECOND = 2.0
EVENTS_MAX = 50  # CloudTrail API, LookupEvents: the largest page; no second one is asked for
IAM_REGIONS = {
    Partition.AWS: "us-east-1",
    Partition.AWS_CN: "cn-north-1",
    Partition.AWS_US_GOV: "us-gov-west-1",
}


@dataclass(frozen=True, slots=True)
class Write:
    """A call that changed something. `name` is boto3's operation, `who` says whose it was in words, `arn` exactly."""

    name: str
    at: datetime
    who: str
    arn: str
    issuer: str = ""  # the ARN of the role, where it was done as one


def newest_write(
    session: AccountSession, resource_name: str, *, region: str, since: datetime | None, but: frozenset[str]
) -> Write | None:
    """Return the newest call that changed what CloudTrail calls `resource_name`, or None where none is known.

    Roles and buckets have their name there, managed policies their ARN. Only calls after `since` (aware) count, none
    that AWS refused, and none of the identities in `but` (ARNs of users or roles). Raises an `AwsError`.
    """
    asked: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": resource_name}],
        "MaxResults": EVENTS_MAX,
    }
    if since is not None:
        asked["StartTime"] = since
    with translated(
        service="cloudtrail", operation="LookupEvents", account=session.access.account_id, arn=resource_name
    ):
        answer = session.cloudtrail(region).lookup_events(**asked)
    found = (one for one in _writes(answer.get("Events", [])) if not {one.arn, one.issuer} & but)
    return max((one for one in found if since is None or one.at > since), key=lambda one: one.at, default=None)


def _writes(events: list[dict[str, Any]]) -> Iterator[Write]:
    for event in events:
        try:
            said: dict[str, Any] = json.loads(event.get("CloudTrailEvent") or "{}")
        except ValueError:
            said = {}
        if event.get("ReadOnly") == "true" or said.get("errorCode"):
            continue
        identity = said.get("userIdentity") or {}
        issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
        yield Write(
            name=event.get("EventName", ""),
            at=event["EventTime"].astimezone(UTC),
            who=_in_words(identity, event.get("Username", "")),
            arn=identity.get("arn", ""),
            issuer=issuer.get("arn", ""),
        )


def _in_words(identity: dict[str, Any], username: str) -> str:
    """Return who it was by CloudTrail's `userIdentity` element.

    >>> _in_words({"type": "IAMUser", "userName": "alice"}, "")
    'alice (AWS user)'
    """
    kind, name = identity.get("type", ""), identity.get("userName") or username
    if kind == "IAMUser":
        return f"{name} (AWS user)"
    if kind == "AssumedRole":
        role, _, person = identity.get("arn", "").partition("assumed-role/")[2].partition("/")
        return f"{person} (as the role {role})" if person else username
    if kind == "Root":
        return f"the root user of {identity.get('accountId', 'the account')}"
    return identity.get("invokedBy") or name or identity.get("arn") or identity.get("principalId", "")
