"""The transaction of an operation that alters AWS: what is done in it must be what its actor has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from roles import context
from roles.errors import StalePlan
from roles.models import ProvisioningRun
from roles.provisioning import orders, outbox


def is_looking() -> bool:
    """Return whether this is only looked at: that takes no word of the actor's, as nothing is lost by it."""
    return context.current().is_rehearsal


def require_seen(seen: str) -> None:
    """Raise `StalePlan` unless its actor has seen what AWS has; a rehearsal is how that is looked at."""
    if not seen and not is_looking():
        raise StalePlan("Nobody has looked at the plan of this.", hint="Look at the plan, then confirm it.")


@contextmanager
def planned(expected_plan: str) -> Iterator[None]:
    """Run the `with` block in one transaction; raise `StalePlan` at its end unless it does what was planned.

    `expected_plan` is the digest of the plan that the actor saw, over all source roles for which runs are queued;
    empty when none was looked at.
    """
    with transaction.atomic(), outbox.gathered() as runs:
        yield
        if not expected_plan:
            return
        if orders.digest_for(runs) != expected_plan:
            raise StalePlan("What is to be done changed since you looked.", hint="Read the new plan and confirm again.")
        for run in runs:
            run.plan_digest = orders.digest_for([run])
            ProvisioningRun.objects.filter(pk=run.pk).update(plan_digest=run.plan_digest)
