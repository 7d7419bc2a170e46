"""Patience with AWS: repeat a call while its error says that later may be better, and never past a deadline."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from roles.errors import AwsError, Retry

FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 8.0

T = TypeVar("T")
_random = secrets.SystemRandom()


def patiently(
    call: Callable[[], T],
    *,
    until: float,
    on_wait: Callable[[AwsError, float], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    also: tuple[type[AwsError], ...] = (),
) -> T:
    """Return what `call` returns, repeating it while its `AwsError` may pass; at last raise that error.

    `until` is a deadline in seconds of `time.monotonic()`. Delays grow from 0.25 to 8 seconds with full jitter
    (AWS Architecture Blog, "Exponential Backoff And Jitter"), so that many workers do not come back together.
    `on_wait` is told the error and the delay before each sleep. `also` are errors that would be final, but not just
    after a change of our own: AWS answers AccessDenied until that change is visible everywhere.
    """
    ceiling = FIRST_DELAY_SECONDS
    while True:
        try:
            return call()
        except AwsError as error:
            left = until - time.monotonic()
            if left <= 0 or not (error.retry is not Retry.NEVER or isinstance(error, also)):
                raise
            delay = min(_random.uniform(0, ceiling), left)
            if on_wait:
                on_wait(error, delay)
        ceiling = min(ceiling * 2, LONGEST_DELAY_SECONDS)
        sleep(delay)
