"""Cut off credentials that were handed out: the page that asks, and the list of what is cut off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import date
from django.urls import URLPattern, path
from django.utils import timezone

from roles.admin import confirming
from roles.admin.base import PortalModelAdmin, ReadOnlyModelAdmin, badge, change_url, link_to, moment
from roles.admin.intervals import OpenFilter
from roles.errors import AwsError, PortalError, StalePlan, text_of
from roles.models import CutOff, ProvisioningRun, User
from roles.operations.cut_off import Cutting, Whose, check_cut_off, cut_off, digest_of
from roles.operations.lift_cut_offs import lift_cut_off
from roles.permissions import Rule, can
from roles.provisioning import preview
from roles.provisioning.plan_page import PlanPage, plan_page
from roles.values.accounts import AccessMode

EVERYBODY = "I know that this hits everybody who uses the role now, also those who do not come through the portal."


def view(model_admin: PortalModelAdmin, request: HttpRequest, whose: Whose, *, back: str) -> HttpResponse:
    """Ask once, with the plan and the people; cut off on POST, and go to the run."""
    if not can(request.user, Rule.CUT_OFF):
        raise PermissionDenied
    seen = request.POST.get("expected_plan", "").strip()
    if not seen:
        return _ask(model_admin, request, whose, back, stale=confirming.UNSEEN if request.method == "POST" else "")
    try:
        _, runs = cut_off(
            actor=request.user,
            whose=whose,
            reason=request.POST.get("reason", "").strip(),
            hits_everybody=request.POST.get("hits_everybody") == "on",
            expected_plan=seen,
        )
    except StalePlan as error:
        return _ask(model_admin, request, whose, back, stale=text_of(error))
    except PortalError as error:
        model_admin.tell_refusal(request, error)
        return redirect(back)
    messages.success(request, f"The credentials of {whose.subject} are being cut off now.")
    return redirect("run", runs[0].pk)


def _ask(
    model_admin: PortalModelAdmin, request: HttpRequest, whose: Whose, back: str, *, stale: str = ""
) -> HttpResponse:
    try:
        found = check_cut_off(actor=request.user, whose=whose)
    except PortalError as error:
        model_admin.tell_refusal(request, error)
        return redirect(back)
    plan, problem = _plan(found, whose)
    people = list(dict.fromkeys(person for one in found for person in one.people))
    hits_everybody = any(not one.names for one in found)
    return model_admin.page(
        request,
        "admin/confirm.html",
        title=f"Cut off the credentials of {whose.subject}?",
        status=409 if stale else 200,
        stale=stale,
        effects=_effects(found, whose),
        people=people,
        plan=plan,
        problem=problem,
        hidden=[("expected_plan", digest_of(found))],
        shows_plan=True,
        agree=EVERYBODY if hits_everybody else "",
        button="Cut off everybody" if hits_everybody else f"Cut off {_count(people)}",
        back=back,
        asks_reason=True,
        reason=request.POST.get("reason", ""),
    )


def _effects(found: list[Cutting], whose: Whose) -> list[str]:
    effects = [f"{_who(one)}: AWS refuses every call with credentials for it issued before now." for one in found]
    if whose.role is None:
        effects.append(
            "Nobody else is hit. What these people were given for the same roles through other mappings is cut off too."
        )
    effects.append(
        "Access is not taken away: who still has it gets new credentials, which work. Take the access away first "
        "where that is meant."
    )
    last = date(timezone.localtime(max(one.lifts_at for one in found)), "j M Y H:i T")
    effects.append(f"It is lifted by itself by {last}, when the last of these credentials has expired.")
    owners = sorted({one.target.account.name for one in found if one.target.account.access_mode == AccessMode.HANDOFF})
    if owners:
        effects.append(f"The portal may not write to {', '.join(owners)}: it hits only once the owner applied it.")
    return effects


def _who(one: Cutting) -> str:
    names = ", ".join(str(person) for person in one.people) if one.names else "Everybody"
    return f"{names} at {one.target}"


def _plan(found: list[Cutting], whose: Whose) -> tuple[PlanPage | None, str]:
    """Return the plan, or why there is none; what is compared on confirming are the people, not the moment."""
    now = timezone.now()
    try:
        page = plan_page(*preview.plans_if_cut_off(*(one.row(whose, now) for one in found)))
    except AwsError as error:
        return None, text_of(error)
    return replace(page, digest=digest_of(found)), ""


def _count(people: list[User]) -> str:
    return f"{len(people)} {'person' if len(people) == 1 else 'people'}"


@admin.register(CutOff)
class CutOffAdmin(ReadOnlyModelAdmin):
    """What is cut off now, and what was."""

    list_display = (
        "display_whom",
        "display_target",
        moment("cut_before", "Issued before"),
        moment("lifts_at", "Lifted by itself"),
        "started_by",
        "display_state",
    )
    list_filter = (OpenFilter,)
    list_select_related = ("target__account", "started_by")
    search_fields = ("user__username", "target__name", "target__account__account_id")
    fields = (
        "display_whom",
        "display_target",
        "cut_before",
        "lifts_at",
        "started_at",
        "started_by",
        "ended_at",
        "ended_by",
        "reason",
    )
    readonly_fields = ("display_whom", "display_target")
    change_form_template = "admin/roles/cutoff/change_form.html"

    @admin.display(description="Whom")
    def display_whom(self, obj: CutOff) -> str:
        """Name the people by their sessions' names."""
        return obj.whom[:200]

    @admin.display(description="Target role", ordering="target__name")
    def display_target(self, obj: CutOff) -> str:
        """Link to the role."""
        return link_to(obj.target)

    @admin.display(description="State")
    def display_state(self, obj: CutOff) -> str:
        """Say whether it is in force."""
        return badge("waiting", "In force") if obj.is_open else badge("removed", "Lifted")

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks before it is lifted."""
        lift = path("<int:object_id>/lift/", self.admin_site.admin_view(self.lift_view), name="roles_cutoff_lift")
        return [lift, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer to lift it before its time."""
        row = self.get_object(request, object_id)
        may_lift = row is not None and row.is_open and can(request.user, Rule.CUT_OFF)
        extra = {"may_lift": may_lift, **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return response

    def lift_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan; lift on POST, and go to the run."""
        row = self.row_or_404(request, object_id)
        if not can(request.user, Rule.CUT_OFF):
            raise PermissionDenied
        reason = request.POST.get("reason", "").strip()

        def done(lifted: tuple[CutOff, ProvisioningRun]) -> HttpResponse:
            messages.success(request, "The cut-off is being lifted now.")
            return redirect("run", lifted[1].pk)

        return self.ask(
            request,
            lambda: lift_cut_off(actor=request.user, cut_off=row, reason=reason),
            done=done,
            title="Lift this cut-off before its time?",
            subject=str(row),
            effects=["Credentials that it hits and that have not expired work again."],
            people=[row.user] if row.user else [],
            button="Lift it",
            back=change_url(row),
        )
