"""Spans of time: cut to what they have in common, with parts taken out, and in words.

All times are aware; ends are excluded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The time from `start` until just before `end`, which is later."""

    start: datetime
    end: datetime

    def cut_to(self, other: Span) -> tuple[Span, ...]:
        """Return what both have in common: one span or none."""
        return self.between(other.start, other.end)

    def between(self, start: datetime, end: datetime | None) -> tuple[Span, ...]:
        """Return what of it lies from `start` until before `end`, None for no end: one span or none."""
        first = max(self.start, start)
        last = self.end if end is None else min(self.end, end)
        return (Span(first, last),) if first < last else ()

    def without(self, gone: Iterable[Span]) -> tuple[Span, ...]:
        """Return what is left of it once each of `gone`, in any order, is taken out; oldest first."""
        left: list[Span] = []
        start = self.start
        for one in sorted(gone):
            if start < one.start:
                left += self.between(start, one.start)
            start = max(start, one.end)
        return (*left, *self.between(start, None))


def in_minutes(length: timedelta) -> str:
    """Return how long that is in whole minutes, rounded up, as words; what is below zero is none.

    >>> in_minutes(timedelta(seconds=900))
    '15 minutes'
    """
    minutes = -(-int(max(length, timedelta()).total_seconds()) // 60)
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
