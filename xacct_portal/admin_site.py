"""Our admin site: one sign-in page for all, denials that are recorded, pages that belong to no single model."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from roles.errors import NotPermitted

View = Callable[..., Any]


class PortalAdminSite(UnfoldAdminSite):  # type: ignore[misc]  # Unfold has no types
    """Unfold's site with the portal's own rules."""

    site_url = "/"
    enable_nav_sidebar = True
    index_title = "Overview"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Wrap `view`: a visitor is sent to sign in; who is signed in and may not is refused, and that is recorded."""

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), reverse("login"))
            if not self.has_permission(request):
                raise _refusal(request)
            response: HttpResponse = wrapped(request, *args, **kwargs)
            return response

        wrapped = super().admin_view(view, cacheable)
        return guarded

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Put the pages that belong to no single model in front."""
        from roles.admin import connect  # noqa: PLC0415 (the site exists before the models are loaded)

        own: list[URLPattern | URLResolver] = [
            path("connect-a-bucket/", self.admin_view(connect.connect_bucket), name="connect_bucket"),
            path(
                "connect-a-bucket/provisioner/<slug:form>/",
                self.admin_view(connect.provisioner),
                name="connect_bucket_provisioner",
            ),
            path("connect-a-bucket/preview/", self.admin_view(connect.preview), name="connect_bucket_preview"),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(never_cache)
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what needs attention first."""
        from roles.admin import dashboard  # noqa: PLC0415 (the site exists before the models are loaded)

        page: TemplateResponse = super().index(request, {**dashboard.context(request), **(extra_context or {})})
        return page

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send to the portal's one sign-in page."""
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"), reverse("login"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send to where one signs out; the menus post to the portal's own `logout`."""
        return redirect("home")


def _refusal(request: HttpRequest) -> NotPermitted:
    return NotPermitted(
        f"{request.user.get_username()} may not open this page.",
        rule=f"admin {request.method} {request.path}",
        hint="Ask a portal admin if you need it.",
    )
