"""The layer over both emulators, each test in a fresh world; and the portal's sandbox behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from roles.aws.sandbox import SandboxServer
from tests.sandbox.conftest import reset_sandbox
from tests.sandbox.conftest import sandbox_server as ministack
from tests.strict_aws.http_front import HttpFront, over_sandbox
from tests.strict_aws.moto_front import MotoFront
from tests.strict_aws.world import Aws, Procedure

__all__ = ["ministack"]


@pytest.fixture(scope="session")
def front(ministack: SandboxServer) -> Iterator[HttpFront]:
    """The HTTP front, with next to no patience for calls that are to time out."""
    with HttpFront(over_sandbox(ministack.port), timeout_seconds=0.2) as running:
        yield running


@pytest.fixture
def over_moto() -> Iterator[Aws]:
    """Strict moto."""
    with MotoFront() as moto:
        yield Aws(moto.strict, None)


@pytest.fixture
def over_ministack(front: HttpFront) -> Iterator[Aws]:
    """Strict MiniStack, emptied."""
    reset_sandbox(SandboxServer(front.port))
    yield Aws(front.strict, front.endpoint_url)
    front.strict.propagation.seconds = 0
    front.strict.faults.clear()


@pytest.fixture(params=["over_moto", pytest.param("over_ministack", marks=pytest.mark.sandbox)])
def aws(request: pytest.FixtureRequest) -> Aws:
    """A strict AWS, over each emulator in turn."""
    made: Aws = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def world(aws: Aws) -> Procedure:
    """The procedure's world, made as its steps say."""
    return Procedure(aws)
