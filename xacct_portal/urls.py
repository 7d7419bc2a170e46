"""Routes of the whole site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("roles.api.urls")),
    path("", include("roles.portal.urls")),
]

handler403 = "roles.portal.views.errors.refused"
handler404 = "roles.portal.views.errors.not_found"
handler500 = "roles.portal.views.errors.server_error"
