"""AWS's answers as our errors: every line of the table, told by code and, where that is not enough, by message."""

from __future__ import annotations

import logging

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    TokenRetrievalError,
)
from botocore.stub import Stubber

from roles.aws.errors import TABLE, Row, find_row, translated
from roles.errors import (
    AwsAccessDenied,
    AwsConflict,
    AwsError,
    AwsLimitExceeded,
    AwsNotFound,
    AwsPropagating,
    AwsThrottled,
    AwsUnreachable,
    Retry,
)

ARN = "arn:aws:iam::222222222222:role/MyRoleB"
OPERATIONS = {"iam": "get_role", "s3": "get_bucket_policy", "sts": "assume_role"}
PARAMETERS = {
    "iam": {"RoleName": "MyRoleB"},
    "s3": {"Bucket": "example-data"},
    "sts": {"RoleArn": ARN, "RoleSessionName": "bob"},
}
# A message that each pattern of the table is there for, as AWS words it.
MESSAGES = {
    "invalid principal": f'Invalid principal in policy: "AWS":"{ARN}"',
    "maximum policy size|quota for PolicySize": "Maximum policy size of 10240 bytes exceeded for role MyRoleA",
    "exceeds|too large|size": "Normalized policy document exceeds the maximum allowed size of 20480 bytes.",
}


def refused(service: str, code: str, message: str) -> AwsError:
    """Return our error for what a real client raises when AWS answers so."""
    client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]
    with Stubber(client) as stub:
        stub.add_client_error(OPERATIONS[service], code, message, response_meta={"RequestId": "req-1"})
        with (
            pytest.raises(AwsError) as raised,
            translated(service=service, operation="Op", account="222222222222", arn=ARN),
        ):
            getattr(client, OPERATIONS[service])(**PARAMETERS[service])
    return raised.value


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.service}-{row.code}-{row.message}")
def test_every_line_of_the_table_is_reached(row: Row) -> None:
    message = MESSAGES[row.message] if row.message else "Something else."
    error = refused(row.service or "iam", row.code, message)
    assert type(error) is row.error
    assert (error.aws_code, error.aws_message, error.request_id) == (row.code, message, "req-1")
    assert (error.account, error.service, error.operation, error.arn) == (
        "222222222222",
        row.service or "iam",
        "Op",
        ARN,
    )
    assert error.hint == row.hint


def test_no_line_of_the_table_stands_in_the_shadow_of_another() -> None:
    for row in TABLE:
        assert find_row(row.service or "iam", row.code, MESSAGES.get(row.message, "x")) is row


@pytest.mark.parametrize(
    ("service", "code", "message", "kind"),
    [
        ("iam", "MalformedPolicyDocument", "Syntax errors in policy.", AwsError),
        ("iam", "MalformedPolicyDocument", 'Invalid principal in policy: "AWS":"AROAX"', AwsPropagating),
        ("s3", "MalformedPolicy", "Policy has invalid resource", AwsError),
        ("s3", "MalformedPolicy", "Invalid principal in policy", AwsPropagating),
        ("s3", "MalformedPolicy", "Normalized policy document exceeds the maximum allowed size", AwsLimitExceeded),
        ("sts", "MalformedPolicyDocument", "Invalid principal in policy", AwsError),
        ("iam", "AccessDenied", "not authorized to perform: iam:GetRole", AwsAccessDenied),
        ("s3", "SlowDown", "Please reduce your request rate.", AwsThrottled),
        ("iam", "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", AwsLimitExceeded),
        ("iam", "ConcurrentModification", "x", AwsConflict),
        ("s3", "NoSuchBucketPolicy", "x", AwsNotFound),
        ("s3", "InternalError", "We encountered an internal error.", AwsUnreachable),
    ],
)
def test_code_service_and_message_together_decide(service: str, code: str, message: str, kind: type[AwsError]) -> None:
    assert type(refused(service, code, message)) is kind


@pytest.mark.parametrize(
    ("service", "code", "says"),
    [
        ("s3", "MethodNotAllowed", "the bucket's own account"),
        ("sts", "RegionDisabledException", "region"),
        ("s3", "RequestTimeTooSkewed", "clock"),
        ("iam", "EntityAlreadyExists", "name"),
    ],
)
def test_what_somebody_can_put_right_says_how(service: str, code: str, says: str) -> None:
    error = refused(service, code, "x")
    assert type(error) is not AwsError
    assert says in error.hint


