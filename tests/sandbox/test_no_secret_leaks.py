"""A whole day in the portal against the sandbox; then every place that keeps something is searched for every secret.

The secrets are those that AWS answered with, as the proxy in front of it saw them, to the worker as well; and the
bearers and codes that the portal made. `test_searching.py` shows that the search finds what is there.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.test import Client
from django.urls import reverse
from django.views.debug import ExceptionReporter

from roles import tasks
from roles.aws import sts
from roles.aws.sandbox import SandboxServer
from roles.models import AuditEvent, GroupRole, IssuedToken, ProvisioningRun, User
from roles.models.choices import RunStatus
from roles.operations.cut_off import Whose, cut_off
from roles.policies import builders
from roles.portal.views import credentials as credentials_view
from roles.portal.views import tools as tools_view
from roles.provisioning import outbox
from roles.tokens import bearers, cache, formats
from roles.tokens.cache import cache as backend
from tests import factories
from tests.api.computer import VERIFIER, authorise
from tests.sandbox.proxy import CallLog
from tests.sandbox.searching import hits, in_cache, in_database, in_queue
from tests.sandbox.world import World
from tests.tokens.conftest import BACKENDS, cache_settings

pytestmark = pytest.mark.sandbox

BUCKET = "example-data"
BROKEN = "something that nobody expected"
MAP = {
    "action": "map_role",
    "group": "analysts",
    "role": "arn:aws:iam::111111111111:role/MyRoleA",
    "access": "READ",
    "prefix": "team/",
}
LISTS = ("auditevent", "provisioningrun", "issuedtoken", "toolbearer", "cutoff", "grouprole")


class Day:
    """What people do, what AWS and the portal gave out meanwhile, and what was shown and reported."""

    def __init__(self, world: World, log: CallLog) -> None:
        self.world, self.log = world, log
        self.made: list[str] = []  # every bearer and code, also of a request that failed afterwards
        self.pages: dict[str, str] = {}
        self.shown: dict[str, str] = {}  # the answers that are there to show a secret
        self.reports: list[str] = []
        self.browser = Client(raise_request_exception=False)

    @property
    def secrets(self) -> list[str]:
        """What must be nowhere."""
        return [*self.log.secrets, *self.made]

    @property
    def mapping(self) -> GroupRole:
        return GroupRole.objects.get()

    @property
    def access(self) -> tuple[int, int]:
        return self.mapping.pk, self.world.rows.role_b.pk

    def sign_in(self) -> None:
        answer = self.browser.post(reverse("login"), {"username": "bob", "password": factories.PASSWORD})
        assert answer.status_code == 302

    def post(self, name: str, *arguments: Any, **data: Any) -> str:
        page = self.browser.post(reverse(name, args=arguments), data).content.decode()
        self.pages[f"post {name} {len(self.pages)}"] = page
        return page

    def get(self, name: str, *arguments: Any, who: Client | None = None, **query: Any) -> str:
        answer = (who or self.browser).get(reverse(name, args=arguments), query)
        self.pages[f"get {name} {query} {len(self.pages)}"] = page = answer.getvalue().decode()
        return page

    def collected(self, bearer: str) -> str:
        """Ask for credentials as a tool does, with a bearer."""
        address = reverse("container_credentials", args=self.access)
        answer: str = self.browser.get(address, headers={"Authorization": bearer}).content.decode()
        return answer

    def reconcile(self, run: ProvisioningRun) -> None:
        """Send the run's message, and do what the worker does with it."""
        outbox.send(run.pk)
        tasks.reconcile_run(run.pk)
        run.refresh_from_db()
        assert (run.status, run.error) == (RunStatus.IN_SYNC, "")

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
    made = Day(World(sandbox_server.endpoint_url, procedure), aws)
    real = bearers._new_text

    def noted(prefix: str) -> str:
        made.made.append(real(prefix))
        return made.made[-1]

    monkeypatch.setattr(bearers, "_new_text", noted)
    got_request_exception.connect(made.report)
    yield made
    got_request_exception.disconnect(made.report)
    backend.clear()


def alice_maps_the_role_by_rest(day: Day, alice: User) -> None:
    """Look at the plan, make the change, let the worker do it, and look at the run."""
    browser = Client()
    browser.force_login(alice)
    asked = {"content_type": "application/json"}
    plan = browser.post(reverse("api:plans"), {"change": MAP}, **asked)
    assert plan.status_code == 200, plan.content
    seen = json.loads(plan.content)
    body = {"change": MAP, "expected_plan": seen["expected_plan"], "seen": seen["seen"]}
    made = browser.post(reverse("api:changes"), body, **asked)
    assert made.status_code == 201, made.content
    day.pages |= {"rest plan": plan.content.decode(), "rest change": made.content.decode()}
    (number,) = json.loads(made.content)["runs"]
    day.reconcile(ProvisioningRun.objects.get(pk=number))
    assert '"in_sync"' in day.get("api:run", number, who=browser)
    assert len(day.log.secrets) >= 2, "the worker's own sessions are among the secrets"


