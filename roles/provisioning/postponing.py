"""When a run that failed is worth another attempt, and how long AWS is left alone before it. Pure."""

from __future__ import annotations

import secrets
from datetime import timedelta

from roles.errors import AwsConflict, AwsError, LeaseBusy, LeaseLost, PortalError, Retry

FIRST_SECONDS = 30
LONGEST_SECONDS = 900

_random = secrets.SystemRandom()


def is_worth_it(error: PortalError) -> bool:
    """Return whether time alone may mend it: AWS is unreachable, throttles or is busy, or others hold the lease."""
    if isinstance(error, LeaseBusy | LeaseLost):
        return True
    # A name that is taken, under another path say, stays taken: somebody has to look.
    is_busy = isinstance(error, AwsConflict) and error.aws_code != "EntityAlreadyExists"
    return is_busy or (isinstance(error, AwsError) and error.retry is Retry.BACKOFF)


def pause(error: PortalError, attempts: int) -> timedelta:
    """Return how long to leave AWS alone after so many attempts: longer after each, and up to half of it by chance."""
    seconds = FIRST_SECONDS
    if not isinstance(error, LeaseBusy | LeaseLost):  # a lease is free soon
        seconds = min(seconds * 2 ** (attempts - 1), LONGEST_SECONDS)
    return timedelta(seconds=_random.uniform(seconds / 2, seconds))
