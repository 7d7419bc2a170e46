"""Written-out SELECTs of rows of several tables, for what is asked at every request for a token. PostgreSQL plans each
once a connection.

The ORM takes longer to build such a statement than the database to answer it, and PostgreSQL longer to plan it than to
carry it out: of the 1.8 ms that it took for a warm token, 1.4 were planning (`benchmarks/tokens.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakSet

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model

# A table's name in a statement, its model, and the columns read of it; others are loaded when somebody looks at them.
Table = tuple[str, type[Model], tuple[str, ...]]
Known = dict[tuple[type[Model], int], Any]


class Tables:
    """The tables that a statement reads. Their columns, `columns`, are the first of its answer, `width` of them."""

    def __init__(self, *tables: Table) -> None:
        self._tables = tuple((alias, model, _in_order(model, names)) for alias, model, names in tables)
        self.columns = ", ".join(f"{alias}.{name}" for alias, _, names in self._tables for name in names)
        self.width = sum(len(names) for _, _, names in self._tables)

    def instances(self, row: Sequence[Any], known: Known) -> dict[str, Any]:
        """Return the row of each table, by its name, that a row of the answer is made of.

        None where an outer join found nothing; one that is in `known` already is the same instance.
        """
        found: dict[str, Any] = {}
        for part in self._parts:
            key = (part.model, row[part.start])
            if row[part.start] is None:
                found[part.alias] = None
                continue
            if key not in known:
                values = list(row[part.start : part.start + len(part.names)])
                for index, convert in part.converters:
                    values[index] = convert(values[index], None, connection)
                known[key] = part.model.from_db(DEFAULT_DB_ALIAS, part.names, values)
            found[part.alias] = known[key]
        return found

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        """Made when they are needed first: which values need converting depends on the database."""
        start, found = 0, []
        for alias, model, names in self._tables:
            converters = tuple(
                (index, convert) for index, name in enumerate(names) for convert in _converters_of(model, name)
            )
            found.append(_Part(alias, model, names, start, converters))
            start += len(names)
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A SELECT with a `%s` for each parameter and no other percent sign.

    PostgreSQL knows it by `name`: what it is called and a digest of its text, so that no connection that outlives a
    release answers with the one of before.
    """

    called: str
    text: str
    name: str = field(init=False)
    _prepared_on: WeakSet[Any] = field(default_factory=WeakSet, repr=False)

    def __post_init__(self) -> None:
        """Name it."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:12]
        object.__setattr__(self, "name", f"{self.called}_{digest}")

    def rows(self, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the answer. One query, by a plan that the connection keeps, if it may keep any."""
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql" and settings.XACCT_PREPARED_STATEMENTS:
                self._prepare()
                cursor.execute(f"EXECUTE {self.name}({', '.join(['%s'] * len(parameters))})", parameters)
            else:
                cursor.execute(self.text, parameters)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def _prepare(self) -> None:
        """Tell PostgreSQL the statement, once a connection; it stays there when a transaction is rolled back."""
        session: Any = connection.connection
        if session in self._prepared_on:
            return
        numbered = self.text % tuple(f"${number}" for number in range(1, self.text.count("%s") + 1))
        with connection.wrap_database_errors:
            session.execute(f"PREPARE {self.name} AS {numbered}")
        self._prepared_on.add(session)


@dataclass(frozen=True, slots=True)
class _Part:
    """One table's columns in a row of the answer, and what makes Python's values of those that need it."""

    alias: str
    model: type[Model]
    names: tuple[str, ...]
    start: int
    converters: tuple[tuple[int, Any], ...]


def _in_order(model: type[Model], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns in the model's order, in which `Model.from_db` takes their values."""
    return tuple(one.attname for one in model._meta.concrete_fields if one.attname in names)


def _converters_of(model: type[Model], name: str) -> list[Any]:
    column: Any = model._meta.get_field(name)
    return [
        *connection.ops.get_db_converters(column.get_col(model._meta.db_table)),
        *column.get_db_converters(connection),
    ]
