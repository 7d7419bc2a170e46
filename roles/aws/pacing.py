"""How fast the portal provisions in one account: a token bucket for each, shared by all workers where they have Redis.

IAM's rate limits are low, not published, and shared by everybody in the account (AWS knowledge centre, "API throttling
or rate exceeded errors for IAM and STS"). Retrying what was throttled does not keep the others from being throttled.

Time is cut into slots, as many a second as calls are allowed. Each call, a retry too, takes the next slot that nobody
has and waits for its moment; one that went unused can be taken for a second. So in any `t` seconds at most
`(t + 1) * rate + 1` calls leave.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.core.cache import caches

BURST_SECONDS = 1.0
# Who waits for a page waits no longer before each call. The slot is taken all the same; workers make up for it.
PAGE_WAIT_SECONDS = 0.2
# Nobody queues so far ahead. A slot that is further away was taken before the clock was set back.
AHEAD_SECONDS_MAX = 300.0
_KEPT_SECONDS = 30

log = logging.getLogger(__name__)


def claim_in_cache(account_id: str, slot: int, seconds: float) -> bool:
    """Return whether the slot is ours, of all processes that share Redis. `seconds`: how far it is away.

    Any other cache would take a database's transaction for each call, or is of one process anyway: there each process
    keeps the rate for itself, as all do while Redis is away.
    """
    if not settings.CACHES["shared"]["BACKEND"].endswith(".RedisCache"):
        return True
    try:
        free: bool = caches["shared"].add(f"pace:{account_id}:{slot}", "1", math.ceil(seconds) + _KEPT_SECONDS)
    except (redis.RedisError, OSError):
        log.warning("Redis does not answer: each process keeps the rate of AWS calls for itself.")
        return True
    return free


class Pace:
    """The slots of all accounts, as one process sees them. Its threads share it."""

    def __init__(
        self,
        *,
        claim: Callable[[str, int, float], bool] = claim_in_cache,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._claim, self._clock = claim, clock
        self._next: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, account_id: str, rate: float) -> float:
        """Take the next slot of an account that allows `rate` calls a second; return the seconds until its moment."""
        while True:
            now = self._clock()
            slot = self._candidate(account_id, now, rate)
            wait = max(0.0, slot / rate - now)
            if self._claim(account_id, slot, wait):
                return wait

    def _candidate(self, account_id: str, now: float, rate: float) -> int:
        """Return the first slot that no thread of this process has tried."""
        oldest = math.ceil((now - BURST_SECONDS) * rate)
        with self._lock:
            slot = max(self._next.get(account_id, oldest), oldest)
            if slot > (now + AHEAD_SECONDS_MAX) * rate:
                slot = oldest
            self._next[account_id] = slot + 1
        return slot


_pace = Pace()


def paced(client: Any, account_id: str, *, is_page: bool = False) -> Any:
    """Return `client`, whose calls from now on count for the account and wait for their turn.

    `is_page`: somebody waits for the answer; see `PAGE_WAIT_SECONDS`.
    """

    def wait(**_event: Any) -> None:
        seconds = _pace.take(account_id, settings.XACCT_ACCOUNT_CALLS_PER_SECOND)
        if seconds > 0:
            time.sleep(min(seconds, PAGE_WAIT_SECONDS) if is_page else seconds)

    # At each try, and before it is signed: a signature must not grow old while waiting.
    client.meta.events.register_first("request-created", wait)
    return client
