"""Tokens in the cache: nobody reads them there, nobody moves them, and none is there too long."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet

from roles.errors import TokenUnavailable
from roles.tokens import cache
from roles.tokens.cache import CachedToken
from roles.tokens.cache import cache as backend
from roles.values.credentials import Credentials
from tests.tokens.conftest import SECRET_MARK, cache_settings
from xacct_portal.cache_config import TextSerializer

pytestmark = pytest.mark.usefixtures("db")
SESSION_END = datetime(2026, 12, 1, 20, 0, tzinfo=UTC)
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))

# A dot is in no base64: this name is not in encrypted text by chance, as three letters sometimes are.
SESSION_NAME = "bob.of.the.session"


def token(minutes: float = 60) -> CachedToken:
    ends = datetime.now(UTC) + timedelta(minutes=minutes)
    return CachedToken(
        Credentials("ASIA-OF-BOB", f"{SECRET_MARK}-key", f"{SECRET_MARK}-token", ends), SESSION_NAME, attributed=True
    )


def put(key: str, held: CachedToken, session_ends_at: datetime | None = None) -> None:
    ends = session_ends_at or datetime.now(UTC) + timedelta(hours=8)
    cache.put(key, held, until=cache.kept_until(held.credentials.expires_at, ends, None))


def key_of(namespace: str = "n", *, mapping_id: int = 1, target_id: int = 2, fingerprint: str = "f") -> str:
    return cache.key_of(namespace, mapping_id=mapping_id, target_id=target_id, fingerprint=fingerprint)


# --- what cannot be read is not there ---


@pytest.mark.parametrize("value", ["", "not a token", "gAAAAA==", 7, None, b"bytes", {"access_key_id": "ASIA"}, "ä"])
def test_what_somebody_else_wrote_counts_as_nothing(value: Any, settings: Any) -> None:
    settings.CACHES = cache_settings("locmem")  # takes any object; Redis takes text only
    backend.set("k", value)
    assert cache.get("k") is None


@pytest.mark.parametrize("stored", [b"", b"\x80\x05not text", pickle.dumps({"access_key_id": "ASIA"}), b"7"])
def test_bytes_that_somebody_else_wrote_to_redis_count_as_nothing(
    stored: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Redis:
        def get(self, _key: str) -> str:
            return TextSerializer().loads(stored)

    monkeypatch.setattr(cache, "cache", Redis())
    assert cache.get("k") is None


def test_a_value_changed_in_one_byte_counts_as_nothing() -> None:
    put("k", token())
    value: str = backend.get("k")
    backend.set("k", value[:40] + ("A" if value[40] != "A" else "B") + value[41:])
    assert cache.get("k") is None


def test_a_value_moved_to_another_key_counts_as_nothing() -> None:
    put("mine", token())
    backend.set("theirs", backend.get("mine"))
    assert cache.get("theirs") is None
    assert cache.get("mine") is not None


def test_a_value_of_an_older_release_counts_as_nothing(settings: Any) -> None:
    sealed = Fernet(settings.XACCT_TOKEN_KEYS[0]).encrypt(json.dumps({"key": "k"}).encode()).decode()
    backend.set("k", sealed)
    assert cache.get("k") is None


def test_bytes_that_unpickle_to_no_value_count_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_key: str) -> None:
        raise EOFError

    monkeypatch.setattr(cache.cache, "get", broken)
    assert cache.get("k") is None


def test_a_retired_key_makes_its_tokens_unreadable(settings: Any) -> None:
    settings.XACCT_TOKEN_KEYS = [OLD]
    put("k", token())
    settings.XACCT_TOKEN_KEYS = [NEW]
    assert cache.get("k") is None


def test_an_older_key_still_reads_while_a_newer_one_writes(settings: Any) -> None:
    settings.XACCT_TOKEN_KEYS = [OLD]
    put("k", token())
    settings.XACCT_TOKEN_KEYS = [NEW, OLD]
    assert cache.get("k") is not None
    put("later", token())
    settings.XACCT_TOKEN_KEYS = [NEW]
    assert cache.get("later") is not None
    assert cache.get("k") is None


# --- what is there ---


def test_the_same_token_comes_back(each_cache: str) -> None:
    held = token()
    put("k", held)
    assert cache.get("k") == held
    cache.remove(["k", "never-there"])
    assert cache.get("k") is None


def test_the_cache_holds_no_secret_in_the_clear(each_cache: str) -> None:
    key = key_of("the-namespace")
    put(key, token())
    value = backend.get(key)
    assert value.startswith("gAAAA")
    for secret in (SECRET_MARK, "ASIA-OF-BOB", SESSION_NAME):
        assert secret not in value
    assert "the-namespace" not in key


def test_a_token_does_not_show_its_secrets_by_accident() -> None:
    assert SECRET_MARK not in repr(token())


# --- for how long ---


@pytest.fixture
def clockwork(settings: Any) -> None:
    """A cache that keeps time by this process's clock, which tests can move."""
    settings.CACHES = cache_settings("locmem")


