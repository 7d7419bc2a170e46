"""A run as the procedure's seven steps: each with its own title, its state, and the changes that were made in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from roles.models import ProvisioningRun, ProvisioningStep
from roles.models.choices import RunPurpose, RunStatus, StepStatus
from roles.provisioning.resources import STEP_TITLES

PENDING = "pending"
NOT_NEEDED = "not_needed"  # the run ended well without it: after a removal there is no access to verify
# What a step as a whole is, when its resources differ: the first of these that any of them is in.
_WORST_FIRST = (
    StepStatus.FAILED,
    StepStatus.NEEDS_OWNER,
    StepStatus.APPLYING,
    StepStatus.WAITING,
    StepStatus.PLANNED,
    StepStatus.DONE,
)
_SECONDS_BETWEEN_LOOKS = {RunStatus.APPLYING: 1, RunStatus.QUEUED: 2, RunStatus.WAITING: 3}
NO_WORKER_AFTER = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the seven. `changes` are the resources it concerned.

    `state` is a `StepStatus` value, `pending` or `not_needed`.
    """

    number: int
    title: str
    state: str
    changes: tuple[ProvisioningStep, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What the run's page shows. `seen` changes whenever that does; `seconds` is 0 when nothing more will happen."""

    run: ProvisioningRun
    stages: tuple[Stage, ...]
    seen: str
    seconds: int
    is_waiting_for_worker: bool

    @property
    def done(self) -> int:
        """How many of the seven are through."""
        return sum(stage.state == StepStatus.DONE for stage in self.stages)

    @property
    def needed(self) -> int:
        """How many of the seven this run takes."""
        return sum(stage.state != NOT_NEEDED for stage in self.stages)

    @property
    def failed(self) -> Stage | None:
        """The first step that failed."""
        return next((stage for stage in self.stages if stage.state == StepStatus.FAILED), None)


def progress_of(run: ProvisioningRun, steps: Sequence[ProvisioningStep]) -> Progress:
    """Return the progress of a run with the steps of one of its attempts, in order."""
    without_steps = NOT_NEEDED if run.status == RunStatus.IN_SYNC else PENDING
    if run.purpose == RunPurpose.RECONCILE:
        stages = tuple(_stage(int(step.value), title, steps, without_steps) for step, title in STEP_TITLES.items())
    else:
        stages = (_of_order(RunPurpose(run.purpose).label, steps),)
    late = run.status == RunStatus.QUEUED and timezone.now() - run.queued_at > NO_WORKER_AFTER
    seconds = 0 if run.is_final else _SECONDS_BETWEEN_LOOKS.get(RunStatus(run.status), 3)
    return Progress(run, stages, _seen(run, steps, late), seconds, late)


def _stage(number: int, title: str, steps: Sequence[ProvisioningStep], without_steps: str) -> Stage:
    changes = tuple(step for step in steps if step.step == number)
    return Stage(number, title, _state(changes, without_steps), changes)


def _of_order(title: str, steps: Sequence[ProvisioningStep]) -> Stage:
    """Return the one stage of an order: it has none of the procedure's steps to go through."""
    return Stage(1, title, _state(steps, PENDING), tuple(steps))


def _state(changes: Sequence[ProvisioningStep], without_steps: str) -> str:
    states = {step.status for step in changes}
    return next((state.value for state in _WORST_FIRST if state in states), without_steps)


def _seen(run: ProvisioningRun, steps: Sequence[ProvisioningStep], late: bool) -> str:
    parts = [run.status, run.progress, run.error, str(run.attempts), str(late)]
    parts += [f"{step.pk}:{step.status}:{step.action}:{step.error}" for step in steps]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
