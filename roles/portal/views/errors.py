"""Pages for what Django itself refuses or does not find, and for errors nobody expected."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from roles import context
from roles.portal.page import show


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that there is no such page; never what the URL looked like inside."""
    return show(request, "404.html", {"request_id": context.current().request_id}, title="Not found", status=404)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that this may not be done."""
    return show(request, "403.html", {"request_id": context.current().request_id}, title="Not permitted", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Show static text and the request id: no database, no session, nothing of the error."""
    return render(request, "500.html", {"request_id": context.current().request_id}, status=500)
