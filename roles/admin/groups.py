"""User groups: the page where admins live. Members, mapped roles, what the group can reach, and recent runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextInputWidget

from roles.admin import disabling, map_role, queries
from roles.admin.base import PortalModelAdmin, badge, change_url, seen_of, settled
from roles.admin.fields import AutocompleteField
from roles.errors import PortalError
from roles.models import GroupRole, IssuedToken, Membership, ProvisioningRun, User, UserGroup
from roles.models.choices import MappingState
from roles.operations.add_member import add_member
from roles.operations.end_group import end_group
from roles.operations.remove_member import remove_member
from roles.operations.save_group import save_group
from roles.permissions import Rule, can
from roles.provisioning import access

MEMBERS_SHOWN = 100
BUCKETS_NAMED = 3


class MemberForm(forms.Form):
    """Who is to be added, and why."""

    user = AutocompleteField(
        Membership, "user", queryset=User.objects.filter(is_active=True), placeholder="Choose a person"
    )
    reason = forms.CharField(
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Reason, e.g. ticket OPS-12", "aria-label": "Reason"}),
    )


@admin.register(UserGroup)
class UserGroupAdmin(PortalModelAdmin):
    """Groups with their members and mapped roles."""

    list_display = (
        "name",
        disabling.display_disabled,
        "display_members",
        "display_mappings",
        "display_attention",
        "description",
    )
    list_filter = (disabling.DisabledFilter,)
    search_fields = ("name", "description")
    fields = ("name", "description")
    empty_hint = "A user group holds people who share access."
    change_form_template = "admin/roles/usergroup/change_form.html"

    @admin.display(description="Members", ordering="member_count")
    def display_members(self, obj: Any) -> int:
        """Show how many people are in it."""
        count: int = obj.member_count
        return count

    @admin.display(description="Mapped roles", ordering="mapping_count")
    def display_mappings(self, obj: Any) -> int:
        """Show how many roles are mapped."""
        count: int = obj.mapping_count
        return count

    @admin.display(description="Attention", ordering="attention_count")
    def display_attention(self, obj: Any) -> str:
        """Show whether something is wrong."""
        count: int = obj.attention_count
        return badge("failed", f"{count} in trouble") if count else "–"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Count with the list, in one query; Django would order before there is anything counted."""
        return queries.with_group_counts(UserGroup.objects.all()).order_by(*self.get_ordering(request))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Put what needs attention on top."""
        return ("-attention_count", "name")

    def get_urls(self) -> list[URLPattern]:
        """Add the pages about members and mapped roles."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:object_id>/members/add/", wrap(self.add_member_view), name="roles_usergroup_add_member"),
            path(
                "<int:object_id>/members/<int:membership_id>/remove/",
                wrap(self.remove_member_view),
                name="roles_usergroup_remove_member",
            ),
            path("<int:object_id>/end/", wrap(self.end_view), name="roles_usergroup_end"),
            path("<int:object_id>/disable/", wrap(self.disable_view), name="roles_usergroup_disable"),
            path("<int:object_id>/enable/", wrap(self.enable_view), name="roles_usergroup_enable"),
            path("<int:object_id>/map-a-role/", wrap(self.map_role_view), name="roles_usergroup_map_role"),
            path("<int:object_id>/mapped-roles/", wrap(self.mapped_roles_view), name="roles_usergroup_mapped_roles"),
        ]
        return [*own, *super().get_urls()]

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> UserGroup:
        """Save through the operation."""
        return save_group(actor=request.user, group=obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add members, mapped roles, reach and runs."""
        group = self.get_object(request, object_id)
        extra = self.sections(request, group) if group is not None else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})
        return response

    def sections(self, request: HttpRequest, group: UserGroup) -> dict[str, Any]:
        """Return what the page shows besides the form. A constant number of queries."""
        mappings = queries.open_mappings(group)
        members = list(queries.open_members(group)[: MEMBERS_SHOWN + 1])
        runs = list(queries.recent_runs(group=group)[:10])
        live_run = next((run for run in runs if not run.is_final), None)
        reach = access.group_reach(mappings)
        return {
            "group": group,
            "mappings": mappings,
            "seen": _seen(mappings, live_run),
            "summary": summary(len(members), mappings, reach),
            "members": members[:MEMBERS_SHOWN],
            "more_members": len(members) > MEMBERS_SHOWN,
            "reach": reach,
            "runs": runs,
            "live_run": live_run,
            "may_change": self.has_change_permission(request, group),
            "may_map": request.user.has_perm("roles.change_grouprole"),
            "may_end": bool(mappings or members)
            and can(request.user, Rule.MANAGE_GROUPS)
            and can(request.user, Rule.MAP_ROLES),
            "member_form": MemberForm(),
            "disabling": disabling.section(request, group),
        }

    def mapped_roles_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Return the table of mapped roles alone: it asks for itself again while a run is under way.

        Answers "nothing new" (204) to who has seen it already, so that nothing moves under the reader.
        """
        group = self.row_or_404(request, object_id)
        mappings = queries.open_mappings(group)
        run = queries.recent_runs(group=group).unfinished().first()
        seen = _seen(mappings, run)
        if request.GET.get("seen") == seen:
            return HttpResponse(status=204)
        part = self.page(
            request,
            "admin/includes/mapped_roles.html",
            title="",
            group=group,
            mappings=mappings,
            live_run=run,
            seen=seen,
            may_map=request.user.has_perm("roles.change_grouprole"),
        )
        return settled(part, when=run is None)

    def add_member_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Add a member; an error shows the page again with what was chosen."""
        group = self.row_or_404(request, object_id, change=True)
        return require_POST(self._add_member)(request, group)

    def _add_member(self, request: HttpRequest, group: UserGroup) -> HttpResponse:
        form = MemberForm(request.POST)
        if form.is_valid():
            user = form.cleaned_data["user"]
            try:
                add_member(actor=request.user, group=group, user=user, reason=form.cleaned_data["reason"])
            except PortalError as error:
                self.tell_refusal(request, error)
            else:
                messages.success(request, f"{user} is now a member of {group}.")
        else:
            messages.error(request, "Choose a user to add.")
        return redirect(change_url(group))

    def remove_member_view(self, request: HttpRequest, object_id: int, membership_id: int) -> HttpResponse:
        """Ask once, naming the effect; remove on POST."""
        group = self.row_or_404(request, object_id, change=True)
        membership = queries.membership_or_404(group, membership_id)
        reason = request.POST.get("reason", "").strip()

        def done(_ended: Membership) -> HttpResponse:
            messages.success(request, f"{membership.user} is no longer a member of {group}.")
            if request.POST.get("also") == "cut-off":
                return redirect(f"{change_url(membership.user, 'cut_off')}?group={group.pk}")
            return redirect(change_url(group))

        return self.ask(
            request,
            lambda: remove_member(actor=request.user, group=group, user=membership.user, reason=reason),
            done=done,
            title=f"Remove {membership.user} from {group}?",
            effects=self._effects_of_removal(group, membership),
            people=[membership.user],
            button=f"Remove {membership.user} from {group}",
            also=self._offer_of_cut_off(request, group, membership),
            back=change_url(group),
        )

    def end_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan and the people; end all that the group gives on POST."""
        group = self.row_or_404(request, object_id, change=True)
        if not can(request.user, Rule.MAP_ROLES):
            raise PermissionDenied
        people = queries.affected_people(group)
        count = len(people)

        def done(_ended: UserGroup) -> HttpResponse:
            messages.success(request, f"All that {group} gave has ended. AWS is being brought in line.")
            return redirect(change_url(group))

        return self.ask(
            request,
            lambda: end_group(actor=request.user, group=group, reason=request.POST.get("reason", "").strip()),
            done=done,
            title=f"End {group}?",
            effects=[
                f"All memberships of {group} and all its mapped roles end.",
                "Cached tokens for this group are removed at once. "
                "Credentials that were handed out already work until they expire, at most one hour.",
                "The group itself stays in the list, empty: the history names it.",
            ],
            people=people,
            button=f"End access of {count} {'person' if count == 1 else 'people'}" if count else f"End {group}",
            back=change_url(group),
        )

    def disable_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Disable the group for a time."""
        return disabling.disable_view(self, request, object_id)

    def enable_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Enable the group again."""
        return disabling.enable_view(self, request, object_id)

    def _offer_of_cut_off(self, request: HttpRequest, group: UserGroup, membership: Membership) -> str:
        """Return the words of the second button, or nothing: who may not, or where there is nothing to cut off."""
        held = IssuedToken.objects.live().filter(user=membership.user, mapping__group=group)
        return "Remove, then cut off credentials…" if can(request.user, Rule.CUT_OFF) and held.exists() else ""

    def _effects_of_removal(self, group: UserGroup, membership: Membership) -> list[str]:
        reach = access.group_reach(queries.open_mappings(group))
        given = [item for item in reach if not item.disabled]
        places = sorted({f"{item.bucket.name}/{item.prefix}" if item.prefix else item.bucket.name for item in given})
        nothing = "it is disabled" if reach else "nothing is mapped"
        loses = f"loses access to {', '.join(places)}" if places else f"loses nothing at this moment: {nothing}"
        return [
            f"{membership.user} {loses}, unless another group gives the same.",
            "Cached tokens for this group are removed at once. "
            "Credentials that were handed out already work until they expire, at most one hour.",
            "AWS is not changed.",
        ]

    def map_role_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Map a role to this group: form, plan, confirmation."""
        group = self.row_or_404(request, object_id)
        return map_role.view(self, request, group)


def summary(members: int, mappings: Sequence[GroupRole], reach: Sequence[access.Reach]) -> str:
    """Say in one sentence what the group gives to whom, or what is missing before it gives anything."""
    if not mappings:
        return "No role is mapped to this group, so nobody reaches anything through it."
    if not reach:
        return "The mapped roles reach no bucket yet: grant their target roles one."
    given = [item for item in reach if not item.disabled]
    if not given:
        return f"{reach[0].disabled} Meanwhile nobody reaches anything through this group."
    buckets = sorted({item.bucket.name for item in given})
    named = ", ".join(buckets) if len(buckets) <= BUCKETS_NAMED else f"{len(buckets)} buckets"
    if not members:
        return f"Nobody is in this group yet. Its members would reach {named}."
    more = "Over " if members > MEMBERS_SHOWN else ""
    count = min(members, MEMBERS_SHOWN)
    in_sync = all(mapping.state == MappingState.IN_SYNC for mapping in mappings)
    verb = ("reaches" if count == 1 else "reach") if in_sync else "will reach"
    later = "" if in_sync else " once every mapped role is in sync"
    return f"{more}{count} {'person' if count == 1 else 'people'} {verb} {named}{later}."


def _seen(mappings: Sequence[GroupRole], run: ProvisioningRun | None) -> str:
    return seen_of(run and run.pk, *((row.pk, row.state, row.expires_at, row.provisioned_at) for row in mappings))
