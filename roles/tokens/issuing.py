"""Fetch a token from AWS for a request that was authorised, put it on record, and keep it for the session."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from roles.errors import CacheDown, PortalError, SessionEnded, TokenUnavailable
from roles.history.recorder import record
from roles.models import CutOff, IssuedToken
from roles.tokens import cache, events, role_chain, scope
from roles.tokens.cache import CachedToken, CacheLock
from roles.tokens.events import Asked
from roles.tokens.rate_cap import RateCap

# While the cache is down each request for a token costs two calls of STS, whose quota all roles of an account share.
UNCACHED_PER_MINUTE = 20

log = logging.getLogger(__name__)
uncached = RateCap(UNCACHED_PER_MINUTE)


@sensitive_variables()
def issue(asked: Asked, lock: CacheLock) -> CachedToken:
    """Return a new token, kept in the cache, while holding `lock`, which stays ours however slow AWS is.

    Raises as the broker does; what was issued is then taken back.
    """
    return _issued(asked, keep=True, before_call=lock.keep)


@sensitive_variables()
def issue_uncached(asked: Asked, down: CacheDown) -> CachedToken:
    """Return a new token that is kept nowhere, as the cache is down. Raises `down` when there were too many."""
    if not uncached.take():
        raise down
    log.warning("The cache does not answer; a token came straight from STS.")
    return _issued(asked, keep=False)


def session_ended() -> SessionEnded:
    """Return the refusal for a session that is over."""
    return SessionEnded("Your sign-in is over.", hint="Sign in again.")


@sensitive_variables()
def _issued(asked: Asked, *, keep: bool, before_call: Callable[[], None] = lambda: None) -> CachedToken:
    ends_at, began = _end_of_session(asked.session), timezone.now()
    held = role_chain.assume(asked.actor, asked.mapping, asked.target, before_call=before_call)
    until = cache.kept_until(held.credentials.expires_at, ends_at, asked.mapping.expires_at)
    row, replaced = _put_on_record(asked, held, until, keep=keep)
    try:
        is_kept = keep and _kept(asked.key, held, until)
        if is_kept:  # until here the one before lies there, and who forgets tokens has to find it
            IssuedToken.objects.filter(pk__in=replaced).update(evicted_at=timezone.now())
        _check_again(asked)
        _check_cut_off(asked, held, began)
    except PortalError:
        _take_back(asked, row)
        raise
    if keep and not is_kept:
        IssuedToken.objects.filter(pk=row.pk).update(evicted_at=timezone.now())
    return held


@sensitive_variables()
def _kept(key: str, held: CachedToken, until: datetime) -> bool:
    """Return whether the cache has it now. The next request asks again if it does not."""
    try:
        cache.put(key, held, until=until)
    except CacheDown:
        return False
    return True


def _end_of_session(session: Any) -> datetime:
    """Return when the session's row ends. Raises `SessionEnded` if it is gone or over."""
    rows = Session.objects.filter(pk=session.session_key, expire_date__gt=timezone.now())
    ends_at: datetime | None = rows.values_list("expire_date", flat=True).first()
    if ends_at is None:
        raise session_ended()
    return ends_at


def _check_again(asked: Asked) -> None:
    """Raise if the session ended or the access changed while AWS was asked.

    Whoever ends it looks for tokens on record after that; this looks after the token was put on record. One of both
    sees the other.
    """
    _end_of_session(asked.session)
    usable = scope.mapping_for(asked.actor, asked.mapping.pk)
    now = scope.fingerprint(asked.actor, usable.mapping, usable.target(asked.target.role.pk))
    if now != asked.fingerprint:
        raise TokenUnavailable("Your access was changed at this moment.", hint="Try again.")


def _check_cut_off(asked: Asked, held: CachedToken, began: datetime) -> None:
    """Raise if AWS refuses sessions of this person that began when this one did: they were cut off at this moment."""
    moments = CutOff.objects.open().filter(target=asked.target.role, cut_before__gt=began)
    if any(not names or held.session_name in names for names in moments.values_list("names", flat=True)):
        raise TokenUnavailable("Your credentials were cut off at this moment.", hint="Try again in a second.")


def _put_on_record(asked: Asked, held: CachedToken, until: datetime, *, keep: bool) -> tuple[IssuedToken, list[int]]:
    """Write down that AWS issued it, without its secrets. Return its row, and the ids of those that it replaces.

    Two transactions on purpose: whoever changes a mapping holds its row or the history's lock and may want the
    other, so nothing here holds one while it waits for the next. The event is first: what AWS did is true whatever
    happens here.
    """
    replaced = IssuedToken.objects.cached().filter(cache_key=asked.key) if keep else IssuedToken.objects.none()
    before = dict(replaced.values_list("pk", "access_key_id"))
    events.record_issued(asked, held, replaces=list(before.values()), cached=keep)
    row = events.row_of(asked, held)
    row.cached_until = until if keep else None
    row.evicted_at = None if keep else timezone.now()
    row.save(force_insert=True)
    return row, list(before)


def _take_back(asked: Asked, row: IssuedToken) -> None:
    """Undo the putting into the cache: the token is not handed out. A cache that is down did not get it."""
    with contextlib.suppress(CacheDown):
        cache.remove([asked.key])
    with transaction.atomic():
        record(
            "token.evicted",
            actor=asked.actor,
            subject=asked.mapping,
            group=asked.mapping.group.name,
            reason="It was not handed out: the session or the access ended while AWS was asked.",
            tokens=[events.facts_of(row)],
        )
        IssuedToken.objects.filter(pk=row.pk).update(evicted_at=timezone.now())
