"""The caches: one that all processes share for tokens and locks, and none for libraries.

A library that caches what it likes for as long as it likes (Unfold keeps a person's search results for five minutes)
would show people what they may not see any more, and would bring pickles into Redis.
"""

from __future__ import annotations

from typing import Any

from redis import ConnectionError as RedisConnectionError
from redis.backoff import NoBackoff
from redis.retry import Retry

# A token is about 2.5 KB; Django's limit of 300 would throw other people's tokens away. What has expired goes first.
EMBEDDED_MAX_ENTRIES = 20_000
# Redis answers in well under a millisecond. While it does not, each request waits this long before it goes on without.
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0


class TextSerializer:
    """Keeps text as text. Django would unpickle, so that whoever may write to Redis could run code here."""

    def dumps(self, value: str | int) -> bytes:
        """Return what is stored; a number comes back as text. Raises `TypeError` for anything else."""
        if not isinstance(value, str | int):
            raise TypeError(f"Only text is cached, not {type(value).__name__}.")
        return str(value).encode()

    def loads(self, stored: bytes) -> str:
        """Return the text. Raises `ValueError` for what is none."""
        return stored.decode()


def caches_config(from_url: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return `CACHES`: under `shared` the cache of that URL, and by default, for what libraries do, none."""
    return {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "shared": _shared(from_url)}


def _shared(from_url: dict[str, Any]) -> dict[str, Any]:
    """Return a cache's settings with our options; those in its URL win."""
    ours: dict[str, Any] = {"MAX_ENTRIES": EMBEDDED_MAX_ENTRIES}
    if from_url["BACKEND"].endswith(".RedisCache"):
        ours = {
            "serializer": TextSerializer,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            # A connection kept from before a restart of Redis is replaced; a Redis that is silent is not asked twice.
            "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        }
    return {**from_url, "OPTIONS": {**ours, **from_url.get("OPTIONS", {})}}
