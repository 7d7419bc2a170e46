"""Tokens in the cache: encrypted, under keys that only somebody with the session's namespace can compute.

The namespace is a random value in the session's data, never derived from the session's key, which is in a cookie. When
the session goes, in whatever way, the namespace goes with it, and nothing leads to the tokens any more.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import redis
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError
from django.utils import timezone
from django.utils.connection import ConnectionProxy
from django.utils.crypto import salted_hmac
from django.views.decorators.debug import sensitive_variables

from roles.errors import CacheDown
from roles.values.credentials import Credentials

NAMESPACE_KEY = "xacct_namespace"
# AWS SDKs refresh from 15 minutes before expiry and must by 10 (botocore, `RefreshableCredentials`): a client that is
# handed less refreshes at every call. Five minutes more are for the person who pastes them.
LAST_MINUTES = timedelta(minutes=20)
# From here on a request fetches the next one in advance, so that nobody waits for AWS when the last minutes begin.
REFRESH_MINUTES = timedelta(minutes=25)
# An AssumeRole pair takes less than one; a holder that died delays others no longer than this. One call of STS ends
# before three quarters of it (`roles.aws.sessions`), and a holder that lives renews it before each.
LOCK_SECONDS = 20

_SALT = "roles.tokens.cache"
# What all processes share. Django's default cache keeps nothing here: libraries use it as they like.
cache = ConnectionProxy(caches, "shared")
_NAMESPACE_BYTES = 24
_BACKEND_FAILURES = (redis.RedisError, DatabaseError, OSError)
_UNREADABLE = (
    # What unpickling foreign bytes can raise, then what decrypting and parsing can.
    *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError),
    *(InvalidToken, ValueError, TypeError, KeyError),
)


@dataclass(frozen=True, slots=True)
class CachedToken:
    """Credentials with what must be known to show them again."""

    credentials: Credentials
    session_name: str
    attributed: bool

    @property
    def may_be_handed_out(self) -> bool:
        """Whether it is not in its last minutes yet."""
        return self.credentials.expires_at - timezone.now() > LAST_MINUTES

    @property
    def is_due(self) -> bool:
        """Whether it is time to fetch the next one, while this one may still be handed out."""
        return self.credentials.expires_at - timezone.now() <= REFRESH_MINUTES


def namespace_in(data: Any) -> str:
    """Return the namespace in a session, or in the decoded data of one; empty if there is none."""
    found = data.get(NAMESPACE_KEY)
    return found if isinstance(found, str) else ""


def new_namespace(session: Any) -> str:
    """Put a fresh namespace into the session's data and return it."""
    namespace = secrets.token_urlsafe(_NAMESPACE_BYTES)
    session[NAMESPACE_KEY] = namespace
    return namespace


