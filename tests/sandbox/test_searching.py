"""Searching for a secret finds one that was put there, in each place and form: else finding none says nothing."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from celery import current_app
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command

from roles.history.recorder import record
from roles.models import User
from roles.provisioning import outbox
from roles.tokens.cache import cache as backend
from tests.sandbox.searching import hits, in_cache, in_database, in_folder, in_queue
from tests.tokens.conftest import BACKENDS, cache_settings

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY="
OTHER = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEYS"
FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda secret: f"key={secret}&",
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 of more": lambda secret: base64.b64encode(f'{{"k": "{secret}", "x": 1}}'.encode()).decode(),
    "base64 of still more": lambda secret: base64.urlsafe_b64encode(f"ab{secret}cd".encode()).decode(),
    "shifted by one": lambda secret: base64.b64encode(f"a{secret}zz".encode()).decode(),
    "URL-quoted": lambda secret: quote(secret, safe=""),
    "quoted but for the slash": lambda secret: f"/a?k={secret.replace('+', '%2B').replace('=', '%3D')}",
    "hex": lambda secret: secret.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_another_secret_is_not_taken_for_it_and_the_secret_is_found_in_each_form(form: str) -> None:
    assert hits([SECRET], {"there": FORMS[form](OTHER[::-1])}) == []
    assert hits([OTHER, SECRET], {"there": FORMS[form](SECRET), "elsewhere": "nothing"}) == ["there"]


@pytest.mark.django_db
@pytest.mark.parametrize("cache", BACKENDS)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_put_into_a_place_is_found_there_and_nothing_is_found_before(
    form: str, cache: str, *, settings: Any, alice: User, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    settings.CACHES = cache_settings(cache)
    call_command("createcachetable", verbosity=0)
    backend.clear()
    secret = SECRET + uuid4().hex  # the queue keeps what the test before put into it

    def places() -> dict[str, str]:
        read = {"cache": in_cache(), "database": in_database(), "queue": in_queue(), "folder": in_folder(tmp_path)}
        return {**read, "log": caplog.text}

    assert hits([secret], places()) == []
    planted = FORMS[form](secret)
    backend.set("a-key", planted)
    record("token.issued", actor=alice, subject=alice, note=planted)
    current_app.send_task(outbox.RECONCILE_RUN_TASK, args=[0], headers={"note": planted})
    logging.getLogger("roles").warning("It is %s", planted)
    (tmp_path / "file").write_text(planted)
    assert hits([secret], places()) == ["cache", "database", "queue", "folder", "log"]


@pytest.mark.django_db
def test_it_is_found_in_the_data_of_a_session_which_is_compressed() -> None:
    session = SessionStore()
    session["note"] = SECRET * 20
    session.save()
    assert hits([OTHER[::-1]], {"database": in_database()}) == []
    assert hits([SECRET], {"database": in_database()}) == ["database"]
