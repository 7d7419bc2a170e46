"""Bearers in the admin: seen, searched, and signed out by those who may."""

from __future__ import annotations

import pytest
from django.urls import reverse

from roles.models import AuditEvent, ToolBearer, User
from tests import factories
from tests.admin.conftest import SignedIn


@pytest.fixture
def bearer(procedure: factories.Procedure) -> ToolBearer:
    row: ToolBearer = ToolBearer.objects.create(
        user=procedure.bob,
        mapping=procedure.map(state="in_sync"),
        target=procedure.role_b,
        purpose="program",
        name="laptop",
        token_hash="c0ffee" * 10,
        sealed_session="sealed-session",
    )
    return row


def revoke(bearer: ToolBearer) -> str:
    return reverse("admin:roles_toolbearer_revoke", args=[bearer.pk])


def test_an_auditor_sees_it_and_cannot_sign_it_out(bearer: ToolBearer, signed_in: SignedIn, audrey: User) -> None:
    client = signed_in(audrey)
    page = client.get(reverse("admin:roles_toolbearer_change", args=[bearer.pk])).content.decode()
    assert "laptop" in page
    assert revoke(bearer) not in page
    assert client.post(revoke(bearer)).status_code == 403
    bearer.refresh_from_db()
    assert bearer.revoked_at is None


def test_no_page_shows_what_is_kept_of_the_bearer_or_its_session(
    bearer: ToolBearer, signed_in: SignedIn, alice: User
) -> None:
    client = signed_in(alice)
    for address in (
        reverse("admin:roles_toolbearer_changelist"),
        reverse("admin:roles_toolbearer_change", args=[bearer.pk]),
    ):
        page = client.get(address).content.decode()
        assert "laptop" in page
        assert bearer.token_hash not in page and bearer.sealed_session not in page


def test_an_admin_is_asked_first_and_then_signs_it_out(bearer: ToolBearer, signed_in: SignedIn, alice: User) -> None:
    client = signed_in(alice)
    asked = client.get(revoke(bearer)).content.decode()
    assert "laptop gets no more credentials of bob" in asked
    bearer.refresh_from_db()
    assert bearer.revoked_at is None
    assert "laptop of bob is signed out" in client.post(revoke(bearer), follow=True).content.decode()
    bearer.refresh_from_db()
    assert bearer.revoked_at is not None
    assert AuditEvent.objects.get(code="bearer.revoked").actor == alice
    assert revoke(bearer) not in client.get(reverse("admin:roles_toolbearer_change", args=[bearer.pk])).content.decode()


def test_signing_out_twice_says_that_it_was_done(bearer: ToolBearer, signed_in: SignedIn, alice: User) -> None:
    client = signed_in(alice)
    client.post(revoke(bearer))
    assert "was signed out already" in client.post(revoke(bearer), follow=True).content.decode()


def test_it_is_found_by_person_and_by_computer(bearer: ToolBearer, signed_in: SignedIn, alice: User) -> None:
    client = signed_in(alice)
    for words, found in (("bob", True), ("laptop", True), ("somebody", False)):
        page = client.get(reverse("admin:roles_toolbearer_changelist"), {"q": words}).content.decode()
        assert (reverse("admin:roles_toolbearer_change", args=[bearer.pk]) in page) is found
