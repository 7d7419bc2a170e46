"""A server of worker processes: each run gets a process of its own, forked from one that has loaded the portal.

A fork takes milliseconds where a new interpreter takes seconds. What a fresh worker would not have, a forked one has
not either: no database connection, no AWS session, nothing that was cached. It speaks on its standard streams: a run's
number in; the process's id out, and, once that has ended, how.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WENT_WRONG = 70


class Server:
    """The server as a test has it: `begin` a run, `kill` the worker, `end` when it has ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self, run_id: int) -> int:
        """Let a new process reconcile the run; return the process's id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{run_id}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        """Wait for the process that was begun; return its exit code, or the negative number of what killed it."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def serving(environment: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Run the server with these environment variables; what it and its workers say goes to `log`."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.worker"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Server(process)
        finally:
            process.kill()
            process.communicate()


def main() -> None:
    """Serve until there is no more to read."""
    import django  # noqa: PLC0415 (the tests that import this module have their own)

    django.setup()

    from roles.provisioning import runner  # noqa: PLC0415

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _work(runner.reconcile, int(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _work(reconcile: object, run_id: int) -> None:
    """Be the worker, and never come back."""
    code = WENT_WRONG
    try:
        reconcile(run_id)  # type: ignore[operator]
        code = 0
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
