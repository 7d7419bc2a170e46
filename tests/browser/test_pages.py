"""Every page that a person can click to: its size, its colours, its structure, its scripts, and the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser, Page, Request, expect

from roles.aws.sandbox_documents import BUCKET
from tests.browser.people import DESKTOP, Person
from tests.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

PHONE = {"width": 390, "height": 844}
FIRST_LOAD_BYTES = 300 * 1024
MOST_TABS = 150
# No pages: files, a script of the admin's, and what answers only to POST or to a script.
NO_PAGES = {
    *("browse_download", "run_document", "account_document", "provisioner_document"),
    *("admin:jsi18n", "admin:autocomplete", "run_steps"),
}
# What each kind of person must have been able to reach by clicking; the walk may find more.
REACHED = {
    "alice": {
        *("my_access", "history", "history_runs", "event", "run", "password_change"),
        *("admin:index", "admin:connect_bucket", "admin:roles_usergroup_map_role", "admin:roles_grouprole_remove"),
        *("admin:roles_usergroup_change", "admin:roles_usergroup_add", "admin:roles_usergroup_remove_member"),
        *("admin:roles_grouprole_changelist", "admin:roles_grouprole_change", "admin:roles_user_change"),
        *("admin:roles_awsaccount_change", "admin:roles_iamrole_change", "admin:roles_bucket_change"),
        *("admin:roles_assumerolegrant_changelist", "admin:roles_bucketgrant_changelist"),
        *("admin:roles_provisioningrun_changelist", "admin:roles_issuedtoken_changelist"),
        *("admin:roles_auditevent_changelist", "admin:roles_cutoff_changelist", "admin:roles_grouprole_cut_off"),
        *("admin:roles_usergroup_disable", "admin:roles_awsaccount_disable", "provisioner_documents"),
    },
    "audrey": {
        *("my_access", "history", "history_runs", "event", "run", "admin:index"),
        *("admin:roles_usergroup_change", "admin:roles_grouprole_change"),
    },
    "bob": {"my_access", "browse", "browse_delete", "password_change"},
    "carol": {"my_access", "password_change"},
}


@pytest.fixture(scope="module")
def lived_in(chromium: Browser, demo: Demo) -> Demo:
    """The demo after a mapping and a token: no list that people use is empty."""
    alice = Person(chromium, demo, "alice")
    alice.sign_in()
    alice.plan_mapping("analysts", "MyRoleA", reason="Ticket OPS-12: quarterly report")
    alice.click_button("Apply this plan")
    alice.sees("7 of 7 steps done")
    alice.leave()
    bob = Person(chromium, demo, "bob")
    bob.sign_in()
    bob.click_button(f"Get credentials for {BUCKET}")
    bob.sees("Credentials of")
    bob.leave()
    return demo


@pytest.fixture(params=sorted(REACHED))
def somebody(request: pytest.FixtureRequest, chromium: Browser, lived_in: Demo) -> Iterator[Person]:
    """One kind of person after the other, signed in."""
    person = Person(chromium, lived_in, request.param)
    person.sign_in()
    yield person
    person.leave()


def test_every_page_that_a_person_can_click_to_is_sound(somebody: Person) -> None:
    problems: list[str] = []
    seen: dict[str, str] = {}
    queue = ["/my-access/"]
    while queue:
        address = queue.pop(0)
        name = page_name(address)
        if name in seen or name in NO_PAGES | {""}:
            continue
        seen[name] = address
        problems += what_is_wrong_with(somebody, address)
        queue += links_of(somebody.page)
    assert REACHED[somebody.name] - set(seen) == set()
    found = "\n".join(problems + somebody.problems)
    assert not found, found


@pytest.mark.parametrize("address", ["/login/", "/nowhere/", "/history/", "/mappings/999/buckets/none/"])
def test_pages_that_say_no_are_sound_too(carol: Person, address: str) -> None:
    if address != "/login/":
        carol.sign_in()
    wrong = what_is_wrong_with(carol, address)
    found = "\n".join([*wrong, *(problem for problem in carol.problems if "status of 40" not in problem)])
    assert not found, found


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("bob", "/my-access/"),
        ("bob", f"/mappings/1/buckets/{BUCKET}/"),
        ("alice", "/history/"),
        ("alice", "/runs/1/"),
        ("alice", "/admin/"),
        ("alice", "/admin/connect-a-bucket/"),
        ("alice", "/admin/roles/usergroup/1/change/"),
        ("alice", "/admin/roles/usergroup/1/map-a-role/"),
        ("alice", "/admin/roles/grouprole/1/change/"),
    ],
)
def test_first_load_stays_under_300_kilobytes(chromium: Browser, lived_in: Demo, name: str, address: str) -> None:
    known = Person(chromium, lived_in, name)
    known.sign_in()
    fresh = Person(chromium, lived_in, name, storage_state=known.context.storage_state())  # an empty cache
    fetched: dict[str, Request] = {}
    fresh.page.on("requestfinished", lambda request: fetched.update({request.url: request}))
    assert fresh.open(address).ok
    fresh.page.wait_for_load_state("networkidle")
    sizes = {url: request.sizes()["responseBodySize"] for url, request in fetched.items()}
    assert 0 < sum(sizes.values()) < FIRST_LOAD_BYTES, sizes
    known.leave()
    fresh.leave()


def test_keyboard_alone_is_enough(bob: Person, lived_in: Demo) -> None:
    bob.open("/")
    expect(bob.page.get_by_label("Username")).to_be_focused()
    bob.page.keyboard.type("bob")
    bob.page.keyboard.press("Tab")
    bob.page.keyboard.type(lived_in.password)
    bob.page.keyboard.press("Enter")
    bob.sees_title("My access")

    tab_to(bob.page, f"Browse {BUCKET}")
    bob.page.keyboard.press("Enter")
    bob.sees_title(BUCKET)
    tab_to(bob.page, "My access")
    bob.page.keyboard.press("Enter")
    bob.sees_title("My access")

    tab_to(bob.page, f"Get credentials for {BUCKET}")
    bob.page.keyboard.press("Enter")
    bob.sees("Credentials of")
    tab_to(bob.page, "bash, zsh")
    bob.page.keyboard.press("ArrowRight")
    expect(bob.page.get_by_role("tab", name="fish")).to_be_focused()
    tab_to(bob.page, "Show")
    bob.page.keyboard.press("Enter")
    expect(bob.page.get_by_role("tabpanel", name="fish").locator("pre")).to_be_visible()
    assert serious(bob.page) == []

    tab_to(bob.page, "bob@example.com")
    bob.page.keyboard.press("Enter")
    tab_to(bob.page, "Log out")
    bob.page.keyboard.press("Enter")
    bob.is_asked_to_sign_in()


# --- walking ---


def page_name(address: str) -> str:
    """Return the name of the address's route; empty for what is no route."""
    try:
        return resolve(urlsplit(address).path).view_name
    except Resolver404:
        return ""


