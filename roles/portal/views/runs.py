"""A run: its seven steps, live while it goes on, what failed and why, and the way to try again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from roles.errors import NotOurs
from roles.history import queries
from roles.models import IamRole, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import RoleOwnership, RunPurpose, RunStatus
from roles.operations.retry_run import retry_run
from roles.permissions import Rule, can
from roles.portal.page import show, signed_in
from roles.portal.stepper import progress_of
from roles.provisioning import for_owners, kept
from roles.values.arns import role_arn

RETRIABLE = (RunStatus.FAILED, RunStatus.NEEDS_OWNER)


@require_safe
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a run. `?attempt=2` shows an earlier attempt's steps."""
    user = signed_in(request)
    found = queries.run(user, run_id)
    attempts = queries.attempts_of(found)
    attempt = _attempt(request, attempts)
    shown = {**_shown(user, found, attempt), "attempts": attempts, "attempt": attempt or max(attempts, default=1)}
    return show(request, "portal/run.html", shown, title=f"Run {found.pk} of {found.role}")


@require_safe
def run_steps(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show the live part alone. Answers "nothing new" (204) to who has `?seen=` it already, so that nothing moves."""
    user = signed_in(request)
    shown = _shown(user, queries.run(user, run_id), None)
    if request.GET.get("seen") == shown["progress"].seen:
        return HttpResponse(status=204)
    return render(request, "portal/run_steps.html", {**shown, "is_update": True})


@require_POST
def run_retry(request: HttpRequest, run_id: int) -> HttpResponse:
    """Queue the run again and show that."""
    user = signed_in(request)
    found = queries.run(user, run_id)
    retried = retry_run(actor=user, run=found)
    if found.status == RunStatus.NEEDS_OWNER:
        messages.success(request, "The portal uses the access now, to see whether the owner's part is done.")
    else:
        messages.success(request, "The run is queued again; a worker takes it from what AWS has now.")
    return redirect("run", run_id=retried.pk)


def _shown(user: User, found: ProvisioningRun, attempt: int | None) -> dict[str, Any]:
    steps = queries.steps_of(found, attempt)
    waits = found.status == RunStatus.NEEDS_OWNER
    is_retriable = found.status in RETRIABLE and (waits or found.purpose == RunPurpose.RECONCILE)
    return {
        "asked": for_owners.asked_of(found) if waits else (),
        "newer": queries.newer_run(found) if found.status in RETRIABLE else None,
        "progress": progress_of(found, steps),
        "run": found,
        "adopt": _to_adopt(user, steps) if found.is_final else None,
        "may_retry": is_retriable and can(user, Rule.RETRY_RUNS),
        "to_put_back": _to_put_back(user, found, steps) if found.is_final else (),
    }


def _to_adopt(user: User, steps: Sequence[ProvisioningStep]) -> IamRole | None:
    """Return the role that stopped the run as the portal did not make it, for an admin who may adopt it."""
    stopped = next((step for step in steps if step.error_code == NotOurs.code), None)
    if stopped is None or not user.is_staff or not can(user, Rule.MANAGE_ROLES):
        return None
    arn = role_arn(stopped.resource)
    found = IamRole.objects.filter(account__account_id=arn.account, name=arn.name, ownership=RoleOwnership.MANAGED)
    return found.select_related("account").first()


def _to_put_back(user: User, run: ProvisioningRun, steps: Sequence[ProvisioningStep]) -> tuple[int, ...]:
    """Return the ids of the steps whose document may be put back, for an admin who may do that."""
    if not user.is_staff or not can(user, Rule.RESTORE_DOCUMENTS):
        return ()
    return tuple(step.pk for step in steps if kept.is_offered(step, run))


def _attempt(request: HttpRequest, attempts: tuple[int, ...]) -> int | None:
    text = request.GET.get("attempt", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) in attempts else None
