"""Disable a user group or an account for a time, and enable it again: the pages that ask, and how lists show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from roles.admin import queries
from roles.admin.base import PortalModelAdmin, badge, change_url
from roles.models import AwsAccount, GroupRole, IssuedToken, Suspension, User, UserGroup
from roles.operations.disable_account import disable_account
from roles.operations.disable_group import disable_group
from roles.operations.enable_account import enable_account
from roles.operations.enable_group import enable_group
from roles.permissions import Rule, can
from roles.provisioning import access

Subject = UserGroup | AwsAccount
CUT_OFFS_OFFERED = 20
PLACES_NAMED = 5
_RULES = {UserGroup: Rule.MANAGE_GROUPS, AwsAccount: Rule.MANAGE_ACCOUNTS}
_NOT_SAID_YET = "Not said yet."  # for the plan; the page does not let anybody send none


class DisabledFilter(admin.SimpleListFilter):
    """All rows unless asked for the disabled or the enabled ones."""

    title = "disabled"
    parameter_name = "disabled"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Name the choices."""
        return [("yes", "Disabled"), ("no", "Enabled")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Cut the list, which says of each row why it is disabled."""
        if self.value() in ("yes", "no"):
            return queryset.filter(why_disabled__isnull=self.value() == "no")
        return queryset


@admin.display(description="State", ordering="why_disabled")
def display_disabled(row: Any) -> str:
    """Show whether the row of a list is disabled."""
    return badge("disabled") if row.why_disabled else "Enabled"


@dataclass(frozen=True, slots=True)
class Disabling:
    """What a page shows of it: the open suspension, if any, and the mappings whose held credentials may be cut off."""

    suspension: Suspension | None
    may_change: bool
    held: Sequence[GroupRole]
    disable_url: str
    enable_url: str

    @property
    def may_disable(self) -> bool:
        """Whether to offer it: to who may, while it is not disabled."""
        return self.may_change and self.suspension is None


def section(request: HttpRequest, row: Subject) -> Disabling:
    """Return what the page of `row` shows."""
    found = Suspension.objects.open().filter(**_of(row)).select_related("group", "account", "started_by").first()
    held: list[GroupRole] = []
    if found is not None and can(request.user, Rule.CUT_OFF):
        live = IssuedToken.objects.live().filter(mapping__in=_mappings(row)).values("mapping")
        rows = GroupRole.objects.filter(pk__in=live).select_related("group", "role__account")
        held = list(rows.order_by("pk")[:CUT_OFFS_OFFERED])
    return Disabling(found, _may(request, row), held, change_url(row, "disable"), change_url(row, "enable"))


def disable_view(model_admin: PortalModelAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """Ask once, with who loses what and for the reason; disable on POST."""
    row: Subject = _row(model_admin, request, object_id)
    people = _people(row)
    is_sent = request.method == "POST"
    reason = request.POST.get("reason", "").strip() if is_sent else _NOT_SAID_YET

    def done(_begun: Suspension) -> HttpResponse:
        messages.success(request, f"{row} is disabled.")
        return redirect(change_url(row))

    return model_admin.ask(
        request,
        lambda: _disable(row, request.user, reason),
        done=done,
        title=f"Disable {row}?",
        effects=_effects(row),
        people=people,
        button=f"Disable {row}: {_count(people)}",
        back=change_url(row),
        needs_reason=True,
        example="Ticket OPS-12: paused for the audit",
    )


def enable_view(model_admin: PortalModelAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """Ask once, with who gains what; enable on POST."""
    row: Subject = _row(model_admin, request, object_id)

    def done(_ended: Suspension) -> HttpResponse:
        messages.success(request, f"{row} is enabled.")
        return redirect(change_url(row))

    return model_admin.ask(
        request,
        lambda: _enable(row, request.user, request.POST.get("reason", "").strip()),
        done=done,
        title=f"Enable {row}?",
        effects=[
            "Who is entitled gets credentials again at once, also with tools that were signed in before.",
            "AWS is not changed: its policies were left as they are.",
        ],
        is_constructive=True,
        button=f"Enable {row}",
        back=change_url(row),
        example="Ticket OPS-12: the audit is over",
    )


def _row(model_admin: PortalModelAdmin, request: HttpRequest, object_id: int) -> Any:
    row = model_admin.row_or_404(request, object_id, change=True)
    if not _may(request, row):
        raise PermissionDenied
    return row


def _may(request: HttpRequest, row: Subject) -> bool:
    return can(request.user, _RULES[type(row)]) and can(request.user, Rule.MAP_ROLES)


def _disable(row: Subject, actor: Any, reason: str) -> Suspension:
    if isinstance(row, UserGroup):
        return disable_group(actor=actor, group=row, reason=reason)
    return disable_account(actor=actor, account=row, reason=reason)


def _enable(row: Subject, actor: Any, reason: str) -> Suspension:
    if isinstance(row, UserGroup):
        return enable_group(actor=actor, group=row, reason=reason)
    return enable_account(actor=actor, account=row, reason=reason)


def _of(row: Subject) -> dict[str, Any]:
    return {"group": row} if isinstance(row, UserGroup) else {"account": row}


def _mappings(row: Subject) -> Any:
    """Return the mappings of the group, or those whose way leads through the account."""
    if isinstance(row, UserGroup):
        return GroupRole.objects.filter(group=row)
    return GroupRole.objects.filter(role__in=access.sources_through([row.pk]))


def _people(row: Subject) -> list[User]:
    if isinstance(row, UserGroup):
        return queries.affected_people(row)
    return queries.people_reaching(list(access.sources_through([row.pk]).values_list("pk", flat=True)))


def _effects(row: Subject) -> list[str]:
    rows = _mappings(row).in_force().select_related("group", "role__account")
    through = list(rows.prefetch_related("buckets__account"))
    places = _named([reach.bucket.name for reach in access.group_reach(through) if _is_about(row, reach)])
    what = f"{places} through {row}" if places else f"anything through {row}; at this moment it leads nowhere"
    if isinstance(row, UserGroup):
        roles = _named([str(one.role) for one in through])
        stays = f"Its members and its mapped roles ({roles or 'none'}) stay as they are"
        goes_on = "What other groups give goes on."
    else:
        groups = _named([one.group.name for one in through])
        stays = f"The mappings that lead through it, of {groups or 'no group'}, stay as they are"
        goes_on = "What they give elsewhere goes on."
    return [
        f"Nobody gets credentials for {what}, until it is enabled again.",
        f"{stays} and give nothing of that meanwhile. {goes_on}",
        "Cached tokens are removed at once. Credentials that were handed out already work until they expire, at most "
        "one hour; afterwards the page offers to cut them off.",
        "AWS is not changed: its policies stay as they are, so that this is quick to take back.",
        "The reason is shown to the people whose access it stops.",
    ]


def _is_about(row: Subject, reach: access.Reach) -> bool:
    accounts = (reach.source.account_id, reach.target.account_id, reach.bucket.account_id)
    return isinstance(row, UserGroup) or row.pk in accounts


def _named(names: Sequence[str]) -> str:
    found = sorted(set(names))
    more = len(found) - PLACES_NAMED
    return ", ".join(found[:PLACES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(people: Sequence[User]) -> str:
    return f"{len(people)} {'person is' if len(people) == 1 else 'people are'} concerned"
