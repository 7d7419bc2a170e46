"""Deactivate a person: signed out everywhere, tokens forgotten, no way back in."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import User
from roles.operations._admins import is_portal_admin, lock_portal_admins, require_a_portal_admin, require_as_much
from roles.operations._planned import planned
from roles.operations._rows import locked
from roles.operations._sessions import end_sessions, sessions_of
from roles.permissions import Rule, require
from roles.tokens import revocation


def deactivate_user(*, actor: Any, user: User, expected_plan: str = "") -> User:
    """Deactivate `user` and return the row. Memberships stay: they say what the person would have again.

    Raises `NotPermitted`, `NotFound`, and `Conflict` if they are deactivated already or the last portal admin.
    """
    require(actor, Rule.MANAGE_USERS, user)
    with planned(expected_plan):
        lock_portal_admins()
        require_as_much(actor, user)
        row = locked(User, user.pk)
        if not row.is_active:
            raise Conflict(f"{row} is deactivated already.", hint="Nothing was changed.")
        was_admin = is_portal_admin(row)
        row.is_active = False
        row.save(update_fields=["is_active"])
        if was_admin:
            require_a_portal_admin(row)
        sessions = sessions_of(row)
        record(
            "user.deactivated",
            actor=actor,
            subject=row,
            before={"is_active": True},
            after={"is_active": False},
            sessions_ended=len(sessions),
        )
        revocation.forget_user(row, actor=actor)
        end_sessions(sessions)
    return row
