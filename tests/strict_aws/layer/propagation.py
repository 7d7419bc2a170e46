"""A new role is unknown, for a while, to whoever writes policies and to AssumeRole (hashicorp/terraform#4315)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Propagation:
    """Remembers when roles were made. `seconds` can be changed at any time; `clock` gives seconds that only grow."""

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._made: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, arn: str) -> None:
        """A role was made just now."""
        with self._lock:
            self._made[arn] = self._clock()

    def is_under_way(self, arn: str) -> bool:
        """Whether a role is too new to be known everywhere."""
        with self._lock:
            made = self._made.get(arn)
        return made is not None and self._clock() - made < self.seconds

    def forget(self) -> None:
        """Begin again, as the emulator did."""
        with self._lock:
            self._made.clear()
