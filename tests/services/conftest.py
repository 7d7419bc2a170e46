"""What tests with real services share: the sandbox, and a database that other processes and threads see."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests.sandbox.conftest import aws, proxy, sandbox_server

__all__ = ["aws", "proxy", "sandbox_server"]


@pytest.fixture
def database_url(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    """Where another process finds the database that this test sees."""
    if connection.vendor == "sqlite":
        with _moved_to(tmp_path / "portal.sqlite3") as path:
            yield f"sqlite:///{path}"
    else:
        url = urlsplit(os.environ["TEST_DATABASE_URL"])
        yield url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


@contextmanager
def _moved_to(path: Path) -> Iterator[Path]:
    """Use a copy of the database of the tests, which is in this process's memory, as a file."""
    connection.ensure_connection()
    in_memory, name = connection.connection, connection.settings_dict["NAME"]
    with sqlite3.connect(path) as file:
        in_memory.backup(file)
    file.close()
    connection.connection, connection.settings_dict["NAME"] = None, str(path)
    try:
        yield path
    finally:
        connection.close()
        connection.connection, connection.settings_dict["NAME"] = in_memory, name
