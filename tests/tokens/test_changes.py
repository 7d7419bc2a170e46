"""Somebody whose access changed while they hold credentials is told so, and one click gives them new ones."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.models import AssumeRoleGrant, GroupRole, IssuedToken, User
from roles.operations.change_mapping import change_mapping
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.grant_bucket import grant_bucket
from roles.portal.queries import access_cards
from tests import factories
from tests.tokens.conftest import SECRET_MARK, ask, signed_in

NOTICE = "Your access changed."


@pytest.fixture
def browser(mapping: GroupRole, procedure: factories.Procedure) -> Client:
    """Bob's, with credentials for the mapping."""
    client = signed_in(procedure.bob)
    ask(procedure.bob, mapping, client.session)
    return client


def sees_notice(browser: Client) -> bool:
    return NOTICE in browser.get(reverse("my_access")).content.decode()


def widen(procedure: factories.Procedure, alice: User) -> None:
    other = factories.BucketFactory(account=procedure.account_b, name="other-data")
    grant_bucket(actor=alice, role=procedure.role_b, bucket=other)


def narrow(mapping: GroupRole, alice: User) -> None:
    change_mapping(actor=alice, mapping=mapping, access="READ", prefix="team/", buckets=(), expires_at=None)


def test_while_nothing_changed_there_is_no_notice(browser: Client) -> None:
    assert not sees_notice(browser)


def test_who_took_no_credentials_in_this_session_sees_none(
    browser: Client, procedure: factories.Procedure, alice: User
) -> None:
    widen(procedure, alice)
    assert not sees_notice(signed_in(procedure.bob))


def test_credentials_that_have_expired_do_not_matter(
    browser: Client, procedure: factories.Procedure, alice: User
) -> None:
    widen(procedure, alice)
    IssuedToken.objects.update(expires_at=timezone.now())
    assert not sees_notice(browser)


def test_a_session_without_a_namespace_sees_none(browser: Client, procedure: factories.Procedure, alice: User) -> None:
    widen(procedure, alice)
    session = browser.session
    session.pop("xacct_namespace")
    session.save()
    assert not sees_notice(browser)


def test_changing_the_secret_key_is_no_change_of_access(browser: Client, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-for-this-test-only-0123456789"
    assert not sees_notice(browser)


def test_a_narrowed_mapping_is_told(browser: Client, mapping: GroupRole, alice: User) -> None:
    narrow(mapping, alice)
    assert sees_notice(browser)


def test_a_widened_policy_is_told_until_new_credentials_are_taken(
    browser: Client, mapping: GroupRole, procedure: factories.Procedure, alice: User
) -> None:
    widen(procedure, alice)
    assert sees_notice(browser)
    new = browser.post(reverse("credentials", args=[mapping.pk])).content.decode()
    assert SECRET_MARK in new and "other-data" in new
    assert not sees_notice(browser)


# --- two targets ---


@pytest.fixture
def second(browser: Client, mapping: GroupRole, procedure: factories.Procedure) -> AssumeRoleGrant:
    """Another target of the mapping's role, which opens a bucket of its own; Bob took its credentials last."""
    chain = factories.AssumeRoleGrantFactory(source=procedure.role_a)
    factories.BucketGrantFactory(role=chain.target, bucket__name="second-data")
    ask(procedure.bob, mapping, browser.session, target_id=chain.target.pk)
    return chain


def noticed(browser: Client, user: User) -> set[str]:
    """The buckets at which My access says that the access changed."""
    return {str(card.bucket) for card in access_cards(user, browser.session) if card.has_changed}


def test_with_two_targets_the_one_that_changed_is_told_and_the_other_is_not(
    browser: Client, second: AssumeRoleGrant, procedure: factories.Procedure, alice: User, mapping: GroupRole
) -> None:
    assert noticed(browser, procedure.bob) == set()
    widen(procedure, alice)
    assert noticed(browser, procedure.bob) == {"example-data", "other-data"}
    ask(procedure.bob, mapping, browser.session, target_id=procedure.role_b.pk)
    assert noticed(browser, procedure.bob) == set()


def test_with_two_targets_the_newer_one_is_told_too(
    browser: Client, second: AssumeRoleGrant, procedure: factories.Procedure, alice: User
) -> None:
    another = factories.BucketFactory(account=second.target.account, name="third-data")
    grant_bucket(actor=alice, role=second.target, bucket=another)
    assert noticed(browser, procedure.bob) == {"second-data", "third-data"}


def test_credentials_of_a_target_that_is_not_reached_any_more_are_told_until_others_are_taken(
    browser: Client, second: AssumeRoleGrant, procedure: factories.Procedure, alice: User, mapping: GroupRole
) -> None:
    end_assume_role_grant(actor=alice, grant=second)
    assert noticed(browser, procedure.bob) == {"example-data"}
    ask(procedure.bob, mapping, browser.session, target_id=procedure.role_b.pk)
    assert noticed(browser, procedure.bob) == set()


def test_signing_out_and_in_gives_the_new_access_too(
    browser: Client, mapping: GroupRole, procedure: factories.Procedure, alice: User
) -> None:
    widen(procedure, alice)
    browser.post(reverse("logout"))
    browser.force_login(procedure.bob)
    assert not sees_notice(browser)
    token = ask(procedure.bob, mapping, browser.session)
    assert {grant.bucket.name for grant in token.grants} == {"example-data", "other-data"}
