"""A plan as a page shows it: each change with its documents, sizes against AWS's limits, and warnings. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from roles.policies.document import parse
from roles.policies.limits import measure_bucket_policy
from roles.provisioning.fitting import room
from roles.provisioning.plan import slot_of
from roles.provisioning.resources import Change, Place, Plan


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of a plan. Sizes are in `unit`, as AWS counts.

    `limit` is from where on the plan is blocked: AWS's own less what is kept free or somebody else's; 0 is none.
    """

    number: int
    title: str
    account: str
    resource: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    kept: int
    size_before: int
    size_after: int
    limit: int
    unit: str
    warnings: tuple[str, ...]
    writes: bool
    blocked: str
    hint: str
    is_adoptable: bool


@dataclass(frozen=True, slots=True)
class PlanPage:
    """A plan with its digest, which the confirmation sends back."""

    changes: tuple[ChangeRow, ...]
    digest: str
    writes: int

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return sum(len(change.warnings) for change in self.changes)

    @property
    def blocked(self) -> int:
        """How many changes must not be made as things are."""
        return sum(bool(change.blocked) for change in self.changes)


def plan_page(plan: Plan) -> PlanPage:
    """Return a plan as rows."""
    return PlanPage(tuple(map(_row, plan.changes)), plan.digest, plan.writes)


def _row(change: Change) -> ChangeRow:
    place, resource = slot_of(change.desired)
    limit, unit = room(place, resource, change.desired.access, others=change.others)
    return ChangeRow(
        number=int(change.step.value),
        title=change.title,
        account=str(change.desired.access.account_id),
        resource=change.resource,
        action=change.action.value,
        before=change.before,
        after=change.after,
        kept=change.foreign_statements,
        size_before=_size(place, change.before),
        size_after=_size(place, change.after),
        limit=limit,
        unit=unit,
        warnings=change.warnings,
        writes=change.writes,
        blocked=change.blocked,
        hint=change.hint,
        is_adoptable=change.is_adoptable,
    )


def _size(place: Place, document: dict[str, Any] | None) -> int:
    if not document:
        return 0
    if place is Place.MANAGED_POLICIES:
        return len(document)
    if place is Place.BUCKET_POLICY:
        return measure_bucket_policy(parse(document))
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
