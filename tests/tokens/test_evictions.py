"""When a token must go, it is gone in that request or signal, on each kind of cache; and nobody else's goes with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from roles.errors import NotEntitled, NotFound, SessionEnded
from roles.models import AuditEvent, AwsAccount, GroupRole, IssuedToken, User, UserGroup
from roles.models.choices import Outcome
from roles.operations.change_mapping import change_mapping
from roles.operations.deactivate_user import deactivate_user
from roles.operations.disable_account import disable_account
from roles.operations.disable_group import disable_group
from roles.operations.enable_account import enable_account
from roles.operations.enable_group import enable_group
from roles.operations.remove_member import remove_member
from roles.operations.unmap_role import unmap_role
from roles.tokens import broker, cache, revocation
from roles.tokens.broker import Token
from roles.tokens.cache import cache as backend
from tests import factories
from tests.tokens.conftest import SECRET_MARK, FakeSts, cache_settings, in_sync, signed_in


class Desk:
    """A browser of somebody, with a token in its session."""

    def __init__(self, user: User, mapping: GroupRole) -> None:
        self.user, self.mapping = user, mapping
        self.browser = signed_in(user)
        self.session = self.browser.session
        before = set(IssuedToken.objects.values_list("pk", flat=True))
        self.token = self.ask()
        self.row = IssuedToken.objects.exclude(pk__in=before).get()

    def ask(self) -> Token:
        return broker.get_token(actor=self.user, session=self.session, mapping_id=self.mapping.pk)

    @property
    def is_cached(self) -> bool:
        """Whether the cache holds it; the record must say the same."""
        in_cache = backend.get(self.row.cache_key) is not None
        on_record = IssuedToken.objects.cached().filter(pk=self.row.pk).exists()
        assert in_cache == on_record
        return in_cache


@pytest.fixture
def desk(each_cache: str, procedure: factories.Procedure, mapping: GroupRole) -> Desk:
    """Bob's browser, with a token."""
    found = Desk(procedure.bob, mapping)
    assert found.is_cached
    return found


@pytest.fixture
def bystander(desk: Desk, procedure: factories.Procedure, mapping: GroupRole) -> Desk:
    """Carol's browser, with a token for the same mapping."""
    carol = factories.MembershipFactory(group=procedure.group, user__username="carol").user
    return Desk(carol, mapping)


def evictions() -> list[str]:
    """The access key ids on record as evicted, in order."""
    events = AuditEvent.objects.filter(code="token.evicted", outcome=Outcome.OK).order_by("pk")
    return [token["access_key_id"] for event in events for token in event.details["tokens"]]


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


# --- the access ends ---


def deactivate(desk: Desk, alice: User) -> None:
    deactivate_user(actor=alice, user=desk.user)


def remove(desk: Desk, alice: User) -> None:
    remove_member(actor=alice, group=desk.mapping.group, user=desk.user)


def unmap(desk: Desk, alice: User) -> None:
    unmap_role(actor=alice, mapping=desk.mapping)


def narrow(desk: Desk, alice: User) -> None:
    change_mapping(actor=alice, mapping=desk.mapping, access="READ", prefix="team/", buckets=(), expires_at=None)


@pytest.mark.parametrize(("end", "others_stay"), [(deactivate, True), (remove, True), (unmap, False), (narrow, False)])
def test_ending_the_access_takes_the_token_out_in_that_call(
    end: Callable[[Desk, User], None], others_stay: bool, desk: Desk, bystander: Desk, alice: User
) -> None:
    end(desk, alice)
    assert not desk.is_cached
    assert bystander.is_cached is others_stay
    assert desk.token.credentials.access_key_id in evictions()


@pytest.mark.parametrize("end", [deactivate, remove, unmap])
def test_after_the_access_ended_there_is_no_new_token(
    end: Callable[[Desk, User], None], desk: Desk, alice: User, aws_sts: FakeSts
) -> None:
    calls = len(aws_sts.requests)
    end(desk, alice)
    with pytest.raises((NotFound, NotEntitled)):
        desk.ask()
    assert len(aws_sts.requests) == calls


def test_after_narrowing_the_next_token_is_narrower(desk: Desk, alice: User, aws_sts: FakeSts) -> None:
    narrow(desk, alice)
    assert desk.ask().credentials != desk.token.credentials
    assert "team/*" in aws_sts.requests[-1].policy


def test_when_the_mapping_expires_the_cache_drops_it_by_itself(each_cache: str, procedure: factories.Procedure) -> None:
    soon = timezone.now() + timedelta(seconds=3)
    desk = Desk(procedure.bob, in_sync(procedure, expires_at=soon))
    assert desk.is_cached
    assert desk.row.cached_until == soon and desk.row.expires_at > soon
    time.sleep(max(0.0, (soon - timezone.now()).total_seconds()) + 0.1)
    assert not desk.is_cached
    with pytest.raises(NotEntitled, match="ended on"):
        desk.ask()


def test_a_user_with_tokens_cannot_be_deleted_neither_here_nor_by_sql(desk: Desk) -> None:
    with pytest.raises(ProtectedError):
        desk.user.delete()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM roles_user WHERE id = %s", [desk.user.pk])
        connection.check_constraints()
    assert desk.is_cached


