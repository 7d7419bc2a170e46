"""Routes for programs. They answer who is not signed in themselves, and never with the sign-in page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, path

from roles.api import container, program
from roles.api.rest import api


def _rest() -> list[URLPattern]:
    """Return the REST routes, without the root, which would lead to a page of documentation that there is not."""
    routes, _, _ = api.urls
    kept = [route for route in routes if isinstance(route, URLPattern) and route.name != "api-root"]
    for route in kept:
        if route.callback is not None:
            route.callback = login_not_required(route.callback)
    return kept


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
