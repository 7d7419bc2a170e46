"""Work that nobody waits for, in threads of this process: so many at a time, and none waits for its turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context

from django.db import connections

log = logging.getLogger(__name__)


def in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread that sees this request's context and does not keep the process from ending.

    Its database connections are its own, and closed behind it. Raises `RuntimeError` if there can be no thread.
    """

    def whole() -> None:
        try:
            work()
        finally:
            connections.close_all()

    threading.Thread(target=copy_context().run, args=(whole,), name="xacct-background", daemon=True).start()


class Background:
    """At most `most` works at a time. `spawn` is how one is run; a test may run it where it stands."""

    def __init__(self, most: int, *, spawn: Callable[[Callable[[], None]], None] = in_thread) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._spawn = spawn

    def start(self, work: Callable[[], None]) -> bool:
        """Return whether `work` was begun; it was not if there are too many. What it raises goes to the log."""
        if not self._free.acquire(blocking=False):
            return False
        try:
            self._spawn(lambda: self._run(work))
        except RuntimeError:
            self._free.release()
            log.warning("No thread could be started for work in the background.")
            return False
        return True

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            log.exception("Work in the background failed.")
        finally:
            self._free.release()
