"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.core.cache import cache

from roles.models import User
from tests import factories


def pytest_configure() -> None:
    """Fail early where CI promised services: no silent fall-back to SQLite."""
    has_services = os.environ.get("TEST_DATABASE_URL") and os.environ.get("TEST_REDIS_URL")
    if os.environ.get("CI") and not has_services and os.environ.get("XACCT_TEST_EMBEDDED") != "1":
        raise pytest.UsageError("CI must set TEST_DATABASE_URL and TEST_REDIS_URL (or XACCT_TEST_EMBEDDED=1).")


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Give each test an empty cache."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def alice(db: None) -> User:
    """A portal admin."""
    return factories.portal_admin("alice")


@pytest.fixture
def audrey(db: None) -> User:
    """An auditor."""
    return factories.auditor("audrey")


@pytest.fixture
def charlie(db: None) -> User:
    """A stranger: signs in, has nothing."""
    user: User = factories.UserFactory(username="charlie")
    return user


@pytest.fixture
def procedure(db: None) -> factories.Procedure:
    """The procedure's example world, with nothing mapped yet."""
    return factories.Procedure()
