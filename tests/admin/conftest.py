"""Fixtures of the admin's tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape

import pytest
from django.test import Client

from roles.models import GroupRole, ProvisioningRun, User
from roles.provisioning import runner
from tests import factories
from tests.strict_aws.watched import THEIRS, WatchedAws

SignedIn = Callable[[User], Client]


@pytest.fixture
def signed_in(db: None) -> SignedIn:
    """Return a function that gives a client in which that person is signed in."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def aws() -> Iterator[WatchedAws]:
    """The procedure's AWS before the portal: a bucket with somebody else's statement."""
    with WatchedAws(THEIRS) as world:
        yield world


@pytest.fixture
def admin_client(signed_in: SignedIn, alice: User) -> Client:
    """A client in which the portal admin is signed in."""
    return signed_in(alice)


def provisioned(mapping: GroupRole) -> GroupRole:
    """Return the mapping after a run that brought AWS in line."""
    run: ProvisioningRun = factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    runner.reconcile(run.pk)
    mapping.refresh_from_db()
    assert mapping.provisioned_at is not None
    return mapping


def hidden(page: str) -> dict[str, list[str]]:
    """Return the hidden fields of the page that asks, as its button would send them."""
    form = page.partition('id="plan-form"')[2].partition("</form>")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(unescape(value))
    return found
