"""Credentials: only as the answer to a POST, never kept by the browser, hidden until asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from roles.models import AssumeRoleGrant, GroupRole, User
from roles.models.choices import MappingState
from roles.portal.views import credentials as credentials_view
from roles.tokens.broker import Token
from tests import factories
from tests.portal.conftest import SECRET, SESSION_TOKEN, signed_in


def address(mapping: GroupRole) -> str:
    return reverse("credentials", args=[mapping.pk])


def panel(user: User, mapping: GroupRole, *, secure: bool = False, headers: dict[str, str] | None = None) -> str:
    """Return what htmx gets."""
    asked = {"HX-Request": "true", **(headers or {})}
    response = signed_in(user).post(address(mapping), headers=asked, secure=secure)
    assert response.status_code == 200
    return response.content.decode()


def target_of(mapping: GroupRole) -> int:
    return AssumeRoleGrant.objects.get(source=mapping.role).target_id


@pytest.fixture
def names_only(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Tokens that AWS knows by their session's name alone, which is looked up here by user."""
    names: dict[str, str] = {}
    given = credentials_view.broker.get_token

    def get_token(**asked: Any) -> Token:
        return replace(given(**asked), session_name=names[asked["actor"].username], attributed=False)

    monkeypatch.setattr(credentials_view.broker, "get_token", get_token)
    return names


def test_a_get_never_gives_credentials(mapping: GroupRole, bob: User, tokens: list[dict[str, Any]]) -> None:
    response = signed_in(bob).get(address(mapping))
    assert response.status_code == 405
    assert SECRET not in response.content.decode()
    assert tokens == []


def test_a_mapping_that_is_not_provisioned_is_refused_and_the_refusal_recorded(
    procedure: factories.Procedure, audrey: User
) -> None:
    waiting = procedure.map(state=MappingState.APPLYING)
    response = signed_in(procedure.bob).post(address(waiting))
    assert response.status_code == 403
    history = signed_in(audrey).get(reverse("history"), {"outcome": "denied"})
    assert "bob" in history.content.decode()


def test_an_expired_mapping_is_refused(procedure: factories.Procedure) -> None:
    over = procedure.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now(), expires_at=timezone.now())
    assert signed_in(procedure.bob).post(address(over)).status_code in (403, 404)


def test_a_target_that_is_not_a_number_is_refused(mapping: GroupRole, bob: User) -> None:
    assert signed_in(bob).post(address(mapping), {"target": "1 OR 1=1"}).status_code == 400


def test_no_page_holds_the_secret_before_it_was_asked_for(mapping: GroupRole, bob: User) -> None:
    page = signed_in(bob).get(reverse("my_access")).content.decode()
    assert "example-data" in page
    assert SECRET not in page and SESSION_TOKEN not in page


def test_the_answer_has_each_format_closed_until_shown_and_is_never_stored(mapping: GroupRole, bob: User) -> None:
    response = signed_in(bob).post(address(mapping), {"target": ""})
    page = response.content.decode()
    assert "no-store" in response["Cache-Control"] and "private" in response["Cache-Control"]
    shapes = ("bash, zsh", "fish", "PowerShell", "cmd", "AWS profile", "boto3", "Spark", "DuckDB", "rclone")
    for label in (*shapes, "credential_process"):
        assert f'data-tab="{label}"' in page
    assert page.count("<details>") == page.count(SECRET) == 10
    assert "<details open" not in page


def test_no_hole_of_the_frame_is_left_and_each_form_has_its_token(mapping: GroupRole, bob: User) -> None:
    page = panel(bob, mapping)
    assert not re.search(r"\{\w+\}", page)
    assert page.count("<form") == page.count('name="csrfmiddlewaretoken"') == 2
    assert reverse("credentials_fresh", args=[mapping.pk, target_of(mapping)]) in page
    assert reverse("aws_console", args=[mapping.pk, target_of(mapping)]) in page
    assert "example-data/" in page and "They expire in" in page


def test_what_is_filled_in_is_escaped(mapping: GroupRole, bob: User, names_only: dict[str, str]) -> None:
    names_only["bob"] = "<b>'\"{slot}&"
    page = panel(bob, mapping)
    assert names_only["bob"] not in page
    assert "&lt;b&gt;&#x27;&quot;{slot}&amp;: the role does not allow more." in page


def test_nothing_of_one_persons_panel_is_in_the_next_ones(
    mapping: GroupRole, bob: User, names_only: dict[str, str]
) -> None:
    other = factories.UserFactory(username="charlie")
    factories.MembershipFactory(group=mapping.group, user=other)
    names_only |= {"bob": "xacct-bob-1", "charlie": "xacct-charlie-2"}
    of_bob, of_charlie = panel(bob, mapping), panel(other, mapping)
    assert "xacct-bob-1" in of_bob and "xacct-charlie-2" not in of_bob
    assert "xacct-charlie-2" in of_charlie and "xacct-bob-1" not in of_charlie


def test_an_attributed_token_is_not_said_to_be_none(mapping: GroupRole, bob: User) -> None:
    assert "the role does not allow more" not in panel(bob, mapping)


def test_a_sandbox_has_no_console_and_says_so(mapping: GroupRole, bob: User, settings: Any) -> None:
    assert "Open AWS console" in panel(bob, mapping)
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:4566"
    page = panel(bob, mapping)
    assert "Open AWS console" not in page
    assert "which has no console" in page


def test_plain_http_from_elsewhere_is_warned_of_and_https_is_not(mapping: GroupRole, bob: User, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["portal.example.com"]
    warning = "AWS tools ask only https addresses"
    assert warning in panel(bob, mapping, headers={"Host": "portal.example.com"})
    assert warning not in panel(bob, mapping, headers={"Host": "portal.example.com"}, secure=True)


def test_a_warm_answer_costs_three_queries(mapping: GroupRole, bob: User, django_assert_num_queries: Any) -> None:
    browser = signed_in(bob)
    with django_assert_num_queries(3):  # the session, the person, what they may have
        assert browser.post(address(mapping), headers={"HX-Request": "true"}).status_code == 200


def test_htmx_gets_the_panel_alone(mapping: GroupRole, bob: User) -> None:
    response = signed_in(bob).post(address(mapping), headers={"HX-Request": "true"})
    page = response.content.decode()
    assert SECRET in page
    assert "<html" not in page
    assert "no-store" in response["Cache-Control"]


def test_a_refusal_is_a_fragment_for_htmx_that_our_script_knows(procedure: factories.Procedure) -> None:
    waiting = procedure.map(state=MappingState.APPLYING)
    response = signed_in(procedure.bob).post(address(waiting), headers={"HX-Request": "true"})
    assert response.status_code == 403
    assert response["X-Portal-Error"]
    assert "<html" not in response.content.decode()
