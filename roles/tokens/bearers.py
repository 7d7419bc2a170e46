"""Bearers for people's tools: make one for a login session, find the session by one that is shown, end them in time.

Nothing that is stored leads to a session: the session's key is encrypted under the bearer, and of the bearer there is a
hash. Whether the access may be used now is not asked here but by the broker, at each call.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import Model, Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from roles import context
from roles.errors import BearerRefused, InputError, SessionEnded
from roles.history.recorder import record
from roles.models import ToolBearer, User
from roles.models.choices import BearerPurpose
from roles.tokens import cache, scope
from roles.tokens.statements import Statement, Tables

BEARER_PREFIX = "xacct_"
CODE_PREFIX = "xcode_"
COLLECT_MINUTES = 5
USE_SECONDS = 60  # how exactly a bearer's row knows when it was used last
USED_EVENT_SECONDS = (
    3600  # a bearer's use by the same program from the same address is in the history once in this time
)

_SECRET_BYTES = 32
_LONGEST = 128
_CHALLENGE = re.compile(r"\A[A-Za-z0-9_-]{43}\Z")  # SHA-256 in unpadded urlsafe base64
_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}\Z")
_TABLES = Tables(
    ("bearer", ToolBearer, tuple(one.attname for one in ToolBearer._meta.concrete_fields)),
    ("person", User, ("id", "username", "password", "is_active")),
)
_BY_HASH = Statement(
    "xacct_bearer",
    f"SELECT {_TABLES.columns} FROM roles_toolbearer bearer JOIN roles_user person ON person.id = bearer.user_id"  # noqa: S608  # names of columns
    " WHERE bearer.token_hash = %s",
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A bearer, or a code to collect one with, in the only moment in which it is known."""

    text: str = field(repr=False)
    row: ToolBearer


@dataclass(frozen=True, slots=True)
class Shown:
    """A bearer that was shown and holds: its row, with the user, and the session that it is tied to."""

    row: ToolBearer
    session: SessionBase = field(repr=False)


@sensitive_variables()
def issue(*, actor: User, session: Any, mapping_id: int, target_id: int | None) -> Issued:
    """Make a bearer for container credentials. Raises as `scope.mapping_for` does, and `SessionEnded`."""
    return _made(actor, session, mapping_id, target_id, prefix=BEARER_PREFIX, purpose=BearerPurpose.CONTAINER)


@sensitive_variables()
def authorise(
    *, actor: User, session: Any, mapping_id: int, target_id: int | None, challenge: str, name: str
) -> Issued:
    """Make a code with which the program that knows what `challenge` is the hash of may collect a bearer.

    Raises as `issue` does, and `InputError` for a challenge or a name that no program of ours sends.
    """
    challenge_or_refuse(challenge)
    name_or_refuse(name)
    return _made(
        actor,
        session,
        mapping_id,
        target_id,
        prefix=CODE_PREFIX,
        purpose=BearerPurpose.PROGRAM,
        name=name,
        challenge=challenge,
        collect_until=timezone.now() + timedelta(minutes=COLLECT_MINUTES),
    )


def challenge_or_refuse(challenge: str) -> None:
    """Raise `InputError` unless this can be the hash of a program's verifier."""
    if not _CHALLENGE.match(challenge):
        raise InputError(
            "This address is not complete.", field="challenge", hint="Open the one that xacct-credentials printed."
        )


def name_or_refuse(name: str) -> None:
    """Raise `InputError` unless this can be shown as the name of a computer."""
    if not _NAME.match(name):
        raise InputError(
            "That is no name for a computer.", field="name", allowed="up to 64 letters, digits, spaces or any of ._@-"
        )


@sensitive_variables()
def collect(*, code: str, verifier: str) -> Issued:
    """Give the program that was authorised its bearer, once. Raises `BearerRefused`."""
    row = _row_of(code, CODE_PREFIX)
    if row is None or not row.challenge or row.revoked_at or row.collect_until is None:
        raise _unknown_code()
    if row.collect_until <= timezone.now():
        raise BearerRefused("This code has expired.", rule="bearer.code_expired", subject=row, hint="Sign in again.")
    if not constant_time_compare(_challenge_of(verifier), row.challenge):
        raise BearerRefused(
            "This code is for another program.", rule="bearer.other_program", subject=row, hint="Sign in again."
        )
    session = _session_of(row, code)
    text = _new_text(BEARER_PREFIX)
    with transaction.atomic():
        record("bearer.collected", actor=row.user, subject=row, group=row.mapping.group.name, **_facts(row))
        taken = ToolBearer.objects.filter(pk=row.pk, token_hash=row.token_hash, revoked_at__isnull=True).update(
            token_hash=_hash_of(text), sealed_session=_sealed(text, session), challenge="", collect_until=None
        )
        if not taken:
            raise _unknown_code()
    row.refresh_from_db(fields=["token_hash", "challenge"])
    return Issued(text, row)


@sensitive_variables()
def open_bearer(text: str, *, mapping_id: int, target_id: int) -> Shown:
    """Return what a shown bearer leads to, if it is for this mapping and target and its session lives.

    Raises `BearerRefused`.
    """
    row = _row_of(text, BEARER_PREFIX)
    if row is None:
        raise BearerRefused(
            "No bearer was shown that the portal knows." if text else "No bearer was shown.",
            rule="bearer.unknown",
            hint="Get credentials in the portal again.",
        )
    if row.revoked_at is not None:
        raise BearerRefused(
            "This tool was signed out.", rule="bearer.revoked", subject=row, hint="Get credentials in the portal again."
        )
    if (row.mapping_id, row.target_id) != (mapping_id, target_id):
        raise BearerRefused(
            "This bearer is for another access.",
            rule="bearer.other_access",
            subject=row,
            hint="Use the address and the bearer that the portal showed together.",
        )
    return Shown(row, _session_of(row, text))


