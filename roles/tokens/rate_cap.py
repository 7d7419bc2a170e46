"""At most so many a minute, in this process."""

from __future__ import annotations

import threading
import time
from collections import deque

WINDOW_SECONDS = 60.0


class RateCap:
    """Lets `limit` through in any minute. Shared by the threads of one process, and by nobody else."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Return whether one more may pass now, and count it if so. Never waits."""
        now = time.monotonic()
        with self._lock:
            while self._taken and self._taken[0] <= now - WINDOW_SECONDS:
                self._taken.popleft()
            if len(self._taken) >= self.limit:
                return False
            self._taken.append(now)
            return True

    def clear(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._taken.clear()
