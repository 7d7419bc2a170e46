"""Make the pictures of the documentation: `make docs-images`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from roles.aws.sandbox_documents import BUCKET
from tests.browser.people import ARGUMENTS, CHROMIUM, WAIT_MILLISECONDS, Person
from tests.demo import ROOT, Demo, free_port

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 1480}


def group_page_while_provisioning(alice: Person, demo: Demo) -> None:
    """Map a role, hold the run at its sixth step as another worker would, and take the group's page."""
    alice.sign_in()
    alice.plan_mapping("analysts", "MyRoleA", reason="Ticket OPS-12: quarterly report")
    with demo.another_worker_writes(f"arn:aws:s3:::{BUCKET}"):
        alice.click_button("Apply this plan")
        alice.sees("5 of 7 steps done")
        alice.click_menu("User groups")
        alice.click("analysts")
        alice.sees("5 of 7 steps done")
        alice.page.screenshot(path=IMAGES / "group-page.png", animations="disabled", scale="css")
    alice.sees("In sync")


def main() -> None:
    """Run a demo of its own and take every picture."""
    expect.set_options(timeout=WAIT_MILLISECONDS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Demo(Path(folder) / "demo", port=free_port()) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        group_page_while_provisioning(Person(browser, demo, "alice", viewport=SIZE), demo)
        browser.close()


if __name__ == "__main__":
    main()
