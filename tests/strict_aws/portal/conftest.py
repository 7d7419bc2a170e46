"""The sandbox's fixtures with the strict front in the sandbox's place."""

from __future__ import annotations

import pytest

from roles.aws.sandbox import SandboxServer
from tests.sandbox.conftest import aws, proxy, world
from tests.strict_aws.http_front import HttpFront

__all__ = ["aws", "proxy", "world"]


@pytest.fixture(scope="session")
def sandbox_server(front: HttpFront) -> SandboxServer:
    """The strict front: seeding, resetting and looking on as root go through it as well."""
    return SandboxServer(front.port)
