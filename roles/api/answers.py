"""Answers for programs, and refusals in the shape that AWS SDKs show: `code` and `message`."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, JsonResponse

from roles import context
from roles.errors import BearerRefused, NotEntitled, PortalError
from roles.history.recorder import record
from roles.models import ToolBearer
from roles.models.choices import Outcome
from roles.tokens import cache

REPEAT_SECONDS = 300  # the same refusal is in the history once in this time: programs ask again and again


def bearer_in(request: HttpRequest) -> str:
    """Return what the Authorization header shows. SDKs send their token as it is, other clients call it `Bearer`."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def refused(request: HttpRequest, error: PortalError, *, bearer: ToolBearer | None = None) -> JsonResponse:
    """Return the answer to a program that was refused, and record the denial. `bearer` is the one that held, if any."""
    if isinstance(error, BearerRefused | NotEntitled):
        _record(request, error, bearer)
    answer = {"code": error.code, "message": str(error), "request_id": context.current().request_id}
    return JsonResponse(answer, status=error.http_status)


def _record(request: HttpRequest, error: BearerRefused | NotEntitled, bearer: ToolBearer | None) -> None:
    row: Any = bearer or error.subject
    known = row if isinstance(row, ToolBearer) else None
    # Whoever shows nothing that is known could name any access: there, the address alone counts.
    who = f"bearer {known.pk} {request.path}" if known else f"address {context.current().address}"
    if not cache.is_first(f"refused:{error.rule}:{who}", seconds=REPEAT_SECONDS):
        return
    record(
        "access.denied",
        actor=known.user if known else AnonymousUser(),
        subject=known,
        outcome=Outcome.DENIED,
        group=known.mapping.group.name if known else "",
        rule=error.rule,
        message=error.message,
        path=request.path[:200],
        repeats_left_out_for_seconds=REPEAT_SECONDS,
        **getattr(error, "facts", {}),
    )
