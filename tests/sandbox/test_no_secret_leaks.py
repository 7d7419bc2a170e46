"""A whole day of Bob's against the sandbox; then every place that keeps something is searched for what AWS gave out."""

from __future__ import annotations

import base64
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as portal_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.views.debug import ExceptionReporter

from roles.aws import sts
from roles.aws.sandbox import SandboxServer
from roles.models import AuditEvent, IssuedToken
from roles.policies import builders
from roles.portal.views import credentials as credentials_view
from roles.provisioning import outbox
from roles.tokens import cache
from roles.tokens.cache import cache as backend
from roles.values.credentials import Credentials
from tests import factories
from tests.sandbox.proxy import CallLog
from tests.sandbox.test_token_access import World
from tests.tokens.conftest import BACKENDS, REDIS_URL, cache_settings

pytestmark = pytest.mark.sandbox


class Day:
    """What Bob does, what AWS gave out meanwhile, and what was shown and reported."""

    def __init__(self, world: World) -> None:
        self.world, self.mapping = world, world.map(access="READ", prefix="team/")
        self.issued: list[Credentials] = []
        self.pages: dict[str, str] = {}
        self.reports: list[str] = []
        self.shown = ""
        self.browser = Client(raise_request_exception=False)

    @property
    def secrets(self) -> list[str]:
        """Each secret access key and session token, of both roles of the chain."""
        return [text for one in self.issued for text in (one.secret_access_key, one.session_token)]

    def sign_in(self) -> None:
        answer = self.browser.post(reverse("login"), {"username": "bob", "password": factories.PASSWORD})
        assert answer.status_code == 302

    def post(self, name: str, *arguments: Any, **data: Any) -> str:
        self.pages[f"post {name}"] = page = self.browser.post(reverse(name, args=arguments), data).content.decode()
        return page

    def get(self, name: str, *arguments: Any, **query: Any) -> str:
        answer = self.browser.get(reverse(name, args=arguments), query)
        self.pages[f"get {name} {query}"] = page = answer.getvalue().decode()
        return page

    def report(self, *_arguments: Any, request: Any = None, **_more: Any) -> None:
        """Keep what Django would mail about an error that nobody expected."""
        reporter = ExceptionReporter(request, *sys.exc_info())  # type: ignore[arg-type]
        self.reports += [reporter.get_traceback_text(), reporter.get_traceback_html()]


@pytest.fixture(params=BACKENDS)
def day(
    request: pytest.FixtureRequest,
    *,
    settings: Any,
    aws: CallLog,
    sandbox_server: SandboxServer,
    procedure: factories.Procedure,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Day]:
    settings.CACHES = cache_settings(request.param)
    call_command("createcachetable", verbosity=0)
    backend.clear()
    world = World(sandbox_server.endpoint_url, procedure)
    world.provision()
    made, real = Day(world), sts.assume_role

    def recorded(*arguments: Any, **more: Any) -> Credentials:
        made.issued.append(real(*arguments, **more))
        return made.issued[-1]

    monkeypatch.setattr(sts, "assume_role", recorded)
    got_request_exception.connect(made.report)
    yield made
    got_request_exception.disconnect(made.report)
    backend.clear()


def live(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign in, take credentials, browse, run into each kind of error, and let a run be queued."""
    mapping, bucket = day.mapping.pk, "example-data"
    day.sign_in()
    day.get("my_access")
    assert day.issued == []
    assert "notes.md" in day.get("browse", mapping, bucket, prefix="team/")
    day.get("browse_download", mapping, bucket, key="team/notes.md")
    assert "does not include" in day.get("browse", mapping, bucket, prefix="team-secret/")
    assert "Not permitted" in day.post(
        "browse_upload", mapping, bucket, file=SimpleUploadedFile("x.txt", b"x"), prefix="team/"
    )
    day.post("credentials", 987654)
    for module, name in ((cache, "_sealed"), (credentials_view, "show"), (sts, "assume_role")):
        with monkeypatch.context() as broken:
            broken.setattr(module, name, _fail)
            backend.clear()
            day.post("credentials", mapping)
    day.world.trust(builders.nobody_statement())
    backend.clear()
    assert "does not let MyRoleA assume MyRoleB" in day.post("credentials", mapping)
    day.world.trust(*builders.trust_statements([day.world.source], attribution=True))
    day.shown = day.post("credentials", mapping)
    run = outbox.queue_run(actor=day.world.rows.bob, role=day.world.rows.role_a, trigger="mapping.added")
    assert outbox.send(run.pk)


def _fail(*_arguments: Any, **_more: Any) -> Any:
    raise RuntimeError("something that nobody expected")


def in_database() -> str:
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            rows += cursor.fetchall()
    return repr(rows)


def in_cache() -> str:
    """Return what lies in the cache, as whoever reads its memory sees it."""
    location = portal_settings.CACHES["shared"]["LOCATION"]
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
    if REDIS_URL:
        return in_redis(f"{REDIS_URL}/15")
    folder = Path(portal_settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"])
    return repr([file.read_bytes() for file in folder.rglob("*") if file.is_file()])


def hits(day: Day, places: dict[str, str]) -> list[str]:
    """Return the names of the places that hold a secret access key or a session token."""
    return [name for name, text in places.items() if any(secret in text for secret in day.secrets)]


def test_what_aws_gave_out_is_nowhere_but_encrypted_in_the_cache(
    day: Day, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    live(day, monkeypatch)
    assert len(day.secrets) >= 12
    # What searching finds where it is meant to be: on the page that was asked for, and in the cache once opened.
    last, row = day.issued[-1], IssuedToken.objects.cached().get()
    assert hits(day, {"page": day.shown}) == ["page"]
    assert row.access_key_id == last.access_key_id
    assert row.cache_key in in_cache()
    held = cache.get(row.cache_key)
    assert held is not None and held.credentials.session_token == last.session_token
    day.pages = {name: page for name, page in day.pages.items() if page != day.shown}
    assert len([text for text in day.reports if "something that nobody expected" in text]) == 6
    places = {"cache": in_cache(), "database": in_database(), "queue": in_queue(), "log": caplog.text}
    places |= {f"report {number}": text for number, text in enumerate(day.reports)} | day.pages
    assert last.access_key_id in places["database"]
    assert "roles.reconcile_run" in places["queue"]
    assert hits(day, places) == []

    day.browser.post(reverse("logout"))
    assert cache.get(row.cache_key) is None
    assert row.cache_key not in in_cache()
    printed = "".join(capfd.readouterr())
    after = {"cache": in_cache(), "database": in_database(), "log": caplog.text, "printed": printed}
    assert hits(day, after) == []
    assert {"token.issued", "token.refused", "token.evicted"} <= set(AuditEvent.objects.values_list("code", flat=True))
