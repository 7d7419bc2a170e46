"""What a run leaves behind: its own state, its steps as they happen, the state of the mappings, and its events."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from roles import context
from roles.errors import AwsError, PortalError, RunAlreadyRunning
from roles.history.recorder import record
from roles.models import AwsAccount, GroupRole, IamRole, ProvisioningRun, ProvisioningStep
from roles.models.choices import (
    FINAL_RUN_STATUSES,
    MappingState,
    Outcome,
    RunPurpose,
    RunStatus,
    StepAction,
    StepStatus,
)
from roles.models.groups import GroupRoleQuerySet
from roles.provisioning.managed import is_between
from roles.provisioning.plan import slot_of, title_for
from roles.provisioning.resources import Action, Change, Place, Step
from roles.values.accounts import AccessMode

WORKER = context.SystemActor("worker")
INTERRUPTED = PortalError("The worker stopped during this step; the next attempt goes on from what AWS has.")
INTERRUPTED_CODE = "run.interrupted"
OWNER_PROVES = "Send the document to the account's owner, then retry: the portal checks by using the access."
OWNER_TELLS = (
    "Have the account's owner put exactly these statements in place of all whose Sid begins with 'Xacct', then retry. "
    "The portal cannot see what is there, so the retry takes your word for it."
)
OWNER_SEEN = (
    "Send the document to the account's owner: the portal has read what is there, and it is not as it must be yet. "
    "The portal looks again by itself, or retry."
)
ENDED_MEANWHILE = "This access was ended while the run was under way."
NO_ROLE = "The role does not exist, so nobody holds credentials of it. Once this run has made it, this is written."
_UNFINISHED = (StepStatus.APPLYING, StepStatus.WAITING)
_WRITES = (StepAction.CREATE, StepAction.UPDATE, StepAction.DELETE)
_TITLE_MAX, _PROGRESS_MAX, _AWS_TEXT_MAX = 200, 200, 128  # the columns' widths


@dataclass
class StepRecord:
    """The row of one step, written at each turn, so that whoever looks sees where the run is.

    A step that has to be tried again keeps the document from before its first write, also when it never heard whether
    AWS took that: if the next try finds nothing to do, AWS did. What takes several calls may have been taken in part.
    """

    row: ProvisioningStep
    _began: float = field(default_factory=time.monotonic)
    _sent: bool = False
    _written: bool = False

    def planned(self, change: Change) -> None:
        """Note what is going to be done."""
        is_rest = self._sent and _is_rest_of(self.row, change)
        self.row.title, self.row.foreign_statements = change.title[:_TITLE_MAX], change.foreign_statements
        self.row.after = change.after
        if not self._written and not is_rest and (change.writes or not self._sent):
            self.row.before, self.row.action = change.before, StepAction(change.action.value)
        if change.action is not Action.NONE:  # else it is over in a moment, and is saved then
            self._save(StepStatus.APPLYING)

    def sent(self) -> None:
        """Note that from here on AWS may have the change, whatever it answers."""
        self._sent = True

    def written(self, request_id: str) -> None:
        """Note that AWS took the change."""
        self._written = True
        self.row.aws_code = ""
        self.row.aws_request_id = request_id[:_AWS_TEXT_MAX]
        self._save(StepStatus.APPLYING)

    def waiting(self, error: AwsError) -> None:
        """Note what AWS is waited for."""
        self._tell(error)
        self._save(StepStatus.WAITING)

    def done(self, request_id: str = "") -> None:
        """Note that AWS has what is wished."""
        self.row.error = self.row.hint = self.row.error_code = self.row.aws_code = ""
        self.row.aws_request_id = request_id[:_AWS_TEXT_MAX] or self.row.aws_request_id
        self._save(StepStatus.DONE)

    def needs_owner(self, error: PortalError | None = None, *, hint: str = OWNER_PROVES) -> None:
        """Note that the account's owner has to do it, and how that is found out; `error` is what AWS said of a try."""
        if error is not None:
            self._tell(error)
        self.row.hint = hint
        self._save(StepStatus.NEEDS_OWNER)

    def not_done(self, why: str) -> None:
        """Note that there was nothing to do in the end, and why; a write that was planned is none."""
        self.row.action, self.row.after = StepAction.NONE, self.row.before
        self.done()
        self.row.hint = why
        self.row.save(update_fields=["hint"])

    def interrupted(self) -> None:
        """Note that this worker has lost the run."""
        self.row.error_code, self.row.error = INTERRUPTED_CODE, INTERRUPTED.message
        self._save(StepStatus.FAILED)

    def failed(self, error: PortalError) -> None:
        """Note why it did not work, and what to do."""
        self._tell(error)
        self._save(StepStatus.FAILED)

    def _tell(self, error: PortalError) -> None:
        self.row.error, self.row.hint, self.row.error_code = error.message, error.hint, error.code
        if isinstance(error, AwsError):
            self.row.aws_code = error.aws_code[:_AWS_TEXT_MAX]
            self.row.aws_request_id = error.request_id[:_AWS_TEXT_MAX] or self.row.aws_request_id

    def _save(self, status: StepStatus) -> None:
        self.row.status = status
        self.row.duration_ms = int((time.monotonic() - self._began) * 1000)
        self.row.save()


