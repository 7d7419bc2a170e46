"""Ask before a change, with its plan and with what people gain and lose; then do what was seen, or show what is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse

from roles.admin.plans import PlanPage, plan_page
from roles.admin.refusals import text_of
from roles.errors import AwsError, StalePlan
from roles.operations.confirmed import confirmed
from roles.provisioning import preview

T = TypeVar("T")
_OWN = frozenset({"csrfmiddlewaretoken", "step", "expected_plan", "seen", "adopt_next"})
_AGAIN = "Read the new plan and confirm again."


@dataclass(frozen=True, slots=True)
class Look:
    """What a change would do, as the page that asks shows it.

    `plan` is None when AWS cannot be read; `problem` says why. `digest` covers what is wished, `seen` what AWS had.
    """

    plan: PlanPage | None
    problem: str
    said: tuple[str, ...]
    digest: str
    seen: str
    alters: bool

    def moved(self, posted: Mapping[str, Any]) -> str:
        """Return what is not any more as it was when the page was shown that was sent back; empty for nothing."""
        if posted.get("expected_plan") != self.digest:
            return f"What is to be done changed since you looked. {_AGAIN}"
        if posted.get("seen", "") == self.seen:
            return ""
        return "AWS cannot be read any more." if self.problem else f"AWS changed since you looked. {_AGAIN}"

    def context(self, request: HttpRequest, *, typed: bool = False) -> dict[str, Any]:
        """Return what the templates show, with the hidden fields to send back; `typed` adds those of a form."""
        hidden = [("expected_plan", self.digest), ("seen", self.seen)]
        hidden += [("adopt", arn) for arn in adopted(request)]
        if typed:
            kept = [(name, values) for name, values in request.POST.lists() if name not in {*_OWN, "adopt"}]
            hidden += [(name, value) for name, values in kept for value in values]
        return {"plan": self.plan, "problem": self.problem, "said": self.said, "hidden": hidden, "shows_plan": True}


def was_looked_at(request: HttpRequest) -> bool:
    """Return whether what was sent tells which plan was looked at."""
    return bool(request.POST.get("expected_plan"))


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
        if is_confirmed and not was_looked_at(request):
            return do(request, change)
        found = look(request, change)
        stale = found.moved(request.POST) if is_confirmed else ""
        return do(request, change) if is_confirmed and not stale else show(found, stale)
    except StalePlan as error:
        return show(look(request, change), text_of(error))


def look(request: HttpRequest, change: Callable[[], object]) -> Look:
    """Return what `change`, an operation, would do now. Raises what it raises; an unreadable AWS is no error."""
    rehearsal = preview.rehearse(lambda: confirmed(actor=request.user, change=change, adopt=adopted(request)))
    plan, problem = None, ""
    try:
        plan = rehearsal.plan(partly=True)
    except AwsError as error:
        problem = text_of(error)
    return Look(
        plan=plan_page(plan) if plan else None,
        problem=problem,
        said=rehearsal.said,
        digest=rehearsal.digest,
        seen=plan.seen if plan else "",
        alters=rehearsal.alters,
    )


def do(request: HttpRequest, change: Callable[[], T]) -> T:
    """Do it as it was seen and return what it returns. Raises `StalePlan`, and what it raises."""
    seen = request.POST.get("expected_plan", "").strip()
    return confirmed(actor=request.user, change=change, expected_plan=seen, adopt=adopted(request))


def adopted(request: HttpRequest) -> list[str]:
    """Return the ARNs of the roles that the admin chose to adopt with this change."""
    chosen = [*request.POST.getlist("adopt"), *request.POST.getlist("adopt_next")]
    return list(dict.fromkeys(arn for arn in chosen if arn))
