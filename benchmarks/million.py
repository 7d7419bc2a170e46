"""A million requests for tokens that are held already: STS may not be asked once.

    .venv/bin/python -m benchmarks.million --postgres postgres://user:password@127.0.0.1:5432 --redis redis://127.0.0.1:6379/12

Half are for the page's credentials, half for the container endpoint, in several sessions. They go through the portal's
WSGI application with all of its middleware, in so many processes; only the web server and the network are left out, as
they know nothing of tokens. Each answer must be 200 and hold the credentials of its session that were made before.

Credentials live for `LIFE_SECONDS` here, so that none comes due in the run: what lives an hour is renewed in advance
every 35 minutes, which is a call of its own and not a request's doing.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import LIFE
from benchmarks.tokens import Portal, calls_in, database_on, environment, forget, parser_of, say

HOST = "127.0.0.1:80"
REQUESTS = 1_000_000
SESSIONS = 20
LIFE_SECONDS = 6 * 3600  # within the session's eight hours
TURN = 5_000  # requests that a process does before it says so
SAY_EVERY = 20  # turns


@dataclass(frozen=True, slots=True)
class Warm:
    """A request whose token is held, and the access key id that each answer must hold."""

    request: bytes
    key_id: str


def main() -> None:
    """Ask, print what was seen, and fail if STS was asked."""
    parser = parser_of("Ask for tokens that are held, and count the calls of STS.")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xacct-million-")))
        database = stack.enter_context(database_on(chosen.postgres, folder))
        calls = folder / "sts-calls"
        calls.touch()
        os.environ.update(environment(folder, database, chosen.redis or "", calls), **{LIFE: str(LIFE_SECONDS)})
        portal = Portal()
        stack.callback(forget)
        browsers = [portal.sign_in() for _ in range(SESSIONS)]
        requests = [make(browser, HOST) for browser in browsers for make in (portal.credentials, portal.container)]
        pool = stack.enter_context(
            ProcessPoolExecutor(chosen.processes, mp_context=multiprocessing.get_context("spawn"))
        )
        warm = pool.submit(warmed, requests).result()
        before = calls_in(calls)
        say(f"{SESSIONS} sessions, {before} calls of STS for their first requests; {chosen.processes} processes.")
        begin = time.perf_counter()
        turns = [min(TURN, chosen.requests - done) for done in range(0, chosen.requests, TURN)]
        done = 0
        for number, turn in enumerate(as_completed([pool.submit(asked, warm, count) for count in turns]), start=1):
            done += turn.result()
            if number % SAY_EVERY == 0:
                say(f"{done:,} requests, {calls_in(calls) - before} calls of STS")
        seconds = time.perf_counter() - begin
        more = calls_in(calls) - before
        say(f"{done:,} warm requests in {seconds:.0f} s ({done / seconds:.0f} a second): {more} calls of STS.")
    sys.exit(more != 0)


def warmed(requests: list[bytes]) -> list[Warm]:
    """Send each request once, which makes its session's token, and return them with the access key id answered."""
    found = []
    for request in requests:
        _, _, after = answer_of(request).partition("ASIA")
        found.append(Warm(request, "ASIA" + after[:16]))
    return found


def asked(warm: list[Warm], count: int) -> int:
    """Send `count` of the requests in turn and return how many were answered with what is held; raise otherwise."""
    for number in range(count):
        one = warm[number % len(warm)]
        if one.key_id not in answer_of(one.request):
            raise SystemExit(f"Request {number} was answered with other credentials than {one.key_id}.")
    return count


def answer_of(request: bytes) -> str:
    """Return the body that the portal answers with. Raises `SystemExit` unless it is 200."""
    head, _, body = request.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    asked_for: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body.encode()),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for line in lines:
        name, value = line.split(": ", 1)
        name = name.upper().replace("-", "_")
        asked_for[name if name.startswith("CONTENT_") else f"HTTP_{name}"] = value
    statuses: list[str] = []
    answer = _application()(asked_for, lambda status, _headers, _error=None: statuses.append(status))
    text = b"".join(answer).decode()
    answer.close()
    if not statuses[0].startswith("200 "):
        raise SystemExit(f"{statuses[0]}: {text[:500]}")
    return text


@cache
def _application() -> Any:
    from benchmarks.server import application  # noqa: PLC0415  # in a process of the pool, whose environment is set

    return application


if __name__ == "__main__":
    main()
