"""Who last changed something, by CloudTrail's own answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from roles.aws import trail
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied
from roles.values.accounts import AccessMode, AccountAccess, AccountId, Partition

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALICE = {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::222222222222:user/alice"}
PORTAL = "arn:aws:iam::222222222222:role/xacct-provisioner"
AS_PORTAL = {
    "type": "AssumedRole",
    "arn": "arn:aws:sts::222222222222:assumed-role/xacct-provisioner/xacct-portal",
    "sessionContext": {"sessionIssuer": {"arn": PORTAL}},
}


def event(name: str, minutes: int, identity: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an event as LookupEvents gives it, so many minutes after noon."""
    said = {"userIdentity": identity, **more.pop("said", {})}
    at = NOON + timedelta(minutes=minutes)
    return {"EventName": name, "EventTime": at, "ReadOnly": "false", "CloudTrailEvent": json.dumps(said), **more}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> AccountSession:
    access = AccountAccess(
        AccountId("222222222222"), Partition.AWS, "eu-west-1", AccessMode.ASSUME_ROLE, PORTAL, "example-external-id"
    )
    return AccountSession(access)


@pytest.fixture
def stub(account: AccountSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """CloudTrail's answers; what is asked is compared."""
    client = boto3.client(
        "cloudtrail", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    monkeypatch.setattr(AccountSession, "cloudtrail", lambda _self, _region: client)
    with Stubber(client) as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


def answered(stub: Stubber, *events: dict[str, Any], since: datetime | None = NOON) -> None:
    asked: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": "MyRoleB"}],
        "MaxResults": 50,
    }
    stub.add_response("lookup_events", {"Events": [*events]}, asked if since is None else {**asked, "StartTime": since})


def newest(account: AccountSession, since: datetime | None = NOON) -> trail.Write | None:
    return trail.newest_write(account, "MyRoleB", region="us-east-1", since=since, but=frozenset({PORTAL}))


def test_who_may_not_ask_is_told_so(account: AccountSession, stub: Stubber) -> None:
    stub.add_client_error("lookup_events", "AccessDeniedException", "no identity-based policy allows it", 400)
    with pytest.raises(AwsAccessDenied):
        newest(account)


@pytest.mark.parametrize(
    "other",
    [
        event("GetRole", 9, ALICE, ReadOnly="true"),
        event("PutRolePolicy", 9, ALICE, said={"errorCode": "AccessDenied"}),
        event("PutRolePolicy", 9, AS_PORTAL),
        event("PutRolePolicy", -1, ALICE),
    ],
    ids=["read", "refused", "the portal's", "before"],
)
def test_what_changed_nothing_or_was_not_by_hand_is_nobodys(
    other: dict[str, Any], account: AccountSession, stub: Stubber
) -> None:
    answered(stub, other)
    assert newest(account) is None
    answered(stub, other, event("UpdateAssumeRolePolicy", 5, ALICE))
    found = newest(account)
    assert found is not None
    assert (found.name, found.who, found.arn) == ("UpdateAssumeRolePolicy", "alice (AWS user)", ALICE["arn"])


def test_the_newest_of_several_counts_and_without_a_moment_any(account: AccountSession, stub: Stubber) -> None:
    bob = {**ALICE, "userName": "bob"}
    answered(stub, event("PutRolePolicy", 1, bob), event("DeleteRolePolicy", 3, ALICE), since=None)
    found = newest(account, since=None)
    assert found is not None and (found.at, found.who) == (NOON + timedelta(minutes=3), "alice (AWS user)")


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        ({"type": "AssumedRole", "arn": "arn:aws:sts::2:assumed-role/Admin/carol"}, "carol (as the role Admin)"),
        ({"type": "Root", "accountId": "222222222222"}, "the root user of 222222222222"),
        ({"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"}, "cloudformation.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AROAEXAMPLE:dave"}, "AROAEXAMPLE:dave"),
        ({}, ""),
    ],
)
def test_every_kind_of_identity_has_words(
    identity: dict[str, Any], who: str, account: AccountSession, stub: Stubber
) -> None:
    answered(stub, event("PutRolePolicy", 1, identity))
    found = newest(account)
    assert found is not None and found.who == who


def test_an_event_that_cannot_be_read_is_somebodys_unknown(account: AccountSession, stub: Stubber) -> None:
    answered(stub, {**event("PutRolePolicy", 1, ALICE), "CloudTrailEvent": "{"})
    found = newest(account)
    assert found is not None and found.who == ""