def _is_rest_of(row: ProvisioningStep, change: Change) -> bool:
    """Return whether a change finishes what this step, or one before it in its run, began and AWS took in part."""
    is_several = slot_of(change.desired)[0] is Place.MANAGED_POLICIES
    return is_several and is_between(row.before, change.before, row.after)


def begin_step(run: ProvisioningRun, sequence: int, *, step: Step, resource: str, account_id: str) -> StepRecord:
    """Add the row of a step that begins now. `resource` is an ARN."""
    row = ProvisioningStep.objects.create(
        run=run,
        attempt=run.attempts,
        sequence=sequence,
        step=int(step.value),
        account_id=account_id,
        resource=resource,
        title=title_for(step, resource)[:_TITLE_MAX],
        action=StepAction.NONE,
        status=StepStatus.APPLYING,
    )
    return StepRecord(row)


def close_open_steps(run: ProvisioningRun, error: PortalError, code: str = "") -> None:
    """Say of the steps that are still open why they ended: nobody is going on with them."""
    left = ProvisioningStep.objects.filter(run=run, status__in=_UNFINISHED)
    left.update(status=StepStatus.FAILED, error_code=code or error.code, error=error.message, hint=error.hint)


def close_interrupted_steps(run: ProvisioningRun) -> None:
    """Say of the steps that an earlier attempt left open that they were interrupted."""
    close_open_steps(run, INTERRUPTED, INTERRUPTED_CODE)


def handed_out(run: ProvisioningRun, step: ProvisioningStep) -> tuple[ProvisioningStep | None, ProvisioningStep | None]:
    """Return what earlier runs asked the owner for in this step's place: the last of all, and the last one done."""
    earlier = ProvisioningStep.objects.filter(step=step.step, resource=step.resource).exclude(run=run).order_by("-id")
    done = earlier.filter(status=StepStatus.DONE)
    return earlier.filter(status__in=(StepStatus.NEEDS_OWNER, StepStatus.DONE)).first(), done.first()


@dataclass(frozen=True, slots=True)
class Concerned:
    """The mappings that an attempt is about, as it found them when it began. What changed since is the next run's.

    Rows are taken rather than a moment: a mapping is stamped before its transaction commits, maybe by another clock.
    """

    in_force: tuple[int, ...]
    removing: tuple[int, ...]


def concerned_by(run: ProvisioningRun) -> Concerned:
    """Return the mappings of the run's role as they are now; an order is about none."""
    if run.purpose != RunPurpose.RECONCILE:
        return Concerned((), ())
    ended = GroupRole.objects.filter(role=run.role_id, ended_at__isnull=False, state=MappingState.REMOVING)
    in_force = GroupRole.objects.in_force().filter(role=run.role_id)
    return Concerned(
        tuple(in_force.values_list("pk", flat=True)),
        tuple(ended.values_list("pk", flat=True)),
    )


def renew_claim(run: ProvisioningRun, until: datetime) -> None:
    """Keep the run until then. Raises `RunAlreadyRunning` when another worker has it: stop at once."""
    _write(run, claimed_until=until)


def progress(run: ProvisioningRun, status: RunStatus, text: str, *, until: datetime, is_news: bool = True) -> None:
    """Say what the run does or waits for now, and keep the run until then. Raises `RunAlreadyRunning`.

    `is_news`: the mappings do not say this status of the run yet.
    """
    _write(run, status=status, progress=text[:_PROGRESS_MAX], claimed_until=until)
    if is_news:
        _open_mappings(run).update(state=status)


