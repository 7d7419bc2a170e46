"""What the owners of AWS accounts are given, as pages for those who see runs, and as files to send to the owners.

Owners are no users of the portal: a page is for whoever hands over, the file for whoever applies it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from roles.errors import Conflict, NotFound
from roles.history import queries
from roles.models import AwsAccount, ProvisioningRun, User
from roles.models.choices import AccessModeChoice, RunPurpose, RunStatus
from roles.permissions import Rule, can, require, visible_to
from roles.portal.page import show, signed_in
from roles.provisioning import for_owners
from roles.provisioning.handoff import HandoffDocuments, HandoffFile
from roles.provisioning.scope import provisioner_scope

# Form: its heading, and what to do with the file.
FORMS = {
    "cloudformation": (
        "CloudFormation",
        "Create or update a stack from it. It only adds; what it leaves out, the AWS CLI script does.",
    ),
    "terraform": ("Terraform", "Read it, then terraform init, plan and apply, with a state of its own."),
    "cli": ("AWS CLI", "Run it with bash and credentials of the account. It keeps what was there before, and says so."),
    "console": ("Console instructions", "For the AWS console, step by step, with the JSON to paste."),
}


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the documents as the page shows it."""

    name: str
    title: str
    help: str
    file: HandoffFile
    address: str


@require_safe
def run_documents(request: HttpRequest, run_id: int, account_id: str) -> HttpResponse:
    """Show what the owner of an account has to do for a run."""
    user = signed_in(request)
    run, account = _of_run(user, run_id, account_id)
    documents = for_owners.documents_of_run(account, run)
    order = None if run.purpose == RunPurpose.RECONCILE else run
    address = partial(_address, "run_document", run.pk, account_id)
    return _handoff_page(request, account, documents, address, order=order)


@require_safe
def run_document(request: HttpRequest, run_id: int, account_id: str, form: str) -> HttpResponse:
    """Download one form of it."""
    run, account = _of_run(signed_in(request), run_id, account_id)
    return _download(for_owners.documents_of_run(account, run), form)


@require_safe
def account_documents(request: HttpRequest, account_id: str) -> HttpResponse:
    """Show all that the owner of an account has to do now."""
    account = _handed_off(signed_in(request), account_id)
    documents = for_owners.documents_for_owner(account)
    return _handoff_page(request, account, documents, lambda form: _address("account_document", account_id, form))


@require_safe
def account_document(request: HttpRequest, account_id: str, form: str) -> HttpResponse:
    """Download one form of it."""
    return _download(for_owners.documents_for_owner(_handed_off(signed_in(request), account_id)), form)


@require_safe
def provisioner_documents(request: HttpRequest, account_id: str) -> HttpResponse:
    """Show how the owner of an account makes the role through which the portal provisions there."""
    account = _assumed(signed_in(request), account_id)
    documents = for_owners.documents_of_provisioner(account.access(), provisioner_scope(account))
    shown = {
        "account": account,
        "reads_only": account.access_mode == AccessModeChoice.HANDOFF,
        "forms": _forms(documents, lambda form: _address("provisioner_document", account_id, form)),
    }
    return show(request, "portal/provisioner_documents.html", shown, title=f"The portal's way into {account}")


@require_safe
def provisioner_document(request: HttpRequest, account_id: str, form: str) -> HttpResponse:
    """Download one form of it."""
    account = _assumed(signed_in(request), account_id)
    return _download(for_owners.documents_of_provisioner(account.access(), provisioner_scope(account)), form)


# --- who may see which account ---


def _of_run(user: User, run_id: int, account_id: str) -> tuple[ProvisioningRun, AwsAccount]:
    run = queries.run(user, run_id)
    if not run.steps.filter(account_id=account_id).exists():
        raise NotFound(f"Run {run.pk} has nothing to do in account {account_id}.", hint="Look at the run's steps.")
    return run, _handed_off(user, account_id)


def _handed_off(user: User, account_id: str) -> AwsAccount:
    found = AwsAccount.objects.filter(account_id=account_id).first() if queries.may_see_runs(user) else None
    if found is None:
        raise _no_account(account_id)
    if found.access_mode != AccessModeChoice.HANDOFF:
        raise Conflict(
            f"The portal writes to {found} by itself, so its owner has nothing to apply.",
            hint="Only the owners of handoff accounts are given documents.",
        )
    return found


def _assumed(user: User, account_id: str) -> AwsAccount:
    found = visible_to(user, AwsAccount).filter(account_id=account_id).first()
    if found is None:
        raise _no_account(account_id)
    require(user, Rule.MANAGE_ACCOUNTS, found)
    if not found.is_assumed:
        raise Conflict(
            f"The portal does not assume a role to get into {found}.",
            hint="Choose the access mode 'Assume role' at the account first, or for handoff enter a role to read with.",
        )
    return found


def _no_account(account_id: str) -> NotFound:
    return NotFound(f"There is no account {account_id} that you may see.", hint="Look at the list of accounts.")


# --- what is shown ---


def _handoff_page(
    request: HttpRequest,
    account: AwsAccount,
    documents: HandoffDocuments,
    address: Callable[[str], str],
    *,
    order: ProvisioningRun | None = None,
) -> HttpResponse:
    user = signed_in(request)
    if order is None:
        waiting = for_owners.waiting_for(account)
    else:
        waiting = [order] if order.status == RunStatus.NEEDS_OWNER else []
    shown: dict[str, Any] = {
        "account": account,
        "order": order,
        "is_empty": documents.is_empty,
        "forms": _forms(documents, address),
        "waiting": waiting,
        "may_verify": can(user, Rule.RETRY_RUNS),
    }
    return show(request, "portal/owner_documents.html", shown, title=f"For the owner of {account}")


def _forms(documents: HandoffDocuments, address: Callable[[str], str]) -> list[Form]:
    return [Form(name, title, text, getattr(documents, name), address(name)) for name, (title, text) in FORMS.items()]


def _address(view: str, *arguments: object) -> str:
    return reverse(view, args=arguments)


def _download(documents: HandoffDocuments, form: str) -> HttpResponse:
    """Return the file of one form. Its name is ours: the account's digits and an ending."""
    file: HandoffFile | None = getattr(documents, form) if form in FORMS else None
    if file is None or not file.text:
        raise NotFound("There is no such file now.", hint="Look at the page again: there may be nothing left to do.")
    response = HttpResponse(file.text, content_type=f"{file.content_type}; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=file.name)
    return response
