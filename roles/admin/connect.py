"""Connect a bucket: one page that takes what the procedure's reader fills in, and shows steps 1 to 6 beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from roles.admin import confirming, connect_owner
from roles.admin.base import change_url
from roles.admin.connect_form import ConnectForm, documents_input
from roles.admin.refusals import add_refusal, note_refusal
from roles.errors import PortalError
from roles.models import GroupRole
from roles.operations import connect_bucket as operation
from roles.operations.confirmed import Look
from roles.provisioning import preview as provisioning_preview
from roles.values.accounts import new_external_id

NEEDED = (
    "roles.change_awsaccount",
    "roles.change_iamrole",
    "roles.change_bucket",
    "roles.change_bucketgrant",
    "roles.change_usergroup",
    "roles.change_grouprole",
)


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """One document of the procedure, as text. `number` is unique on the page."""

    number: int
    step: str
    title: str
    resource: str
    text: str


def connect_bucket(request: HttpRequest) -> HttpResponse:
    """Show the page; on POST the plan; when that is confirmed create everything and go to the mapping."""
    _require(request)
    if request.method != "POST":
        initial = {name: request.GET[name] for name in ("group", "new_group") if name in request.GET}
        # Made now rather than on saving: the owner's documents name it, and are handed out before.
        initial |= {f"{side}_external_id": new_external_id() for side in ("source", "target")}
        return _page(request, ConnectForm(initial=initial))
    form = ConnectForm(request.POST)
    if not form.is_valid() or request.POST.get("step") == "edit":
        return _page(request, form)
    return _asked_or_connected(request, form)


def _asked_or_connected(request: HttpRequest, form: ConnectForm) -> HttpResponse:
    def change() -> GroupRole:
        return operation.connect_bucket(actor=request.user, **arguments(form.cleaned_data))

    is_confirmed = request.POST.get("step") == "confirm"
    try:
        answer = confirming.asked_or_done(request, change, show=partial(_ask, request, form), is_confirmed=is_confirmed)
    except PortalError as error:
        note_refusal(request, error)
        add_refusal(form, error)
        return _page(request, form, status=error.http_status)
    if isinstance(answer, HttpResponse):
        return answer
    messages.success(request, f"{answer.group} is being connected. The steps below turn green one by one.")
    return redirect(change_url(answer))


def _ask(request: HttpRequest, form: ConnectForm, look: Look, stale: str) -> HttpResponse:
    """Show the plan against AWS, with what was typed as hidden fields."""
    context = {
        **admin.site.each_context(request),
        "title": f"Connect {form.cleaned_data['bucket']}?",
        "stale": stale,
        "effects": [
            "What is missing of accounts, roles, bucket, grants, group and mapping is entered, in one go.",
            "Then a run brings AWS in line, step by step, and proves the access by using it.",
        ],
        "button": "Connect the bucket",
        "is_form": True,
        "back": request.path,
        **confirming.context(look, request, typed=True),
    }
    return TemplateResponse(request, "admin/confirm.html", context, status=409 if stale else 200)


def preview(request: HttpRequest) -> HttpResponse:
    """Return the documents for what is typed so far, and errors of fields that are filled in. Writes nothing."""
    _require(request)
    return require_POST(_preview)(request)


def _preview(request: HttpRequest) -> HttpResponse:
    form = ConnectForm(request.POST)
    form.is_valid()
    errors: dict[str, Any] = {
        name: form.errors.get(name, []) if request.POST.get(name, "").strip() else [] for name in form.fields
    }
    shown = {"documents": _documents(form), "errors": errors, "live": True, **_for_owner(form)}
    return TemplateResponse(request, "admin/includes/connect_preview.html", shown)


def provisioner(request: HttpRequest, form: str) -> HttpResponse:
    """Download what the owner of an unknown account does first, from what is typed so far. Writes nothing."""
    _require(request)
    return require_POST(connect_owner.download)(request, ConnectForm(request.POST), form)


def _for_owner(form: ConnectForm) -> dict[str, Any]:
    offered = connect_owner.is_offered(form)
    return {
        "owner_forms": connect_owner.FORMS if offered else {},
        "owner_ready": offered and connect_owner.is_complete(form),
    }


def _require(request: HttpRequest) -> None:
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied


def _page(request: HttpRequest, form: ConnectForm, *, status: int = 200) -> HttpResponse:
    if not form.is_bound:
        shown = ConnectForm({name: form.get_initial_for_field(field, name) for name, field in form.fields.items()})
        shown.is_valid()
    context = {
        **admin.site.each_context(request),
        "title": "Connect a bucket",
        "form": form,
        "media": form.media,
        "sections": _sections(form),
        "documents": _documents(form if form.is_bound else shown),
        **_for_owner(form if form.is_bound else shown),
    }
    return TemplateResponse(request, "admin/connect_bucket.html", context, status=status)


def _sections(form: ConnectForm) -> list[dict[str, Any]]:
    return [
        {
            "title": "Account A: where the portal's users work",
            "help": "The deployment account, and the role its users act as.",
            "fields": form.fields_in("source_"),
            "side": "source",
        },
        {
            "title": "Account B: who owns the bucket",
            "help": "The bucket owner's account, and the role that may use the bucket.",
            "fields": form.fields_in("target_", "attribution"),
            "side": "target",
        },
        {
            "title": "The bucket",
            "help": "What is opened, and how far.",
            "fields": form.fields_in("bucket", "region", "prefix", "access"),
        },
        {
            "title": "Who gets access",
            "help": "Step 7: MyRoleA is added to this user group.",
            "fields": form.fields_in("group", "new_group", "reason"),
        },
    ]


def _documents(form: ConnectForm) -> list[ShownDocument]:
    found = provisioning_preview.documents_if_connected(**documents_input(form))
    return [
        ShownDocument(
            number=number,
            step=str(item.step),
            title=item.title,
            resource=str(item.resource),
            text=json.dumps(item.document, indent=2, ensure_ascii=False),
        )
        for number, item in enumerate(found, start=1)
    ]


def arguments(data: dict[str, Any]) -> dict[str, Any]:
    """Return what the operation takes, from the form's cleaned data."""
    return dict(data)
