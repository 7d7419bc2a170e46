"""Bearers of people's tools in the admin: whose, for what, used when and from where; and signing one out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import RangeDateTimeFilter

from roles.admin.base import ReadOnlyModelAdmin, badge, change_url, link_to, moment
from roles.errors import PortalError
from roles.models import ToolBearer
from roles.operations.revoke_bearer import revoke_bearer
from roles.permissions import Rule, can


@admin.register(ToolBearer)
class ToolBearerAdmin(ReadOnlyModelAdmin):
    """What may ask the portal for somebody's credentials, until that person signs out."""

    list_display = (
        "display_tool",
        "display_user",
        "display_mapping",
        moment("created_at", "Set up"),
        moment("last_used_at", "Last used"),
        "display_state",
    )
    list_filter = ("purpose", ("revoked_at", admin.EmptyFieldListFilter), ("created_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("user", "mapping__group", "mapping__role__account", "target__account")
    search_fields = ("name", "user__username", "mapping__group__name", "=last_address")
    change_form_template = "admin/roles/toolbearer/change_form.html"
    fields = (
        "display_user",
        "display_mapping",
        "display_target",
        "purpose",
        "name",
        "created_at",
        "last_used_at",
        "last_address",
        "last_user_agent",
        "revoked_at",
    )
    readonly_fields = ("display_user", "display_mapping", "display_target")

    @admin.display(description="Tool", ordering="name")
    def display_tool(self, obj: ToolBearer) -> str:
        """Name it."""
        return str(obj)

    @admin.display(description="User", ordering="user__username")
    def display_user(self, obj: ToolBearer) -> str:
        """Link to the person."""
        return link_to(obj.user)

    @admin.display(description="Mapping")
    def display_mapping(self, obj: ToolBearer) -> str:
        """Link to the mapping."""
        return link_to(obj.mapping)

    @admin.display(description="Target role")
    def display_target(self, obj: ToolBearer) -> str:
        """Link to the target role."""
        return link_to(obj.target)

    @admin.display(description="State")
    def display_state(self, obj: ToolBearer) -> str:
        """Say whether it may still be shown."""
        if obj.revoked_at is not None:
            return badge("removed", "Signed out")
        return badge("waiting", "Not collected yet") if obj.challenge else badge("done", "Signed in")

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks before a tool is signed out."""
        wrap = self.admin_site.admin_view
        own = path("<int:object_id>/revoke/", wrap(self.revoke_view), name="roles_toolbearer_revoke")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer to sign it out."""
        bearer = self.get_object(request, object_id)
        may_revoke = bearer is not None and bearer.revoked_at is None and can(request.user, Rule.REVOKE_BEARERS)
        extra = {"may_revoke": may_revoke, **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return response

    def revoke_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, naming the effect; revoke on POST."""
        bearer = self.row_or_404(request, object_id)
        if not can(request.user, Rule.REVOKE_BEARERS):
            raise PermissionDenied
        if request.method == "POST":
            try:
                revoke_bearer(actor=request.user, bearer=bearer)
            except PortalError as error:
                self.tell_refusal(request, error)
            else:
                messages.success(request, f"{bearer} of {bearer.user} is signed out.")
            return redirect(change_url(bearer))
        return self.page(
            request,
            "admin/confirm.html",
            title=f"Sign out {bearer}?",
            effects=[
                f"{bearer} gets no more credentials of {bearer.user}.",
                "Those that it has work until they expire, at most one hour.",
                f"{bearer.user} stays signed in and can set it up again.",
            ],
            people=[bearer.user],
            button=f"Sign out {bearer}",
            back=change_url(bearer),
        )