@pytest.mark.usefixtures("clockwork")
def test_a_token_in_its_last_twenty_minutes_is_never_handed_out() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        held = token(60)
        put("k", held)
        clock.shift(timedelta(minutes=39, seconds=58))
        assert cache.get("k") == held
        clock.shift(timedelta(seconds=2))
        assert cache.get("k") is None
        assert backend.get("k") is None


@pytest.mark.usefixtures("clockwork")
def test_a_token_that_somebody_keeps_longer_is_not_handed_out_either() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        put("k", token(60))
        kept = backend.get("k")
        clock.shift(timedelta(minutes=41))
        backend.set("k", kept)
        assert cache.get("k") is None


@pytest.mark.usefixtures("clockwork")
def test_a_token_never_outlives_its_session() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        put("k", token(60), NOON + timedelta(minutes=5))
        assert cache.get("k") is not None
        clock.shift(timedelta(minutes=5))
        assert backend.get("k") is None


@pytest.mark.parametrize(("minutes", "session_minutes"), [(20, 60), (15, 60), (60, 0), (60, -1)])
def test_what_may_not_be_handed_out_is_not_kept_at_all(minutes: int, session_minutes: int) -> None:
    with time_machine.travel(NOON, tick=False):
        put("k", token(minutes), NOON + timedelta(minutes=session_minutes))
        assert backend.get("k") is None


# --- names ---


def test_each_part_of_the_address_makes_another_key() -> None:
    keys = {
        key_of(),
        key_of("m"),
        key_of(mapping_id=2),
        key_of(target_id=1),
        key_of(fingerprint="g"),
        key_of("n", mapping_id=12, target_id=2),
        key_of("n", mapping_id=1, target_id=22),
    }
    assert len(keys) == 7


def test_keys_and_hashes_cannot_be_computed_without_the_secret_key(settings: Any) -> None:
    key, hashed = key_of(), cache.session_hashes("n")
    settings.SECRET_KEY = "another-secret-key-for-this-test-only-0123456789"
    assert key_of() != key
    assert cache.session_hashes("n") != hashed


def test_a_session_is_still_known_after_the_secret_key_was_rotated(settings: Any) -> None:
    [old] = cache.session_hashes("n")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-for-this-test-only-0123456789"
    newest, fallback = cache.session_hashes("n")
    assert fallback == old != newest
    assert len(newest) == 64


def test_a_session_without_a_namespace_has_none_until_it_gets_one() -> None:
    session: dict[str, Any] = {}
    assert cache.namespace_in(session) == ""
    assert cache.namespace_in({cache.NAMESPACE_KEY: ["not text"]}) == ""
    first = cache.new_namespace(session)
    assert cache.namespace_in(session) == first
    assert cache.new_namespace(session) != first
    assert len(first) == 32


# --- down ---


def test_a_cache_that_is_down_is_said_so_at_each_call(settings: Any) -> None:
    settings.CACHES = cache_settings("down")
    lock = cache.lock_on("k")
    held = token()
    for call in (lambda: cache.get("k"), lambda: put("k", held), lambda: cache.remove(["k"]), lock.take, lock.release):
        with pytest.raises(TokenUnavailable) as refused:
            call()
        assert "cache" in refused.value.message and refused.value.hint
        assert SECRET_MARK not in str(refused.value)
