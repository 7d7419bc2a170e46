"""What is remembered of the emulator, and what a write makes forget."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from tests.strict_aws.layer.memory import Remembering
from tests.strict_aws.layer.message import Request, Response

ROOT, SOMEBODY = "111111111111", "AKIAEXAMPLE"


class Emulator:
    """Answers each call with the number of calls so far. `during` is done while it answers."""

    def __init__(self) -> None:
        self.calls = 0
        self.during: Callable[[], object] = lambda: None

    def __call__(self, request: Request) -> Response:
        self.calls += 1
        number, during = self.calls, self.during
        self.during = lambda: None
        during()
        return Response(200, body=str(number).encode())


@pytest.fixture
def emulator() -> Emulator:
    """An emulator that nobody has asked yet."""
    return Emulator()


@pytest.fixture
def upstream(emulator: Emulator) -> Remembering:
    """The memory before it."""
    return Remembering(emulator)


def signed(key: str, service: str) -> dict[str, str]:
    return {"Authorization": f"Credential={key}/20260101/us-east-1/{service}/aws4_request"}


def iam(action: str, *, key: str = ROOT, **parameters: str) -> Request:
    return Request("POST", "/", signed(key, "iam"), urlencode({"Action": action, **parameters}).encode())


def s3(method: str, target: str) -> Request:
    return Request(method, target, signed(ROOT, "s3"))


def sts(action: str) -> Request:
    return Request("POST", "/", signed(ROOT, "sts"), urlencode({"Action": action}).encode())


@pytest.mark.parametrize(
    ("read", "then", "is_forgotten"),
    [
        (iam("GetRole", RoleName="A"), iam("GetRole", RoleName="B"), False),
        (iam("GetRole", RoleName="A"), sts("AssumeRole"), False),
        (iam("GetRole", RoleName="A"), iam("DeleteRole", RoleName="A"), True),
        (iam("GetRole", RoleName="A"), iam("DeleteRole", RoleName="A", key=SOMEBODY), True),
        (iam("GetRole", RoleName="A"), iam("DeleteRole", RoleName="B"), False),
        (iam("ListRoles"), iam("CreateRole", RoleName="B"), True),
        (iam("GetPolicy", PolicyArn="P"), iam("AttachRolePolicy", RoleName="A", PolicyArn="P"), True),
        (iam("ListAccessKeys", UserName="U"), iam("CreateAccessKey", UserName="U"), True),
        (s3("GET", "/data?policy"), s3("PUT", "/data?policy"), True),
        (s3("GET", "/data?policy"), s3("PUT", "/other?policy"), False),
        (s3("HEAD", "/data"), s3("DELETE", "/data"), True),
        (s3("GET", "/"), s3("PUT", "/other"), True),
    ],
)
def test_a_write_makes_forget_listings_and_what_it_names(
    read: Request, then: Request, *, is_forgotten: bool, upstream: Remembering
) -> None:
    first = upstream(read)
    upstream(then)
    assert (upstream(read) != first) is is_forgotten


def test_whoever_is_not_root_is_answered_by_the_emulator_itself(upstream: Remembering) -> None:
    read = iam("GetRole", RoleName="A", key=SOMEBODY)
    assert upstream(read) != upstream(read)


def test_an_emulator_that_begins_again_is_asked_again(upstream: Remembering) -> None:
    first = upstream(iam("GetRole", RoleName="A"))
    upstream.forget()
    assert upstream(iam("GetRole", RoleName="A")) != first


def test_a_read_that_a_write_overtook_is_not_remembered(emulator: Emulator, upstream: Remembering) -> None:
    read = iam("GetRole", RoleName="A")
    emulator.during = lambda: upstream(iam("DeleteRole", RoleName="B"))
    overtaken = upstream(read)
    assert upstream(read) != overtaken
