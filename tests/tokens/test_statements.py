"""Written-out statements: what they read, and that PostgreSQL plans each once a connection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from roles.models import User
from roles.tokens.statements import Statement, Tables
from tests import factories

TABLES = Tables(("person", User, ("username", "password", "id")))


def by_name(name: str) -> Statement:
    """Return a statement that finds a person; PostgreSQL knows it by `name`."""
    return Statement(name, f"SELECT {TABLES.columns} FROM roles_user person WHERE person.username = %s")  # noqa: S608


BY_NAME = by_name("xacct_test")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="Only PostgreSQL keeps plans.")


@pytest.fixture
def bob(db: None) -> User:
    return factories.UserFactory(username="bob", email="bob@example.com")


def kept() -> list[str]:
    """Return the statements of these tests that PostgreSQL has a plan for on this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements WHERE starts_with(name, 'xacct_test')")
        return [name for (name,) in cursor.fetchall()]


def test_nobody_is_found_by_a_name_that_is_not_theirs(bob: User) -> None:
    assert BY_NAME.rows(["charlie"]) == BY_NAME.rows(["bob' OR '1' = '1"]) == []


def test_what_is_read_is_there_whatever_the_order_and_the_rest_is_loaded_when_looked_at(bob: User) -> None:
    with CaptureQueriesContext(connection) as queries:
        (row,) = BY_NAME.rows(["bob"])
        person = TABLES.instances(row, {})["person"]
        assert (person.pk, person.username, person.password) == (bob.pk, "bob", bob.password)
    assert len(queries) == 1
    assert person.email == "bob@example.com"


def test_the_same_row_is_the_same_instance_and_none_is_none(bob: User) -> None:
    (row,), known = BY_NAME.rows(["bob"]), {}  # type: ignore[var-annotated]
    assert TABLES.instances(row, known)["person"] is TABLES.instances(row, known)["person"]
    assert TABLES.instances([None] * TABLES.width, known)["person"] is None


@on_postgresql
def test_it_is_planned_once_a_connection(bob: User) -> None:
    statement = by_name("xacct_test_kept")
    assert statement.rows(["bob"]) == statement.rows(["bob"]) != []
    assert kept().count(statement.name) == 1


@on_postgresql
def test_another_connection_plans_it_for_itself(bob: User) -> None:
    statement = by_name("xacct_test_others")
    statement.rows(["bob"])

    def on_its_own() -> tuple[list[str], list[Any], list[str]]:
        try:
            return kept(), statement.rows(["bob"]), kept()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:  # a thread has a connection of its own; what the test wrote is not seen there
        assert pool.submit(on_its_own).result() == ([], [], [statement.name])


@on_postgresql
def test_where_a_pooler_shares_connections_no_plan_is_kept(bob: User, settings: Any) -> None:
    settings.XACCT_PREPARED_STATEMENTS = False
    statement = by_name("xacct_test_off")
    assert len(statement.rows(["bob"])) == 1
    assert statement.name not in kept()
