from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from roles.errors import Conflict, NotPermitted
from roles.models import Membership, User
from roles.operations.deactivate_user import deactivate_user
from tests.factories import Procedure, UserFactory, portal_admin
from tests.operations.conftest import a_token, event, is_forgotten, traces


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_who_may_not_manage_users_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        deactivate_user(actor=powerless, user=procedure.bob)
    assert refusal.value.rule == "users.manage"
    procedure.bob.refresh_from_db()
    assert procedure.bob.is_active


def test_the_last_active_portal_admin_stays_active(alice: User) -> None:
    with pytest.raises(Conflict, match="last active portal admin"):
        deactivate_user(actor=alice, user=alice)
    alice.refresh_from_db()
    assert alice.is_active
    assert traces() == (0, 0)


def test_a_deactivated_user_is_not_deactivated_again(alice: User, charlie: User) -> None:
    deactivate_user(actor=alice, user=charlie)
    with pytest.raises(Conflict, match="already"):
        deactivate_user(actor=alice, user=charlie)


def test_one_of_two_portal_admins_may_go(alice: User) -> None:
    adam = portal_admin("adam")
    assert not deactivate_user(actor=alice, user=adam).is_active


def test_all_sessions_of_the_user_end_and_nobody_elses(procedure: Procedure, alice: User, charlie: User) -> None:
    laptop, phone, other = signed_in(procedure.bob), signed_in(procedure.bob), signed_in(charlie)
    deactivate_user(actor=alice, user=procedure.bob)
    assert Session.objects.count() == 1
    for client in (laptop, phone):
        assert client.get(reverse("password_change")).status_code == 302
    assert other.get(reverse("password_change")).status_code == 200
    assert event("user.deactivated").details["sessions_ended"] == 2


def test_sessions_of_others_cost_nothing(
    procedure: Procedure, alice: User, charlie: User, django_assert_num_queries: Any
) -> None:
    first, adam, ada = (portal_admin(name) for name in ("first", "adam", "ada"))
    deactivate_user(actor=alice, user=first)  # begins the history
    with CaptureQueriesContext(connection) as alone:
        deactivate_user(actor=alice, user=adam)
    for _ in range(20):
        signed_in(charlie)
    with django_assert_num_queries(len(alone)):
        deactivate_user(actor=alice, user=ada)
    assert Session.objects.count() == 20


def test_tokens_are_forgotten_and_memberships_stay(procedure: Procedure, alice: User, charlie: User) -> None:
    mapping = procedure.map()
    token, other = a_token(procedure.bob, mapping), a_token(charlie, mapping)
    deactivate_user(actor=alice, user=procedure.bob)
    assert is_forgotten(token)
    assert not is_forgotten(other)
    assert Membership.objects.open().filter(user=procedure.bob).exists()


def test_it_is_recorded(procedure: Procedure, alice: User) -> None:
    deactivate_user(actor=alice, user=procedure.bob)
    deactivated = event("user.deactivated")
    assert (deactivated.actor, deactivated.subject_name) == (alice, "bob")
    assert (deactivated.before, deactivated.after) == ({"is_active": True}, {"is_active": False})


def test_nobody_deactivates_somebody_who_may_more_than_they(alice: User, charlie: User) -> None:
    root: User = UserFactory(username="root", is_staff=True, is_superuser=True)
    charlie.user_permissions.set(Permission.objects.filter(codename="change_user"))
    for actor, user in ((alice, root), (User.objects.get(pk=charlie.pk), alice)):
        with pytest.raises(NotPermitted):
            deactivate_user(actor=actor, user=user)
        assert User.objects.get(pk=user.pk).is_active
    assert not deactivate_user(actor=root, user=alice).is_active