def bob_browses_and_takes_credentials(day: Day) -> None:
    """Sign in, take credentials, browse; all that is refused as well."""
    access = day.mapping.pk
    day.sign_in()
    before = len(day.log.secrets)
    day.get("my_access")
    assert len(day.log.secrets) == before
    assert "notes.md" in day.get("browse", access, BUCKET, prefix="team/")
    day.get("browse_download", access, BUCKET, key="team/notes.md")
    assert "does not include" in day.get("browse", access, BUCKET, prefix="team-secret/")
    assert "Not permitted" in day.post(
        "browse_upload", access, BUCKET, file=SimpleUploadedFile("x.txt", b"x"), prefix="team/"
    )
    day.post("credentials", 987654)
    day.world.trust(builders.nobody_statement())
    backend.clear()
    assert "does not let MyRoleA assume MyRoleB" in day.post("credentials", access)
    day.world.trust(*builders.trust_statements([day.world.source], attribution=True))
    address = reverse("credentials", args=[access])
    day.shown["credentials"] = day.browser.post(address).content.decode()


def bob_sets_up_tools(day: Day) -> None:
    """Set one shell up, sign one computer in, let both fetch credentials, and sign the computer out."""
    page = day.browser.post(reverse("credentials_fresh", args=day.access)).content.decode()
    found = re.search(r"xacct_[\w-]{43}", page)
    assert found
    code = authorise(day.browser, "/".join(map(str, day.access)))
    answer = day.browser.post(reverse("collect_bearer"), {"code": code, "verifier": VERIFIER})
    program = json.loads(answer.content)["bearer"]
    assert day.made == [found[0], code, program]
    day.shown |= {"fresh": page, "container": day.collected(found[0]), "program": day.collected(program)}
    assert hits(day.log.secrets, day.shown) == ["credentials", "container", "program"]
    day.pages["code used twice"] = day.browser.post(
        reverse("collect_bearer"), {"code": code, "verifier": VERIFIER}
    ).content.decode()
    day.pages["signed out"] = day.browser.post(
        reverse("sign_out_tool", args=day.access), headers={"Authorization": program}
    ).content.decode()
    day.pages["refused"] = day.collected(program)
    assert "signed out" in day.pages["refused"]
    day.get("signed_in_tools")


def what_nobody_expected(day: Day, bearer: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let something fail at each place that holds a secret in its hands; return how often."""
    access = day.mapping.pk
    tries = (
        (cache, "_sealed", lambda: day.post("credentials", access)),
        (credentials_view, "panel_of", lambda: day.post("credentials", access)),
        (sts, "assume_role", lambda: day.post("credentials", access)),
        (tools_view, "Source", lambda: day.post("credentials_fresh", *day.access)),
        (bearers, "record", lambda: day.post("credentials_fresh", *day.access)),
        (bearers, "_session_of", lambda: day.collected(bearer)),
        (formats, "container_credentials", lambda: day.collected(bearer)),
    )
    for module, name, ask in tries:
        with monkeypatch.context() as broken:
            broken.setattr(module, name, _fail)
            backend.clear()
            ask()
    return len(tries)


def _fail(*_arguments: Any, **_more: Any) -> Any:
    raise RuntimeError(BROKEN)


def others_look_at_all_of_it(day: Day, alice: User, audrey: User) -> None:
    """Open what tells of tokens and runs."""
    for user in (alice, audrey):
        browser = Client()
        browser.force_login(user)
        for name in ("history", "history_runs", *(f"admin:roles_{name}_changelist" for name in LISTS)):
            assert day.get(name, who=browser)
        for event in AuditEvent.objects.all():
            day.get("event", event.pk, who=browser)
        for run in ProvisioningRun.objects.all():
            day.get("run", run.pk, who=browser)


def test_no_secret_is_anywhere_but_encrypted_in_the_cache(
    *,
    day: Day,
    alice: User,
    audrey: User,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    alice_maps_the_role_by_rest(day, alice)
    bob_browses_and_takes_credentials(day)
    bob_sets_up_tools(day)
    failures = what_nobody_expected(day, day.made[0], monkeypatch)
    assert len([text for text in day.reports if BROKEN in text]) == 2 * failures
    day.shown["credentials again"] = day.browser.post(reverse("credentials", args=[day.mapping.pk])).content.decode()
    row = IssuedToken.objects.cached().get()
    held = cache.get(row.cache_key)
    assert held is not None and held.credentials.session_token in day.log.secrets
    others_look_at_all_of_it(day, alice, audrey)

    places = {"cache": in_cache(), "database": in_database(), "queue": in_queue(), "log": logged(caplog)}
    places |= {f"report {number}": text for number, text in enumerate(day.reports)} | day.pages
    assert row.cache_key in places["cache"] and row.access_key_id in places["database"]
    assert "roles.reconcile_run" in places["queue"] and "DEBUG" in places["log"]
    assert len(day.log.secrets) >= 14 and len(day.made) == 5
    assert hits(day.secrets, places) == []
    assert hits(day.secrets, day.shown) == list(day.shown), "what is there to be shown is found"

    (_, (run,)) = cut_off(actor=alice, whose=Whose(user=day.world.rows.bob))
    day.reconcile(run)
    day.browser.post(reverse("logout"))
    assert cache.get(row.cache_key) is None
    assert row.cache_key not in in_cache()
    day.pages = {"refused": day.collected(day.made[0])}
    assert "token.bearer_refused" in day.pages["refused"]
    printed = "".join(capfd.readouterr())
    after = {"cache": in_cache(), "database": in_database(), "queue": in_queue(), "log": logged(caplog)}
    assert hits(day.secrets, {**after, **day.pages, "printed": printed}) == []
    told = {"token.issued", "token.refused", "token.evicted", "bearer.created", "bearer.collected", "bearer.revoked"}
    assert told <= set(AuditEvent.objects.values_list("code", flat=True))


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return what was logged: the lines, and what a formatter of another kind would make of the records."""
    return caplog.text + repr([vars(record) for record in caplog.records])
