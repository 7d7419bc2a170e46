"""The plan of a whole configuration file, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from roles.errors import AwsError
from roles.management.results import PLANNED
from roles.management.seen import Seen
from roles.management.steps import StepLine, diffs, table
from roles.models.choices import RunStatus
from roles.operations.apply_config import ConfigReport
from roles.provisioning.plan_page import plan_page
from roles.provisioning.preview import Rehearsal


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What importing would do: to the database, to people, to AWS.

    `shown` are the digests of the plan; `errors` say what is blocked, or why AWS cannot be read. The names in the JSON
    are what other programs read: they stay as they are.
    """

    status: str
    shown: Seen
    report: ConfigReport
    said: tuple[str, ...]
    steps: tuple[StepLine, ...]
    errors: tuple[str, ...] = ()

    @classmethod
    def of(cls, rehearsal: Rehearsal[ConfigReport]) -> FilePlan:
        """Return the plan of a rehearsed import against AWS as it is now."""
        base = (rehearsal.result, rehearsal.said)
        try:
            plan = rehearsal.plan()
        except AwsError as error:
            return cls(RunStatus.FAILED.value, Seen(rehearsal.digest, ""), *base, (), (str(error),))
        shown = Seen(rehearsal.digest, plan.seen)
        steps = tuple(StepLine.planned(row) for row in plan_page(plan).changes)
        blocked = tuple(f"{change.blocked} {change.hint}".strip() for change in plan.changes if change.blocked)
        status = PLANNED if plan.writes else RunStatus.IN_SYNC.value
        return cls(RunStatus.FAILED.value if blocked else status, shown, *base, steps, blocked)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "status": self.status,
            "digest": self.shown.expected_plan,
            "seen": self.shown.seen,
            "changes": list(self.report.changes),
            "notes": list(self.report.notes),
            "people": list(self.said),
            "steps": [step.as_json() for step in self.steps],
        }

    def as_text(self) -> str:
        """Return what people read."""
        lines = [*self.report.changes, *self.report.notes]
        if not self.report.changes:
            lines.append("Nothing to change in the portal.")
        if self.said:
            lines += ["", *self.said]
        if self.steps:
            lines += ["", *table(self.steps), *diffs(self.steps)]
        lines += ["", f"Status: {self.status}", "Plan: nothing was changed."]
        return "\n".join([*lines, self.shown.as_text()]).rstrip()
