"""Per request: the request context, the person's time zone, caching, and our errors as pages.

Denials are recorded here, after the rollback they caused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import ip_address
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control

from roles import context
from roles.errors import NotEntitled, NotPermitted, PortalError
from roles.history.recorder import record_denial
from roles.models import User
from roles.tokens.events import explain_denial

GetResponse = Callable[[HttpRequest], HttpResponse]

# What the page's heading says, by HTTP status; the error's own message follows it.
TITLES = {
    400: "That cannot be right",
    401: "Sign in again",
    403: "Not permitted",
    404: "Not found",
    409: "Something changed meanwhile",
    502: "AWS did not do it",
    503: "Not available right now",
}


class VisitorAddressMiddleware:
    """Behind a proxy of ours, take as the address what that proxy added: the last one in `X-Forwarded-For`.

    Addresses before it are what the visitor says. Else everybody came from the proxy: the history would not tell where
    from, and ten wrong passwords by anybody would lock a name for everybody.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        last = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        with contextlib.suppress(ValueError):
            request.META["REMOTE_ADDR"] = str(ip_address(last))
        return self.get_response(request)


class CompressPagesMiddleware(GZipMiddleware):
    """Compress pages that are read, ten times smaller then.

    Never an answer to a POST: only those carry credentials, and compressing a secret beside what somebody else may have
    written tells its length (BREACH). Never a download: it is streamed and says how large it is.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Compress where it is safe."""
        is_page = response.get("Content-Type", "").startswith("text/html")
        if request.method != "GET" or response.streaming or not is_page:
            return response
        return super().process_response(request, response)


class RequestContextMiddleware:
    """Make the request's id, address and user agent known to whatever is recorded during it.

    Pages are private and never stored by a browser or proxy unless they say otherwise: after logging out, going back
    shows nothing.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        where = context.RequestContext(
            address=request.META.get("REMOTE_ADDR", ""), user_agent=request.headers.get("User-Agent", "")
        )
        bound = structlog.contextvars.bound_contextvars(request_id=where.request_id)
        with context.use(where), bound, timezone.override(None):
            response = self.get_response(request)
        response["X-Request-ID"] = where.request_id
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response

    def process_view(self, request: HttpRequest, view: Callable[..., HttpResponse], *_arguments: object) -> None:
        """Show times in the zone of the person who is signed in, from here on."""
        # Views that need no sign-in, such as the health check, load no session for this.
        zone = zone_of(request.user) if getattr(view, "login_required", True) else None
        if zone:
            timezone.activate(zone)


class PortalErrorMiddleware:
    """Show a `PortalError` as a page that says what happened and what to do; record it if it was a denial."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn one of our errors into its page; leave all others to Django. The admin's refusals are denials too."""
        if isinstance(error, PermissionDenied):
            error = admin_refusal(request)
        if not isinstance(error, PortalError):
            return None
        if isinstance(error, NotEntitled) and isinstance(request.user, User):
            explain_denial(error, actor=request.user, session=request.session)
        if isinstance(error, NotPermitted | NotEntitled):
            record_denial(error, actor=request.user)
        return error_page(request, error)


def zone_of(user: object) -> ZoneInfo | None:
    """Return the person's time zone, or None for the server's: nobody signed in, none chosen, or not a zone."""
    name = user.time_zone if isinstance(user, User) else ""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def admin_refusal(request: HttpRequest) -> NotPermitted:
    """Return our error for a refusal by Django's admin, which does not say what it was about."""
    view = request.resolver_match.view_name if request.resolver_match else ""
    return NotPermitted(
        "You may not open this page.",
        rule=view,
        hint="Ask a portal admin if you need it; the attempt was recorded.",
    )


def error_page(request: HttpRequest, error: PortalError) -> HttpResponse:
    """Return what shows `error`: a page, a fragment for htmx, or JSON for a script that asks for nothing else."""
    shown = {
        "error": error,
        "title": TITLES.get(error.http_status, "This did not work"),
        "request_id": context.current().request_id,
    }
    if getattr(request, "htmx", False):
        fragment = render(request, "errors/portal_error_fragment.html", shown, status=error.http_status)
        fragment["X-Portal-Error"] = error.code  # tells our script that this answer is to be shown
        return fragment
    if not request.accepts("text/html"):
        answer = {"code": error.code, "message": error.message, "hint": error.hint, "request_id": shown["request_id"]}
        return JsonResponse(answer, status=error.http_status)
    layout = admin.site.each_context(request)
    return render(request, "errors/portal_error.html", {**layout, **shown}, status=error.http_status)
