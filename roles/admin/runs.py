"""Runs in the admin: read only. A run's steps are on the portal's own page, where they can be watched and retried."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import RangeDateTimeFilter

from roles.admin import putting_back
from roles.admin.base import ReadOnlyModelAdmin, badge, link_to, moment
from roles.models import ProvisioningRun, ProvisioningStep
from roles.permissions import Rule, can


@admin.register(ProvisioningRun)
class ProvisioningRunAdmin(ReadOnlyModelAdmin):
    """Reconciliations of AWS with the database, newest first."""

    list_display = (
        "display_number",
        "display_status",
        "display_role",
        "display_group",
        "display_trigger",
        "display_requester",
        moment("queued_at", "Queued"),
        "display_duration",
    )
    list_filter = ("status", ("queued_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("role__account", "mapping__group")
    search_fields = ("role__name", "mapping__group__name", "requested_by_name", "=request_id")

    @admin.display(description="Run", ordering="id")
    def display_number(self, obj: ProvisioningRun) -> str:
        """Show the number."""
        return f"Run {obj.pk}"

    @admin.display(description="State", ordering="status")
    def display_status(self, obj: ProvisioningRun) -> str:
        """Show the badge."""
        return badge(obj.status)

    @admin.display(description="Source role")
    def display_role(self, obj: ProvisioningRun) -> str:
        """Link to the role."""
        return link_to(obj.role)

    @admin.display(description="User group")
    def display_group(self, obj: ProvisioningRun) -> str:
        """Link to the group, if a mapping asked for the run."""
        return link_to(obj.mapping.group if obj.mapping else None)

    @admin.display(description="Because of", ordering="trigger")
    def display_trigger(self, obj: ProvisioningRun) -> str:
        """Show what asked for it, in words."""
        return obj.trigger.replace("_", " ").replace(".", " ")

    @admin.display(description="By", ordering="requested_by_name")
    def display_requester(self, obj: ProvisioningRun) -> str:
        """Show who asked for it."""
        return obj.requested_by_name

    @admin.display(description="Took")
    def display_duration(self, obj: ProvisioningRun) -> str:
        """Show how long it took, in seconds."""
        if obj.started_at is None or obj.finished_at is None:
            return "–"
        return f"{(obj.finished_at - obj.started_at).total_seconds():.1f} s"

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks before a document is put back."""
        view = self.admin_site.admin_view(self.put_back_view)
        return [
            path("put-back/<int:step_id>/", view, name="roles_provisioningrun_put_back"),
            *super().get_urls(),
        ]

    def put_back_view(self, request: HttpRequest, step_id: int) -> HttpResponse:
        """Ask once, with the plan; queue the run on POST, and go to it."""
        step = ProvisioningStep.objects.select_related("run__role__account").filter(pk=step_id).first()
        if step is None:
            raise Http404(f"There is no step {step_id}.")
        self.row_or_404(request, step.run_id)
        if not can(request.user, Rule.RESTORE_DOCUMENTS):
            raise PermissionDenied
        return putting_back.view(self, request, step)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send to the page of the run."""
        run = self.row_or_404(request, int(object_id)) if object_id.isdigit() else None
        if run is None:
            response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
            return response
        return redirect("run", run.pk)
