"""Read the history: events and runs, newest first, filtered, a page at a time, in a constant number of queries.

Pages are cut by key, not by number: "the 50 before event 1234" costs the same on the first page and on the thousandth,
and does not shift while new events arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Count, Model, OuterRef, Prefetch, Q, QuerySet, Subquery

from roles.errors import NotFound
from roles.models import AuditEvent, IssuedToken, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import StepAction
from roles.permissions import Rule, can, visible_to

PAGE_ROWS = 50
_M = TypeVar("_M", bound=Model)

# Documents are large; lists do not show them.
_STEP_LIST_FIELDS = ("id", "run_id", "attempt", "sequence", "step", "title", "resource", "action", "status")


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """What to look for. Empty means "all"; times are aware, `since` inclusive and `until` exclusive.

    `actor` and `group` are names, ignoring case; who did something is also found by what AWS calls their sessions.
    `account` an account id; `resource` any part of an ARN or name; `code` an event code or the beginning of one up to a
    dot (`mapping`, `token.issued`); `outcome` a value of `Outcome` for events and of `RunStatus` for runs; `request` a
    request id.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    group: str = ""
    account: str = ""
    resource: str = ""
    outcome: str = ""
    code: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[_M]):
    """Rows, newest first. `older` and `newer` are the keys to go on with, or None at that end."""

    rows: tuple[_M, ...]
    older: int | None
    newer: int | None


def events(
    user: User, wanted: HistoryFilter, *, before: int | None = None, after: int | None = None, limit: int = PAGE_ROWS
) -> Page[AuditEvent]:
    """Return a page of the events that `user` may see: those before an id, after an id, or the newest."""
    rows = visible_to(user, AuditEvent).filter(_event_conditions(wanted))
    return _page(rows, before=before, after=after, limit=limit)


def event(user: User, event_id: int) -> AuditEvent:
    """Return one event, or raise `NotFound`."""
    found = visible_to(user, AuditEvent).filter(pk=event_id).first()
    if found is None:
        raise NotFound(f"There is no event {event_id} that you may see.", hint="Look for it in the history.")
    return found


def runs(
    user: User, wanted: HistoryFilter, *, before: int | None = None, after: int | None = None, limit: int = PAGE_ROWS
) -> Page[ProvisioningRun]:
    """Return a page of the runs that `user` may see, each with the steps of its newest attempt in `newest_steps`."""
    newest = ProvisioningStep.objects.filter(run=OuterRef("run")).order_by("-attempt").values("attempt")[:1]
    steps = ProvisioningStep.objects.filter(attempt=Subquery(newest)).only(*_STEP_LIST_FIELDS).order_by("sequence")
    rows = (
        _visible_runs(user)
        .filter(_run_conditions(wanted))
        .select_related("role__account", "mapping__group")
        .annotate(changes=Count("steps", filter=~Q(steps__action__in=(StepAction.NONE, StepAction.VERIFY))))
        .prefetch_related(Prefetch("steps", queryset=steps, to_attr="newest_steps"))
    )
    return _page(rows, before=before, after=after, limit=limit)


def run(user: User, run_id: int) -> ProvisioningRun:
    """Return one run with its role, account and group, or raise `NotFound`, also for one that is not theirs to see."""
    found = _visible_runs(user).filter(pk=run_id).select_related("role__account", "mapping__group").first()
    if found is None:
        raise NotFound(f"There is no run {run_id} that you may see.", hint="Look for it in the history.")
    return found


def newer_run(run: ProvisioningRun) -> ProvisioningRun | None:
    """Return the newest run of the same role that brings AWS in line, or None when this one is."""
    return ProvisioningRun.objects.reconciling().filter(role=run.role_id, pk__gt=run.pk).order_by("-pk").first()


def runs_of_request(user: User, request_id: str) -> tuple[ProvisioningRun, ...]:
    """Return the runs that were asked for in one request: what an event set going."""
    rows = _visible_runs(user).filter(request_id=request_id).select_related("role__account")
    return tuple(rows.order_by("id")[:PAGE_ROWS])


