"""A person with a browser: what they do on a page in their words, and what goes wrong in it on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import APIResponse, Browser, ConsoleMessage, Locator, Page, Response, expect

from tests.demo import Demo

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MILLISECONDS = 20_000  # the slowest thing waited for: AWS being changed, on a busy machine
DESKTOP = {"width": 1280, "height": 900}

_VIOLATIONS_OF_THE_CSP = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.violatedDirective} forbids ${event.blockedURI || event.sample}, ${event.sourceFile}`);
});
"""


class Person:
    """One of the demo's people in a browser of their own.

    `problems` are errors in the console, exceptions of scripts and violations of the Content-Security-Policy.
    """

    def __init__(self, browser: Browser, demo: Demo, name: str, **context: Any) -> None:
        self.name = name
        self.demo = demo
        self.problems: list[str] = []
        self.context = browser.new_context(base_url=demo.address, **{"viewport": DESKTOP, **context})
        self.context.set_default_timeout(WAIT_MILLISECONDS)
        self.context.add_init_script(_VIOLATIONS_OF_THE_CSP)
        self.page = self.new_page()

    def new_page(self) -> Page:
        """Open one more tab."""
        page = self.context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error.stack}"))
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.location.get('url', '')}: {message.text}")

    def leave(self) -> None:
        """Close the browser. The session stays where it was."""
        self.context.close()

    # --- going somewhere ---

    def open(self, address: str) -> Response:
        """Type an address and return the answer."""
        response = self.page.goto(address)
        assert response is not None
        return response

    def sign_in(self) -> None:
        """Sign in on the sign-in page, wherever one was sent there from."""
        self.open("/")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(self.demo.password)
        self.click_button("Sign in")
        self.sees_title("My access")

    def sign_out(self) -> None:
        """Sign out by the menu at one's name."""
        self.page.get_by_role("button", name=re.compile(rf"\b{self.name}\b")).click()
        self.click_button("Log out")
        self.is_asked_to_sign_in()

    def click(self, link: str) -> None:
        """Click the first link of that name in the page's content."""
        self.main.get_by_role("link", name=link).first.click()

    def click_menu(self, link: str) -> None:
        """Click a link of the menu at the side."""
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=link).click()

    def click_button(self, name: str) -> None:
        """Click the first button of exactly that name."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def choose(self, field: str, option: str, *, search: str) -> None:
        """Search in a field that completes, and choose one of what it finds."""
        shown = self.page.locator(":not(select)")  # select2 hides the select, once its script has run
        self.page.get_by_role("combobox", name=field).and_(shown).click()
        self.page.get_by_role("searchbox", name="Type to search").fill(search)
        self.page.get_by_role("option", name=option).click()

    # --- what an admin does ---

    def plan_mapping(self, group: str, role: str, *, reason: str) -> None:
        """Go to a group's page and on to the plan of mapping a role to it."""
        self.click_menu("User groups")
        self.click(group)
        self.click("Map a role")
        self.choose("Source role (MyRoleA)", role, search=role)
        self.page.get_by_label("Reason").fill(reason)
        self.click_button("Show the plan")
        self.sees("Who gets access")

    # --- seeing something ---

    @property
    def main(self) -> Locator:
        """The page's content."""
        return self.page.get_by_role("main")

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait for a text in the content."""
        expect(self.main).to_contain_text(text)

    def does_not_see(self, text: str | re.Pattern[str]) -> None:
        """Wait until a text is not in the content, and the page is there."""
        expect(self.main).to_be_visible()
        expect(self.main).not_to_contain_text(text)

    def sees_title(self, title: str | re.Pattern[str]) -> None:
        """Wait for a page by its heading."""
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(title)

    def is_asked_to_sign_in(self) -> None:
        """Wait for the sign-in page."""
        self.sees_title("Sign in to")
        expect(self.page.get_by_label("Password")).to_be_visible()

    # --- what no page offers ---

    def posts(self, address: str, **form: str) -> APIResponse:
        """Send a form that no page shows to this person, as somebody would who knows the address."""
        cookies = {cookie["name"]: cookie["value"] for cookie in self.context.cookies()}
        headers = {"X-CSRFToken": cookies.get("csrftoken", ""), "Referer": self.demo.address}
        form_data: dict[str, str | float | bool] = dict(form)
        return self.context.request.post(address, form=form_data, headers=headers, max_redirects=0)
