"""Sign a person out everywhere: every browser, every tool, every cached token."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.history.recorder import record
from roles.models import User
from roles.operations._rows import locked
from roles.operations._sessions import end_sessions, sessions_of
from roles.permissions import Rule, require
from roles.tokens import revocation


def sign_out_everywhere(*, actor: Any, user: User) -> User:
    """End all sessions of `user` and forget their tokens; return the row. Everybody may do it for themselves.

    Credentials that were handed out work until they expire. Raises `NotPermitted`, `NotFound`.
    """
    if actor != user:
        require(actor, Rule.MANAGE_USERS, user)
    with transaction.atomic():
        row = locked(User, user.pk)
        sessions = sessions_of(row)
        record("user.signed_out_everywhere", actor=actor, subject=row, sessions_ended=len(sessions))
        revocation.forget_user(row, actor=actor, reason="The user was signed out everywhere.")
        end_sessions(sessions)
    return row
