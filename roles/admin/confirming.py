"""Ask before a change, with its plan and with what people gain and lose; then do what was seen, or show what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse

from roles.errors import StalePlan, text_of
from roles.operations import confirmed
from roles.operations.confirmed import Look

T = TypeVar("T")
UNSEEN = "Nobody has looked at the plan of this. Read it and confirm."
_OWN = frozenset({"csrfmiddlewaretoken", "step", "expected_plan", "seen", "adopt_next"})


def context(look: Look, request: HttpRequest, *, typed: bool = False) -> dict[str, Any]:
    """Return what the templates show, with the hidden fields to send back; `typed` adds those of a form."""
    hidden = [("expected_plan", look.digest), ("seen", look.seen)]
    hidden += [("adopt", arn) for arn in adopted(request)]
    if typed:
        kept = [(name, values) for name, values in request.POST.lists() if name not in {*_OWN, "adopt"}]
        hidden += [(name, value) for name, values in kept for value in values]
    return {"plan": look.plan, "problem": look.problem, "said": look.said, "hidden": hidden, "shows_plan": True}


def moved(look: Look, request: HttpRequest) -> str:
    """Return what is not any more as it was when the page was shown that was sent back; empty for nothing.

    What was sent without a plan was never seen.
    """
    seen = request.POST.get("expected_plan", "").strip()
    return look.moved(expected_plan=seen, seen=request.POST.get("seen", "")) if seen else UNSEEN


def asked_or_done(
    request: HttpRequest,
    change: Callable[[], T],
    *,
    show: Callable[[Look, str], HttpResponse],
    is_confirmed: bool,
) -> HttpResponse | T:
    """Return the page that asks, or, when it was answered with yes and all is as it was shown, what `change` returns.

    `show` makes the page, from what the change would do now and from what is not as it was seen. Raises what `change`
    raises.
    """
    try:
        found = look(request, change)
        stale = moved(found, request) if is_confirmed else ""
        return do(request, change) if is_confirmed and not stale else show(found, stale)
    except StalePlan as error:
        return show(look(request, change), text_of(error))


def look(request: HttpRequest, change: Callable[[], object]) -> Look:
    """Return what `change`, an operation, would do now. Raises what it raises; an unreadable AWS is no error."""
    return confirmed.look(actor=request.user, change=change, adopt=adopted(request))


def do(request: HttpRequest, change: Callable[[], T]) -> T:
    """Do it as it was seen and return what it returns. Raises `StalePlan`, and what it raises."""
    seen = request.POST.get("expected_plan", "").strip()
    return confirmed.confirmed(actor=request.user, change=change, expected_plan=seen, adopt=adopted(request))


def adopted(request: HttpRequest) -> list[str]:
    """Return the ARNs of the roles that the admin chose to adopt with this change."""
    chosen = [*request.POST.getlist("adopt"), *request.POST.getlist("adopt_next")]
    return list(dict.fromkeys(arn for arn in chosen if arn))
