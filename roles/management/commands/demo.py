"""`manage.py demo`: the portal with an AWS sandbox, a worker, a scheduler and example people, on loopback only."""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from roles.aws import sandbox
from roles.errors import PortalError
from roles.management.demo import environment, world
from roles.management.demo.processes import ChildDied, Interrupted, Supervisor, stop_on_signals

WEB_READY_SECONDS = 30.0


class Command(BaseCommand):
    """Run the demo, or forget what it stored."""

    help = "Run the portal with an AWS sandbox, a worker and example people, on this machine only. Ctrl-C stops it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a port and `--reset`."""
        parser.add_argument("--port", type=int, default=environment.WEB_PORT, help="where to serve (default 8000)")
        parser.add_argument("--reset", action="store_true", help="forget everything the demo stored, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C, or until a part of the demo dies."""
        self.data_dir = Path(settings.DATA_DIR)
        if self.data_dir != environment.DATA_DIR:
            raise CommandError("Start the demo with `make demo`: it must not read the settings of a real portal.")
        lock = self._lock()
        if options["reset"]:
            shutil.rmtree(self.data_dir)
            self.stdout.write("The demo has forgotten everything. `make demo` starts over.")
            return
        self.supervisor = Supervisor(self.data_dir / "logs", keep_open=[lock.fileno()])
        stop_on_signals()
        try:
            self._run(options["port"])
        except Interrupted:
            self.stdout.write("\nStopping …")
        except (ChildDied, PortalError) as error:
            raise CommandError(str(error)) from error
        finally:
            self._stop()

    def _lock(self) -> IO[str]:
        """Take the demo's lock. The children inherit it, so it also tells of one that outlived a killed demo."""
        lock = (self.data_dir / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise CommandError(
                f"The demo is running already, or a part of it still is (process {lock.read().strip() or 'unknown'}). "
                "Stop it with Ctrl-C where it runs."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def _run(self, wanted_port: int) -> None:
        started = time.monotonic()
        self._start_sandbox()
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        password = environment.kept_secret("password", 12)
        world.make_world(password)
        port = environment.free_port(wanted_port)
        self._start_children(port)
        if self.sandbox_lost:
            world.provision_again()
        connections.close_all()
        self._wait_for_web(port)
        if port != wanted_port:
            self.stdout.write(f"Port {wanted_port} is busy, so the demo uses {port}.")
        self._welcome(port, password, time.monotonic() - started)
        self.supervisor.watch()

    @property
    def _kept_marker(self) -> Path:
        return self.data_dir / "sandbox" / "kept"

    def _start_sandbox(self) -> None:
        """Start the sandbox. It stores its accounts when it ends well, which `kept` says; else they may be lost."""
        self.sandbox_lost = not self._kept_marker.exists()
        self._kept_marker.unlink(missing_ok=True)
        endpoint: str = settings.XACCT_AWS_ENDPOINT_URL
        server = sandbox.SandboxServer(port=urlsplit(endpoint).port or 0, state_dir=self._kept_marker.parent)
        self._kept_marker.parent.mkdir(mode=0o700, exist_ok=True)
        child = self.supervisor.start("AWS sandbox", server.command(), environment=server.environment())
        server.wait_until_ready(child.process)
        sandbox.seed(endpoint, credentials_file=Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]))

    def _start_children(self, port: int) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "xacct_portal"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        commands = {
            "worker": [*celery, "worker", "--pool", "threads", "--concurrency", "2", "--loglevel", "INFO", *quiet],
            "scheduler": [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""],
            "web server": [
                *(sys.executable, "-m", "granian", "--interface", "wsgi", "xacct_portal.wsgi:application"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "8"),
            ],
        }
        for name, command in commands.items():
            self.supervisor.start(name, command, environment=environment.of_children())

    def _wait_for_web(self, port: int) -> None:
        until = time.monotonic() + WEB_READY_SECONDS
        while time.monotonic() < until:
            self.supervisor.check()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", "/login/")
                connection.getresponse()
                return
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
        raise ChildDied(f"The web server did not answer within {WEB_READY_SECONDS:.0f} seconds.")

    def _stop(self) -> None:
        killed = self.supervisor.stop()
        if "AWS sandbox" not in killed and self._kept_marker.parent.is_dir():
            self._kept_marker.touch()
        self.stdout.write("Stopped. `make demo` goes on where you left; `make demo-reset` starts over.")

    def _welcome(self, port: int, password: str, seconds: float) -> None:
        people = "\n".join(f"    {name:8} {role}" for name, _, role in world.PEOPLE)
        self.stdout.write(
            f"""
The portal runs (started in {seconds:.1f} s):  http://127.0.0.1:{port}/

Sign in as one of these; the password of all four is  {password}
{people}

Three things to try
  1. As alice open User groups, analysts, and add the role MyRoleA: watch the seven steps change two AWS accounts.
  2. As bob (a private window) open My access: browse the bucket, upload a file, get credentials. carol gets nothing.
  3. As audrey open History: who changed what, each policy before and after, each token that was handed out.

AWS sandbox {settings.XACCT_AWS_ENDPOINT_URL}   logs {self.data_dir / "logs"}   Ctrl-C stops everything
"""
        )