def test_a_user_whom_the_database_does_not_have_gets_nothing_from_a_cached_token(desk: Desk, aws_sts: FakeSts) -> None:
    calls = len(aws_sts.requests)
    absent = User(pk=desk.user.pk + 1000, username="bob", is_active=True)
    with pytest.raises(NotFound):
        broker.get_token(actor=absent, session=desk.session, mapping_id=desk.mapping.pk)
    assert len(aws_sts.requests) == calls


def test_an_expired_session_is_refused_by_the_request_itself_before_anybody_cleans_up(
    desk: Desk, bystander: Desk
) -> None:
    page = reverse("credentials", args=[desk.mapping.pk])
    assert SECRET_MARK in desk.browser.post(page).content.decode()
    Session.objects.filter(pk=desk.session.session_key).update(expire_date=timezone.now())
    refused = desk.browser.post(page)
    assert refused.status_code == 302 and reverse("login") in refused["Location"]
    assert SECRET_MARK in bystander.browser.post(page).content.decode()


def test_a_retired_encryption_key_makes_it_unreadable_and_the_next_takes_its_place(desk: Desk, settings: Any) -> None:
    before = backend.get(desk.row.cache_key)
    settings.XACCT_TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert cache.get(desk.row.cache_key) is None
    new = desk.ask()
    assert new.credentials != desk.token.credentials
    assert backend.get(desk.row.cache_key) not in (None, before)
    rows = IssuedToken.objects.filter(cache_key=desk.row.cache_key)
    assert [row.access_key_id for row in rows if row.is_cached] == [new.credentials.access_key_id]
    assert AuditEvent.objects.filter(code="token.issued").latest("pk").details["replaces"] == [desk.row.access_key_id]


# --- the group, or an account on the way, is disabled ---


def account_of_the_bucket(world: factories.Procedure) -> AwsAccount:
    """Move the bucket to an account where neither of the roles is."""
    world.bucket.account = factories.AwsAccountFactory(name="third")
    world.bucket.save()
    return world.bucket.account


DISABLED: dict[str, Callable[[factories.Procedure], UserGroup | AwsAccount]] = {
    "group": lambda world: world.group,
    "account of the source role": lambda world: world.account_a,
    "account of the target role": lambda world: account_of_the_bucket(world) and world.account_b,
    "account of the bucket": account_of_the_bucket,
}


@pytest.fixture(params=DISABLED)
def subject(request: pytest.FixtureRequest, procedure: factories.Procedure) -> UserGroup | AwsAccount:
    """What is going to be disabled; before there is any token."""
    return DISABLED[request.param](procedure)


@pytest.fixture
def elsewhere(subject: UserGroup | AwsAccount, each_cache: str, procedure: factories.Procedure) -> Desk:
    """Bob's browser with a token for a mapping of another group, between other accounts."""
    chain = factories.AssumeRoleGrantFactory()
    factories.BucketGrantFactory(role=chain.target)
    other = factories.GroupRoleFactory(role=chain.source, state="in_sync", provisioned_at=timezone.now())
    factories.MembershipFactory(group=other.group, user=procedure.bob)
    return Desk(procedure.bob, other)


def disable(subject: UserGroup | AwsAccount, alice: User) -> None:
    if isinstance(subject, UserGroup):
        disable_group(actor=alice, group=subject, reason="audit of 2026")
    else:
        disable_account(actor=alice, account=subject, reason="audit of 2026")


def test_disabling_takes_tokens_out_in_that_call_and_there_is_no_new_one_and_another_groups_stay(
    *, subject: UserGroup | AwsAccount, desk: Desk, bystander: Desk, elsewhere: Desk, alice: User, aws_sts: FakeSts
) -> None:
    calls = len(aws_sts.requests)
    disable(subject, alice)
    assert not desk.is_cached and not bystander.is_cached
    assert desk.token.credentials.access_key_id in evictions()
    with pytest.raises(NotEntitled, match=r"is disabled by an admin: audit of 2026\."):
        desk.ask()
    assert len(aws_sts.requests) == calls
    assert elsewhere.is_cached and elsewhere.ask() == elsewhere.token


def test_enabling_gives_a_new_token_to_the_same_session(
    subject: UserGroup | AwsAccount, desk: Desk, alice: User
) -> None:
    disable(subject, alice)
    if isinstance(subject, UserGroup):
        enable_group(actor=alice, group=subject)
    else:
        enable_account(actor=alice, account=subject)
    assert desk.ask().credentials != desk.token.credentials


def test_a_token_that_aws_makes_while_the_group_or_account_is_disabled_is_taken_back(
    subject: UserGroup | AwsAccount, each_cache: str, mapping: GroupRole, alice: User, aws_sts: FakeSts
) -> None:
    aws_sts.while_b_is_asked = lambda: disable(subject, alice)
    bob = User.objects.get(username="bob")
    with pytest.raises(NotEntitled):
        broker.get_token(actor=bob, session=signed_in(bob).session, mapping_id=mapping.pk)
    assert backend.get(IssuedToken.objects.get().cache_key) is None
    assert not IssuedToken.objects.cached().exists()


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
