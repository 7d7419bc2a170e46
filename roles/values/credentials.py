"""Temporary AWS credentials as a value that does not show its secrets by accident."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """What AssumeRole answers. `expires_at` is aware, UTC. `repr` leaves out the secret parts."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
