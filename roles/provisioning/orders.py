"""What a run does, by what it is for: bring AWS in line, delete a role, or put a document back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence

from roles.models import ProvisioningRun
from roles.models.choices import RunPurpose
from roles.provisioning import deletion, desired, kept
from roles.provisioning.desired import Item, Principals
from roles.provisioning.facts import Facts
from roles.provisioning.plan import digest_of
from roles.provisioning.resources import Desired


def items_of(run: ProvisioningRun, principals: Principals) -> tuple[Item, ...]:
    """Return the resources of a run in their order."""
    if run.purpose == RunPurpose.DELETE_ROLE:
        return deletion.items_for(run.role_id)
    if run.purpose == RunPurpose.PUT_BACK:
        return kept.items_for(run, principals)
    return desired.items_for(run.role, principals)


def wishes_of(
    run: ProvisioningRun, principals: Principals, *, beside: Collection[int] = (), facts: Facts | None = None
) -> tuple[Desired, ...]:
    """Return all wishes of a run, in their order. `beside` and `facts` as in `desired.wishes_for`.

    An order is one of a kind, and reads its own facts.
    """
    if run.purpose == RunPurpose.RECONCILE:
        return desired.wishes_for(run.role, principals, beside=beside, facts=facts)
    computed = (item.compute() for item in items_of(run, principals))
    return tuple(wish for wish in computed if wish is not None)


def digest_for(runs: Sequence[ProvisioningRun]) -> str:
    """Return the digest of what is wished by these runs now, each by itself. Asks the database only."""
    sources = {run.role for run in runs if run.purpose == RunPurpose.RECONCILE}
    orders = [digest_of(wishes_of(run, tuple)) for run in runs if run.purpose != RunPurpose.RECONCILE]
    of_sources = desired.digest_for(*sources) if sources or not orders else ""
    if not orders:
        return of_sources
    return hashlib.sha256(json.dumps([of_sources, *sorted(orders)]).encode()).hexdigest()
