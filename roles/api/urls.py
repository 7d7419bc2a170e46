"""Routes for programs."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from roles.api import container, program

urlpatterns: list[URLPattern | URLResolver] = [
    path(
        "container-credentials/<int:mapping_id>/<int:target_id>/",
        container.container_credentials,
        name="container_credentials",
    ),
    path("tools/xacct-credentials", program.download, name="xacct_credentials"),
    path("tools/collect/", program.collect, name="collect_bearer"),
    path("tools/sign-out/<int:mapping_id>/<int:target_id>/", program.sign_out, name="sign_out_tool"),
]
