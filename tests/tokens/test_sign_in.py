"""Signing in and out is on record, and nothing that a visitor can type or send breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import SESSION_KEY, authenticate, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.urls import reverse

from roles.models import AuditEvent
from roles.models.choices import Outcome
from roles.tokens import cache
from tests import factories

LONG = "x" * 10_000


def sign_in(browser: Client, name: str, password: str = factories.PASSWORD, **headers: str) -> Any:
    return browser.post(reverse("login"), {"username": name, "password": password}, headers=headers)


@pytest.mark.parametrize("headers", [{}, {"User-Agent": LONG, "Accept": f"text/html,{LONG}"}])
def test_a_very_long_name_is_a_wrong_name_and_no_error(headers: dict[str, str], db: None) -> None:
    answer = sign_in(Client(), LONG, **headers)
    assert answer.status_code == 200
    assert "Please enter a correct username and password" in answer.content.decode()
    assert AccessAttempt.objects.get().username == "x" * 255


def test_a_very_long_address_is_not_found_and_no_error(db: None) -> None:
    assert Client().post(f"/{LONG}/", {"username": "bob"}).status_code == 404
    assert Client().post(f"{reverse('login')}?next=/{LONG}", {"username": LONG, "password": "y"}).status_code == 200


def test_very_long_headers_do_not_keep_anybody_out(procedure: factories.Procedure) -> None:
    browser = Client()
    assert sign_in(browser, "bob", **{"User-Agent": LONG, "Accept": f"text/html,{LONG}"}).status_code == 302
    assert SESSION_KEY in browser.session


def test_a_name_with_what_no_text_column_takes_is_refused_at_the_form(db: None) -> None:
    assert sign_in(Client(), "bob\x00").status_code == 200


def test_after_too_many_failures_even_a_very_long_name_has_to_wait(db: None, settings: Any) -> None:
    browser = Client()
    answers = [sign_in(browser, LONG).status_code for _ in range(settings.AXES_FAILURE_LIMIT + 1)]
    assert answers[-1] == 429


def test_a_failed_login_is_on_record_without_the_password(db: None) -> None:
    Client().post(reverse("login"), {"username": "mallory", "password": "guessed-it-wrong-1"})
    event = AuditEvent.objects.get(code="login.failed")
    assert (event.outcome, event.details) == (Outcome.DENIED, {"username": "mallory"})
    assert event.actor is None
    assert "guessed" not in str(event.__dict__)


def test_a_very_long_name_is_cut_and_a_missing_one_is_empty(rf: Any, db: None) -> None:
    for credentials in ({"username": "x" * 1000, "password": "y"}, {"password": "y"}):
        assert authenticate(rf.post("/login/"), **credentials) is None
    long, missing = AuditEvent.objects.filter(code="login.failed").order_by("pk")
    assert long.details == {"username": "x" * 150}
    assert missing.details == {"username": ""}


def test_login_and_logout_are_on_record(procedure: factories.Procedure) -> None:
    browser = Client()
    browser.post(reverse("login"), {"username": "bob", "password": factories.PASSWORD})
    assert cache.namespace_in(browser.session)
    browser.post(reverse("logout"))
    codes = AuditEvent.objects.filter(actor=procedure.bob).order_by("pk").values_list("code", flat=True)
    assert list(codes) == ["login.succeeded", "logout.done"]


def test_logging_out_without_being_signed_in_records_nothing(rf: Any, db: None) -> None:
    request = rf.post("/logout/")
    request.user, request.session = AnonymousUser(), SessionStore()
    logout(request)
    assert not AuditEvent.objects.exists()
