"""When the access ends, its tokens are gone in that call, on each kind of cache; so they are when it ends by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from roles.errors import NotEntitled, NotFound
from roles.models import AuditEvent, AwsAccount, GroupRole, IssuedToken, User, UserGroup
from roles.operations.change_mapping import change_mapping
from roles.operations.deactivate_user import deactivate_user
from roles.operations.disable_account import disable_account
from roles.operations.disable_group import disable_group
from roles.operations.enable_account import enable_account
from roles.operations.enable_group import enable_group
from roles.operations.remove_member import remove_member
from roles.operations.unmap_role import unmap_role
from roles.tokens import broker, cache
from roles.tokens.cache import cache as backend
from tests import factories
from tests.tokens.conftest import SECRET_MARK, Desk, FakeSts, evictions, in_sync, signed_in


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
