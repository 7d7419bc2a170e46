"""`manage.py demo` as a process of its own, in a folder of its own, for the tests of the demo and of its pages."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from roles.aws import sandbox
from roles.aws.sandbox_documents import REGION

ROOT = Path(__file__).resolve().parents[1]
READY_LINE = "Ctrl-C stops everything"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Demo:
    """A demo on `folder`. Used with `with`: on the way in it waits for the welcome, on the way out nothing is left."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.folder = folder
        self.port = port
        self.seconds_to_start = 0.0
        self._said: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()

    def command(self, *options: str) -> list[str]:
        """Return the command line with `options`."""
        return [sys.executable, "manage.py", "demo", *options, "--settings=roles.management.demo.settings"]

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the demo: a developer's shell and nothing of the tests' own settings."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "XACCT_DEMO_DIR": str(self.folder),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end and return what it said; for starts that are refused, and for `--reset`."""
        return subprocess.run(
            self.command(*options),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )

    def __enter__(self) -> Demo:
        started = time.monotonic()
        self._process = subprocess.Popen(
            self.command("--port", str(self.port)),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        assert self._ready.wait(READY_SECONDS), f"the demo did not start:\n{self.said}"
        assert READY_LINE in self.said, f"the demo ended at once:\n{self.said}"
        self.seconds_to_start = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.interrupt()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._said.append(line)
            if READY_LINE in line:
                self._ready.set()
        process.stdout.close()
        self._ready.set()

    @property
    def process(self) -> subprocess.Popen[str]:
        """The demo's own process."""
        assert self._process is not None
        return self._process

    @property
    def said(self) -> str:
        """All that it has printed."""
        return "".join(self._said)

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end and return the exit code. Kills what does not end, and says so."""
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the demo did not stop:\n{self.said}") from None

    @property
    def leaves_nothing_behind(self) -> bool:
        """Whether every process of it is gone: each of them holds the lock that the demo took."""
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True

    # --- what it printed ---

    def _printed(self, pattern: str) -> str:
        found = re.search(pattern, self.said)
        assert found, f"the demo did not print {pattern}:\n{self.said}"
        return found[1]

    @property
    def address(self) -> str:
        """Where the portal answers, without a slash at the end."""
        return self._printed(r"(http://127\.0\.0\.1:\d+)/\s")

    @property
    def password(self) -> str:
        """The password of all people."""
        return self._printed(r"the password of all four is  (\S+)")

    @property
    def aws_url(self) -> str:
        """Where its AWS answers."""
        return self._printed(r"AWS sandbox (\S+)")

    # --- what it stored ---

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what its database says."""
        with closing(self._database()) as database:
            return database.execute(query, values).fetchall()

    @contextmanager
    def another_worker_writes(self, resource: str) -> Iterator[None]:
        """Hold a resource of AWS as another worker would: a run waits for it inside the block, and goes on after it."""
        expires_at = datetime.now(UTC) + timedelta(minutes=5)
        lease = (resource, "another worker", expires_at.strftime("%Y-%m-%d %H:%M:%S.%f"))
        with closing(self._database()) as database:
            database.execute("INSERT INTO roles_resourcelease (resource, holder, expires_at) VALUES (?, ?, ?)", lease)
            try:
                yield
            finally:
                database.execute("DELETE FROM roles_resourcelease WHERE resource = ?", (resource,))

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "portal.sqlite3", timeout=20, isolation_level=None)

    # --- its AWS, asked directly ---

    def aws_root(self, service: str, account_id: str) -> Any:
        """Return a client that acts as the root of an account."""
        return sandbox.root_client(service, account_id, endpoint_url=self.aws_url)

    def aws(self, service: str, key_id: str, secret: str, token: str = "") -> Any:
        """Return a client with these credentials and nothing else."""
        session: Any = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=self.aws_url,
            region_name=REGION,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token or None,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )
