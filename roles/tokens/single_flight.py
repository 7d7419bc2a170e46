"""One maker at a time: whoever comes while something is being made waits for it instead of making it again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from roles.errors import TokenUnavailable

WAIT_SECONDS = 30.0  # longer than a lock lives, so that a waiter can take over from a holder that died
FIRST_POLL_SECONDS = 0.02
LAST_POLL_SECONDS = 0.25

log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Lock(Protocol):
    """A lock shared by all who could make the same thing, which frees itself when its holder dies."""

    def take(self) -> bool:
        """Return whether it is ours now; never wait."""

    def release(self) -> None:
        """Free it if it is ours."""


def one_at_a_time(lock: Lock, *, find: Callable[[], _T | None], make: Callable[[], _T]) -> _T:
    """Return what `find` finds, or what `make` makes while holding `lock`.

    What `make` raises goes to its caller only; those who waited then try for themselves, one after the other. Raises
    `TokenUnavailable` after `WAIT_SECONDS` of waiting.
    """
    until = time.monotonic() + WAIT_SECONDS
    delay = FIRST_POLL_SECONDS
    while (found := find()) is None:
        if lock.take():
            return _make_alone(lock, find, make)
        if time.monotonic() > until:
            raise TokenUnavailable(
                "Another request is still fetching this token from AWS.", hint="Try again in a few seconds."
            )
        time.sleep(delay)
        delay = min(2 * delay, LAST_POLL_SECONDS)
    return found


def _make_alone(lock: Lock, find: Callable[[], _T | None], make: Callable[[], _T]) -> _T:
    try:
        found = find()  # the holder before us may have finished between our look and our turn
        return make() if found is None else found
    finally:
        try:
            lock.release()
        except TokenUnavailable:
            log.warning("A lock could not be released; it frees itself.")
