"""What a start with real settings does, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECRET_KEY = "a-secret-key-that-is-made-for-this-test-only-and-long-enough-0123456789"


def manage(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with these settings and none of the tests'."""
    environment = {"PATH": "/usr/bin:/bin", "XACCT_ENV_FILE": "/dev/null", "XACCT_DATA_DIR": str(tmp_path), **settings}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("settings", [{}, {"DEBUG": "off"}, {"SECRET_KEY": ""}, {"DEBUG": "off", "SECRET_KEY": ""}])
def test_without_a_secret_key_it_refuses_to_start_and_says_how_to_make_one(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    answer = manage(tmp_path, "check", **settings)
    assert answer.returncode != 0
    assert "SECRET_KEY is not set. Make one with python -c" in answer.stderr
    assert "secrets.token_urlsafe" in answer.stderr


def test_what_it_says_makes_a_key_it_starts_with(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import secrets; print(secrets.token_urlsafe(64))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert manage(tmp_path, "check", SECRET_KEY=made.stdout.strip()).returncode == 0


def test_debug_needs_to_be_asked_for(tmp_path: Path) -> None:
    shown = manage(tmp_path, "diffsettings", "--output", "unified", SECRET_KEY=SECRET_KEY).stdout
    assert "+ DEBUG = True" not in shown
    for line in ("SECURE_SSL_REDIRECT = True", "SESSION_COOKIE_SECURE = True", "CSRF_COOKIE_SECURE = True"):
        assert f"+ {line}" in shown


def test_wrong_token_key_refuses_to_start_without_showing_it(tmp_path: Path) -> None:
    answer = manage(tmp_path, "check", SECRET_KEY=SECRET_KEY, XACCT_TOKEN_KEYS="not-a-fernet-key")
    assert answer.returncode != 0
    assert "roles.E001" in answer.stderr
    assert "not-a-fernet-key" not in answer.stderr


def test_production_settings_are_clean(tmp_path: Path) -> None:
    answer = manage(
        tmp_path,
        *("check", "--deploy", "--fail-level", "WARNING"),
        SECRET_KEY=SECRET_KEY,
        ALLOWED_HOSTS="portal.example.com",
        DEBUG="off",
    )
    assert answer.returncode == 0, answer.stderr
    assert "no issues" in answer.stdout


def test_debug_alone_starts_with_everything_embedded(tmp_path: Path) -> None:
    answer = manage(tmp_path, "check", DEBUG="on")
    assert answer.returncode == 0, answer.stderr


def test_services_are_chosen_by_url(tmp_path: Path) -> None:
    shown = manage(
        tmp_path,
        *(
            "shell",
            "-v0",
            "-c",
            "from django.conf import settings as s; print(s.DATABASES, s.CACHES, s.CELERY_BROKER_URL)",
        ),
        SECRET_KEY=SECRET_KEY,
        DATABASE_URL="postgres://portal:x@db.example.com:5432/portal",
        CACHE_URL="redis://redis.example.com:6379/1",
        CELERY_BROKER_URL="redis://redis.example.com:6379/0",
    ).stdout
    assert "django.db.backends.postgresql" in shown
    assert "redis://redis.example.com:6379/1" in shown
    assert shown.rstrip().endswith("redis://redis.example.com:6379/0")


@pytest.mark.parametrize(("behind_proxy", "believes"), [("on", True), ("off", False)])
def test_a_proxys_headers_are_believed_only_when_there_is_one(
    tmp_path: Path, behind_proxy: str, believes: bool
) -> None:
    shown = manage(
        tmp_path,
        *("diffsettings", "--output", "unified"),
        SECRET_KEY=SECRET_KEY,
        XACCT_BEHIND_PROXY=behind_proxy,
    ).stdout
    assert ("VisitorAddressMiddleware" in shown) is believes
    assert ("+ SECURE_PROXY_SSL_HEADER" in shown) is believes
