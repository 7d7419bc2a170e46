"""The history for auditors and admins: events, runs, and one event in full."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from roles.errors import NotPermitted
from roles.history import queries
from roles.history.reach import who_could_reach
from roles.models import Bucket, User
from roles.permissions import PERMISSION_OF, Rule, can
from roles.portal.forms import HistoryForm, ReachForm
from roles.portal.page import show, signed_in

_CURSORS = ("before", "after")
MAX_KEY = 2**63 - 1
OFFERED_BUCKETS = 200  # names to choose from while typing
SHOWN_PEOPLE = 200  # of one way


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """List events, newest first."""
    user = signed_in(request)
    _require_reader(user)
    form = HistoryForm(request.GET)
    page = queries.events(user, form.wanted(), **_cursor(request))
    return show(request, "portal/history.html", _listing(request, form, page, "events"), title="History")


@require_safe
def history_runs(request: HttpRequest) -> HttpResponse:
    """List runs with their steps, newest first."""
    user = signed_in(request)
    _require_reader(user)
    form = HistoryForm(request.GET, of_runs=True)
    page = queries.runs(user, form.wanted(), **_cursor(request))
    return show(request, "portal/history_runs.html", _listing(request, form, page, "runs"), title="History")


@require_safe
def access(request: HttpRequest) -> HttpResponse:
    """Say who could reach a bucket, or what a person could reach, on a day; who allowed it, and which run set it up."""
    user = signed_in(request)
    _require_reader(user)
    is_asked = bool(request.GET)
    today = {"day": timezone.localdate()}
    form = ReachForm({**today, **request.GET.dict()}) if is_asked else ReachForm(initial=today)
    wanted = form.wanted() if is_asked else None
    shown = {
        "form": form,
        "view": "access",
        "wanted": wanted,
        "reach": who_could_reach(user, wanted) if wanted else None,
        "buckets": _offered_buckets(),
        "shown_people": SHOWN_PEOPLE,
    }
    return show(request, "portal/reach.html", shown, title="Who had access")


@require_safe
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    """Show one event in full, and the runs it set going."""
    user = signed_in(request)
    found = queries.event(user, event_id)
    shown = {"event": found, "runs": queries.runs_of_request(user, found.request_id)}
    return show(request, "portal/event.html", shown, title=f"Event {found.pk}: {found.code}")


def _offered_buckets() -> QuerySet[Bucket, str]:
    return Bucket.objects.values_list("name", flat=True)[:OFFERED_BUCKETS]


def _require_reader(user: User) -> None:
    if not can(user, Rule.VIEW_HISTORY):
        raise NotPermitted(
            "The history is for auditors and portal admins.",
            rule=Rule.VIEW_HISTORY.value,
            hint=f"If you need it, ask a portal admin for the permission '{PERMISSION_OF[Rule.VIEW_HISTORY]}'.",
        )


def _cursor(request: HttpRequest) -> dict[str, int]:
    """Return where to go on, from `?before=` or `?after=`; a number that is not one starts at the newest."""
    for name in _CURSORS:
        text = request.GET.get(name, "")
        if text.isascii() and text.isdigit() and int(text) <= MAX_KEY:
            return {name: int(text)}
    return {}


def _listing(request: HttpRequest, form: HistoryForm, page: queries.Page[Any], view: str) -> dict[str, Any]:
    kept = request.GET.copy()
    for name in _CURSORS:
        kept.pop(name, None)
    given = {name: value for name, value in kept.items() if value}
    return {
        "form": form,
        "page": page,
        "view": view,
        "query": kept.urlencode(),
        "is_filtered": any(name in form.fields for name in given),
    }
