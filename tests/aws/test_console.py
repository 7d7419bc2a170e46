"""Opening the AWS console, against a federation endpoint on this computer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from roles.aws import console
from roles.errors import AwsAccessDenied, AwsUnreachable, TokenUnavailable
from roles.values.accounts import Partition
from roles.values.credentials import Credentials

CREDENTIALS = Credentials("ASIAEXAMPLE", "a-secret+/", "a-session-token==", datetime.now(UTC) + timedelta(hours=1))


@dataclass
class Federation:
    """AWS's federation endpoint: what it answers, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"SigninToken": "sign-in-token"}'
    asked: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)


@pytest.fixture
def federation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Federation]:
    fake = Federation()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fake.asked.append((self.command, self.path, parse_qs(body)))
            self.send_response(fake.status)
            self.end_headers()
            self.wfile.write(fake.body)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/federation"
    monkeypatch.setitem(console.CONSOLES, Partition.AWS, console.Console(fake.url, "https://console.aws.amazon.com"))
    yield fake
    server.shutdown()
    server.server_close()


def address(**changed: Any) -> str:
    return console.sign_in_address(
        CREDENTIALS,
        **{
            "partition": Partition.AWS,
            "bucket": "example-data",
            "region": "us-east-1",
            "prefix": "team/",
            "issuer": "https://portal.example.com/my-access/",
            **changed,
        },
    )


def test_in_a_sandbox_nothing_is_asked(federation: Federation, settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:4566"
    assert not console.is_available()
    with pytest.raises(TokenUnavailable, match="sandbox"):
        address()
    assert federation.asked == []


@pytest.mark.parametrize(("status", "body"), [(400, b"Invalid credentials"), (200, b"<html>"), (200, b"{}")])
def test_what_is_no_sign_in_token_is_a_refusal(federation: Federation, status: int, body: bytes) -> None:
    federation.status, federation.body = status, body
    with pytest.raises(AwsAccessDenied) as refusal:
        address()
    assert CREDENTIALS.secret_access_key not in str(vars(refusal.value))


def test_no_answer_is_said_as_such(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(console.CONSOLES, Partition.AWS, console.Console("http://127.0.0.1:1/federation", "https://c"))
    with pytest.raises(AwsUnreachable):
        address()


def test_the_secret_goes_to_aws_in_a_body_and_is_in_no_address(federation: Federation) -> None:
    got = urlsplit(address())
    ((method, path, form),) = federation.asked
    assert (method, path) == ("POST", "/federation")
    assert json.loads(form["Session"][0]) == {
        "sessionId": "ASIAEXAMPLE",
        "sessionKey": "a-secret+/",
        "sessionToken": "a-session-token==",
    }
    assert "SessionDuration" not in form
    query = parse_qs(got.query)
    assert set(query) == {"Action", "Issuer", "Destination", "SigninToken"}
    assert query["SigninToken"] == ["sign-in-token"]
    assert query["Destination"] == [
        "https://console.aws.amazon.com/s3/buckets/example-data?region=us-east-1&prefix=team%2F"
    ]
    for secret in ("a-secret", "a-session-token"):
        assert secret not in got.geturl() and secret not in path


def test_each_partition_has_endpoints_of_its_own() -> None:
    assert set(console.CONSOLES) == set(Partition)
    hosts = {urlsplit(one.federation).hostname for one in console.CONSOLES.values()}
    assert hosts == {"signin.aws.amazon.com", "signin.amazonaws.cn", "signin.amazonaws-us-gov.com"}
