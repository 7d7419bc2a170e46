"""The REST interface: look at the plan of a change, make the change as it was seen, follow its runs.

Who is signed in may do here what they may do on the pages; nobody else gets in. A refusal is problem JSON (RFC 9457).
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import django_auth

from roles import context
from roles.api import schemas
from roles.api.requested import change_of
from roles.errors import Blocked, InputError, NotEntitled, NotFound, NotPermitted, PortalError, StalePlan
from roles.history.queries import may_see_runs, steps_of
from roles.history.recorder import record_denial
from roles.models import ProvisioningRun
from roles.operations.confirmed import Look, confirmed, look

api = NinjaAPI(
    title="xacct portal",
    version="1",
    description=__doc__,
    auth=django_auth,
    docs_url=None,
    urls_namespace="api",
)
_REFUSALS = dict.fromkeys((400, 401, 403, 404, 409, 422, 502, 503), schemas.Problem)


@api.post("/plans", response={200: schemas.PlanAnswer, **_REFUSALS}, url_name="plans")
def plan_change(request: HttpRequest, asked: schemas.PlanRequest) -> dict[str, Any]:
    """Show what a change would do: to AWS, document by document, and to people. Changes nothing."""
    return _plan(look(actor=request.user, change=change_of(request.user, asked.change), adopt=asked.adopt))


@api.post("/changes", response={201: schemas.ChangeAnswer, **_REFUSALS}, url_name="changes")
def make_change(request: HttpRequest, asked: schemas.ChangeRequest) -> Status[dict[str, Any]] | HttpResponse:
    """Make a change as it was seen. If anything is not as it was, nothing is changed and the new plan is returned."""
    change = change_of(request.user, asked.change, seen=asked.seen)
    found = look(actor=request.user, change=change, adopt=asked.adopt)
    if stale := found.moved(expected_plan=asked.expected_plan, seen=asked.seen):
        hint = "Nothing was changed. Read the new plan and confirm again."
        code, status = StalePlan.code, StalePlan.http_status
        return _problem(request, status, code, stale, hint=hint, plan=_plan(found))
    if isinstance(asked.change, schemas.Order) and found.blocked:
        raise Blocked(" ".join(found.blocked), hint="Nothing was done.")
    made = confirmed(actor=request.user, change=change, expected_plan=asked.expected_plan, adopt=asked.adopt)
    runs = ProvisioningRun.objects.filter(request_id=context.current().request_id).order_by("pk")
    answer = {"type": made._meta.model_name, "id": made.pk, "name": str(made)}
    return Status(201, {**answer, "runs": list(runs.values_list("pk", flat=True))})


@api.get("/runs/{int:run_id}", response={200: schemas.RunAnswer, **_REFUSALS}, url_name="run")
def show_run(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Show how far a run is, with the steps of its newest attempt."""
    rows = ProvisioningRun.objects.filter(pk=run_id) if may_see_runs(request.user) else ProvisioningRun.objects.none()
    run = rows.select_related("role__account").first()
    if run is None:
        raise NotFound(f"There is no run {run_id}.", hint="Look at the number again.")
    steps = [
        {
            "number": step.step,
            "account": step.account_id,
            **{name: getattr(step, name) for name in ("title", "resource", "action", "status", "error", "hint")},
        }
        for step in steps_of(run)
    ]
    shown = {name: getattr(run, name) for name in ("id", "status", "progress", "error", "hint")}
    return {**shown, "role": str(run.role.arn), "steps": steps}


def _plan(found: Look) -> dict[str, Any]:
    return {
        "expected_plan": found.digest,
        "seen": found.seen,
        "alters": found.alters,
        "said": list(found.said),
        "problem": found.problem,
        "changes": [schemas.PlannedChange.from_orm(row) for row in (found.plan.changes if found.plan else ())],
    }


@api.exception_handler(PortalError)
def _refused(request: HttpRequest, error: PortalError) -> HttpResponse:
    """Say what was refused; record it if it was a denial. Called after the rollback that it caused."""
    if isinstance(error, NotPermitted | NotEntitled):
        record_denial(error, actor=request.user)
    field = error.field if isinstance(error, InputError) else ""
    return _problem(request, error.http_status, error.code, error.message, hint=error.hint, field=field)


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Name each field that cannot be right. What was sent is not repeated: it may be a secret in the wrong place."""
    errors = [f"{'.'.join(map(str, one['loc'][2:]))}: {one['msg']}" for one in error.errors]
    return _problem(request, 422, InputError.code, "That cannot be right.", hint="Nothing was changed.", errors=errors)


@api.exception_handler(AuthenticationError)
def _not_signed_in(request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    hint = "Send the cookie of a session that is signed in, and its CSRF token in X-CSRFToken."
    return _problem(request, 401, "session.missing", "You are not signed in.", hint=hint)


@api.exception_handler(HttpError)
def _no_request(request: HttpRequest, error: HttpError) -> HttpResponse:
    code = NotPermitted.code if error.status_code == NotPermitted.http_status else InputError.code
    return _problem(request, error.status_code, code, str(error))


def _problem(request: HttpRequest, status: int, code: str, detail: str, **more: Any) -> HttpResponse:
    title = HttpResponse(status=status).reason_phrase
    shown = schemas.Problem(
        title=title, status=status, code=code, detail=detail, request_id=context.current().request_id, **more
    )
    left_out = set() if shown.plan else {"plan"}
    answer = api.create_response(request, shown.dict(exclude=left_out), status=status)
    answer["Content-Type"] = "application/problem+json"
    return answer
