"""Per request: the request context, and our errors as pages.

Denials are recorded here, after the rollback they caused.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from roles import context
from roles.errors import NotEntitled, NotPermitted, PortalError
from roles.history.recorder import record_denial

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestContextMiddleware:
    """Make the request's id, address and user agent known to whatever is recorded during it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        where = context.RequestContext(
            address=request.META.get("REMOTE_ADDR", ""), user_agent=request.headers.get("User-Agent", "")
        )
        with context.use(where):
            response = self.get_response(request)
        response["X-Request-ID"] = where.request_id
        return response


class PortalErrorMiddleware:
    """Show a `PortalError` as a page that says what happened and what to do; record it if it was a denial."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn one of our errors into its page; leave all others to Django."""
        if not isinstance(error, PortalError):
            return None
        if isinstance(error, NotPermitted | NotEntitled):
            record_denial(error, actor=request.user)
        page = "errors/portal_error_fragment.html" if getattr(request, "htmx", False) else "errors/portal_error.html"
        return render(
            request, page, {"error": error, "request_id": context.current().request_id}, status=error.http_status
        )