def note_use(row: ToolBearer) -> None:
    """Keep when, from where and by what program a bearer was used last; once an hour for each in the history."""
    where, now = context.current(), timezone.now()
    address, agent = where.address[:64], where.user_agent[:300]
    same = (row.last_address, row.last_user_agent) == (address, agent)
    if same and row.last_used_at and (now - row.last_used_at).total_seconds() < USE_SECONDS:
        return
    if cache.is_first(f"bearer.used:{row.pk}:{address}:{agent}", seconds=USED_EVENT_SECONDS):
        record("bearer.used", actor=row.user, subject=row, group=row.mapping.group.name, **_facts(row))
    ToolBearer.objects.filter(pk=row.pk).update(last_used_at=now, last_address=address, last_user_agent=agent)


def end(which: Q, *, actor: Any, reason: str, subject: Model | None = None, group: str = "") -> int:
    """Revoke the bearers that `which` finds and return how many; one event tells of all."""
    rows = list(ToolBearer.objects.not_revoked().filter(which).select_related("user", "mapping__group"))
    if not rows:
        return 0
    with transaction.atomic():
        record(
            "bearer.revoked",
            actor=actor,
            subject=subject or rows[0].user,
            group=group,
            reason=reason,
            bearers=[{"id": row.pk, "user": str(row.user), "name": str(row), **_facts(row)} for row in rows],
        )
        ToolBearer.objects.filter(pk__in=[row.pk for row in rows]).update(revoked_at=timezone.now())
    return len(rows)


def _made(
    actor: User,
    session: Any,
    mapping_id: int,
    target_id: int | None,
    *,
    prefix: str,
    purpose: BearerPurpose,
    **more: Any,
) -> Issued:
    usable = scope.mapping_for(actor, mapping_id)
    target = usable.target(target_id)
    namespace = cache.namespace_in(session)
    if not namespace or not _is_signed_in(session, actor):
        raise SessionEnded("Your sign-in is over.", hint="Sign in again.")
    text = _new_text(prefix)
    row = ToolBearer(
        user=actor,
        mapping=usable.mapping,
        target=target.role,
        purpose=purpose,
        token_hash=_hash_of(text),
        sealed_session=_sealed(text, session),
        session_hash=cache.session_hashes(namespace)[0],
        **more,
    )
    with transaction.atomic():
        row.save(force_insert=True)
        record(
            "bearer.created",
            actor=actor,
            subject=row,
            group=usable.mapping.group.name,
            account_id=target.role.account.account_id,
            resource=str(target.role.arn),
            **_facts(row),
        )
    return Issued(text, row)


def _facts(row: ToolBearer) -> dict[str, Any]:
    """Return what the history says about a bearer."""
    return {
        "purpose": str(row.purpose),
        "mapping": row.mapping_id,
        "target": row.target_id,
        "session": row.session_hash,
        "computer": row.name,
    }


@sensitive_variables()
def _row_of(text: str, prefix: str) -> ToolBearer | None:
    """Return the row of a bearer or code, with its user.

    It is found by a hash, so that how long that takes tells nothing of it.
    """
    if not text.startswith(prefix) or len(text) > _LONGEST:
        return None
    for answer in _BY_HASH.rows([_hash_of(text)]):
        found = _TABLES.instances(answer, {})
        row: ToolBearer = found["bearer"]
        row.user = found["person"]
        return row
    return None


@sensitive_variables()
def _session_of(row: ToolBearer, text: str) -> SessionBase:
    """Return the session that the bearer is tied to if it lives and is the user's, as it was when it was made.

    Loading it neither makes a session nor lengthens one.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    session: SessionBase = store(session_key=Fernet(_key_of(text)).decrypt(row.sealed_session.encode()).decode())
    namespace = cache.namespace_in(session)
    is_same = bool(namespace) and row.session_hash in cache.session_hashes(namespace)
    if not is_same or not _is_signed_in(session, row.user):
        raise BearerRefused(
            "The sign-in that this tool belongs to is over.",
            rule="bearer.session_ended",
            subject=row,
            hint="Sign in to the portal and get credentials again.",
        )
    return session


def _is_signed_in(session: Any, user: User) -> bool:
    """Return whether `user` is signed in with the session, by the rules that Django has for a page."""
    held = session.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return (
        user.is_active
        and session.get(SESSION_KEY) == str(user.pk)
        and any(constant_time_compare(held, one) for one in hashes)
    )


def _unknown_code() -> BearerRefused:
    return BearerRefused("The portal does not know this code.", rule="bearer.unknown_code", hint="Sign in again.")


def _new_text(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(_SECRET_BYTES)


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _key_of(text: str) -> bytes:
    """Return the Fernet key that a bearer is, which its stored hash does not give."""
    return base64.urlsafe_b64encode(hmac.digest(text.encode(), b"roles.tokens.bearers: session", "sha256"))


def _sealed(text: str, session: Any) -> str:
    return Fernet(_key_of(text)).encrypt(str(session.session_key).encode()).decode()
