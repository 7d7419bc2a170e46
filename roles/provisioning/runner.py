"""Bring AWS in line with the database for one source role: claim the run, then resource by resource.

For each: take its lease, compute the wish from the database now, read what AWS has, write only a difference, read it
back, record the step. Nothing is remembered between steps that the next process would need, so a run can be killed at
any instant and taken up by whoever comes next.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from os import getpid
from typing import cast
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from roles import context
from roles.aws import sts
from roles.aws.errors import EXPIRED_CODES
from roles.aws.waiting import patiently
from roles.errors import (
    AwsAccessDenied,
    AwsError,
    AwsNotFound,
    AwsPropagating,
    Blocked,
    NotOurs,
    PortalError,
    Retry,
    RunAlreadyRunning,
)
from roles.models import ProvisioningRun
from roles.models.choices import RunPurpose, RunStatus
from roles.provisioning import desired, findings, leases, orders, others, outbox, postponing, recording
from roles.provisioning.apply import apply
from roles.provisioning.observed import Accounts, observe, portal_principals
from roles.provisioning.owners import OwnersPart
from roles.provisioning.plan import Slot, change_for, slot_of
from roles.provisioning.recording import StepRecord
from roles.provisioning.resources import (
    Change,
    Desired,
    DesiredAccess,
    DesiredDocument,
    Observed,
    ObservedRole,
    Place,
    Step,
    holder_of,
    is_cut_off,
)
from roles.provisioning.verify import Verifier
from roles.values.accounts import AccessMode

ATTEMPTS_MAX = 12  # with the pauses between them: given up after two hours at most
_ROLE_STEPS = (Step.SOURCE_ROLE, Step.TARGET_ROLE)
CLAIM_FRESH = 0.75  # of its time left: nobody else can have the run
# Without a change in this run there is nothing that AWS could still be making visible, other runs' changes aside.
UNCHANGED_PATIENCE_SECONDS = 5.0

UNEXPECTED = PortalError(
    "The portal made a mistake in this run and stopped.",
    hint="The worker's log has the error under this run's request id. Retry; if it comes back, report it.",
)
INTERRUPTIONS_MAX = 20
INTERRUPTED_TOO_OFTEN = PortalError(
    "The workers that took this run stopped before its end, again and again.",
    hint="Look at why workers die (memory, time limits), then retry.",
)

log = structlog.get_logger(__name__)


def reconcile(run_id: int) -> ProvisioningRun | None:
    """Reconcile one run and return it; None when it is final already or another worker has it."""
    run = _claim(run_id)
    if run is None:
        return None
    with context.use(context.RequestContext(request_id=run.request_id)):
        attempt = _Attempt(run)
        try:
            attempt.go()
        except RunAlreadyRunning:
            log.info("run_taken_over", run=run_id)
            return None
        except Exception:
            # A mistake of ours: it must be seen at the run, not only in a log, and not be repeated for ever.
            with suppress(RunAlreadyRunning):
                attempt.give_up(UNEXPECTED)
            raise
        _follow_up(run)
    return run


def _follow_up(run: ProvisioningRun) -> None:
    """Settle what a run says of drift. What was put back may not be what is wished for: that must be seen at once."""
    if run.purpose == RunPurpose.RECONCILE:
        findings.settle(run, actor=recording.WORKER)
    elif run.purpose == RunPurpose.PUT_BACK and run.status == RunStatus.IN_SYNC:
        outbox.send_scan()


def _claim(run_id: int) -> ProvisioningRun | None:
    now = timezone.now()
    free = ProvisioningRun.objects.unfinished().filter(Q(claimed_until__isnull=True) | Q(claimed_until__lt=now))
    worker = f"{socket.gethostname()[:40]}:{getpid()}:{uuid4().hex[:8]}"
    # Durable: inside somebody's transaction nobody else would see the claim, and AWS would be written before a commit.
    with transaction.atomic(durable=True):
        taken = free.filter(pk=run_id).update(
            claimed_by=worker,
            claimed_until=_claim_end(),
            status=RunStatus.APPLYING,
            started_at=Coalesce(F("started_at"), now),
            attempts=F("attempts") + 1,
        )
    if not taken:
        return None
    run = ProvisioningRun.objects.select_related("role__account", "mapping__group").get(pk=run_id)
    recording.close_interrupted_steps(run)
    return run


def _claim_end() -> datetime:
    return timezone.now() + _claim_term()


def _claim_term() -> timedelta:
    return timedelta(seconds=settings.XACCT_RUN_CLAIM_SECONDS)


class _NoRoleYet(Exception):
    """There is no role to cut off credentials of."""


class _Attempt:
    """One attempt at a run. Whatever is kept here is only for speed and for the run's page."""

    def __init__(self, run: ProvisioningRun) -> None:
        self.run = run
        self.concerned = recording.concerned_by(run)
        self.owners = OwnersPart(run)
        self.accounts = Accounts(is_kept=True)
        self.verifier = Verifier()
        self.leases = leases.Holding(on_busy=self._renew_claim)
        self.read: dict[Slot, Observed] = {}  # what AWS has, known since this lease was taken
        self.there: set[str] = set()  # roles that AWS has shown in this attempt, by ARN
        self.without_role: dict[str, desired.Item] = {}  # what waits for its role to be made, by the role's ARN
        self.sequence = count(1)
        self.failed: dict[str, PortalError] = {}
        self.owed: dict[str, PortalError] = {}
        self.wrote = run.attempts > 1  # or an earlier attempt may have
        self.said: RunStatus | None = None  # what this attempt last said to the mappings

    def go(self) -> None:
        """Do every item, then say how it ended."""
        if self.run.attempts > INTERRUPTIONS_MAX:
            self.give_up(INTERRUPTED_TOO_OFTEN)
            return
        items = self._items()
        self.owners.used.update(arn for item in items if item.step is Step.VERIFY for arn in item.needs)
        try:
            for item in items:
                if not any(arn in self.failed or arn in self.owed for arn in item.needs):
                    self._do(item)
                if item.step in _ROLE_STEPS and item.resource in self.without_role:
                    self._do(self.without_role.pop(item.resource))
        finally:
            self._let_go()
        self._finish()

    def _items(self) -> tuple[desired.Item, ...]:
        compute = partial(orders.items_of, self.run, partial(portal_principals, self.run.role.account.region))
        items = compute()
        if self.run.purpose == RunPurpose.RECONCILE and others.note_others(items, self.accounts):
            items = compute()  # what has no room any more is an item of its own
        return items

    def give_up(self, error: PortalError) -> None:
        """End the run as failed, with whatever step is still open. Raises `RunAlreadyRunning`."""
        recording.finish(self.run, RunStatus.FAILED, concerned=self.concerned, error=error)
        recording.close_open_steps(self.run, error)

    def _do(self, item: desired.Item) -> None:
        """Do one item. What goes wrong is recorded at its step; only a lost claim ends the attempt at once."""
        step = recording.begin_step(
            self.run, next(self.sequence), step=item.step, resource=item.resource, account_id=item.access.account_id
        )
        try:
            self._say(RunStatus.APPLYING, step.row.title)
            self._signed_in(partial(self._way(item), step, item))
        except RunAlreadyRunning:
            step.interrupted()
            raise
        except PortalError as error:
            self._let_go()
            if self._is_owners(item, error):
                self.owed.setdefault(item.resource, error)
                step.needs_owner(error)
            else:
                self.failed.setdefault(item.resource, error)
                step.failed(error)

    def _signed_in(self, call: Callable[[], None]) -> None:
        """Do `call`; once in an attempt, when the portal's own credentials have expired, read them again and repeat."""
        try:
            call()
        except AwsAccessDenied as error:
            if error.aws_code not in EXPIRED_CODES or not self.accounts.sign_in_again():
                raise
            time.sleep(sts.REFRESH_PAUSE_SECONDS)
            call()

    def _way(self, item: desired.Item) -> Callable[[StepRecord, desired.Item], None]:
        if item.step is Step.VERIFY:
            return self._verify
        return self._hand_off if item.access.mode is AccessMode.HANDOFF else self._bring_in_line

    def _is_owners(self, item: desired.Item, error: PortalError) -> bool:
        """Return whether this is what AWS says until the owner of a handoff account has done their part."""
        if not isinstance(error, AwsError) or error.retry is Retry.BACKOFF:
            return False
        if item.step is Step.VERIFY:
            return self.owners.concerns(item.needs)
        # A document that names a role which the owner has yet to create.
        return isinstance(error, AwsPropagating) and self.owners.is_pending

    # --- one resource ---

    def _bring_in_line(self, step: StepRecord, item: desired.Item) -> None:
        if self.leases.resource != item.resource:
            self._let_go()
        lease = self.leases.of(item.resource)
        call = partial(self._try, step, item, lease)
        try:
            self._patiently(step, item, call)
        except AwsAccessDenied:
            if not self.accounts.reopen(item.access):
                raise
            self._patiently(step, item, call)
        except _NoRoleYet:
            self.without_role[holder_of(item.resource)] = item
            step.not_done(recording.NO_ROLE)
            return
        step.done()

    def _try(self, step: StepRecord, item: desired.Item, lease: leases.Lease) -> None:
        lease.keep()
        wish = cast(Desired, item.compute())  # only what is to be verified can be none
        current = self._observed(wish)
        change, _ = change_for(wish, current)
        step.planned(change)
        if change.blocked:
            refusal = NotOurs if change.is_adoptable else Blocked
            raise refusal(change.blocked, hint=change.hint)
        item.check(change)
        if not change.writes:
            self._know(wish, current)
            return
        lease.renew()
        self._keep_claim()
        step.sent()
        step.written(self._written(change))
        lease.renew()  # if that took longer than a lease, somebody may have written meanwhile
        self._read_back(wish)

    def _observed(self, wish: Desired) -> Observed:
        slot = slot_of(wish)
        if slot in self.read:
            return self.read.pop(slot)
        current = observe(wish, self.accounts)
        is_trust = isinstance(wish, DesiredDocument) and slot[0] is Place.ROLE and bool(wish.statements)
        if current is None and is_trust and self.wrote:
            raise _not_shown_yet(wish, "AWS does not show the role {} yet.")
        return current

    def _read_back(self, wish: Desired) -> None:
        current = observe(wish, self.accounts)
        change, _ = change_for(wish, current)
        if change.writes or change.blocked:
            raise _not_shown_yet(wish, "AWS took the change of {}, but does not show it yet.")
        self._know(wish, current)

    def _know(self, wish: Desired, current: Observed) -> None:
        self.read[slot_of(wish)] = current
        if isinstance(current, ObservedRole):
            self.there.add(wish.resource)

    def _written(self, change: Change) -> str:
        """Write the change and return AWS's request id.

        Raises `_NoRoleYet` when it cuts off credentials of a role that does not exist and was not seen in this attempt.
        """
        before, self.wrote = self.wrote, True  # from here on AWS may have it, whatever it answers
        try:
            return apply(change, self.accounts)
        except AwsNotFound as error:
            if not is_cut_off(change.resource) or holder_of(change.resource) in self.there:
                raise
            self.wrote = before
            raise _NoRoleYet from error

    def _hand_off(self, step: StepRecord, item: desired.Item) -> None:
        """Ask the account's owner for it. Nothing is written there; it is read where the owner allows that."""
        wish = cast(Desired, item.compute())
        current = observe(wish, self.accounts)
        if current is None and self.accounts.reopen(item.access):
            current = observe(wish, self.accounts)
        self.owners.hand_out(step, wish, current)

    def _verify(self, step: StepRecord, item: desired.Item) -> None:
        self._let_go()
        self._patiently(step, item, partial(self._prove, step, item))

    def _prove(self, step: StepRecord, item: desired.Item) -> None:
        wish = item.compute()
        if not isinstance(wish, DesiredAccess):
            step.not_done(recording.ENDED_MEANWHILE)
            return
        change, _ = change_for(wish, None)
        step.planned(change)
        request_id = self.verifier.check(wish)
        self.owners.proved(item.needs)
        step.done(request_id)

    def _patiently(self, step: StepRecord, item: desired.Item, call: Callable[[], None]) -> None:
        """Repeat `call` while AWS may be late, and tell at the step what it waits for."""
        began, is_check = time.monotonic(), item.step is Step.VERIFY

        def on_wait(error: AwsError, _delay: float) -> None:
            if error.aws_code in EXPIRED_CODES:
                raise error
            is_late = self.wrote and not (is_check and self.owners.concerns(item.needs))
            is_short = is_check and time.monotonic() - began < UNCHANGED_PATIENCE_SECONDS
            if error.retry is Retry.NEVER and not is_late and not is_short:
                raise error
            step.waiting(error)
            self._say(RunStatus.WAITING, f"{step.row.title}: {error.message}")

        # Right after a change AWS may still say no; and a role that is not visible yet is denied like a missing one.
        also = (AwsNotFound, AwsAccessDenied) if is_check else (AwsNotFound,)
        patiently(call, until=began + settings.XACCT_PROPAGATION_SECONDS, on_wait=on_wait, also=also)

    def _let_go(self) -> None:
        self.read.clear()
        self.leases.let_go()

    # --- the run ---

    def _say(self, status: RunStatus, text: str) -> None:
        """Say what the run does now, and keep the claim. Raises `RunAlreadyRunning`."""
        recording.progress(self.run, status, text, until=_claim_end(), is_news=status != self.said)
        self.said = status

    def _keep_claim(self) -> None:
        """Renew the claim if a part of its time is over."""
        if cast(datetime, self.run.claimed_until) - timezone.now() < CLAIM_FRESH * _claim_term():
            self._renew_claim()

    def _renew_claim(self) -> None:
        recording.renew_claim(self.run, _claim_end())

    def _finish(self) -> None:
        self._renew_claim()
        is_all_done = self.owners.settle()
        error = next(iter(self.failed.values()), None)
        if error is None:
            status = RunStatus.IN_SYNC if is_all_done and not self.owed else RunStatus.NEEDS_OWNER
            error = next(iter(self.owed.values()), None)
            recording.finish(self.run, status, concerned=self.concerned, error=error)
        elif postponing.is_worth_it(error) and self.run.attempts < ATTEMPTS_MAX:
            recording.postpone(self.run, error, until=timezone.now() + postponing.pause(error, self.run.attempts))
        else:
            recording.finish(self.run, RunStatus.FAILED, concerned=self.concerned, error=error)


def _not_shown_yet(wish: Desired, message: str) -> AwsPropagating:
    return AwsPropagating(
        message.format(wish.resource),
        hint="AWS has not made it visible everywhere, or somebody changed it at the same moment.",
        account=wish.access.account_id,
        arn=wish.resource,
    )
