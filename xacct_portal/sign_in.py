"""How sign-in failures are counted."""

from __future__ import annotations

from typing import Any

NAME_MAX_CHARACTERS = 255  # django-axes' column; no user has a name that long


def name_tried(request: Any, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the user name that somebody tried, cut to what can be stored; None if there is none.

    Names that differ only beyond that share a counter, which nobody's own sign-in uses.
    """
    given = (credentials or request.POST).get("username")
    return None if given is None else str(given)[:NAME_MAX_CHARACTERS]
