"""Fetch the next token in the background while the one that is held is still good, so that nobody waits for AWS."""

from __future__ import annotations

import contextlib
import logging
from functools import partial

from django.views.decorators.debug import sensitive_variables

from roles.errors import AwsError, CacheDown, PortalError
from roles.tokens import cache, events, issuing
from roles.tokens.background import Background
from roles.tokens.cache import CacheLock
from roles.tokens.events import Asked

MOST_AT_ONCE = 4  # of a process; each has a database connection while it lasts

log = logging.getLogger(__name__)
background = Background(MOST_AT_ONCE)


@sensitive_variables()
def renew_ahead(asked: Asked) -> None:
    """Begin to fetch the next token, unless somebody does already. Never raises.

    Of all processes one does, the one that holds the entry's lock. Where there is no free thread, or the cache does not
    answer, a later request tries again.
    """
    lock = cache.lock_on(asked.key)
    with contextlib.suppress(CacheDown):
        if lock.take() and not background.start(partial(_renew, asked, lock)):
            lock.release()


@sensitive_variables()
def _renew(asked: Asked, lock: CacheLock) -> None:
    """Fetch it. When AWS refuses, the lock is left to free itself, so that not every request tries."""
    try:
        newer = cache.get(asked.key)  # the holder before us may have finished between our look and our turn
        if newer is None or newer.is_due:
            _fetch(asked, lock)
        else:
            lock.release()
    except CacheDown as down:
        log.warning("A token was not renewed, or its lock not freed: %s", down.message)


@sensitive_variables()
def _fetch(asked: Asked, lock: CacheLock) -> None:
    try:
        issuing.issue(asked, lock)
    except PortalError as error:
        events.record_refused(
            error,
            actor=asked.actor,
            session=asked.session,
            mapping_id=asked.mapping.pk,
            target_id=asked.target.role.pk,
            purpose=asked.purpose,
            asked=asked,
        )
        if isinstance(error, AwsError):
            return
    lock.release()
