"""Drift in the admin: what AWS has that nobody wishes for, each with its diff, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from roles.admin import queries
from roles.admin.base import ReadOnlyModelAdmin, badge, change_url, copyable, link_to, moment
from roles.errors import Conflict, PortalError, text_of
from roles.models import DriftFinding, IamRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus
from roles.operations.accept_drift import accept_drift, check_accept_drift
from roles.operations.repair_drift import check_repair_drift, repair_drift
from roles.operations.scan_drift import ask_for_scan
from roles.permissions import Rule, can
from roles.provisioning import findings

_LIST = "admin:roles_driftfinding_changelist"


class OpenDriftFilter(admin.SimpleListFilter):
    """Open findings unless asked for resolved ones."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Name the choices besides "open"."""
        return [("resolved", "Resolved"), ("all", "Open and resolved")]

    def choices(self, changelist: Any) -> Any:
        """Call the default by what it shows."""
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "Open"} if number == 0 else choice

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Cut the list."""
        if self.value() == "all":
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() != "resolved")


@admin.register(DriftFinding)
class DriftFindingAdmin(ReadOnlyModelAdmin):
    """What differs, newest first."""

    list_display = (
        "display_kind",
        "title",
        "display_place",
        "account_id",
        "display_who",
        moment("found_at", "Found"),
        moment("last_seen_at", "Last seen"),
        "display_state",
    )
    list_filter = (OpenDriftFilter, "kind")
    list_select_related = ("role__account", "bucket")
    search_fields = ("resource", "=account_id", "title")
    search_help_text = "ARN, account id or step"
    change_list_template = "admin/roles/driftfinding/change_list.html"

    @admin.display(description="Drift", ordering="kind")
    def display_kind(self, obj: DriftFinding) -> str:
        """Show how AWS differs."""
        return badge(MappingState.DRIFTED, obj.get_kind_display())

    @admin.display(description="At", ordering="resource")
    def display_place(self, obj: DriftFinding) -> str:
        """Link to the role or bucket."""
        return link_to(obj.role or obj.bucket)

    @admin.display(description="Done by")
    def display_who(self, obj: DriftFinding) -> str:
        """Say who may have done it, without the ARN that the page has."""
        return f"maybe {obj.done_by.partition(', by ')[0]}" if obj.done_by else "–"

    @admin.display(description="State")
    def display_state(self, obj: DriftFinding) -> str:
        """Say whether it still holds, or how it ended."""
        return (
            badge(RunStatus.FAILED, "Open") if obj.is_open else badge(RunStatus.IN_SYNC, obj.get_resolution_display())
        )

    # --- pages ---

    def get_urls(self) -> list[URLPattern]:
        """Add what can be done."""
        wrap = self.admin_site.admin_view
        own = [
            path("look-now/", wrap(require_POST(self.scan_view)), name="roles_driftfinding_scan"),
            path("<int:object_id>/repair/", wrap(self.repair_view), name="roles_driftfinding_repair"),
            path("<int:object_id>/accept/", wrap(self.accept_view), name="roles_driftfinding_accept"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Say whether this person may look now."""
        may = {"may_scan": can(request.user, Rule.REPAIR_DRIFT)}
        response: HttpResponse = super().changelist_view(request, {**may, **(extra_context or {})})
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the diff and what can be done."""
        finding = self.row_or_404(request, int(object_id)) if object_id.isdigit() else None
        if finding is None:
            response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
            return response
        may = can(request.user, Rule.REPAIR_DRIFT) and finding.is_open
        return self.page(
            request,
            "admin/drift_finding.html",
            title=f"Drift: {finding.title}",
            finding=finding,
            place=link_to(finding.role or finding.bucket),
            arn=copyable(finding.resource, "ARN"),
            state=self.display_state(finding),
            kind=self.display_kind(finding),
            may_repair=may,
            not_repairable=_why_not(check_repair_drift, finding) if may else "",
            not_acceptable=_why_not(check_accept_drift, finding) if may else "",
            sources=_sources(finding),
        )

    def scan_view(self, request: HttpRequest) -> HttpResponse:
        """Have a worker look now."""
        try:
            is_sent = ask_for_scan(actor=request.user)
        except PortalError as error:
            self.tell_refusal(request, error)
            return redirect(_LIST)
        if is_sent:
            messages.success(request, "A worker compares AWS with the database now. Load this page again in a moment.")
        else:
            messages.error(request, "The workers cannot be reached now, so nobody looks. Try again in a minute.")
        return redirect(_LIST)

    def repair_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan of the runs; queue them on POST."""
        finding = self._mine(request, object_id)

        def done(runs: list[ProvisioningRun]) -> HttpResponse:
            messages.success(request, f"AWS is being brought back: {', '.join(f'run {run.pk}' for run in runs)}.")
            return redirect("run", runs[0].pk)

        sources = ", ".join(str(role) for role in _sources(finding)) or "the source role that reached it last"
        effects = [
            f"A run of {sources} brings AWS back to what the database wishes: the plan shows all that it does now.",
            "What somebody changed in the portal's own statements is undone. Statements of others stay as they are.",
        ]
        return self.ask(
            request,
            lambda: repair_drift(actor=request.user, finding=finding),
            done=done,
            asks_reason=False,
            button="Repair",
            effects=effects,
            **_asked(finding, "Repair"),
        )

    def accept_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan of the grants that begin and end; change the database on POST."""
        finding = self._mine(request, object_id)

        def done(row: DriftFinding) -> HttpResponse:
            messages.success(request, "The database says now what AWS has.")
            return redirect(change_url(row))

        reason = request.POST.get("reason", "").strip()
        effects = [
            "Grants begin and end, or a role's attribution changes, so that the database wishes for what AWS has now.",
            "It applies to everybody whose access goes through these grants. Tokens of what ends leave the cache.",
        ]
        return self.ask(
            request,
            lambda: accept_drift(actor=request.user, finding=finding, reason=reason),
            done=done,
            button="Accept",
            effects=effects,
            **_asked(finding, "Accept"),
        )

    def _mine(self, request: HttpRequest, object_id: int) -> DriftFinding:
        finding: DriftFinding = self.row_or_404(request, object_id)
        if not can(request.user, Rule.REPAIR_DRIFT):
            raise PermissionDenied
        return finding


def _asked(finding: DriftFinding, button: str) -> dict[str, Any]:
    """Return what both pages that ask say of the finding."""
    return {
        "title": f"{button}: {finding.title}?",
        "subject": finding.resource,
        "people": queries.people_reaching([role.pk for role in _sources(finding)]),
        "back": change_url(finding),
    }


def _sources(finding: DriftFinding) -> list[IamRole]:
    """Return the source roles whose access goes through the place now."""
    ids = findings.sources_of(DriftFinding.objects.filter(pk=finding.pk))
    return list(IamRole.objects.filter(pk__in=ids).select_related("account"))


def _why_not(check: Callable[[DriftFinding], None], finding: DriftFinding) -> str:
    try:
        check(finding)
    except Conflict as error:
        return text_of(error)
    return ""
