"""Chromium and a running demo for each module: its own server, worker, scheduler and AWS that enforces policies.

Nothing here reaches Django's database in this process; Playwright's loop and Django's ORM do not share a thread.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.people import ARGUMENTS, CHROMIUM, WAIT_MILLISECONDS, Person
from tests.demo import Demo, free_port

LAST_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the demo's processes said last."""
    report = yield
    running: Any = getattr(item, "funcargs", {}).get("demo")
    if report.failed and running is not None:
        for log in sorted((running.folder / "logs").glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            report.sections.append((f"last words of the {log.stem}", "\n".join(lines[-LAST_LINES:])))
    return report


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo in which nobody did anything yet."""
    with Demo(tmp_path_factory.mktemp("browser") / "demo", port=free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Where it is missing these tests cannot run, which CI does not let pass."""
    if not CHROMIUM.exists():
        message = f"{CHROMIUM} is missing: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def alice(chromium: Browser, demo: Demo) -> Iterator[Person]:
    """The portal admin, in a browser of her own."""
    yield from _browsing(chromium, demo, "alice")


@pytest.fixture
def audrey(chromium: Browser, demo: Demo) -> Iterator[Person]:
    """The auditor, in a browser of her own."""
    yield from _browsing(chromium, demo, "audrey")


@pytest.fixture
def bob(chromium: Browser, demo: Demo) -> Iterator[Person]:
    """The user in the group analysts, in a browser of his own."""
    yield from _browsing(chromium, demo, "bob")


@pytest.fixture
def carol(chromium: Browser, demo: Demo) -> Iterator[Person]:
    """The user in the group marketing, in a browser of her own."""
    yield from _browsing(chromium, demo, "carol")


def _browsing(chromium: Browser, demo: Demo, name: str) -> Iterator[Person]:
    person = Person(chromium, demo, name)
    yield person
    person.leave()