def session_hashes(namespace: str) -> tuple[str, ...]:
    """Return what the database may know the session by: 64 hex digits, the one of the newest SECRET_KEY first."""
    return tuple(
        _keyed_hash("session", namespace, key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def key_of(namespace: str, *, mapping_id: int, target_id: int, fingerprint: str, secret_key: str = "") -> str:
    """Return where a token lies, by the newest SECRET_KEY if none is given.

    Tells nothing about the session, the user or the mapping.
    """
    where = json.dumps([namespace, mapping_id, target_id, fingerprint])
    return f"xacct-token:{_keyed_hash('entry', where, secret_key or settings.SECRET_KEY)}"


@sensitive_variables()
def get(key: str) -> CachedToken | None:
    """Return the token, or None if there is none that may be handed out; what cannot be read counts as none.

    Raises `CacheDown`.
    """
    with _explained():
        try:
            value = cache.get(key)
            found = _opened(key, value) if isinstance(value, str) else None
        except _UNREADABLE:
            return None
    return found if found and found.may_be_handed_out else None


def kept_until(token_expires_at: datetime, *ends: datetime | None) -> datetime:
    """Return until when a token may lie in the cache.

    Until its last minutes begin, or what gives it ends, whichever is first: the session, the mapping. None never ends.
    """
    return min(token_expires_at - LAST_MINUTES, *(moment for moment in ends if moment is not None))


@sensitive_variables()
def put(key: str, token: CachedToken, *, until: datetime) -> None:
    """Keep the token until then (`kept_until`). Raises `CacheDown`."""
    seconds = int((until - timezone.now()).total_seconds())
    if seconds > 0:
        with _explained():
            cache.set(key, _sealed(key, token), timeout=seconds)


def remove(keys: Iterable[str]) -> None:
    """Take tokens out at once. Raises `CacheDown`."""
    with _explained():
        cache.delete_many(list(keys))


def is_first(what: str, *, seconds: int) -> bool:
    """Return whether nobody asked this about `what` in the last `seconds`. A cache that is down says yes."""
    try:
        with _explained():
            return bool(cache.add(_first_key(what), 1, timeout=seconds))
    except CacheDown:
        return True


def forget_first(what: str) -> None:
    """Let the next who asks `is_first` about `what` be the first. A cache that is down forgets by itself."""
    with contextlib.suppress(CacheDown), _explained():
        cache.delete(_first_key(what))


def _first_key(what: str) -> str:
    return f"xacct-first:{_keyed_hash('first', what, settings.SECRET_KEY)}"


@dataclass(slots=True)
class CacheLock:
    """A lock on one entry, for all processes that share the cache. It frees itself after `LOCK_SECONDS`."""

    key: str
    owner: str
    _since: float = 0.0

    def take(self) -> bool:
        """Return whether it is ours now. Raises `CacheDown`."""
        self._since = time.monotonic()
        with _explained():
            return bool(cache.add(self._name, self.owner, timeout=LOCK_SECONDS))

    def keep(self) -> None:
        """Before something that may take three quarters of `LOCK_SECONDS`: have it for that long, if it is still ours.

        A cache that does not answer has to be lived with: then more than one may make the same.
        """
        now = time.monotonic()
        if now - self._since <= LOCK_SECONDS / 4:
            return
        with contextlib.suppress(CacheDown), _explained():
            if cache.get(self._name) == self.owner and cache.touch(self._name, timeout=LOCK_SECONDS):
                self._since = now

    def release(self) -> None:
        """Free it if it is still ours. Raises `CacheDown`."""
        with _explained():
            if cache.get(self._name) == self.owner:
                cache.delete(self._name)

    @property
    def _name(self) -> str:
        return f"{self.key}:lock"


def lock_on(key: str) -> CacheLock:
    """Return a lock on `key` that nobody else owns."""
    return CacheLock(key, secrets.token_hex(16))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn a cache that does not answer into `CacheDown`. There is no other place to keep tokens in."""
    try:
        yield
    except _BACKEND_FAILURES as error:
        raise CacheDown(
            "The cache that keeps tokens for the time of a session does not answer.",
            hint="Try again in a minute; if it stays so, tell a portal admin.",
        ) from error


def _keyed_hash(purpose: str, text: str, key: str) -> str:
    return salted_hmac(f"{_SALT}.{purpose}", text, secret=key, algorithm="sha256").hexdigest()


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


@sensitive_variables()
def _sealed(key: str, token: CachedToken) -> str:
    """Return the token encrypted. It holds its own key, so that it is worth nothing under another."""
    text = json.dumps(
        {
            "key": key,
            "access_key_id": token.credentials.access_key_id,
            "secret_access_key": token.credentials.secret_access_key,
            "session_token": token.credentials.session_token,
            "expires_at": token.credentials.expires_at.isoformat(),
            "session_name": token.session_name,
            "attributed": token.attributed,
        }
    )
    return _cipher(tuple(settings.XACCT_TOKEN_KEYS)).encrypt(text.encode()).decode()


@sensitive_variables()
def _opened(key: str, value: str) -> CachedToken | None:
    held = json.loads(_cipher(tuple(settings.XACCT_TOKEN_KEYS)).decrypt(value.encode()))
    if held["key"] != key:
        return None
    credentials = Credentials(
        held["access_key_id"],
        held["secret_access_key"],
        held["session_token"],
        datetime.fromisoformat(held["expires_at"]),
    )
    return CachedToken(credentials, held["session_name"], held["attributed"])
