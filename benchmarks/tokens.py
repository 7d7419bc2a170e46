"""How fast tokens are handed out, beside a floor: one table, one run, one server.

    .venv/bin/python -m benchmarks.tokens
    .venv/bin/python -m benchmarks.tokens --postgres postgres://user:password@127.0.0.1:5432 --redis redis://127.0.0.1:6379/12

The server is granian with the portal's production settings. Everything is on loopback, in a database, a cache and a
folder of its own that are gone afterwards. STS is a function that answers at once, so what AWS takes is not in it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks import CALLS_FILE
from benchmarks.load import Result, run

WORKERS, THREADS = 2, 8  # as docs/production.md starts it
CONNECTIONS = (8, 64)
WARM_SECONDS, WARM_UP_REQUESTS = 12.0, 300
FIRST_REQUESTS = 32  # a round, each in a session of its own
ROUNDS = 9  # the cases take turns, so that what else the machine does falls on all of them
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table. `fresh` cases have a request for each session, all others send the same one again."""

    name: str
    requests: Iterator[bytes]
    fresh: bool = False


@dataclass(slots=True)
class Total:
    """What the rounds of one case add up to: requests, calls of STS, and seconds of the server's CPU."""

    result: Result = field(default_factory=lambda: Result((), 0.0))
    calls: int = 0
    cpu: float = 0.0

    def add(self, result: Result, calls: int, cpu: float) -> None:
        """Add one round."""
        latencies = (*self.result.latencies, *result.latencies)
        self.result = Result(tuple(sorted(latencies)), self.result.seconds + result.seconds)
        self.calls += calls
        self.cpu += cpu


def main() -> None:
    """Measure and print."""
    parser = parser_of("Measure the token broker against a floor.")
    parser.add_argument("--seconds", type=float, default=WARM_SECONDS, help="how long each warm case runs")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xacct-benchmark-")))
        database = stack.enter_context(database_on(chosen.postgres, folder))
        calls = folder / "sts-calls"
        calls.touch()
        os.environ.update(environment(folder, database, chosen.redis or "", calls))
        port = free_port()
        cases = _prepare(port)
        stack.callback(forget)
        server = stack.enter_context(_server(port, folder))
        say(
            f"granian, {WORKERS} workers with {THREADS} threads; {urlsplit(database).scheme}, "
            f"{'Redis' if chosen.redis else 'the database'} as cache; {os.cpu_count()} cores, shared with the load."
        )
        _measure(port, cases, calls, chosen.seconds, server)


def parser_of(text: str) -> argparse.ArgumentParser:
    """Return a parser that knows where the database and the cache are."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--postgres", help="a server to make a database on; SQLite without it")
    parser.add_argument(
        "--redis", help="a Redis database of its own, EMPTIED afterwards; the database as cache without it"
    )
    return parser


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def environment(folder: Path, database: str, redis_url: str, calls: Path) -> dict[str, str]:
    """Return the settings of a portal in `folder` whose STS notes each call in the file `calls`."""
    return {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        CALLS_FILE: str(calls),
        "XACCT_ENV_FILE": os.devnull,
        "XACCT_DATA_DIR": str(folder),
        "XACCT_HTTPS": "off",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "127.0.0.1,testserver",
        "DATABASE_URL": database,
        "CACHE_URL": redis_url or "dbcache://xacct_cache",
        "CELERY_BROKER_URL": "filesystem://",
        "LOG_LEVEL": "WARNING",  # of the preparations; the server logs as in production
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextlib.contextmanager
def database_on(server: str | None, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database, on `server` or in a file of `folder`, and drop it afterwards."""
    if not server:
        yield f"sqlite:///{folder / 'benchmark.sqlite3'}"
        return
    name = f"xacct_benchmark_{os.getpid()}"
    with psycopg.connect(server, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Portal:
    """The procedure's world with Bob's mapping in sync, in the database of the environment. Django is set up here."""

    def __init__(self) -> None:
        import django  # noqa: PLC0415  # the environment comes first

        django.setup()
        from django.core.management import call_command  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from roles.models.choices import MappingState  # noqa: PLC0415
        from tests.factories import Procedure  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        self._world = Procedure()
        self._mapping = self._world.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now())
        self._form = ""

    def sign_in(self) -> Any:
        """Return a browser in which Bob is signed in, in a session of its own."""
        from django.test import Client  # noqa: PLC0415

        browser = Client()
        browser.force_login(self._world.bob)
        return browser

    def credentials(self, browser: Any, host: str) -> bytes:
        """Return what the page sends when somebody presses "Get credentials"."""
        from django.urls import reverse  # noqa: PLC0415

        if not self._form:  # the check against forgery is the browser's, whoever is signed in
            page = browser.get(reverse("my_access")).content.decode()
            self._form = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
            self._csrf_cookie = browser.cookies["csrftoken"].value
        body = f"csrfmiddlewaretoken={self._form}&target={self._world.role_b.pk}"
        head = (
            f"POST {reverse('credentials', args=[self._mapping.pk])} HTTP/1.1",
            f"Host: {host}",
            f"Cookie: sessionid={browser.cookies['sessionid'].value}; csrftoken={self._csrf_cookie}",
            "HX-Request: true",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        )
        return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

    def container(self, browser: Any, host: str) -> bytes:
        """Return what a tool sends that was set up in the browser's session."""
        from django.urls import reverse  # noqa: PLC0415

        from roles.tokens import bearers  # noqa: PLC0415

        made = bearers.issue(
            actor=self._world.bob, session=browser.session, mapping_id=self._mapping.pk, target_id=None
        )
        path = reverse("container_credentials", args=[self._mapping.pk, self._world.role_b.pk])
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {made.text}\r\n\r\n".encode()


