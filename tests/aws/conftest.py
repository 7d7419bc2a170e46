"""An account in moto, and what botocore was about to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from roles.aws import sessions, sts
from roles.aws.sessions import AccountSession
from roles.values.accounts import AccessMode, AccountAccess, AccountId, Partition
from roles.values.credentials import Credentials

ACCOUNT = AccountId("123456789012")  # moto's own account
REGION = "us-east-1"
BUCKET = "example-data"


def access(mode: AccessMode = AccessMode.AMBIENT, **more: str) -> AccountAccess:
    """Return a way into moto's account."""
    return AccountAccess(ACCOUNT, Partition.AWS, REGION, mode, **more)


def some_credentials(valid_for: timedelta = timedelta(hours=1)) -> Credentials:
    """Return credentials that moto takes."""
    return Credentials("ASIAEXAMPLE", "secret-key", "session-token", datetime.now(UTC) + valid_for)


@pytest.fixture(autouse=True)
def _fresh_sessions() -> Iterator[None]:
    """No test sees another's boto3 sessions, nor its identity."""
    sts.forget_identity()
    yield
    sts.forget_identity()


@pytest.fixture
def aws() -> Iterator[None]:
    """AWS in memory."""
    with mock_aws():
        yield


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal's own identity is of the account, known without asking."""
    monkeypatch.setattr(sessions, "own_arn", lambda **_: f"arn:aws:iam::{ACCOUNT}:user/xacct-portal")


@pytest.fixture
def account(aws: None) -> AccountSession:
    """The way into the account in memory."""
    return AccountSession(access())


@pytest.fixture
def credentials() -> Credentials:
    """Somebody's temporary credentials."""
    return some_credentials()


@pytest.fixture
def bucket(aws: None) -> str:
    """A bucket in the account, with nothing in it."""
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
    return BUCKET


Sent = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Every call's operation and parameters, as boto3 is about to check and send them."""
    calls: Sent = []
    make: Callable[..., Any] = boto3.Session.client

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name != "CreateBucket":  # the world's own
            calls.append((model.name, dict(params)))

    def client(self: boto3.Session, *args: Any, **options: Any) -> Any:
        made = make(self, *args, **options)
        made.meta.events.register("before-parameter-build.*.*", note)
        return made

    monkeypatch.setattr(boto3.Session, "client", client)
    return calls


def refusing(client: Any, operation: str, code: str, message: str = "no", status: int = 400) -> Any:
    """Make `client` answer `operation` with AWS's error `code`, once; return the stubber, to be used in a `with`."""
    from botocore.stub import Stubber  # noqa: PLC0415

    stub = Stubber(client)
    stub.add_client_error(operation, code, message, http_status_code=status, response_meta={"RequestId": "req-1"})
    return stub
