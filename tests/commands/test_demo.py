"""`manage.py demo` as a newcomer meets it: by its processes, its ports, its words and its exit code."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT
from tests.demo import ROOT, Demo, answers, free_port

pytestmark = pytest.mark.sandbox

SECOND_START_SECONDS = 10.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "demo"


def signed_in_page(demo: Demo, username: str, password: str) -> str:
    """Sign in as a browser does and return the page that one lands on."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
    with browser.open(f"{demo.address}/login/", timeout=10) as answer:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.read().decode())
    assert token
    form = {"csrfmiddlewaretoken": token[1], "username": username, "password": password}
    with browser.open(f"{demo.address}/login/", urllib.parse.urlencode(form).encode(), timeout=10) as answer:
        page: str = answer.read().decode()
    return page


def aws_port(demo: Demo) -> int:
    return urllib.parse.urlsplit(demo.aws_url).port or 0


def test_portals_own_settings_are_refused(tmp_path: Path) -> None:
    real = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "not-the-demos-own-secret-key-but-a-portals-0123456789-abcdefghij",
        "XACCT_ENV_FILE": os.devnull,
        "XACCT_DATA_DIR": str(tmp_path / "portal"),
        "XACCT_DEMO_DIR": str(tmp_path / "demo"),
    }
    refused = subprocess.run(
        [sys.executable, "manage.py", "demo", "--settings=xacct_portal.settings"],
        cwd=ROOT,
        env=real,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    assert "must not read the settings of a real portal" in refused.stderr
    assert list((tmp_path / "portal").iterdir()) == [tmp_path / "portal" / "broker"]


def test_demo_starts_keeps_what_was_done_and_stops_without_a_trace(folder: Path) -> None:
    with Demo(folder, port=free_port()) as first:
        password = first.password
        for words in ("alice", "audrey", "bob", "carol", "Three things to try", "the seven steps"):
            assert words in first.said
        assert "Please enter a correct username and password" in signed_in_page(first, "bob", "a-wrong-password")
        assert "You have no access to any bucket yet." in signed_in_page(first, "bob", password)
        first.aws_root("s3", BUCKET_ACCOUNT).put_object(Bucket=BUCKET, Key="kept.txt", Body=b"kept")

        again = first.run("--port", str(free_port()))
        assert again.returncode == 1
        assert f"The demo is running already, or a part of it still is (process {first.process.pid})" in again.stdout
        assert first.run("--reset").returncode == 1
        assert answers(first.port)

        assert first.interrupt() == 0
    assert "Stopped." in first.said
    assert first.leaves_nothing_behind
    assert not answers(first.port)
    assert not answers(aws_port(first))

    with Demo(folder, port=first.port) as second:
        assert second.seconds_to_start < SECOND_START_SECONDS
        assert second.password == password
        assert "You have no access to any bucket yet." in signed_in_page(second, "bob", password)
        kept = second.aws_root("s3", BUCKET_ACCOUNT).get_object(Bucket=BUCKET, Key="kept.txt")
        assert kept["Body"].read() == b"kept"


def test_busy_port_is_said_and_a_part_that_dies_stops_the_rest(folder: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        busy: int = somebody.getsockname()[1]
        with Demo(folder, port=busy) as demo:
            port = urllib.parse.urlsplit(demo.address).port or 0
            assert port != busy
            assert f"Port {busy} is busy, so the demo uses {port}." in demo.said

            log = (folder / "logs" / "web server.log").read_text(encoding="utf-8")
            web_server = re.search(r"main PID: (\d+)", log)
            assert web_server
            os.kill(int(web_server[1]), signal.SIGKILL)
            assert demo.ended() == 1
    assert "The web server stopped by itself (exit code -9)." in demo.said
    assert "Listening at" in demo.said  # the last it said
    assert demo.leaves_nothing_behind
    assert not answers(port)
    assert not answers(aws_port(demo))


def test_reset_forgets_everything(folder: Path) -> None:
    folder.mkdir()
    (folder / "portal.sqlite3").write_text("what people did")
    reset = [sys.executable, "manage.py", "demo", "--reset", "--settings=roles.management.demo.settings"]
    done = subprocess.run(
        reset,
        cwd=ROOT,
        env=Demo(folder, port=0).environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "forgotten everything" in done.stdout
    assert not folder.exists()
