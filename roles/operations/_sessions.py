"""A person's login sessions: find them, end them."""

from __future__ import annotations

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone

from roles.models import User

_CHUNK_ROWS = 500


def sessions_of(user: User) -> list[str]:
    """Return the keys of the user's sessions. A session's row says whose it is only inside its data."""
    rows = Session.objects.filter(expire_date__gt=timezone.now()).iterator(chunk_size=_CHUNK_ROWS)
    return [row.pk for row in rows if row.get_decoded().get(SESSION_KEY) == str(user.pk)]


def end_sessions(sessions: list[str]) -> None:
    """Delete the sessions with these keys."""
    for start in range(0, len(sessions), _CHUNK_ROWS):
        Session.objects.filter(pk__in=sessions[start : start + _CHUNK_ROWS]).delete()
