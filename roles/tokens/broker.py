"""Give me the token of this session for this mapping: authorised now, from the cache or from STS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.views.decorators.debug import sensitive_variables

from roles.errors import (
    AwsError,
    CacheDown,
    NotEntitled,
    NotFound,
    PolicyError,
    PortalError,
    SessionEnded,
    TokenUnavailable,
)
from roles.models import GroupRole, User
from roles.tokens import cache, events, issuing, renewing, scope
from roles.tokens.cache import CachedToken
from roles.tokens.events import Asked
from roles.tokens.scope import EffectiveGrant
from roles.tokens.single_flight import one_at_a_time
from roles.values.credentials import Credentials

IN_PERSON = "portal"  # a person asked on a page; programs ask with the purpose of their bearer
REPEAT_SECONDS = 300  # a program's refusal is in the history once in this time


@dataclass(frozen=True, slots=True)
class Token:
    """Temporary credentials and what they are good for.

    `source` and `target` are the ARNs of the roles, `target_id` is the target's row; `attributed` says whether AWS
    knows the user by SourceIdentity and tags, or by `session_name` alone.
    """

    credentials: Credentials
    mapping: GroupRole
    source: str
    target: str
    target_id: int
    region: str
    grants: tuple[EffectiveGrant, ...]
    session_name: str
    attributed: bool


@sensitive_variables()
def get_token(
    *, actor: User, session: Any, mapping_id: int, target_id: int | None = None, purpose: str = IN_PERSON
) -> Token:
    """Return the session's token for a mapping and one of its targets (the first if None).

    Args:
        actor: who asks; the database decides at this moment whether they may.
        session: their login session; tokens are kept for it alone.
        purpose: what it is for, as the history shows it; the token is the session's, whatever it is for.

    Raises:
        NotFound: the mapping or target is not theirs.
        NotEntitled: it is theirs, but cannot be used now.
        SessionEnded: the session is over.
        TokenUnavailable: the cache does not answer, and too many tokens came without it already.
        AwsError: AWS refused; said in words for the person who asked.
        PolicyTooLarge: what the mapping gives does not fit into a session policy.
    """
    asked = None
    try:
        asked = _authorised(actor, session, mapping_id, target_id, purpose)
        held = _held(asked)
    except NotEntitled as error:  # recorded by the surface, as any denial of ours
        events.explain_denial(error, actor=actor, session=session, target_id=target_id)
        raise
    except (AwsError, TokenUnavailable, SessionEnded, PolicyError, NotFound) as error:
        if purpose == IN_PERSON or _is_news(error, actor, mapping_id, purpose):
            events.record_refused(
                error,
                actor=actor,
                session=session,
                mapping_id=mapping_id,
                target_id=target_id,
                purpose=purpose,
                asked=asked,
            )
        raise
    return Token(
        credentials=held.credentials,
        mapping=asked.mapping,
        source=str(asked.mapping.role.arn),
        target=str(asked.target.role.arn),
        target_id=asked.target.role.pk,
        region=asked.target.region,
        grants=asked.target.grants,
        session_name=held.session_name,
        attributed=held.attributed,
    )


def _authorised(actor: User, session: Any, mapping_id: int, target_id: int | None, purpose: str) -> Asked:
    usable = scope.mapping_for(actor, mapping_id)
    target = usable.target(target_id)
    namespace = cache.namespace_in(session) or _begin_namespace(session)
    fingerprint = scope.fingerprint(actor, usable.mapping, target)
    key = cache.key_of(namespace, mapping_id=usable.mapping.pk, target_id=target.role.pk, fingerprint=fingerprint)
    return Asked(actor, session, usable.mapping, target, fingerprint, key, cache.session_hashes(namespace)[0], purpose)


def _begin_namespace(session: Any) -> str:
    """Return a new namespace, saved at once: a request that fails later does not save its session."""
    namespace = cache.new_namespace(session)
    try:
        session.save()
    except UpdateError:
        raise issuing.session_ended() from None
    return namespace


@sensitive_variables()
def _held(asked: Asked) -> CachedToken:
    """Return the token from the cache, or from AWS: one request of a session asks, the others wait for it.

    One that is due is handed out for the last time or so: it is good for minutes, and the next is fetched meanwhile.
    """
    lock, made = cache.lock_on(asked.key), []

    def make() -> CachedToken:
        made.append(issuing.issue(asked, lock))
        return made[0]

    try:
        held = one_at_a_time(lock, find=lambda: cache.get(asked.key), make=make)
    except CacheDown as down:
        return issuing.issue_uncached(asked, down)
    if not made:
        if held.is_due:
            renewing.renew_ahead(asked)
        events.note_reuse(asked, held)
    return held


def _is_news(error: PortalError, actor: User, mapping_id: int, purpose: str) -> bool:
    """Return whether the history does not have it from a moment ago: programs ask again and again."""
    what = f"{purpose}:{actor.pk}:{mapping_id}:{error.code}:{getattr(error, 'aws_code', '')}"
    return cache.is_first(what, seconds=REPEAT_SECONDS)
