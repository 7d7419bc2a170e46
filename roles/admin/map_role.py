"""Add a role to a group in three steps: form, plan, confirmation. The plan that was seen is what is applied."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from roles.admin import confirming, queries
from roles.admin.base import PortalModelAdmin, change_url, zone_help
from roles.admin.fields import AutocompleteField, AutocompleteManyField
from roles.admin.refusals import add_refusal, note_refusal
from roles.errors import Conflict, InputError, NotFound, PortalError
from roles.models import Bucket, GroupRole, IamRole, UserGroup
from roles.models.choices import AccessLevelChoice
from roles.models.validators import validate_prefix
from roles.operations.confirmed import Look
from roles.operations.map_role_to_group import check_map_role_to_group, map_role_to_group
from roles.values.arns import object_prefix

NARROWING_FIELDS = ("access", "prefix", "buckets", "expires_at", "reason")


class NarrowingForm(forms.Form):
    """How a mapping narrows its role's grants, until when, and why."""

    access = forms.ChoiceField(
        label="Access level",
        choices=AccessLevelChoice.choices,
        initial=AccessLevelChoice.READWRITE,
        widget=UnfoldAdminSelectWidget(),
        help_text="Narrows what the role's grants give; 'Read and write' leaves them as they are.",
    )
    prefix = forms.CharField(  # type: ignore[assignment]  # a field; the form's own prefix is set per instance
        required=False,
        max_length=1024,
        validators=[validate_prefix],
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "team/raw/"}),
        help_text="Narrows to a folder; empty leaves the grants' own prefixes.",
    )
    buckets = AutocompleteManyField(
        GroupRole,
        "buckets",
        queryset=Bucket.objects.all(),
        required=False,
        help_text="Narrows to these buckets; none means all that the role reaches.",
    )
    expires_at = forms.SplitDateTimeField(
        label="Expires at",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget(),
    )
    reason = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Ticket OPS-12: quarterly report"}),
        help_text="A ticket or a sentence that an auditor can follow.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["expires_at"].help_text = zone_help("Empty means no end.")

    def clean_prefix(self) -> str:
        """Return the prefix as a folder."""
        return object_prefix(self.cleaned_data["prefix"])


class MapRoleForm(NarrowingForm):
    """Which role to add to which group. `group` is fixed when one comes from the group's page."""

    group = AutocompleteField(
        GroupRole, "group", queryset=UserGroup.objects.all(), label="User group", placeholder="Choose a group"
    )
    role = AutocompleteField(
        GroupRole,
        "role",
        queryset=IamRole.objects.select_related("account"),
        label="Source role (MyRoleA)",
        placeholder="Choose a role",
        help_text="The role in the deployment account that this group acts as.",
    )
    field_order = ("group", "role", *NARROWING_FIELDS)

    def __init__(self, *args: Any, actor: Any, group: UserGroup | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor
        self.fixed_group = group
        if group is not None:
            del self.fields["group"]

    def wish(self) -> dict[str, Any]:
        """Return the arguments of the operation."""
        data = self.cleaned_data
        return {
            "group": self.fixed_group or data["group"],
            "role": data["role"],
            "access": data["access"],
            "prefix": data["prefix"],
            "buckets": tuple(data["buckets"]),
            "expires_at": data["expires_at"],
            "reason": data["reason"],
        }

    def clean(self) -> dict[str, Any]:
        """Ask the operation's own check. A denial is not the form's to show: it passes through and is recorded."""
        super().clean()
        if not self.errors:
            try:
                check_map_role_to_group(actor=self.actor, **self.wish())
            except (InputError, Conflict, NotFound) as error:
                add_refusal(self, error)
        return self.cleaned_data


def view(model_admin: PortalModelAdmin, request: HttpRequest, group: UserGroup | None) -> HttpResponse:
    """Show the form, then the plan, then do it."""
    if not request.user.has_perm("roles.change_grouprole"):
        raise PermissionDenied
    if request.method != "POST":
        initial = {"role": request.GET.get("role"), "group": request.GET.get("group")}
        return _form_page(model_admin, request, MapRoleForm(actor=request.user, group=group, initial=initial), group)
    form = MapRoleForm(request.POST, actor=request.user, group=group)
    step = request.POST.get("step", "plan")
    if not form.is_valid() or step == "edit":
        return _form_page(model_admin, request, form, group)
    return _planned_or_done(model_admin, request, form, group)


def _form_page(
    model_admin: PortalModelAdmin,
    request: HttpRequest,
    form: MapRoleForm,
    group: UserGroup | None,
    *,
    status: int = 200,
) -> HttpResponse:
    return model_admin.page(
        request,
        "admin/map_role_form.html",
        title=f"Map a role to {group}" if group else "Map a role to a group",
        status=status,
        form=form,
        media=form.media,
        back=_back(group),
    )


def _show_plan(
    model_admin: PortalModelAdmin,
    request: HttpRequest,
    form: MapRoleForm,
    look: Look,
    stale: str,
) -> HttpResponse:
    wish = form.wish()
    return model_admin.page(
        request,
        "admin/map_role_plan.html",
        title=f"Map {wish['role']} to {wish['group']}?",
        status=409 if stale else 200,
        wish=wish,
        level=AccessLevelChoice(wish["access"]).label,
        people=queries.affected_people(wish["group"]),
        stale=stale,
        back=_back(form.fixed_group),
        **confirming.context(look, request, typed=True),
    )


def _planned_or_done(
    model_admin: PortalModelAdmin, request: HttpRequest, form: MapRoleForm, group: UserGroup | None
) -> HttpResponse:
    """Show the plan; map when it was confirmed and is still what was seen."""
    wish = form.wish()

    def change() -> GroupRole:
        return map_role_to_group(actor=request.user, **wish)

    show = partial(_show_plan, model_admin, request, form)
    is_confirmed = request.POST.get("step") == "confirm"
    try:
        answer = confirming.asked_or_done(request, change, show=show, is_confirmed=is_confirmed)
    except PortalError as error:
        note_refusal(request, error)
        add_refusal(form, error)
        return _form_page(model_admin, request, form, group, status=error.http_status)
    if isinstance(answer, HttpResponse):
        return answer
    messages.success(request, f"{wish['role']} is mapped to {wish['group']}. AWS is being changed now.")
    return redirect(change_url(answer))


def _back(group: UserGroup | None) -> str:
    return change_url(group) if group else reverse("admin:roles_grouprole_changelist")
