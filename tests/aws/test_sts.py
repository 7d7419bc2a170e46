"""AssumeRole: what is asked for, and what comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from roles.aws import sessions, sts
from roles.aws.sessions import Purpose
from roles.aws.sts import AssumeRoleRequest, assume_role, caller_arn
from roles.errors import AwsAccessDenied, AwsError, AwsLimitExceeded
from roles.values.credentials import Credentials
from tests.aws.conftest import ACCOUNT, REGION, Sent, refusing

ROLE = "arn:aws:iam::222222222222:role/team/MyRoleB"
PLAIN = AssumeRoleRequest(ROLE, "bob")
FULL = AssumeRoleRequest(
    ROLE,
    "bob",
    seconds=900,
    source_identity="bob",
    tags={"portal:user": "bob", "portal:group": "analysts"},
    policy='{"Version":"2012-10-17"}',
    external_id="external-1",
)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client that the next call will use, whoever speaks."""
    made = boto3.client("sts", region_name=REGION)
    for module in (sts, sessions):
        monkeypatch.setattr(module, "base_client", lambda *_args, **_options: made)
    monkeypatch.setattr(sts, "client_with", lambda *_args, **_options: made)
    return made


# --- refused ---


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", AwsAccessDenied),
        ("ExpiredToken", AwsAccessDenied),
        ("PackedPolicyTooLarge", AwsLimitExceeded),
        ("ValidationError", AwsError),
    ],
)
def test_a_refusal_names_the_role_and_its_account(
    code: str, kind: type[AwsError], client: Any, credentials: Credentials
) -> None:
    with refusing(client, "assume_role", code), pytest.raises(AwsError) as raised:
        assume_role(PLAIN, region=REGION, using=credentials)
    assert type(raised.value) is kind
    assert (raised.value.account, raised.value.arn, raised.value.service) == ("222222222222", ROLE, "sts")


def test_a_refusal_shows_no_secret(client: Any, credentials: Credentials) -> None:
    with refusing(client, "assume_role", "AccessDenied"), pytest.raises(AwsAccessDenied) as raised:
        assume_role(FULL, region=REGION, using=credentials)
    assert raised.value.aws_code == "AccessDenied"
    shown = f"{raised.value} {raised.value!r} {raised.value.__cause__!r}"
    assert credentials.secret_access_key not in shown
    assert credentials.session_token not in shown


def test_a_profile_that_the_host_does_not_have_is_told(settings: Any) -> None:
    settings.XACCT_TOKENS_AWS_PROFILE = "not-there"
    with pytest.raises(AwsAccessDenied, match="no AWS credentials"):
        assume_role(PLAIN, region=REGION)
    with pytest.raises(AwsAccessDenied, match="no AWS credentials"):
        caller_arn(region=REGION, purpose=Purpose.TOKENS)


def test_an_identity_that_could_not_be_asked_for_is_asked_for_again(client: Any) -> None:
    with refusing(client, "get_caller_identity", "ServiceUnavailable"), pytest.raises(AwsError):
        caller_arn(region=REGION, purpose=Purpose.TOKENS)
    with Stubber(client) as stub:
        stub.add_response("get_caller_identity", {"Arn": ROLE})
        assert caller_arn(region=REGION, purpose=Purpose.TOKENS) == ROLE


# --- asked for ---


def test_what_is_not_wanted_is_not_asked_for() -> None:
    assert PLAIN.parameters() == {"RoleArn": ROLE, "RoleSessionName": "bob", "DurationSeconds": 3600}


def test_everything_wanted_is_asked_for() -> None:
    assert FULL.parameters() == {
        "RoleArn": ROLE,
        "RoleSessionName": "bob",
        "DurationSeconds": 900,
        "SourceIdentity": "bob",
        "Tags": [{"Key": "portal:group", "Value": "analysts"}, {"Key": "portal:user", "Value": "bob"}],
        "Policy": '{"Version":"2012-10-17"}',
        "ExternalId": "external-1",
    }


@pytest.mark.usefixtures("aws")
def test_temporary_credentials_come_with_their_end(sent: Sent) -> None:
    made = assume_role(FULL, region=REGION)
    assert made.access_key_id.startswith("ASIA")
    assert made.secret_access_key
    assert made.session_token
    assert made.expires_at.tzinfo is UTC
    assert timedelta(minutes=14) < made.expires_at - datetime.now(UTC) < timedelta(minutes=16)
    assert sent == [("AssumeRole", FULL.parameters())]


@pytest.mark.usefixtures("aws")
def test_one_role_leads_to_the_next() -> None:
    first = assume_role(AssumeRoleRequest(f"arn:aws:iam::{ACCOUNT}:role/MyRoleA", "bob"), region=REGION)
    second = assume_role(PLAIN, region=REGION, using=first)
    assert second.access_key_id != first.access_key_id


@pytest.mark.usefixtures("aws")
def test_the_portals_own_identity_is_asked_for_once(sent: Sent) -> None:
    arns = {caller_arn(region=REGION, purpose=Purpose.TOKENS) for _ in range(2)}
    assert len(arns) == 1
    assert arns.pop().startswith(f"arn:aws:sts::{ACCOUNT}:")
    assert [name for name, _ in sent] == ["GetCallerIdentity"]
