"""A web process of the single-flight test: sixteen threads that ask for a token at once, of one session or of two."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from roles.aws import sts  # noqa: E402
from roles.models import GroupRole, User  # noqa: E402
from roles.models.choices import MappingState  # noqa: E402
from roles.tokens import broker, cache  # noqa: E402
from roles.values.credentials import Credentials  # noqa: E402
from tests import factories  # noqa: E402

THREADS = 16


def say(*words: str) -> None:
    """Print a line to whoever started this process."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def prepare() -> None:
    """Make the database and print the keys of three sessions of Bob's."""
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    world = factories.Procedure()
    world.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now())
    browsers = [Client(), Client(), Client()]
    for browser in browsers:
        browser.force_login(world.bob)
    say(*(browser.session.session_key for browser in browsers))


def race(calls: str, go: str, call_seconds: str, lock_seconds: str, *session_keys: str) -> None:
    """Wait for `go`, then ask from all threads, in turn for each session; print the access key ids that came.

    A call of STS takes `call_seconds`, and a lock that nobody keeps lasts `lock_seconds`.
    """
    cache.LOCK_SECONDS = int(lock_seconds)

    def assume_role(request: Any, **_where: Any) -> Credentials:
        name = request.role_arn.rsplit("/", 1)[-1]
        file = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{name}\n".encode())
        os.close(file)
        time.sleep(float(call_seconds))
        key_id = f"ASIA{os.getpid()}{threading.get_ident()}{name}"
        return Credentials(key_id, "secret", "token", datetime.now(UTC) + timedelta(hours=1))

    sts.assume_role = assume_role
    sts.caller_arn = lambda **_where: "arn:aws:iam::111111111111:user/xacct-tokens"  # type: ignore[assignment]
    bob, mapping = User.objects.get(username="bob"), GroupRole.objects.get()

    def ask(number: int) -> str:
        session = SessionStore(session_keys[number % len(session_keys)])
        try:
            token = broker.get_token(actor=bob, session=session, mapping_id=mapping.pk)
            return token.credentials.access_key_id
        finally:
            connections.close_all()

    say("ready")
    while not Path(go).exists():
        time.sleep(0.01)
    with ThreadPoolExecutor(THREADS) as pool:
        say(*pool.map(ask, range(THREADS)))


if __name__ == "__main__":
    {"prepare": prepare, "race": race}[sys.argv[1]](*sys.argv[2:])
