"""Routes for programs. They answer who is not signed in themselves, and never with the sign-in page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from roles.api import container, program
from roles.api.rest import api


def _rest() -> list[URLPattern]:
    """Return the REST routes. The root leads to the description; there is no page of documentation."""
    routes = [route for route in api.urls[0] if isinstance(route, URLPattern)]
    for route in routes:
        if route.name == "api-root" or route.callback is None:
            route.callback = RedirectView.as_view(pattern_name=f"{api.urls_namespace}:openapi-json")
        route.callback = login_not_required(route.callback)
    return routes


urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", (_rest(), "ninja", api.urls_namespace)),
    path(
        "container-credentials/<int:mapping_id>/<int:target_id>/",
        container.container_credentials,
        name="container_credentials",
    ),
    path("tools/xacct-credentials", program.download, name="xacct_credentials"),
    path("tools/collect/", program.collect, name="collect_bearer"),
    path("tools/sign-out/<int:mapping_id>/<int:target_id>/", program.sign_out, name="sign_out_tool"),
]
