"""Whether a secret lies in a text, in whatever form; and all that lies in each place that keeps something."""

from __future__ import annotations

import base64
import html
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils.html import escapejs

from roles.tokens.cache import cache as backend
from tests.tokens.conftest import REDIS_URL


def forms_of(secret: str) -> set[str]:
    """Return the texts that tell a secret: as it is, base64, hex, quoted for URLs, escaped for HTML, JSON, JavaScript.

    In base64 a secret has three forms, by what stands before it; of each only what its neighbours do not change.
    """
    raw = secret.encode()
    forms = {secret, quote(secret), quote(secret, safe=""), quote(quote(secret, safe=""), safe="")}
    forms |= {html.escape(secret), json.dumps(secret)[1:-1], str(escapejs(secret)), raw.hex()}
    for before in range(3):
        whole = (before + len(raw)) // 3 * 4
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(b"\0" * before + raw).decode()[(before * 4 + 2) // 3 : whole])
    return forms


def hits(secrets: Iterable[str], places: dict[str, str]) -> list[str]:
    """Return the names of the places that hold any of the secrets in any form."""
    forms = {form for secret in secrets for form in forms_of(secret)}
    return [name for name, text in places.items() if any(form in text for form in forms)]


def in_database() -> str:
    """Return every row of every table, and what is in the sessions, which Django compresses."""
    rows: list[Any] = [session.get_decoded() for session in Session.objects.all()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            rows += [[bytes(cell) if isinstance(cell, memoryview) else cell for cell in row] for row in cursor]
    return repr(rows)


def in_cache() -> str:
    """Return what lies in the cache, as whoever reads its memory sees it."""
    location = settings.CACHES["shared"]["LOCATION"]
    if location.startswith("redis:"):
        return in_redis(location)
    if hasattr(backend, "_cache"):
        return repr([(key, pickle.loads(value)) for key, value in backend._cache.items()])  # noqa: S301
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT cache_key, value FROM "{location}"')  # noqa: S608
        return repr([(key, pickle.loads(base64.b64decode(value))) for key, value in cursor.fetchall()])  # noqa: S301


def in_redis(address: str) -> str:
    """Return all that lies in a Redis database: text of the cache, lists and hashes of the queue."""
    client = redis.Redis.from_url(address)
    readers: dict[bytes, Any] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    return repr([(key, readers[client.type(key)](key)) for key in client.scan_iter("*")])


def in_queue() -> str:
    """Return the messages that wait for a worker, as the broker keeps them."""
    if REDIS_URL:
        return in_redis(f"{REDIS_URL}/15")
    folder = Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"])
    return in_folder(folder)


def in_folder(folder: Path, *, without: str = "") -> str:
    """Return what is in all files below a folder, but not in its folder of the name `without`."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    if without:
        files = [file for file in files if folder / without not in file.parents]
    return "\n".join(f"{file}\n{file.read_bytes().decode('utf-8', 'replace')}" for file in files)
