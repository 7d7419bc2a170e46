"""The chain of hashes that makes a changed or missing event visible. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64


def link(previous_hash: str, content: Mapping[str, Any]) -> str:
    """Return the hash of an event: SHA-256 over the hash before it and its content as canonical JSON.

    >>> link(GENESIS, {"code": "mapping.added"}) == link(GENESIS, {"code": "mapping.added"})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous_hash}\n{text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold. `position` counts from 1."""

    position: int
    event_id: int
    problem: str


@dataclass(frozen=True, slots=True)
class Link:
    """An event as the chain sees it."""

    event_id: int
    previous_hash: str
    hash: str
    content: Mapping[str, Any]


def first_break(links: Iterable[Link], *, head: str, length: int) -> Break | None:
    """Return the first place where the chain does not hold, or None. `head` and `length` are what it should end in."""
    expected, position, event_id = GENESIS, 0, 0
    for position, item in enumerate(links, start=1):
        event_id = item.event_id
        if item.previous_hash != expected:
            return Break(position, event_id, "does not follow the event before it: one was removed, added or reordered")
        if link(item.previous_hash, item.content) != item.hash:
            return Break(position, event_id, "was changed after it was recorded")
        expected = item.hash
    if expected != head or position != length:
        return Break(position + 1, event_id, "the newest events are missing")
    return None
