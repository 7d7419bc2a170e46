"""Mappings: their state, who is affected, the seven steps live, narrowing, and removal with its plan."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from roles.admin import cut_offs, map_role, queries
from roles.admin.base import PortalModelAdmin, badge, change_url, link_to, moment, seen_of, settled, zone_help
from roles.admin.intervals import OpenFilter
from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import MappingState
from roles.operations.change_mapping import change_mapping
from roles.operations.cut_off import Whose
from roles.operations.unmap_role import unmap_role
from roles.permissions import Rule, can
from roles.provisioning import access

UNSETTLED = (MappingState.QUEUED, MappingState.APPLYING, MappingState.WAITING, MappingState.REMOVING)


class ExpiryFilter(admin.SimpleListFilter):
    """Mappings by whether their time is limited."""

    title = "time limit"
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Name the choices."""
        return [("limited", "Time-limited"), ("unlimited", "Without end")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Cut the list."""
        if self.value() is None:
            return queryset
        return queryset.filter(expires_at__isnull=self.value() == "unlimited")


@admin.register(GroupRole)
class GroupRoleAdmin(PortalModelAdmin):
    """Source roles added to groups."""

    list_display = (
        "display_mapping",
        "display_group",
        "display_role",
        "display_state",
        "display_narrowing",
        moment("expires_at", "Expires"),
    )
    list_filter = ("state", OpenFilter, ExpiryFilter, "access")
    list_select_related = ("group", "role__account")
    search_fields = ("group__name", "role__name", "role__account__name", "role__account__account_id")
    ordering = (queries.ATTENTION_FIRST, "-id")
    autocomplete_fields = ("buckets",)
    fields = ("access", "prefix", "buckets", "expires_at", "reason")
    empty_hint = "No roles mapped yet. A mapping gives a group the access of a source role."
    change_form_template = "admin/roles/grouprole/change_form.html"
    shows_plan = True

    # --- columns ---

    @admin.display(description="Mapping", ordering="id")
    def display_mapping(self, obj: GroupRole) -> str:
        """Show what it is."""
        return f"{obj.role.name} → {obj.group.name}"

    @admin.display(description="User group", ordering="group__name")
    def display_group(self, obj: GroupRole) -> str:
        """Link to the group."""
        return link_to(obj.group)

    @admin.display(description="Source role", ordering="role__name")
    def display_role(self, obj: GroupRole) -> str:
        """Link to the role."""
        return link_to(obj.role)

    @admin.display(description="State", ordering="state")
    def display_state(self, obj: GroupRole) -> str:
        """Show the badge."""
        return badge(obj.state)

    @admin.display(description="Narrowed to")
    def display_narrowing(self, obj: GroupRole) -> str:
        """Show what the mapping cuts."""
        return ", ".join(part for part in (obj.get_access_display(), obj.prefix) if part)

    # --- permissions and saving ---

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load what names a mapping."""
        return (
            super().get_queryset(request).select_related("group", "role__account").prefetch_related("buckets__account")
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for what has ended."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_open)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Say in which zone the end is."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "expires_at":
            field.help_text = zone_help("Empty means no end.")
        return field

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> GroupRole:
        """Change the narrowing through the operation, from the row as the database has it."""
        data = form.cleaned_data
        return change_mapping(
            actor=request.user,
            mapping=GroupRole.objects.get(pk=obj.pk),
            access=data["access"],
            prefix=data["prefix"],
            buckets=tuple(data["buckets"]),
            expires_at=data["expires_at"],
            reason=data["reason"],
        )

    # --- pages ---

    def get_urls(self) -> list[URLPattern]:
        """Add the pages about one mapping."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:object_id>/remove/", wrap(self.remove_view), name="roles_grouprole_remove"),
            path("<int:object_id>/state/", wrap(self.state_view), name="roles_grouprole_state"),
            path("<int:object_id>/cut-off/", wrap(self.cut_off_view), name="roles_grouprole_cut_off"),
        ]
        return [*own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Map a role: form, plan, confirmation."""
        return map_role.view(self, request, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add state, people, steps and reach."""
        mapping = self.get_object(request, object_id)
        extra = self.sections(request, mapping) if mapping is not None else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})
        return response

    def sections(self, request: HttpRequest, mapping: GroupRole) -> dict[str, Any]:
        """Return what the page shows besides the form."""
        run = queries.newest_run(mapping)
        return {
            "mapping": mapping,
            "run": run,
            "people": queries.affected_people(mapping.group),
            "reach": access.group_reach([mapping]) if mapping.is_open else [],
            "runs": queries.recent_runs(role=mapping.role)[:10],
            "may_change": self.has_change_permission(request, mapping),
            "may_cut_off": can(request.user, Rule.CUT_OFF),
            "unsettled": mapping.state in UNSETTLED,
            "seen": _seen(mapping, run),
        }

    def state_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Return the state alone: it asks for itself again until it is settled. 204 to who has seen it already."""
        mapping = self.row_or_404(request, object_id)
        run = queries.newest_run(mapping)
        seen = _seen(mapping, run)
        if request.GET.get("seen") == seen:
            return HttpResponse(status=204)
        part = self.page(
            request,
            "admin/includes/mapping_state.html",
            title="",
            mapping=mapping,
            run=run,
            seen=seen,
            unsettled=mapping.state in UNSETTLED,
        )
        return settled(part, when=mapping.state not in UNSETTLED)

    def cut_off_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask before everybody's credentials of the mapping are cut off; one that has ended may have some too."""
        mapping = self.row_or_404(request, object_id)
        return cut_offs.view(self, request, Whose(mapping=mapping), back=change_url(mapping))

    def remove_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan and the people; remove on POST."""
        mapping = self.row_or_404(request, object_id, change=True)
        people = queries.affected_people(mapping.group)
        count = len(people)

        def done(_ended: GroupRole) -> HttpResponse:
            messages.success(request, f"{mapping.role} is removed from {mapping.group}. AWS is being changed now.")
            return redirect(change_url(mapping))

        return self.ask(
            request,
            lambda: unmap_role(actor=request.user, mapping=mapping, reason=request.POST.get("reason", "").strip()),
            done=done,
            title=f"Remove {mapping.role} from {mapping.group}?",
            effects=[
                f"Members of {mapping.group} can no longer get credentials through {mapping.role}; "
                "their cached tokens are removed at once.",
                "Credentials that were handed out already work until they expire, at most one hour.",
                "The portal takes its own statements out of AWS unless another mapping needs them. "
                "Statements of others stay.",
            ],
            people=people,
            button=f"Remove access for {count} {'person' if count == 1 else 'people'}",
            back=change_url(mapping),
        )

    def effects_of_saving(self, row: GroupRole) -> list[str]:
        """Say that only tokens know of a narrowing."""
        return [
            "AWS is not changed: what a mapping narrows is in the tokens alone. "
            "Tokens for the old narrowing are removed at once; credentials that were handed out already work until "
            "they expire, at most one hour."
        ]

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the mapping's page, where the steps can be watched."""
        messages.success(request, f"{obj} was changed.")
        return redirect(reverse("admin:roles_grouprole_change", args=[obj.pk]))


def _seen(mapping: GroupRole, run: ProvisioningRun | None) -> str:
    return seen_of(mapping.state, mapping.provisioned_at, mapping.ended_at, run and run.progress)
