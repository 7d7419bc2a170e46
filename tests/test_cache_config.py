"""The cache's settings: room, short waits, and text that stays text."""

from __future__ import annotations

import pickle

import environ
import pytest
from django.core.cache import cache as default_cache

from xacct_portal.cache_config import TextSerializer, caches_config


def config_of(url: str) -> dict[str, object]:
    options: dict[str, object] = caches_config(environ.Env.cache_url_config(url))["shared"]["OPTIONS"]
    return options


@pytest.mark.parametrize("url", ["dbcache://xacct_cache", "locmemcache://"])
def test_an_embedded_cache_has_room_for_every_session(url: str) -> None:
    assert config_of(url) == {"MAX_ENTRIES": 20_000}


def test_redis_is_not_waited_for_long() -> None:
    options = config_of("redis://redis:6379/1")
    assert (options["socket_connect_timeout"], options["socket_timeout"]) == (1.0, 2.0)


def test_what_the_address_says_wins() -> None:
    assert config_of("redis://redis:6379/1?socket_timeout=7")["socket_timeout"] == 7
    assert config_of("dbcache://xacct_cache?max_entries=5")["MAX_ENTRIES"] == 5


def test_nothing_from_redis_is_unpickled() -> None:
    bomb = pickle.dumps("text")
    with pytest.raises(ValueError, match="codec"):
        TextSerializer().loads(bomb)
    with pytest.raises(TypeError):
        TextSerializer().dumps({"not": "text"})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["gAAAA-text", "ä", 1])
def test_text_comes_back_as_it_was_and_numbers_as_text(value: str | int) -> None:
    assert TextSerializer().loads(TextSerializer().dumps(value)) == str(value)


def test_what_libraries_cache_is_not_kept() -> None:
    """Unfold would keep a person's search results for five minutes, and Redis takes text only."""
    default_cache.set("results", [object()])
    assert default_cache.get("results") is None
