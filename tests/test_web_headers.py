"""What a browser is told by a portal with production settings, in a process of its own; and by one without HTTPS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_settings import SECRET_KEY, manage

ASK = """
import json
from django.test import Client
answer = Client().get("/tools/xacct-credentials", secure={secure}, headers={{"Host": "portal.example.com"}})
print(json.dumps([answer.status_code, dict(answer.headers)]))
"""


def asked(tmp_path: Path, *, secure: bool, **more: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of a page that needs neither a database nor collected files."""
    script = ASK.format(secure=secure)
    given = {"SECRET_KEY": SECRET_KEY, "ALLOWED_HOSTS": "portal.example.com", "LOG_LEVEL": "ERROR", **more}
    answer = manage(tmp_path, "shell", "-v0", "-c", script, **given)
    assert answer.returncode == 0, answer.stderr
    status, headers = json.loads(answer.stdout.splitlines()[-1])
    return status, headers


def test_http_is_sent_on_to_https_unless_that_is_switched_off(tmp_path: Path) -> None:
    status, headers = asked(tmp_path, secure=False)
    assert (status, headers["Location"]) == (301, "https://portal.example.com/tools/xacct-credentials")
    status, headers = asked(tmp_path, secure=False, XACCT_HTTPS="off")
    assert status == 200
    assert "Strict-Transport-Security" not in headers


def test_the_browser_is_told_what_to_hold_to(tmp_path: Path) -> None:
    status, headers = asked(tmp_path, secure=True)
    assert status == 200
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_nothing_is_loaded_from_elsewhere_and_no_inline_script_runs(tmp_path: Path) -> None:
    _, headers = asked(tmp_path, secure=True)
    rules = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
    sources = {source for rule in rules.values() for source in rule.split()}
    assert not [source for source in sources if "." in source or "//" in source or source == "*"]
    assert "'unsafe-inline'" not in rules["script-src"]
    assert rules["frame-ancestors"] == rules["object-src"] == "'none'"


@pytest.mark.parametrize(("https", "is_secure"), [("on", True), ("off", False)])
def test_cookies_go_over_https_alone_and_the_sessions_to_no_script(tmp_path: Path, https: str, is_secure: bool) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE")
    script = f"from django.conf import settings; print(*(getattr(settings, name) for name in {names}))"
    shown = manage(tmp_path, "shell", "-v0", "-c", script, SECRET_KEY=SECRET_KEY, XACCT_HTTPS=https).stdout
    assert shown.split() == [str(is_secure), str(is_secure), "True", "Lax"]
