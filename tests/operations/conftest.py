"""What the tests of operations look at: events, runs, tokens, and who may do nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.models import AuditEvent, GroupRole, IssuedToken, ProvisioningRun, User
from roles.models.intervals import Interval


@pytest.fixture(params=["charlie", "audrey"])
def powerless(request: pytest.FixtureRequest) -> User:
    """A stranger, then an auditor: neither may change anything."""
    user: User = request.getfixturevalue(request.param)
    return user


def ended(row: Interval) -> None:
    """End an interval, without any operation."""
    row.ended_at = timezone.now()
    row.save()


def event(code: str) -> AuditEvent:
    """Return the one event of that code."""
    return AuditEvent.objects.get(code=code)


def runs() -> list[tuple[str, str]]:
    """Return the trigger and role of every run, oldest first."""
    rows = ProvisioningRun.objects.select_related("role").order_by("pk")
    return [(run.trigger, run.role.name) for run in rows]


def traces() -> tuple[int, int]:
    """Return how many events and runs there are: what an operation leaves behind."""
    return AuditEvent.objects.count(), ProvisioningRun.objects.count()


def a_token(user: User, mapping: GroupRole, **given: Any) -> IssuedToken:
    """Return a token of that person for that mapping which the cache still holds."""
    number = IssuedToken.objects.count()
    return IssuedToken.objects.create(
        user=user,
        mapping=mapping,
        session_hash=f"session-{number}",
        cache_key=f"token-{number}",
        access_key_id=f"ASIAEXAMPLE{number}",
        expires_at=timezone.now() + timedelta(hours=1),
        **given,
    )


def is_forgotten(token: IssuedToken) -> bool:
    """Return whether the portal no longer holds that token."""
    token.refresh_from_db()
    return token.evicted_at is not None
