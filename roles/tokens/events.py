"""What the auditor is told of tokens: whose, in which session, for what, which key, until when. Never a secret.

From where and by what program is in every event of the history.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from roles import context
from roles.errors import AwsAccessDenied, NotEntitled, NotFound, PortalError, SessionEnded
from roles.history.recorder import record
from roles.models import GroupRole, IamRole, IssuedToken, User
from roles.models.choices import Outcome
from roles.tokens import cache
from roles.tokens.cache import CachedToken
from roles.tokens.scope import UsableTarget
from roles.values.session_names import session_name

RELATED = ("user", "mapping__role__account", "target__account")  # what `facts_of` reads of a row
TOLD_MAX = 4096  # uses that a process remembers to have told of; with each a few hundred bytes

_told: dict[tuple[str, ...], None] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was authorised: who asks in which session for what, and where in the cache that is."""

    actor: User
    session: Any
    mapping: GroupRole
    target: UsableTarget
    fingerprint: str
    key: str
    session_hash: str
    purpose: str

    @property
    def scope(self) -> dict[str, Any]:
        """What a token for it may do: a digest (64 hex digits) and the grants in words."""
        grants = [f"{grant.level} {grant.bucket}/{grant.prefix}" for grant in self.target.grants]
        return {"digest": self.fingerprint, "grants": grants}


@sensitive_variables()
def row_of(asked: Asked, held: CachedToken) -> IssuedToken:
    """Return the row of a token, not saved: what the database may know of it."""
    return IssuedToken(
        user=asked.actor,
        mapping=asked.mapping,
        target=asked.target.role,
        session_name=held.session_name,
        session_hash=asked.session_hash,
        cache_key=asked.key,
        access_key_id=held.credentials.access_key_id,
        expires_at=held.credentials.expires_at,
        scope=asked.scope,
    )


def facts_of(row: IssuedToken) -> dict[str, Any]:
    """Return what every event about a token says of it, as JSON values. Load `RELATED` with rows."""
    return {
        "user": str(row.user),
        "session": row.session_hash,
        "session_name": row.session_name,
        "mapping": row.mapping_id,
        "source": str(row.mapping.role.arn),
        "target": str(row.target.arn) if row.target is not None else "",
        **_narrow_facts(row),
    }


@sensitive_variables()
def record_issued(asked: Asked, held: CachedToken, **more: Any) -> None:
    """Record that AWS issued a token."""
    _record_of_one("token.issued", asked, held, **more)


@sensitive_variables()
def note_reuse(asked: Asked, held: CachedToken) -> None:
    """Record that a token came from the cache: once for each purpose, address and program of a session.

    A process asks the cache about what it has told already no more, so this costs a warm request next to nothing.
    """
    where = context.current()
    key_id, expires_at = held.credentials.access_key_id, held.credentials.expires_at
    use = (asked.session_hash, key_id, asked.purpose, where.address[:64], where.user_agent[:300])
    if use in _told:
        return
    if len(_told) >= TOLD_MAX:
        _told.clear()
    what, seconds = f"token.reused:{json.dumps(use)}", int((expires_at - timezone.now()).total_seconds())
    if cache.is_first(what, seconds=seconds):
        try:
            _record_of_one("token.reused", asked, held)
        except BaseException:
            cache.forget_first(what)  # the next request tells it
            raise
    _told[use] = None


def record_refused(
    error: PortalError,
    *,
    actor: User,
    session: Any,
    mapping_id: int,
    target_id: int | None,
    purpose: str,
    asked: Asked | None = None,
) -> None:
    """Record that there was no token, and why. `asked`: the request, if it was authorised."""
    mapping = GroupRole.objects.filter(pk=mapping_id).select_related("group", "role__account").first()
    denied = isinstance(error, AwsAccessDenied | NotFound | SessionEnded)
    record(
        "token.refused",
        actor=actor,
        subject=mapping,
        outcome=Outcome.DENIED if denied else Outcome.FAILED,
        group=mapping.group.name if mapping else "",
        account_id=getattr(error, "account", ""),
        resource=getattr(error, "arn", ""),
        purpose=purpose,
        error_code=error.code,
        message=error.message,
        aws_code=getattr(error, "aws_code", ""),
        aws_request_id=getattr(error, "request_id", ""),
        **refused_facts(actor, session, mapping, target_id, asked),
    )


def refused_facts(
    actor: User, session: Any, mapping: GroupRole | None, target_id: int | None, asked: Asked | None = None
) -> dict[str, Any]:
    """Return what is known of a request that was refused, as JSON values.

    `holds` is the newest token for it that this session was given and that still works in people's tools, if any.
    """
    namespace = cache.namespace_in(session)
    hashes = cache.session_hashes(namespace) if namespace else ()
    targets = IamRole.objects.filter(pk=target_id).select_related("account") if target_id is not None else ()
    target = asked.target.role if asked else next(iter(targets), None)
    rows = IssuedToken.objects.live().filter(user=actor, session_hash__in=hashes, mapping=mapping)
    held = (rows.filter(target=target) if target else rows).order_by("-pk").first() if hashes and mapping else None
    scope = asked.scope if asked else {}
    return {
        "user": str(actor),
        "session": hashes[0] if hashes else "",
        "session_name": session_name(actor.get_username(), actor.pk),
        "mapping": mapping.pk if mapping else None,
        "source": str(mapping.role.arn) if mapping else "",
        "target": str(target.arn) if target else "",
        "scope": scope.get("digest", ""),
        "grants": scope.get("grants", []),
        "holds": _narrow_facts(held) if held else None,
    }


def explain_denial(error: NotEntitled, *, actor: User, session: Any, target_id: int | None = None) -> None:
    """Have the event of a denial, which the surface records, say as much as that of any other refusal."""
    if not error.facts:
        mapping = error.subject if isinstance(error.subject, GroupRole) else None
        error.facts = refused_facts(actor, session, mapping, target_id)


@sensitive_variables()
def _record_of_one(code: str, asked: Asked, held: CachedToken, **more: Any) -> None:
    target = asked.target.role
    record(
        code,
        actor=asked.actor,
        subject=asked.mapping,
        group=asked.mapping.group.name,
        account_id=target.account.account_id,
        resource=str(target.arn),
        attributed=held.attributed,
        purpose=asked.purpose,
        **facts_of(row_of(asked, held)),
        **more,
    )


def _narrow_facts(row: IssuedToken) -> dict[str, Any]:
    """Return which key it is, until when, and what it may do."""
    return {
        "access_key_id": row.access_key_id,
        "expires_at": row.expires_at.isoformat(),
        "scope": row.scope.get("digest", ""),
        "grants": row.scope.get("grants", []),
    }
