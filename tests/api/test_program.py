"""`xacct-credentials` itself, run as its users run it, against the portal."""

from __future__ import annotations

import ast
import json
import re
import stat
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.api import program, xacct_credentials
from roles.models import AuditEvent, GroupRole, ToolBearer, User
from roles.operations.revoke_bearer import revoke_bearer
from tests import factories
from tests.api.computer import CHALLENGE, VERIFIER, Computer, authorise
from tests.tokens.conftest import SECRET_MARK, in_sync, signed_in


def collect(code: str, verifier: str = VERIFIER) -> Any:
    return Client().post(reverse("collect_bearer"), {"code": code, "verifier": verifier})


@pytest.fixture
def access(mapping: GroupRole, procedure: factories.Procedure) -> str:
    return f"{mapping.pk}/{procedure.role_b.pk}"


@pytest.fixture
def browser(bob: User) -> Client:
    return signed_in(bob)


# --- a code is for one program, once, for a short time, while the sign-in lasts ---


def test_a_code_for_another_program_is_refused(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    assert collect(code, verifier="x" * 43).status_code == 401
    assert collect("xcode_" + "A" * 43).status_code == 401
    assert collect("").status_code == 401


def test_a_code_is_no_bearer(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    address = reverse("container_credentials", args=access.split("/"))
    assert Client().get(address, headers={"Authorization": code}).status_code == 401


def test_a_code_works_once(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    assert collect(code).status_code == 200
    again = collect(code)
    assert again.status_code == 401
    assert "xacct_" not in again.content.decode()


def test_a_code_expires(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert collect(code).status_code == 401


def test_a_code_of_a_sign_in_that_is_over_is_refused(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    browser.post(reverse("logout"))
    assert collect(code).status_code == 401


def test_a_get_collects_nothing_and_a_forged_page_cannot_confirm(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    assert Client().get(reverse("collect_bearer"), {"code": code, "verifier": VERIFIER}).status_code == 405
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = browser.cookies
    form = {"challenge": CHALLENGE, "name": "laptop"}
    answer = careful.post(reverse("authorise_tool", args=access.split("/")), form)
    assert answer.status_code == 403
    assert ToolBearer.objects.count() == 1


def test_looking_at_the_page_authorises_nothing(browser: Client, access: str) -> None:
    query = {"challenge": CHALLENGE, "name": "laptop"}
    page = browser.get(reverse("authorise_tool", args=access.split("/")), query).content.decode()
    assert "laptop" in page and "example-data/" in page and "MyRoleB" in page
    assert ToolBearer.objects.count() == 0


@pytest.mark.parametrize(
    "query",
    [
        {"challenge": "short", "name": "laptop"},
        {"challenge": CHALLENGE, "name": "<script>"},
        {"challenge": CHALLENGE, "name": ""},
        {"challenge": CHALLENGE, "name": "the portal's admins"},
        {},
    ],
)
def test_an_address_that_no_program_of_ours_made_is_refused(
    browser: Client, access: str, query: dict[str, str]
) -> None:
    address = reverse("authorise_tool", args=access.split("/"))
    assert browser.get(address, query).status_code == 400
    assert browser.post(address, query).status_code == 400


def test_somebody_elses_access_cannot_be_authorised(access: str, charlie: User) -> None:
    query = {"challenge": CHALLENGE, "name": "laptop"}
    assert signed_in(charlie).get(reverse("authorise_tool", args=access.split("/")), query).status_code == 404
    assert signed_in(charlie).post(reverse("authorise_tool", args=access.split("/")), query).status_code == 404


def test_what_was_collected_is_in_the_history_without_code_or_bearer(browser: Client, access: str) -> None:
    code = authorise(browser, access)
    bearer = collect(code).json()["bearer"]
    events = {event.code: event for event in AuditEvent.objects.filter(code__startswith="bearer.")}
    assert set(events) == {"bearer.created", "bearer.collected"}
    assert events["bearer.collected"].details["computer"] == "laptop"
    stored = str(list(AuditEvent.objects.values())) + str(list(ToolBearer.objects.values()))
    assert code not in stored and bearer not in stored


# --- the program ---


@pytest.fixture
def computer(live_server: Any, tmp_path: Path, aws_sts: Any) -> Computer:
    return Computer.with_program(tmp_path, portal=live_server.url)


@pytest.fixture
def live(live_server: Any) -> tuple[Client, str]:
    """Bob signed in, and his access."""
    world = factories.Procedure()
    return signed_in(world.bob), f"{in_sync(world).pk}/{world.role_b.pk}"


def test_the_program_is_python_3_8_and_needs_nothing() -> None:
    source = Path(xacct_credentials.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    modules = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    modules |= {
        node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    assert modules <= sys.stdlib_module_names
    assert "django" not in modules


def test_anybody_may_download_it_and_it_knows_its_portal() -> None:
    answer = Client().get(reverse("xacct_credentials"), headers={"Host": "localhost"})
    assert answer.status_code == 200
    assert program.NAME in answer["Content-Disposition"]
    assert b"PORTAL = 'http://localhost'" in answer.content
    assert b"ENDPOINT = ''" in answer.content


def test_before_signing_in_it_says_how_and_ends_with_1(computer: Computer, live: tuple[Client, str]) -> None:
    asked = computer.run("get", live[1])
    assert (asked.returncode, asked.stdout) == (1, "")
    assert f"xacct-credentials sign-in {live[1]}" in asked.stderr


def test_it_refuses_a_portal_that_others_could_listen_to(computer: Computer) -> None:
    asked = computer.run("get", "1/1", "--portal", "http://portal.example.com")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "not an https address" in asked.stderr


@pytest.mark.parametrize("access", ["1", "1/2/3", "a/b", "../..", "1/2?x"])
def test_it_refuses_what_is_no_access(computer: Computer, access: str) -> None:
    assert computer.run("get", access).returncode == 1


def test_no_code_signs_nothing_in(computer: Computer, live: tuple[Client, str]) -> None:
    asked = computer.run("sign-in", live[1], "--no-browser", answer="\n")
    assert asked.returncode == 1
    assert computer.bearers == []


def test_a_wrong_code_is_refused_in_the_portals_words(computer: Computer, live: tuple[Client, str]) -> None:
    asked = computer.run("sign-in", live[1], "--no-browser", answer="xcode_wrong\n")
    assert asked.returncode == 1
    assert "does not know this code" in asked.stderr
    assert computer.bearers == []


def test_signed_in_it_prints_what_credential_process_expects(computer: Computer, live: tuple[Client, str]) -> None:
    browser, access = live
    signed = computer.sign_in(browser, access)
    assert signed.returncode == 0, signed.stderr
    assert f"{computer.program} get {access}" in signed.stderr
    asked = computer.run("get", access)
    assert (asked.returncode, asked.stderr) == (0, "")
    held = json.loads(asked.stdout)
    assert set(held) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert held["Version"] == 1
    assert held["SecretAccessKey"].startswith(SECRET_MARK)


def test_its_bearer_is_in_a_file_that_only_its_owner_may_read(computer: Computer, live: tuple[Client, str]) -> None:
    browser, access = live
    assert computer.sign_in(browser, access).returncode == 0
    (file,) = computer.bearers
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    asked = computer.run("get", access)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "Others may read" in asked.stderr


@pytest.mark.parametrize("how", ["sign out in the browser", "revoke", "sign out in the program"])
def test_when_it_is_signed_out_it_says_so_and_ends_with_1(
    computer: Computer, live: tuple[Client, str], how: str
) -> None:
    browser, access = live
    assert computer.sign_in(browser, access).returncode == 0
    (file,) = computer.bearers
    bearer = file.read_text()
    row = ToolBearer.objects.get()
    if how == "revoke":
        revoke_bearer(actor=row.user, bearer=row)
    elif how == "sign out in the browser":
        browser.post(reverse("logout"))
    else:
        assert computer.run("sign-out", access).returncode == 0
        assert computer.bearers == []
        file.write_text(bearer)
        file.chmod(0o600)
    asked = computer.run("get", access)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert SECRET_MARK not in asked.stderr and bearer not in asked.stderr
    assert "portal" in asked.stderr


def test_a_portal_that_does_not_answer_is_said_plainly(computer: Computer, live: tuple[Client, str]) -> None:
    browser, access = live
    assert computer.sign_in(browser, access).returncode == 0
    (file,) = computer.bearers
    moved = file.with_name(re.sub(r"^[^-]+-\d+", "127.0.0.1-1", file.name))
    file.rename(moved)
    asked = computer.run("get", access, "--portal", "http://127.0.0.1:1")
    assert asked.returncode == 1
    assert "did not answer" in asked.stderr
