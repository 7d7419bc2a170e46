"""Child processes: start them, watch them, stop them all. One that dies by itself stops the rest and says why."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

STOP_SECONDS = 8.0
POLL_SECONDS = 0.2
LAST_LINES = 15


class ChildDied(Exception):
    """A child ended although nobody asked it to. The message has its name, exit code and last words."""


class Interrupted(Exception):
    """Somebody asked the demo to stop."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process, the name people know it by, and the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log_file: Path

    def last_words(self) -> str:
        """Return the end of its output."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"    {line}" for line in lines[-LAST_LINES:])


class Supervisor:
    """Holds the children. Each has a session of its own, so that Ctrl-C reaches only us and we stop them in order.

    `keep_open` are file descriptors that every child inherits.
    """

    def __init__(self, log_dir: Path, *, keep_open: Sequence[int] = ()) -> None:
        self._log_dir = log_dir
        self._keep_open = tuple(keep_open)
        self._children: list[Child] = []
        log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def log_file(self, name: str) -> Path:
        """Return where the output of the child `name` goes."""
        return self._log_dir / f"{name}.log"

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str]) -> Child:
        """Start a child. Its output replaces that of the last time."""
        with self.log_file(name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  # fixed commands of the demo
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self._keep_open,
            )
        child = Child(name, process, self.log_file(name))
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raise `ChildDied` if one is not running any more."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                said = child.last_words()
                words = f"\n  The last it said ({child.log_file}):\n{said}" if said else ""
                raise ChildDied(f"The {child.name} stopped by itself (exit code {code}).{words}")

    def watch(self) -> None:
        """Wait until a child dies (`ChildDied`) or a signal comes (`Interrupted`)."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def stop(self) -> list[str]:
        """Stop all children, the last started first; return the names of those that had to be killed."""
        ignore_signals()
        for child in reversed(self._children):
            child.process.terminate()  # to the parent alone: it tells its own children
        until = time.monotonic() + STOP_SECONDS
        killed = []
        for child in reversed(self._children):
            try:
                child.process.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                killed.append(child.name)
            _kill_session(child)  # also what it may have left behind
            child.process.wait()
        self._children.clear()
        return killed


def _kill_session(child: Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into `Interrupted`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted

    for each in _STOP_SIGNALS:
        signal.signal(each, interrupt)


def ignore_signals() -> None:
    """Ignore those signals from now on, so that a second Ctrl-C does not cut the stopping short."""
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
