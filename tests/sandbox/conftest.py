"""The sandbox as fixtures: one server a session, a fresh world for each test that asks for one."""

from __future__ import annotations

import http.client
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roles.aws import sandbox, sts
from tests import factories
from tests.sandbox.proxy import CallLog, Proxy
from tests.sandbox.world import World


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.SandboxServer]:
    """The running sandbox. It keeps nothing once the session ends."""
    server = sandbox.SandboxServer(port=free_port())
    log = (tmp_path_factory.mktemp("sandbox") / "sandbox.log").open("wb")
    process = subprocess.Popen(server.command(), env=server.environment(), stdout=log, stderr=subprocess.STDOUT)
    try:
        server.wait_until_ready(process)
        yield server
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.fixture(scope="session")
def proxy(sandbox_server: sandbox.SandboxServer) -> Iterator[Proxy]:
    """A proxy in front of the sandbox that counts calls and can hold one back."""
    with Proxy(sandbox_server.port) as running:
        yield running


@pytest.fixture
def aws(
    sandbox_server: sandbox.SandboxServer,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: object,
) -> Iterator[CallLog]:
    """A freshly seeded world that every AWS client of the portal talks to; yields the log of the portal's calls."""
    reset_sandbox(sandbox_server)
    credentials_file = tmp_path / "credentials"
    sandbox.seed(sandbox_server.endpoint_url, credentials_file=credentials_file)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials_file))
    for name, value in portal_settings(proxy.endpoint_url).items():
        setattr(settings, name, value)
    forget_identities()
    proxy.log.clear()
    yield proxy.log
    proxy.release()
    forget_identities()


@pytest.fixture
def world(aws: CallLog, sandbox_server: sandbox.SandboxServer, procedure: factories.Procedure) -> World:
    """The procedure's world, provisioned."""
    made = World(sandbox_server.endpoint_url, procedure)
    made.provision()
    return made


def forget_identities() -> None:
    """Let the portal ask again who it is: another test's sandbox, or fake, may have told it something else."""
    sts.forget_identity()


def reset_sandbox(server: sandbox.SandboxServer) -> None:
    """Empty every account of the sandbox."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/_ministack/reset")
    assert connection.getresponse().status == 200
    connection.close()


def portal_settings(endpoint_url: str) -> dict[str, str]:
    """Return the settings that point the portal at the sandbox with its two identities."""
    return {
        "XACCT_AWS_ENDPOINT_URL": endpoint_url,
        "XACCT_PROVISIONING_AWS_PROFILE": sandbox.PROVISIONING_PROFILE,
        "XACCT_TOKENS_AWS_PROFILE": sandbox.TOKENS_PROFILE,
    }
