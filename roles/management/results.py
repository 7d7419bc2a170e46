"""What came out of one run or of several, as the command line shows it; and a run done in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from roles.history.queries import steps_of
from roles.management.steps import StepLine, diffs, table
from roles.models import ProvisioningRun
from roles.models.choices import RunStatus
from roles.provisioning import runner

PLANNED = "planned"
# How a command ends: something went wrong or is not done, or what it was told cannot be right.
FAILED, BAD_INPUT = 1, 2
POLL_SECONDS = 1.0

# What all roles together are: the worst that any of them is.
_FROM_BEST_TO_WORST = (RunStatus.IN_SYNC.value, PLANNED, RunStatus.NEEDS_OWNER.value, RunStatus.FAILED.value)


@dataclass
class Result:
    """What came out of it, over all runs."""

    status: str = RunStatus.IN_SYNC.value
    runs: list[int] = field(default_factory=list)
    steps: list[StepLine] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, status: str, steps: list[StepLine], error: str = "") -> None:
        """Take in one role's plan or run."""
        self.status = max(self.status, status, key=_FROM_BEST_TO_WORST.index)
        self.steps += steps
        self.errors += [error] if error else []

    def add_run(self, run: ProvisioningRun, error: str = "") -> None:
        """Take in a run that has ended."""
        self.runs.append(run.pk)
        self.add(run.status, [StepLine.recorded(row) for row in steps_of(run)], error)

    @property
    def is_failure(self) -> bool:
        """Whether something is not as it should be, or waits for somebody."""
        return self.status in (RunStatus.FAILED, RunStatus.NEEDS_OWNER)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints. `run` is the only run, or the last."""
        answer: dict[str, Any] = {"run": self.runs[-1] if self.runs else None, "status": self.status}
        if len(self.runs) > 1:
            answer["runs"] = self.runs
        return {**answer, "steps": [step.as_json() for step in self.steps]}

    def as_lines(self, *, otherwise: str) -> Iterator[str]:
        """Yield what people read; `otherwise` where there is no step."""
        yield from (*table(self.steps), *diffs(self.steps), "") if self.steps else (otherwise,)
        runs = f" (run {', '.join(map(str, self.runs))})" if self.runs else ""
        yield f"Status: {self.status}{runs}"


def reconciled(run_id: int) -> ProvisioningRun:
    """Reconcile here, or wait for the worker that was quicker, until the run has ended: its attempts are bounded."""
    while True:
        runner.reconcile(run_id)
        run = ProvisioningRun.objects.get(pk=run_id)
        if run.is_final:
            return run
        time.sleep(POLL_SECONDS)
