"""One writer per AWS document: AWS has no compare-and-swap, so read, merge and write happen inside a lease.

A lease is a row that ends by itself. A worker that dies holding one delays others until then, no longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.utils import timezone

from roles.errors import LeaseBusy, LeaseLost
from roles.models import ResourceLease

POLL_FIRST_SECONDS = 0.05
POLL_LONGEST_SECONDS = 1.0
FRESH = 0.75  # of its term left: nobody else can have it, there is no need to look

# One statement each: a run takes and gives back a lease for each of its documents, and hundreds of runs do so at once.
_TAKE = """
INSERT INTO roles_resourcelease (resource, holder, expires_at) VALUES (%s, %s, %s)
ON CONFLICT (resource) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE roles_resourcelease.expires_at < %s
"""
_GIVE_BACK = "DELETE FROM roles_resourcelease WHERE resource = %s AND holder = %s"


@dataclass(slots=True)
class Lease:
    """The right to write one resource, while it lasts."""

    resource: str
    holder: str
    expires_at: datetime

    def keep(self) -> None:
        """Hold it for another full term if a part of this one is over. Raises `LeaseLost`."""
        if self.expires_at - timezone.now() < FRESH * _term():
            self.renew()

    def renew(self) -> None:
        """Hold it for another full term. Raises `LeaseLost`; call it before each write."""
        mine, until = ResourceLease.objects.filter(resource=self.resource, holder=self.holder), _expiry()
        if not mine.update(expires_at=until):
            raise LeaseLost(
                f"The right to change {self.resource} was lost to another run.", hint="The portal reads again."
            )
        self.expires_at = until


@contextmanager
def held(resource: str, *, on_busy: Callable[[], None] | None = None) -> Iterator[Lease]:
    """Hold the lease of `resource` (an ARN) inside the `with` block.

    `on_busy` is told on each look that finds it taken. Raises `LeaseBusy` when others hold it for two terms.
    """
    lease = Lease(resource, uuid4().hex, _expiry())
    until, pause = time.monotonic() + 2 * settings.XACCT_LEASE_SECONDS, POLL_FIRST_SECONDS
    while not _take(lease):
        if time.monotonic() > until:
            raise LeaseBusy(f"Another run is changing {resource} all the time.", hint="The portal tries again.")
        if on_busy is not None:
            on_busy()
        time.sleep(pause)
        pause = min(pause * 1.5, POLL_LONGEST_SECONDS)
    try:
        yield lease
    finally:
        with connection.cursor() as cursor:
            cursor.execute(_GIVE_BACK, [resource, lease.holder])


def _take(lease: Lease) -> bool:
    """Take the lease if nobody has it, or if it ended by itself, and return whether it is ours."""
    lease.expires_at, adapted = _expiry(), connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [lease.resource, lease.holder, adapted(lease.expires_at), adapted(timezone.now())])
        return bool(cursor.rowcount > 0)


def _expiry() -> datetime:
    return timezone.now() + _term()


def _term() -> timedelta:
    return timedelta(seconds=settings.XACCT_LEASE_SECONDS)


class Holding:
    """At most one lease at a time, kept from one step to the next while both are about the same resource.

    Never two: workers that hold one and wait for another could wait for each other.
    """

    def __init__(self, on_busy: Callable[[], None]) -> None:
        self._on_busy = on_busy
        self._stack = ExitStack()
        self._lease: Lease | None = None

    @property
    def resource(self) -> str:
        """The resource whose lease is held, or empty."""
        return self._lease.resource if self._lease else ""

    def of(self, resource: str) -> Lease:
        """Return the lease of `resource`, letting go of any other first. Raises `LeaseBusy`."""
        if self._lease is None or self.resource != resource:
            self.let_go()
            self._lease = self._stack.enter_context(held(resource, on_busy=self._on_busy))
        return self._lease

    def let_go(self) -> None:
        """Hold nothing."""
        self._lease = None
        self._stack.close()