def _prepare(port: int) -> list[Case]:
    """Make the portal, its sessions, and what each case sends."""
    portal = Portal()
    from django.urls import reverse  # noqa: PLC0415

    from benchmarks.floor import FLOOR_KEY, VALUE_BYTES, cipher  # noqa: PLC0415
    from roles.tokens.cache import cache  # noqa: PLC0415

    cache.set(FLOOR_KEY, cipher.encrypt(os.urandom(VALUE_BYTES)).decode(), timeout=3600)
    browser, host = portal.sign_in(), f"127.0.0.1:{port}"
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    floor = f"GET {reverse('floor')} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode()
    warm = portal.credentials(browser, host), portal.container(browser, host)
    fresh = (portal.credentials(portal.sign_in(), host) for _ in range(len(CONNECTIONS) * ROUNDS * FIRST_REQUESTS))
    return [
        Case("(a) floor", itertools.repeat(floor)),
        Case("(b) credentials, warm", itertools.repeat(warm[0])),
        Case("(c) container endpoint, warm", itertools.repeat(warm[1])),
        Case("(d) credentials, first of a session", iter([*fresh]), fresh=True),
    ]


def forget() -> None:
    """Empty the cache."""
    from roles.tokens.cache import cache  # noqa: PLC0415

    cache.clear()


@contextlib.contextmanager
def _server(port: int, folder: Path) -> Iterator[int]:
    """Run the web server and give its process id."""
    granian = shutil.which("granian", path=str(Path(sys.executable).parent)) or "granian"
    command = [granian, "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(WORKERS), "--blocking-threads", str(THREADS), "benchmarks.server:application"]
    with (folder / "server.log").open("wb") as log:
        environment = {**os.environ, "LOG_LEVEL": "INFO"}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            _wait_for(port, process, folder / "server.log")
            yield process.pid
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                return
        time.sleep(0.2)
    raise SystemExit(f"The server did not start:\n{log.read_text()[-2000:]}")


def _measure(port: int, cases: list[Case], calls: Path, seconds: float, server: int) -> None:
    say("")
    say("| what | connections | requests/s | of the floor | p50 ms | p99 ms | server CPU ms | requests | STS calls |")
    say("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for connections in CONNECTIONS:
        totals = {case.name: Total() for case in cases}
        for turn in range(ROUNDS):
            for case in cases:
                if turn == 0 and not case.fresh:
                    run(port, case.requests, connections=connections, count=WARM_UP_REQUESTS, seconds=seconds)
                count = FIRST_REQUESTS if case.fresh else sys.maxsize
                limit = START_SECONDS if case.fresh else seconds / ROUNDS
                asked, cpu = calls_in(calls), _cpu_seconds(server)
                result = run(
                    port, itertools.islice(case.requests, count), connections=connections, count=count, seconds=limit
                )
                totals[case.name].add(result, calls_in(calls) - asked, _cpu_seconds(server) - cpu)
        floor = totals[cases[0].name].result.per_second
        for name, total in totals.items():
            say(_row(name, connections, total, floor))


def _cpu_seconds(server: int) -> float:
    """Return the CPU time of the server's processes. It shows what a request costs however busy the machine is."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[1]) == server or int(file.parent.name) == server:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def calls_in(file: Path) -> int:
    """Return how often STS was asked for a target role."""
    return sum(line.endswith("/MyRoleB") for line in file.read_text(encoding="ascii").splitlines())


def _row(name: str, connections: int, total: Total, floor: float) -> str:
    result = total.result
    cells = (
        name,
        str(connections),
        f"{result.per_second:.0f}",
        f"{result.per_second / floor:.2f}",
        f"{result.percentile(50):.1f}",
        f"{result.percentile(99):.1f}",
        f"{1000 * total.cpu / len(result.latencies):.1f}",
        str(len(result.latencies)),
        str(total.calls),
    )
    return "| " + " | ".join(cells) + " |"


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
