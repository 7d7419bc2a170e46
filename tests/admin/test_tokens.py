"""Issued tokens in the admin: found by what AWS calls a person's session, and their state as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.models import GroupRole, IssuedToken
from tests import factories

LIST = reverse("admin:roles_issuedtoken_changelist")


@pytest.fixture
def mapping(procedure: factories.Procedure) -> GroupRole:
    """Bob's."""
    return procedure.map()


def a_token(mapping: GroupRole, username: str, session_name: str, **given: Any) -> IssuedToken:
    return IssuedToken.objects.create(
        user=factories.UserFactory(username=username),
        mapping=mapping,
        session_name=session_name,
        access_key_id=f"ASIA{username.upper()}",
        expires_at=timezone.now() + timedelta(hours=1),
        **given,
    )


def found(client: Client, words: str) -> list[str]:
    """The access key ids that the list finds."""
    rows = client.get(LIST, {"q": words}).context["cl"].result_list
    return sorted(row.access_key_id for row in rows)


def test_a_name_that_only_aws_knows_leads_back_to_the_person(admin_client: Client, mapping: GroupRole) -> None:
    a_token(mapping, "jose", "jos_=u17")
    a_token(mapping, "smith", "_=u18")
    assert found(admin_client, "_=u17") == ["ASIAJOSE"]
    assert found(admin_client, "_=u18") == ["ASIASMITH"]
    assert found(admin_client, "_=u19") == []


def test_the_list_and_the_page_show_it(
    admin_client: Client, mapping: GroupRole, procedure: factories.Procedure
) -> None:
    scope = {"digest": "0" * 64, "grants": ["READ example-data/team/"]}
    row = a_token(mapping, "smith", "_=u18", target=procedure.role_b, scope=scope)
    assert "_=u18" in admin_client.get(LIST).content.decode()
    page = admin_client.get(reverse("admin:roles_issuedtoken_change", args=[row.pk])).content.decode()
    for words in ("_=u18", "MyRoleB", "READ example-data/team/"):
        assert words in page


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({}, "In the cache"),
        ({"cached_until": timedelta(minutes=5)}, "In the cache"),
        ({"cached_until": timedelta(minutes=-5)}, "Out of the cache"),
        ({"evicted_at": timedelta(0)}, "Out of the cache"),
    ],
)
def test_the_state_is_that_of_the_cache(
    given: dict[str, timedelta], state: str, admin_client: Client, mapping: GroupRole
) -> None:
    row = a_token(mapping, "smith", "smith", **{name: timezone.now() + after for name, after in given.items()})
    assert state in admin_client.get(LIST).content.decode()
    assert row.is_cached is IssuedToken.objects.cached().exists() is (state == "In the cache")
