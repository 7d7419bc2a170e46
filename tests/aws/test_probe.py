"""A look at a way in: identity, simulated permissions, and what AWS's answers say besides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from roles.aws import probe as module
from roles.aws.probe import Probe
from roles.errors import AwsAccessDenied, AwsUnreachable
from roles.values.accounts import AccessMode
from tests.aws.conftest import ACCOUNT, access, refusing

ROLE = f"arn:aws:iam::{ACCOUNT}:role/xacct-provisioner"
DENIED = (
    b"<ErrorResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Error><Type>Sender</Type>"
    b"<Code>SignatureDoesNotMatch</Code><Message>Signature expired: 1 is now earlier than 2</Message></Error>"
    b"<RequestId>req-1</RequestId></ErrorResponse>"
)


class Answer(AWSResponse):
    """An answer without a socket."""

    @property
    def content(self) -> bytes:
        return DENIED


def answering(probe: Probe, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch, status: int = 403) -> None:
    """Let every call of `probe` be answered by this, without a network."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

    def send(request: Any, **_: Any) -> Answer:
        return Answer(request.url, status, headers, None)

    for client in (probe.session.sts, probe.session.s3("us-east-1")):
        client.meta.events.register_first("before-send", send)


# --- refused ---


def test_a_refused_identity_says_which_call_was_refused(aws: None) -> None:
    probe = Probe(access())
    with refusing(probe.session.sts, "get_caller_identity", "AccessDenied"), pytest.raises(AwsAccessDenied) as refusal:
        probe.identity()
    assert (refusal.value.operation, refusal.value.account) == ("GetCallerIdentity", ACCOUNT)


def test_who_may_not_ask_iam_is_told(aws: None) -> None:
    probe = Probe(access())
    refused = refusing(probe.session.iam, "simulate_principal_policy", "AccessDenied")
    with refused, pytest.raises(AwsAccessDenied):
        probe.simulate(ROLE, ["iam:GetRole"], "*")


def test_roles_that_may_not_be_read_are_told(aws: None) -> None:
    probe = Probe(access())
    refused = refusing(probe.session.iam, "get_account_authorization_details", "AccessDenied")
    with refused, pytest.raises(AwsAccessDenied, match="GetAccountAuthorizationDetails"):
        probe.read_roles()


def test_a_quota_that_may_not_be_read_is_told_and_else_it_is_the_accounts_own(aws: None) -> None:
    probe = Probe(access())
    refused = refusing(probe.session.iam, "get_account_summary", "AccessDenied")
    with refused, pytest.raises(AwsAccessDenied, match="GetAccountSummary"):
        probe.trust_quota()
    assert Probe(access()).trust_quota() == 2_048


def test_it_does_not_wait_long_for_a_silent_region(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    probe = Probe(access())
    config = probe.session.sts.meta.config
    assert config.connect_timeout + config.read_timeout < 10
    with pytest.raises(AwsUnreachable):
        probe.identity()


# --- found ---


def test_it_says_who_one_is(aws: None) -> None:
    identity = Probe(access()).identity()
    assert identity.account_id == ACCOUNT
    assert identity.arn.startswith(f"arn:aws:sts::{ACCOUNT}:")


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("minutes", [-20, 0, 20])
def test_the_clock_is_heard_from_an_answer_that_refuses(minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe(access())
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    answering(probe, {"Date": date}, monkeypatch)
    with pytest.raises(AwsAccessDenied):
        probe.identity()
    assert probe.skew is not None
    assert round(probe.skew / timedelta(minutes=1)) == minutes


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_an_answer_without_a_date_says_nothing_of_the_clock(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe(access())
    answering(probe, headers, monkeypatch)
    with pytest.raises(AwsAccessDenied):
        probe.identity()
    assert probe.skew is None


@pytest.mark.usefixtures("at_home")
def test_the_region_that_an_answer_about_a_bucket_names_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe(access())
    answering(probe, {"x-amz-bucket-region": "eu-west-1"}, monkeypatch)
    with pytest.raises(ClientError):
        probe.session.s3("us-east-1").get_bucket_policy(Bucket="example-data")
    assert probe.bucket_region == "eu-west-1"


def test_iams_answers_are_yes_or_no(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe(access())
    answers = [
        {"EvalActionName": "iam:GetRole", "EvalDecision": "allowed"},
        {"EvalActionName": "iam:CreateRole", "EvalDecision": "implicitDeny"},
        {"EvalActionName": "iam:TagRole", "EvalDecision": "explicitDeny"},
    ]
    asked: list[dict[str, Any]] = []

    def simulate(**given: Any) -> dict[str, Any]:
        asked.append(given)
        return {"EvaluationResults": answers}

    monkeypatch.setattr(probe.session.iam, "simulate_principal_policy", simulate)
    found = probe.simulate(ROLE, ["iam:GetRole", "iam:CreateRole", "iam:TagRole"], "arn:aws:iam::1:role/x")
    assert found == {"iam:GetRole": True, "iam:CreateRole": False, "iam:TagRole": False}
    assert asked[0]["PolicySourceArn"] == ROLE
    # Attaching is allowed for the portal's own policies only, and deleting for roles that it made.
    assert {one["ContextKeyName"]: one["ContextKeyValues"] for one in asked[0]["ContextEntries"]} == {
        "iam:PolicyARN": [f"arn:aws:iam::{ROLE.split(':')[4]}:policy/xacct-portal/xacct-"],
        "iam:ResourceTag/xacct-portal": ["managed"],
    }


def test_the_way_in_is_listened_to_from_assuming_the_role_on(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    heard: list[Any] = []
    monkeypatch.setattr(module.Probe, "_listen", lambda _self, client: heard.append(client.meta.service_model))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(AwsUnreachable) as refusal:
        Probe(access(AccessMode.ASSUME_ROLE, role_arn=ROLE)).identity()
    assert refusal.value.operation == "AssumeRole"
    assert [model.service_name for model in heard] == ["sts"]
