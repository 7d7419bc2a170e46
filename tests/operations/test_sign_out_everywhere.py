from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from roles.context import SystemActor
from roles.errors import NotPermitted
from roles.models import User
from roles.operations.sign_out_everywhere import sign_out_everywhere
from tests.factories import Procedure
from tests.operations.conftest import a_token, event, is_forgotten, traces


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def is_signed_in(client: Client) -> bool:
    return client.get(reverse("password_change")).status_code == 200


def test_who_may_not_manage_users_signs_nobody_else_out(procedure: Procedure, powerless: User) -> None:
    browser = signed_in(procedure.bob)
    before = traces()
    with pytest.raises(NotPermitted) as refusal:
        sign_out_everywhere(actor=powerless, user=procedure.bob)
    assert refusal.value.rule == "users.manage"
    assert is_signed_in(browser)
    assert traces() == before


def test_everybody_signs_themselves_out_and_nobody_else(procedure: Procedure, charlie: User) -> None:
    laptop, phone, other = signed_in(procedure.bob), signed_in(procedure.bob), signed_in(charlie)
    sign_out_everywhere(actor=procedure.bob, user=procedure.bob)
    assert not is_signed_in(laptop) and not is_signed_in(phone)
    assert is_signed_in(other)
    assert Session.objects.count() == 1


def test_an_admin_signs_somebody_out_and_their_tokens_go(procedure: Procedure, alice: User, charlie: User) -> None:
    browser, mapping = signed_in(procedure.bob), procedure.map()
    token, other = a_token(procedure.bob, mapping), a_token(charlie, mapping)
    row = sign_out_everywhere(actor=alice, user=procedure.bob)
    assert row.is_active
    assert not is_signed_in(browser)
    assert is_forgotten(token)
    assert not is_forgotten(other)


def test_it_is_recorded_with_who_did_it(procedure: Procedure) -> None:
    signed_in(procedure.bob)
    sign_out_everywhere(actor=SystemActor("command:test"), user=procedure.bob)
    recorded = event("user.signed_out_everywhere")
    assert (recorded.actor_name, recorded.subject_name) == ("command:test", "bob")
    assert recorded.details["sessions_ended"] == 1
