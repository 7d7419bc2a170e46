"""Credentials: only as the answer to a POST, never kept by the browser, hidden until asked for."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone

from roles.models import GroupRole, User
from roles.models.choices import MappingState
from tests import factories
from tests.portal.conftest import SECRET, SESSION_TOKEN, signed_in


def address(mapping: GroupRole) -> str:
    return reverse("credentials", args=[mapping.pk])


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
