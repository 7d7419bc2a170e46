"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.plugin import blocking_manager_key

from roles.aws import sessions
from roles.models import User
from roles.tokens import renewing
from roles.tokens.background import Background
from roles.tokens.cache import cache
from tests import factories

# How long something takes is measured in benchmarks/; a busy machine must not fail a test of what is right.
hypothesis_settings.register_profile("portal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("portal")


def pytest_configure() -> None:
    """Fail early where CI promised services: no silent fall-back to SQLite."""
    has_services = os.environ.get("TEST_DATABASE_URL") and os.environ.get("TEST_REDIS_URL")
    if os.environ.get("CI") and not has_services and os.environ.get("XACCT_TEST_EMBEDDED") != "1":
        raise pytest.UsageError("CI must set TEST_DATABASE_URL and TEST_REDIS_URL (or XACCT_TEST_EMBEDDED=1).")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Put back what migrations entered: the database is emptied after a test that other threads or processes see."""
    yield
    if nextitem is None:  # the database is gone
        return
    mark = item.get_closest_marker("django_db")
    is_marked = mark is not None and bool(mark.kwargs.get("transaction"))
    if is_marked or {"live_server", "transactional_db"} & set(getattr(item, "fixturenames", ())):
        with item.config.stash[blocking_manager_key].unblock():
            steps = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
            for _, migration in sorted(step for step in steps.items() if step[0][0] == "roles"):
                for operation in migration.operations:
                    if isinstance(operation, RunPython):
                        operation.code(apps, SimpleNamespace(connection=connection))


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Give each test an empty cache, and no way into an account that another test has opened."""
    cache.clear()
    sessions.forget_sessions()
    yield
    cache.clear()
    sessions.forget_sessions()


@pytest.fixture(autouse=True)
def _renew_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew tokens where the request stands: a thread would not see the test's transaction."""
    monkeypatch.setattr(renewing, "background", Background(1, spawn=lambda work: work()))


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
