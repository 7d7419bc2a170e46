"""The front as a process of its own, as `make demo` would run it."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roles.aws.sandbox import SandboxServer
from tests.sandbox.conftest import free_port
from tests.strict_aws.http_front import HttpFront
from tests.strict_aws.world import OWNER, PORTAL, Aws, Procedure, answer, document, text, trust

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """Run the front; give where it answers; end it with SIGTERM."""
    port = free_port()
    command = [sys.executable, "-m", "tests.strict_aws", "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"A strict AWS answers at http://127.0.0.1:{port}\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
        process.stdout.close()


def create(aws: Aws, principal: str) -> str:
    trusted = text(document(trust(principal)))
    return answer(lambda: aws.root("iam", OWNER).create_role(RoleName="Made", AssumeRolePolicyDocument=trusted))


def test_process_over_moto_needs_nothing_else() -> None:
    with running() as url:
        aws = Aws(strict=None, endpoint_url=url)  # type: ignore[arg-type]
        assert create(aws, f"arn:aws:iam::{PORTAL}:role/Nobody") == "MalformedPolicyDocument"
        assert create(aws, PORTAL) == "ok"


@pytest.mark.sandbox
def test_process_over_the_sandbox_injects_what_it_is_told_to(ministack: SandboxServer) -> None:
    with running("--sandbox-port", str(ministack.port), "--fault-rate", "1", "--faults", "throttled") as url:
        assert create(Aws(strict=None, endpoint_url=url), PORTAL) == "Throttling"  # type: ignore[arg-type]


@pytest.mark.sandbox
def test_front_keeps_connections_and_is_quick(over_ministack: Aws, front: HttpFront) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    connection.request("GET", "/_ministack/health")
    connection.getresponse().read()
    kept = connection.sock
    world, began = Procedure(over_ministack), time.monotonic()
    world.put_policy(
        {"Effect": "Allow", "Principal": {"AWS": world.b}, "Action": "s3:GetObject", "Resource": world.objects}
    )
    session = world.assume()
    for _ in range(20):
        connection.request("GET", "/_ministack/health")
        connection.getresponse().read()
        assert world.get(session) == "ok"
    assert connection.sock is kept
    assert time.monotonic() - began < 10
    connection.close()