def links_of(page: Page) -> list[str]:
    """Return where the page's links lead, inside the portal."""
    found: list[str] = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    absolute = [urljoin(page.url, link) for link in found if not link.startswith(("#", "javascript:", "mailto:"))]
    home = urlsplit(page.url).netloc
    return [link for link in absolute if urlsplit(link).netloc == home]


# --- what is wrong ---


def what_is_wrong_with(person: Person, address: str) -> list[str]:
    """Open a page light and dark, each wide and narrow, and return what is wrong with it.

    Axe looks at it wide and light, and narrow and dark: what it finds depends on one or the other.
    """
    wrong = []
    for scheme, sizes in (("light", (DESKTOP, PHONE)), ("dark", (PHONE, DESKTOP))):
        person.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        person.page.set_viewport_size(sizes[0])  # type: ignore[arg-type]
        answer = person.open(address)
        expect(person.main).to_be_visible()
        if answer.status >= 500:
            return [f"{address}: answered {answer.status}"]
        found = [*shape(person.page), *serious(person.page)]
        person.page.set_viewport_size(sizes[1])  # type: ignore[arg-type]
        found += shape(person.page)
        wrong += [f"{urlsplit(address).path} {scheme}: {problem}" for problem in found]
    return wrong


def shape(page: Page) -> list[str]:
    """Return what is wrong with a page's frame as it is shown now."""
    wrong = []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        width = page.viewport_size["width"] if page.viewport_size else "?"
        wrong.append(f"scrolls {wide} px to the side at {width} px")
    headings = page.locator("h1").count()
    if headings != 1:
        wrong.append(f"has {headings} h1")
    return wrong


def serious(page: Page) -> list[str]:
    """Return axe's serious and critical findings, each with the first element that it found."""
    results = Axe().run(page)
    return [
        f"{found['id']}: {found['help']}: {found['nodes'][0]['html'][:200]}"
        for found in results.response["violations"]
        if found["impact"] in {"serious", "critical"}
    ]


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what is called so; where it stops, the focus can be seen."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        here: dict[str, str] = page.evaluate(
            """() => {
                const at = document.activeElement, style = getComputedStyle(at);
                const text = at.matches("a, button, summary") ? at.getAttribute("aria-label") || at.innerText : "";
                return {text, outline: style.outlineStyle, shadow: style.boxShadow};
            }"""
        )
        if re.search(rf"\b{re.escape(name)}\b", " ".join(here["text"].split())):
            assert here["outline"] != "none" or here["shadow"] != "none", f"the focus on {name} cannot be seen"
            return
    raise AssertionError(f"{name} cannot be reached by Tab on {page.url}")
