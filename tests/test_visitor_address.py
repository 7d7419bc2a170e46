"""Where a visitor comes from, behind a proxy and without one."""

from __future__ import annotations

from typing import Any

import pytest
from axes.helpers import get_client_ip_address
from django.http import HttpRequest, HttpResponse
from ipware import get_client_ip

from roles.middleware import VisitorAddressMiddleware


def address_behind_proxy(rf: Any, **headers: str) -> str:
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(str(get_client_ip_address(request)))
        return HttpResponse()

    VisitorAddressMiddleware(view)(rf.get("/", REMOTE_ADDR="172.18.0.1", headers=headers))
    return seen[0]


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.9, 203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.7, <script>", "172.18.0.1"),
        ("", "172.18.0.1"),
    ],
)
def test_behind_a_proxy_the_address_is_what_the_proxy_added(header: str, address: str, rf: Any) -> None:
    assert address_behind_proxy(rf, **{"X-Forwarded-For": header}) == address


def test_without_a_proxy_nobody_believes_what_a_visitor_says(rf: Any) -> None:
    request = rf.get("/", REMOTE_ADDR="203.0.113.7", headers={"X-Forwarded-For": "198.51.100.9"})
    assert get_client_ip_address(request) == "203.0.113.7"
    assert get_client_ip(request)[0] == "203.0.113.7"