def finish(run: ProvisioningRun, status: RunStatus, *, concerned: Concerned, error: PortalError | None = None) -> None:
    """Write the run's end, what it means for the role's mappings, and the event, in one transaction.

    Raises `RunAlreadyRunning`, and writes nothing, when another worker has the run.
    """
    now = timezone.now()
    code, message, hint = (error.code, error.message, error.hint) if error else ("", "", "")
    with transaction.atomic():
        # In the order in which the operations lock: role, then mappings, then the chain of events.
        IamRole.objects.select_for_update().get(pk=run.role_id)
        _write(
            run,
            status=status,
            finished_at=now,
            progress="",
            claimed_by="",
            claimed_until=None,
            error_code=code,
            error=message,
            hint=hint,
        )
        mappings = _open_mappings(run).filter(pk__in=concerned.in_force)
        if status == RunStatus.IN_SYNC:
            mappings.update(state=status, provisioned_at=now)
            ended = GroupRole.objects.filter(pk__in=concerned.removing, state=MappingState.REMOVING)
            ended.update(state=MappingState.REMOVED)
        else:
            mappings.update(state=status)
        _record_end(run, status)


def postpone(run: ProvisioningRun, error: PortalError, *, until: datetime) -> None:
    """Leave the run to be taken up again at `until`: the sweeper sends it then. Raises `RunAlreadyRunning`."""
    _write(
        run,
        status=RunStatus.WAITING,
        claimed_by="",
        claimed_until=until,
        progress=f"Waiting for AWS until {until:%H:%M:%S} UTC: {error.message}"[:_PROGRESS_MAX],
        error_code=error.code,
        error=error.message,
        hint=error.hint,
    )
    _open_mappings(run).update(state=MappingState.WAITING)


def _write(run: ProvisioningRun, **fields: Any) -> None:
    """Write the run's row while this worker still has it: one that was overtaken must not undo what came after."""
    mine = ProvisioningRun.objects.filter(pk=run.pk, claimed_by=run.claimed_by)
    if not mine.update(**fields):
        raise RunAlreadyRunning(f"Another worker has taken over run {run.pk}.")
    for name, value in fields.items():
        setattr(run, name, value)


def _open_mappings(run: ProvisioningRun) -> GroupRoleQuerySet:
    """Return the role's mappings in force; none when a newer run has ended, as they say what the newest one says.

    None either for an order: whether a mapping's access is there is not its business.
    """
    newer = ProvisioningRun.objects.reconciling().filter(role=run.role_id, pk__gt=run.pk, status__in=FINAL_RUN_STATUSES)
    if run.purpose != RunPurpose.RECONCILE or newer.exists():
        return GroupRole.objects.none()
    return GroupRole.objects.in_force().filter(role=run.role_id)


def _record_end(run: ProvisioningRun, status: RunStatus) -> None:
    code = {RunStatus.IN_SYNC: "run.succeeded", RunStatus.NEEDS_OWNER: "run.handed_off"}.get(status, "run.failed")
    record(
        code,
        actor=WORKER,
        subject=run,
        outcome=Outcome.FAILED if status == RunStatus.FAILED else Outcome.OK,
        group=run.mapping.group.name if run.mapping else "",
        account_id=run.role.account.account_id,
        resource=str(run.role.arn),
        requested_by=run.requested_by_name,
        trigger=run.trigger,
        attempts=run.attempts,
        changed=_changed(run),
        error_code=run.error_code,
        error=run.error,
    )


def _changed(run: ProvisioningRun) -> list[str]:
    """Return what this run has changed in AWS, in order.

    AWS's request id without an error's code says that AWS took a write. Whoever was interrupted, or never got the
    answer, does not know; but where the last attempt then found everything as it was to be, AWS had taken that too.
    """
    steps = ProvisioningStep.objects.filter(run=run)
    in_line = set(steps.filter(attempt=run.attempts, status=StepStatus.DONE).values_list("step", "resource"))
    by_owners = AwsAccount.objects.filter(access_mode=AccessMode.HANDOFF).values("account_id")
    writes = steps.filter(action__in=_WRITES).exclude(account_id__in=by_owners).order_by("id")
    return list(
        dict.fromkeys(
            row.resource
            for row in writes
            if (row.aws_request_id and not row.aws_code) or (row.step, row.resource) in in_line
        )
    )
