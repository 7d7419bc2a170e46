"""What every answer has: an id, no trace in the browser, errors in words; and the pages around signing in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from roles.middleware import zone_of
from roles.models import AuditEvent, GroupRole, User
from roles.portal.views import errors, my_access
from roles.tokens.cache import cache
from tests.factories import PASSWORD
from tests.portal.conftest import signed_in


@pytest.mark.django_db
def test_the_health_check_tells_a_stranger_nothing_and_loads_no_session(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    def broken() -> None:
        raise DatabaseError("password=hunter2 host=db.internal")

    client = Client()
    with django_assert_num_queries(1):
        well = client.get("/healthz")
    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    monkeypatch.setattr(connection, "cursor", broken)
    ill = client.get("/healthz")
    assert (ill.status_code, ill.json()) == (503, {"status": "unavailable"})


def test_pages_are_never_kept_so_going_back_after_signing_out_shows_nothing(mapping: GroupRole, bob: User) -> None:
    client = signed_in(bob)
    for name in ("my_access", "password_change"):
        kept = client.get(reverse(name))["Cache-Control"]
        assert "no-store" in kept and "private" in kept
    assert client.post(reverse("logout")).status_code == 302
    assert client.get(reverse("my_access")).status_code == 302
    assert client.post(reverse("credentials", args=[mapping.pk])).status_code == 302


def test_signing_out_needs_a_post(bob: User) -> None:
    client = signed_in(bob)
    assert client.get(reverse("logout")).status_code == 405
    assert client.get(reverse("my_access")).status_code == 200


def test_a_wrong_password_is_refused_and_many_lock_the_name(bob: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    client = Client()
    wrong = {"username": "bob", "password": "wrong"}
    first = client.post(reverse("login"), wrong)
    assert first.status_code == 200 and "Please enter a correct" in first.content.decode()
    for _ in range(2):
        last = client.post(reverse("login"), wrong)
    assert last.status_code == 429
    assert "Too many wrong passwords" in last.content.decode() and "15 minutes" in last.content.decode()
    right = client.post(reverse("login"), {"username": "bob", "password": PASSWORD})
    assert right.status_code == 429


def test_everybody_lands_on_their_own_access(alice: User, bob: User) -> None:
    for user in (bob, alice):
        response = Client().post(reverse("login"), {"username": user.username, "password": PASSWORD}, follow=True)
        assert response.redirect_chain[-1][0] == reverse("my_access")


def test_signing_in_goes_on_to_pages_of_the_portal_only(bob: User) -> None:
    form = {"username": "bob", "password": PASSWORD}
    inside = Client().post(reverse("login"), {**form, "next": "/history/"})
    assert inside["Location"] == "/history/"
    outside = Client().post(reverse("login"), {**form, "next": "https://evil.example/"})
    assert outside["Location"] == reverse("home")


def test_with_a_stolen_cookie_the_password_is_not_found_by_trying(bob: User, settings: Any) -> None:
    client = Client()
    client.force_login(bob)
    new = {"new_password1": "a much longer secret 7", "new_password2": "a much longer secret 7"}
    tries = [
        client.post(reverse("password_change"), {"old_password": f"guess {number}", **new}).status_code
        for number in range(settings.AXES_FAILURE_LIMIT)
    ]
    assert (tries[0], tries[-1]) == (200, 429)
    assert client.post(reverse("password_change"), {"old_password": PASSWORD, **new}).status_code == 429
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_the_old_password_is_needed_for_a_new_one(bob: User) -> None:
    client = signed_in(bob)
    new = {"new_password1": "a much longer secret 7", "new_password2": "a much longer secret 7"}
    refused = client.post(reverse("password_change"), {"old_password": "wrong", **new})
    assert refused.status_code == 200 and "entered incorrectly" in refused.content.decode()
    accepted = client.post(reverse("password_change"), {"old_password": PASSWORD, **new})
    assert accepted.status_code == 302
    assert client.get(reverse("password_change_done")).status_code == 200
    bob.refresh_from_db()
    assert bob.check_password("a much longer secret 7")


def test_an_unknown_page_is_a_page_with_the_requests_id(bob: User) -> None:
    response = signed_in(bob).get("/no/such/page/")
    assert response.status_code == 404
    assert response["X-Request-ID"] in response.content.decode()
    assert 'aria-label="Main"' in response.content.decode()


def test_a_visitor_who_is_not_signed_in_gets_an_unknown_page_without_the_menu(db: None) -> None:
    response = Client().get("/no/such/page/")
    assert response.status_code == 404
    assert 'aria-label="Main"' not in response.content.decode()


def test_a_refusal_by_the_admin_is_a_page_and_in_the_history(bob: User, audrey: User) -> None:
    for user, path in ((bob, "/admin/"), (audrey, "/admin/roles/usergroup/add/")):
        response = signed_in(user).get(path)
        assert response.status_code == 403
        event = AuditEvent.objects.filter(code="access.denied").first()
        assert event is not None and event.actor == user
        assert event.request_id == response["X-Request-ID"] and event.outcome == "denied"


def test_an_unexpected_error_shows_static_text_and_the_requests_id(
    bob: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    def broken(_user: User) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(my_access, "access_cards", broken)
    client = signed_in(bob)
    client.raise_request_exception = False
    response = client.get(reverse("my_access"))
    page = response.content.decode()
    assert response.status_code == 500
    assert response["X-Request-ID"] in page and "secret detail" not in page and "bob" not in page
    with django_assert_num_queries(0):
        errors.server_error(RequestFactory().get("/"))


def test_djangos_own_refusal_has_a_page(bob: User) -> None:
    request = RequestFactory().get("/")
    request.user = bob
    response = errors.refused(request, Exception("why"))
    assert response.status_code == 403
    assert "You may not do this" in response.content.decode()


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../../etc/passwd"])
def test_a_zone_that_is_none_is_the_servers(zone: str) -> None:
    assert zone_of(User(time_zone=zone)) is None
    assert zone_of(None) is None


def test_one_persons_zone_does_not_reach_the_next_request(bob: User, audrey: User) -> None:
    bob.time_zone = "Asia/Tokyo"
    bob.save()
    signed_in(bob).get(reverse("my_access"))
    assert timezone.get_current_timezone_name() == "UTC"


def test_no_page_has_inline_scripts_or_handlers(mapping: GroupRole, bob: User) -> None:
    client = signed_in(bob)
    for path in (reverse("my_access"), reverse("password_change"), "/no/such/page/"):
        page = client.get(path).content.decode()
        assert not re.findall(r"<script(?![^>]*\bsrc=)", page)
        assert not re.findall(r"\son(click|load|submit|error)=", page)
    assert "script-src 'self'" in client.get(reverse("my_access"))["Content-Security-Policy"]
    cache.clear()


def test_every_page_has_one_heading_landmarks_and_a_way_past_the_menu(mapping: GroupRole, bob: User) -> None:
    client = signed_in(bob)
    for path in (reverse("my_access"), reverse("password_change"), "/no/such/page/"):
        page = client.get(path).content.decode()
        assert page.count("<h1") == 1
        assert page.count("<main") == 1 and 'href="#content"' in page and "<nav" in page


def test_the_menu_shows_what_one_may_open(bob: User, audrey: User) -> None:
    def menu(user: User) -> str:
        page = signed_in(user).get(reverse("password_change")).content.decode()
        return page.partition('<nav aria-label="Main"')[2].partition("</nav>")[0]

    assert f'href="{reverse("my_access")}"' in menu(bob)
    assert "/admin/" not in menu(bob) and reverse("history") not in menu(bob)
    assert f'href="{reverse("history")}"' in menu(audrey) and "/admin/" in menu(audrey)