def steps_of(run: ProvisioningRun, attempt: int | None = None) -> tuple[ProvisioningStep, ...]:
    """Return the steps of one attempt in order, with their documents; of the newest attempt by default."""
    rows = ProvisioningStep.objects.filter(run=run)
    if attempt is None:
        newest = rows.order_by("-attempt").values("attempt")[:1]
        return tuple(rows.filter(attempt=Subquery(newest)).order_by("sequence"))
    return tuple(rows.filter(attempt=attempt).order_by("sequence"))


def attempts_of(run: ProvisioningRun) -> tuple[int, ...]:
    """Return the numbers of the attempts that recorded a step."""
    numbers = ProvisioningStep.objects.filter(run=run).order_by("attempt").values_list("attempt", flat=True)
    return tuple(numbers.distinct())


def may_see_runs(user: Any) -> bool:
    """Return whether runs are theirs to see: those who read the history, and those who map roles."""
    return can(user, Rule.VIEW_HISTORY) or can(user, Rule.MAP_ROLES)


def _visible_runs(user: User) -> QuerySet[ProvisioningRun]:
    rows = ProvisioningRun.objects.all()
    return rows if may_see_runs(user) else rows.none()


def _event_conditions(wanted: HistoryFilter) -> Q:
    conditions = _between("occurred_at", wanted)
    if wanted.code:
        conditions &= Q(code=wanted.code) | Q(code__startswith=f"{wanted.code.rstrip('.')}.")
    if wanted.resource:
        conditions &= Q(resource__icontains=wanted.resource) | Q(subject_name__icontains=wanted.resource)
    if wanted.actor:
        # What AWS calls somebody, as it stands in CloudTrail, is not always their name here.
        known_as = IssuedToken.objects.filter(session_name=wanted.actor).values("user__username")
        conditions &= Q(actor_name__iexact=wanted.actor) | Q(actor_name__in=known_as)
    exact = {
        "group_name__iexact": wanted.group,
        "account_id": wanted.account,
        "outcome": wanted.outcome,
        "request_id": wanted.request,
    }
    return conditions & Q(**{name: value for name, value in exact.items() if value})


def _run_conditions(wanted: HistoryFilter) -> Q:
    conditions = _between("queued_at", wanted)
    if wanted.code:
        conditions &= Q(trigger=wanted.code) | Q(trigger__startswith=f"{wanted.code.rstrip('.')}.")
    if wanted.account:
        in_steps = ProvisioningStep.objects.filter(account_id=wanted.account).values("run_id")
        conditions &= Q(role__account__account_id=wanted.account) | Q(pk__in=in_steps)
    if wanted.resource:
        in_steps = ProvisioningStep.objects.filter(resource__icontains=wanted.resource).values("run_id")
        conditions &= Q(role__name__icontains=wanted.resource) | Q(pk__in=in_steps)
    exact = {
        "requested_by_name__iexact": wanted.actor,
        "mapping__group__name__iexact": wanted.group,
        "status": wanted.outcome,
        "request_id": wanted.request,
    }
    return conditions & Q(**{name: value for name, value in exact.items() if value})


def _between(field: str, wanted: HistoryFilter) -> Q:
    conditions = Q()
    if wanted.since:
        conditions &= Q(**{f"{field}__gte": wanted.since})
    if wanted.until:
        conditions &= Q(**{f"{field}__lt": wanted.until})
    return conditions


def _page(rows: QuerySet[_M], *, before: int | None, after: int | None, limit: int) -> Page[_M]:
    """Cut one page. One row more than asked for tells whether there is more in that direction."""
    if after is not None:
        found: Sequence[_M] = list(rows.filter(pk__gt=after).order_by("pk")[: limit + 1])
        more, found = len(found) > limit, found[:limit][::-1]
        return Page(tuple(found), found[-1].pk if found else None, found[0].pk if more else None)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    return Page(tuple(found), found[-1].pk if more else None, found[0].pk if found and before is not None else None)
