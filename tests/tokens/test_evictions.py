"""When a token must go, it is gone in that request or signal, on each kind of cache; and nobody else's goes with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from roles.errors import SessionEnded
from roles.models import AuditEvent, GroupRole, User
from roles.operations.remove_member import remove_member
from roles.tokens import broker, cache, revocation
from roles.tokens.cache import cache as backend
from tests import factories
from tests.tokens.conftest import Desk, cache_settings, evictions

# --- the session ends ---


def test_logout_takes_the_token_out_in_the_same_request(desk: Desk, bystander: Desk) -> None:
    assert desk.browser.post(reverse("logout")).status_code == 302
    assert not desk.is_cached
    assert bystander.is_cached
    assert evictions() == [desk.token.credentials.access_key_id]
    with pytest.raises(SessionEnded):
        desk.ask()


def test_logout_of_another_session_of_the_same_user_leaves_this_one(desk: Desk) -> None:
    elsewhere = Desk(desk.user, desk.mapping)
    elsewhere.browser.post(reverse("logout"))
    assert not elsewhere.is_cached
    assert desk.is_cached
    assert desk.ask() == desk.token


def test_deleting_the_sessions_row_takes_it_out(desk: Desk, bystander: Desk) -> None:
    Session.objects.get(pk=desk.session.session_key).delete()
    assert not desk.is_cached
    assert bystander.is_cached


def test_clearsessions_takes_out_what_expired(desk: Desk, bystander: Desk) -> None:
    Session.objects.filter(pk=desk.session.session_key).update(expire_date=timezone.now() - timedelta(seconds=1))
    call_command("clearsessions")
    assert not desk.is_cached
    assert bystander.is_cached


def test_signing_in_as_somebody_else_in_the_same_browser_takes_it_out(desk: Desk, bystander: Desk) -> None:
    namespace = cache.namespace_in(desk.session)
    desk.browser.force_login(bystander.user)
    assert not desk.is_cached
    assert cache.namespace_in(desk.browser.session) not in ("", namespace)


def test_signing_in_again_as_oneself_begins_without_tokens(desk: Desk) -> None:
    namespace = cache.namespace_in(desk.session)
    desk.browser.force_login(desk.user)
    assert not desk.is_cached
    assert cache.namespace_in(desk.browser.session) != namespace


def test_flushing_a_session_takes_it_out(desk: Desk) -> None:
    desk.browser.session.flush()
    assert not desk.is_cached


def test_a_row_whose_data_cannot_be_read_is_deleted_all_the_same(desk: Desk) -> None:
    for number, data in enumerate(("", "not signed", "a:b:c", "\x7f")):
        Session.objects.create(session_key=f"unreadable{number}", session_data=data, expire_date=timezone.now())
    count, _ = Session.objects.filter(session_key__startswith="unreadable").delete()
    assert count == 4
    assert desk.is_cached


def test_changing_the_password_takes_out_the_tokens_of_all_the_users_sessions(desk: Desk, bystander: Desk) -> None:
    elsewhere = Desk(desk.user, desk.mapping)
    new = "another correct horse battery"
    answer = desk.browser.post(
        reverse("password_change"),
        {"old_password": factories.PASSWORD, "new_password1": new, "new_password2": new},
    )
    assert answer.status_code == 302, answer.content.decode()
    assert not desk.is_cached and not elsewhere.is_cached
    assert bystander.is_cached
    assert SESSION_KEY in desk.browser.session


def save(user: User) -> None:
    user.save()


def save_the_password_alone(user: User) -> None:
    user.save(update_fields=["password"])


@pytest.mark.parametrize("store", [save, save_the_password_alone])
def test_a_password_set_by_somebody_else_takes_them_out_too(
    store: Callable[[User], None], desk: Desk, bystander: Desk
) -> None:
    user = User.objects.get(pk=desk.user.pk)
    user.set_password("set by an admin 1234")
    store(user)
    assert not desk.is_cached
    assert bystander.is_cached
    assert desk.browser.get(reverse("my_access")).status_code == 302


def test_a_password_made_unusable_takes_them_out(desk: Desk) -> None:
    user = User.objects.get(pk=desk.user.pk)
    user.set_unusable_password()
    user.save()
    assert not desk.is_cached


def test_saving_anything_else_of_a_person_leaves_them(desk: Desk) -> None:
    user = User.objects.get(pk=desk.user.pk)
    user.first_name = "Robert"
    user.save()
    user.password = "not saved"
    user.save(update_fields=["first_name"])
    assert desk.is_cached


def test_signing_out_everywhere_takes_them_out_of_all_browsers(desk: Desk, bystander: Desk) -> None:
    elsewhere = Desk(desk.user, desk.mapping)
    assert desk.browser.post(reverse("sign_out_everywhere")).status_code == 302
    assert not desk.is_cached and not elsewhere.is_cached
    assert bystander.is_cached
    assert elsewhere.browser.get(reverse("my_access")).status_code == 302


def test_after_a_password_change_this_session_leads_to_no_older_token_even_with_the_cache_down(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any
) -> None:
    desk, caches = Desk(procedure.bob, mapping), settings.CACHES
    settings.CACHES = cache_settings("down")
    new = "another correct horse battery"
    desk.browser.post(
        reverse("password_change"),
        {"old_password": factories.PASSWORD, "new_password1": new, "new_password2": new},
    )
    settings.CACHES = caches
    assert backend.get(desk.row.cache_key) is not None  # it could not be taken out
    again = broker.get_token(actor=desk.user, session=desk.browser.session, mapping_id=mapping.pk)
    assert again.credentials != desk.token.credentials


# --- the functions themselves ---


def test_nothing_is_forgotten_twice_and_how_many_is_told(
    desk: Desk, bystander: Desk, procedure: factories.Procedure, charlie: User
) -> None:
    assert revocation.forget_user(charlie) == 0
    assert revocation.forget_member(charlie, procedure.group) == 0
    assert revocation.forget_session({}) == 0
    assert revocation.forget_member(desk.user, procedure.group) == 1
    assert revocation.forget_user(desk.user) == 0
    assert revocation.forget_mapping(desk.mapping) == 1
    assert evictions() == [desk.row.access_key_id, bystander.row.access_key_id]


def test_forgetting_a_member_leaves_what_they_have_through_other_groups(
    desk: Desk, procedure: factories.Procedure
) -> None:
    other = factories.MembershipFactory(user=desk.user).group
    assert revocation.forget_member(desk.user, other) == 0
    assert desk.is_cached


def test_forgetting_a_session_needs_no_more_than_its_decoded_data(desk: Desk) -> None:
    assert revocation.forget_session(Session.objects.get(pk=desk.session.session_key).get_decoded()) == 1
    assert not desk.is_cached


def test_a_session_is_found_by_its_older_hash_after_the_secret_key_was_rotated(desk: Desk, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-for-this-test-only-0123456789"
    assert revocation.forget_session(desk.session) == 1
    assert not desk.is_cached


def test_the_event_says_who_and_why_and_no_secret(desk: Desk) -> None:
    revocation.forget_mapping(desk.mapping)
    event = AuditEvent.objects.get(code="token.evicted")
    assert (event.actor_name, event.subject_type, event.group_name) == ("token broker", "grouprole", "analysts")
    assert event.details["tokens"] == [
        {
            "user": "bob",
            "session": cache.session_hashes(cache.namespace_in(desk.session))[0],
            "session_name": "bob",
            "mapping": desk.mapping.pk,
            "source": desk.token.source,
            "target": desk.token.target,
            "access_key_id": desk.row.access_key_id,
            "expires_at": desk.token.credentials.expires_at.isoformat(),
            "scope": desk.row.scope["digest"],
            "grants": ["READWRITE example-data/"],
        }
    ]
    assert event.details["reason"]


def test_the_event_names_the_person_who_caused_it(desk: Desk, alice: User) -> None:
    remove_member(actor=alice, group=desk.mapping.group, user=desk.user)
    assert AuditEvent.objects.get(code="token.evicted").actor == alice


def test_who_signs_out_is_named_as_the_one_who_did(desk: Desk) -> None:
    desk.browser.post(reverse("logout"), headers={"User-Agent": "a browser"})
    event = AuditEvent.objects.get(code="token.evicted")
    assert (event.actor, event.address, event.user_agent) == (desk.user, "127.0.0.1", "a browser")


def test_a_token_made_before_the_commit_goes_with_the_commit(
    mapping: GroupRole, procedure: factories.Procedure, django_capture_on_commit_callbacks: Any
) -> None:
    desk = Desk(procedure.bob, mapping)
    with django_capture_on_commit_callbacks(execute=True):
        assert revocation.forget_user(procedure.bob) == 1
        again = Desk(procedure.bob, mapping)  # in a request that does not see the change yet
        assert again.is_cached
    assert not desk.is_cached
    assert not again.is_cached


def test_a_rolled_back_change_costs_the_cached_token_only(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any
) -> None:
    settings.CACHES = cache_settings("locmem")
    desk = Desk(procedure.bob, mapping)
    with pytest.raises(RuntimeError), transaction.atomic():
        revocation.forget_user(procedure.bob)
        raise RuntimeError("something after it failed")
    assert backend.get(desk.row.cache_key) is None
    assert not AuditEvent.objects.filter(code="token.evicted").exists()
    assert desk.ask().credentials != desk.token.credentials
