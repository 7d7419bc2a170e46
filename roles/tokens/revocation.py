"""Forget tokens: out of the cache at once, on record as evicted, with an event that says why.

With a session, a user or an access, the bearers end that people's tools got for it.

Each takes the `actor` who causes it, where there is one who is known; else the portal does it by itself.

What was handed out already lives on in people's tools until it expires; this takes away the way to get it again.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Model, Q
from django.utils import timezone

from roles import context
from roles.context import SystemActor
from roles.errors import CacheDown
from roles.history.recorder import record
from roles.models import GroupRole, IssuedToken, User, UserGroup
from roles.models.choices import Outcome
from roles.tokens import bearers, cache, events

ACTOR = SystemActor("token broker")

log = logging.getLogger(__name__)


def forget_session(session: Any, *, actor: Any = ACTOR, reason: str = "The session ended.") -> int:
    """Forget the tokens of one login session, or of the decoded data of one, and return how many."""
    namespace = cache.namespace_in(session)
    if not namespace:
        return 0
    which = Q(session_hash__in=cache.session_hashes(namespace))
    bearers.end(which, actor=actor, reason=reason)
    return _forget(which, actor=actor, reason=reason)


def forget_user(user: User, *, actor: Any = ACTOR, reason: str = "The user's sessions ended.") -> int:
    """Forget all tokens of a user and return how many."""
    bearers.end(Q(user=user), actor=actor, reason=reason, subject=user)
    return _forget(Q(user=user), actor=actor, subject=user, reason=reason)


def forget_mapping(mapping: GroupRole, *, actor: Any = ACTOR, reason: str = "The mapping changed or ended.") -> int:
    """Forget everybody's tokens of a mapping and return how many. Once it has ended, bearers for it end too."""
    if not mapping.is_open:
        bearers.end(Q(mapping=mapping), actor=actor, reason=reason, subject=mapping, group=mapping.group.name)
    return _forget(Q(mapping=mapping), actor=actor, subject=mapping, group=mapping.group.name, reason=reason)


def forget_member(
    user: User, group: UserGroup, *, actor: Any = ACTOR, reason: str = "The user is no longer in the group."
) -> int:
    """Forget a user's tokens of the mappings of a group and return how many."""
    which = Q(user=user, mapping__group=group)
    bearers.end(which, actor=actor, reason=reason, subject=user, group=group.name)
    return _forget(which, actor=actor, subject=user, group=group.name, reason=reason)


def forget_tokens(which: Q, *, reason: str, actor: Any = ACTOR, subject: Model | None = None) -> int:
    """Forget the tokens that `which` is about and return how many; bearers stay, and get new ones if they may."""
    return _forget(which, actor=actor, subject=subject, reason=reason)


def _forget(which: Q, *, actor: Any, reason: str, subject: Model | None = None, group: str = "") -> int:
    """Evict now, and once more when the transaction that we are in is committed.

    Now, because the commit's hooks may never run. Again, because until the commit others see the old rows and may have
    been given a token meanwhile. Not at all in a rehearsal: the cache does not take back what is rolled back.
    """
    if context.current().is_rehearsal:
        return IssuedToken.objects.cached().filter(which).count()
    evict = partial(_evict, which, actor=actor, reason=reason, subject=subject, group=group)
    count = evict()
    transaction.on_commit(evict, robust=True)
    return count


def _evict(which: Q, *, actor: Any, reason: str, subject: Model | None, group: str) -> int:
    tokens = list(IssuedToken.objects.cached().filter(which).select_related(*events.RELATED))
    if not tokens:
        return 0
    is_gone = _remove([token.cache_key for token in tokens])
    with transaction.atomic():
        # The event first: whoever records takes the history's lock before rows of ours, so that nobody waits in a ring.
        record(
            "token.evicted",
            actor=actor,
            subject=subject or tokens[0].user,
            outcome=Outcome.OK if is_gone else Outcome.FAILED,
            group=group,
            reason=reason,
            tokens=[events.facts_of(token) for token in tokens],
        )
        if is_gone:
            IssuedToken.objects.filter(pk__in=[token.pk for token in tokens]).update(evicted_at=timezone.now())
    return len(tokens)


def _remove(keys: list[str]) -> bool:
    """Return whether the cache took them out. If it is down, they stay marked as cached, for whoever forgets next.

    Nobody gets at them meanwhile: their session is gone, or the database does not give its user the access any more.
    """
    try:
        cache.remove(keys)
    except CacheDown as error:
        log.warning("Tokens stay in the cache until they expire: %s", error.message)
        return False
    return True
