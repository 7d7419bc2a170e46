"""Credentials do not show their secrets by accident."""

from __future__ import annotations

from datetime import UTC, datetime

from roles.values.credentials import Credentials


def test_the_secret_parts_are_in_no_representation() -> None:
    credentials = Credentials("AKIAEXAMPLE", "the-secret-key", "the-session-token", datetime(2026, 1, 1, tzinfo=UTC))
    for shown in (repr(credentials), str(credentials), f"{credentials}", f"{[credentials]}"):
        assert "AKIAEXAMPLE" in shown
        assert "the-secret-key" not in shown
        assert "the-session-token" not in shown
