"""The floor: a signed-in page that does nothing but one GET from the cache and one decryption of 1.5 KB."""

from __future__ import annotations

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from roles.tokens.cache import cache
from xacct_portal import urls as portal

FLOOR_KEY = "benchmark-floor"
VALUE_BYTES = 1500

cipher = MultiFernet([Fernet(key) for key in settings.XACCT_TOKEN_KEYS])


def floor(request: HttpRequest) -> HttpResponse:
    """Answer somebody who is signed in. The sign-in middleware has loaded the session and the user."""
    value = cipher.decrypt(cache.get(FLOOR_KEY).encode())
    return HttpResponse(f"{request.user.pk} {len(value)}", content_type="text/plain")


urlpatterns = [path("benchmark-floor/", floor, name="floor"), *portal.urlpatterns]
handler403, handler404, handler500 = portal.handler403, portal.handler404, portal.handler500