@pytest.mark.parametrize("code", ["", "SomethingNew", "ValidationError"])
def test_an_answer_that_is_not_known_is_shown_and_never_repeated(code: str) -> None:
    error = refused("sts", code, "AWS says something new")
    assert type(error) is AwsError
    assert error.retry is Retry.NEVER
    assert "AWS says something new" in error.message


@pytest.mark.parametrize(
    ("kind", "retry"),
    [
        (AwsAccessDenied, Retry.NEVER),
        (AwsNotFound, Retry.NEVER),
        (AwsLimitExceeded, Retry.NEVER),
        (AwsConflict, Retry.SOON),
        (AwsPropagating, Retry.LATER),
        (AwsThrottled, Retry.BACKOFF),
        (AwsUnreachable, Retry.BACKOFF),
    ],
)
def test_each_kind_says_whether_to_try_again(kind: type[AwsError], retry: Retry) -> None:
    assert kind.retry is retry
    assert kind("x").retry is retry


def test_the_message_names_the_call_the_thing_and_the_account() -> None:
    message = refused("iam", "AccessDenied", "not authorized").message
    assert all(part in message for part in ("Op", ARN, "222222222222", "not authorized"))


def test_a_call_on_nothing_in_particular_is_the_portals_own() -> None:
    answer = ClientError({"Error": {"Code": "AccessDenied"}}, "GetCallerIdentity")
    with pytest.raises(AwsAccessDenied) as raised, translated(service="sts", operation="GetCallerIdentity"):
        raise answer
    assert raised.value.message == "AWS refused GetCallerIdentity on sts in account of the portal: AccessDenied"
    assert raised.value.request_id == ""


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://sts"),
        ConnectTimeoutError(endpoint_url="https://sts"),
        ReadTimeoutError(endpoint_url="https://sts"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        BotoCoreError(),
    ],
)
def test_no_answer_may_be_tried_again(error: Exception) -> None:
    with pytest.raises(AwsUnreachable) as raised, translated(service="sts", operation="AssumeRole", account="1"):
        raise error
    assert raised.value.aws_message == type(error).__name__
    assert raised.value.retry is Retry.BACKOFF


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        PartialCredentialsError(provider="env", cred_var="x"),
        ProfileNotFound(profile="x"),
        CredentialRetrievalError(provider="process", error_msg="x"),
        TokenRetrievalError(provider="sso", error_msg="x"),
    ],
)
def test_a_portal_without_credentials_is_told_so_and_not_repeated(error: Exception) -> None:
    with pytest.raises(AwsAccessDenied, match="no AWS credentials") as raised, translated(service="s", operation="o"):
        raise error
    assert raised.value.retry is Retry.NEVER


def test_a_value_that_boto_refuses_is_our_mistake_and_never_repeated() -> None:
    client = boto3.client("iam", region_name="us-east-1")
    with pytest.raises(AwsError, match="does not take") as raised, translated(service="iam", operation="GetRole"):
        client.get_role(RoleName="")
    assert type(raised.value) is AwsError
    assert raised.value.retry is Retry.NEVER


def test_our_own_errors_and_strangers_pass_unchanged() -> None:
    for error in (AwsNotFound("x"), KeyError("x")):
        with pytest.raises(type(error)) as raised, translated(service="s", operation="o"):
            raise error
        assert raised.value is error


def test_a_session_token_in_awss_answer_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = {"Error": {"Code": "ExpiredToken", "Message": "expired", "Token-0": "the-session-token"}}
    with pytest.raises(AwsAccessDenied) as raised, translated(service="s3", operation="GetObject"):
        raise ClientError(answer, "GetObject")  # type: ignore[arg-type]
    shown = f"{raised.value} {raised.value!r} {vars(raised.value)} {caplog.text}"
    assert "the-session-token" not in shown
    assert raised.value.aws_code == "ExpiredToken"


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("Maximum policy size of 10240 bytes exceeded for role MyRoleA", "raises this limit for nobody"),
        ("Cannot exceed quota for PolicySize: 6144", "raises this limit for nobody"),
        ("Cannot exceed quota for ACLSizePerRole: 2048", "Ask AWS to raise the quota"),
    ],
)
def test_nobody_is_sent_after_a_quota_that_is_fixed(message: str, says: str) -> None:
    row = find_row("iam", "LimitExceeded", message)
    assert row is not None and row.error is AwsLimitExceeded and says in row.hint
