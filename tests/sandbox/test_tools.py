"""People's own tools against the sandbox and a running portal: set up by what the page shows, and nothing else.

What is shortened: AWS lets no token live less than 15 minutes, and the portal's live an hour. Where a test crosses an
expiry, the portal hands a token out, and says that it lasts, for three seconds instead; and the owner of the account
cuts off older tokens in AWS, as their expiry would.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from roles import tasks
from roles.aws.sandbox_documents import BUCKET
from roles.context import SystemActor
from roles.models import GroupRole, IssuedToken, User
from roles.operations.cut_off import Whose, cut_off
from roles.operations.unmap_role import unmap_role
from roles.tokens import cache, formats
from roles.values.credentials import Credentials
from tests.api.computer import Computer
from tests.sandbox.world import World

pytestmark = pytest.mark.sandbox
CLIENT = Path(__file__).with_name("client.py")
TOOLS_BIN = Path(django_settings.BASE_DIR) / ".venv-tools" / "bin"
LIVING = ("boto3", "s3fs", "pyarrow")  # one process that lives on; the AWS CLI is a new one for each command
TOOLS = (*LIVING, "aws")
SHORT_SECONDS = 3
SOON_SECONDS = 5
DENIED = re.compile("denied|forbidden|403|not authorized", re.IGNORECASE)


@dataclass
class Person:
    """Bob: a browser in which he is signed in, and the shells in which he pasted what the page shows."""

    browser: Client
    world: World
    mapping: GroupRole
    portal: str
    home: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def shown(self, name: str, tab: str, *arguments: int) -> str:
        """Return the text of a tab of the page that answers a POST, as its Copy button takes it."""
        host = {"Host": self.portal.removeprefix("http://")}
        page = self.browser.post(reverse(name, args=arguments), headers=host).content.decode()
        found = re.search(rf'<pre [^>]*id="[^"]*-{tab}-text"[^>]*>(.*?)</pre>', page, flags=re.DOTALL)
        assert found, page
        return html.unescape(found.group(1))

    def pasted(self, block: str = "") -> dict[str, str]:
        """Return a shell's environment after a block was pasted into it: if none is given, that of "Set up a tool"."""
        block = block or self.shown("credentials_fresh", "bash", self.mapping.pk, self.world.rows.role_b.pk)
        answer = subprocess.run(["bash", "-c", f"{block}\nenv -0"], env=self.plain, capture_output=True, check=True)
        return dict(line.split("=", 1) for line in answer.stdout.decode().split("\0") if line)

    @property
    def plain(self) -> dict[str, str]:
        """A shell into which nothing was pasted."""
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}

    def start(self, tool: str, environment: dict[str, str] | None = None) -> Tool:
        """Start a tool in a shell of its own."""
        shell = environment or self.pasted()
        if tool == "aws":
            return CommandLine(shell)
        python = sys.executable if tool == "boto3" else str(TOOLS_BIN / "python")
        process = subprocess.Popen(
            [python, str(CLIENT), tool],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=shell,
            text=True,
        )
        self.processes.append(process)
        return LivingProcess(process)

    def sign_out(self) -> None:
        """Sign out in the browser."""
        assert self.browser.post(reverse("logout")).status_code == 302


class Tool:
    """What a person does with a tool. `Refused` when the tool says that it cannot."""

    def do(self, *command: str) -> Any:
        raise NotImplementedError


class Refused(Exception):
    """What the tool said."""


@dataclass
class LivingProcess(Tool):
    """A program that runs on: it holds what credentials it got."""

    process: subprocess.Popen[str]

    def do(self, *command: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["answer"]


@dataclass
class CommandLine(Tool):
    """The AWS CLI."""

    shell: dict[str, str]

    def do(self, *command: str) -> Any:
        name, key, *text = command
        what = {
            "list": ["s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", key, "--output", "json"],
            "read": ["s3", "cp", f"s3://{BUCKET}/{key}", "-"],
            "write": ["s3", "cp", "-", f"s3://{BUCKET}/{key}"],
        }[name]
        answer = subprocess.run(
            [str(TOOLS_BIN / "aws"), *what],
            env=self.shell,
            input="".join(text),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if answer.returncode:
            raise Refused(answer.stderr)
        if name == "list":
            return [row["Key"] for row in json.loads(answer.stdout).get("Contents", [])]
        return "written" if name == "write" else answer.stdout


@pytest.fixture
def bob(live_server: Any, world: World, tmp_path: Path, settings: Any) -> Iterator[Person]:
    """Bob, who may read and write in team/ alone."""
    settings.ALLOWED_HOSTS = ["*"]
    settings.XACCT_AWS_ENDPOINT_URL = world.endpoint_url  # the page names it: tools ask the sandbox itself, not a proxy
    browser = Client()
    browser.force_login(world.rows.bob)
    portal = live_server.url.replace("localhost", "127.0.0.1")
    person = Person(browser, world, world.map(prefix="team/"), portal, tmp_path)
    yield person
    for process in person.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a token be handed out, and be said to last, for `SHORT_SECONDS`."""
    monkeypatch.setattr(cache, "LAST_MINUTES", timedelta(hours=1, seconds=-SHORT_SECONDS))
    monkeypatch.setattr(cache, "REFRESH_MINUTES", timedelta(hours=1, seconds=-SHORT_SECONDS))

    def soon(_credentials: Credentials) -> str:
        return (datetime.now(UTC) + timedelta(seconds=SHORT_SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")

    monkeypatch.setattr(formats, "_expiration", soon)


def refusal_of(tool: Tool, *command: str) -> str:
    """Return what the tool said when it was refused."""
    with pytest.raises(Refused) as refused:
        tool.do(*command)
    return str(refused.value)


def cut_off_older_tokens(world: World) -> None:
    """Do in AWS what the expiry of all tokens issued until now would: they are good for nothing any more."""
    time.sleep(1.1)  # AWS's issue times have whole seconds
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    statement = {**deny, "Condition": {"DateLessThan": {"aws:TokenIssueTime": now}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.iam_b.put_role_policy(
        RoleName=world.target.name, PolicyName="AWSRevokeOlderSessions", PolicyDocument=document
    )


def seconds_until_refused(tool: Tool) -> float:
    """Return how long the tool could still read."""
    since = time.monotonic()
    while time.monotonic() - since < 2 * SOON_SECONDS:
        try:
            tool.do("read", "team/notes.md")
        except Refused:
            return time.monotonic() - since
        time.sleep(0.2)
    return float("inf")


@pytest.mark.parametrize("name", TOOLS)
def test_outside_the_access_each_tool_is_denied_and_inside_it_lists_reads_and_writes(bob: Person, name: str) -> None:
    tool = bob.start(name)
    for refused in (("read", "team-secret/plan.md"), ("write", "team-secret/x", "by bob"), ("list", "team-secret/")):
        assert DENIED.search(refusal_of(tool, *refused))
    assert "team/notes.md" in tool.do("list", "team/")
    assert "One shared folder" in tool.do("read", "team/notes.md")
    assert tool.do("write", f"team/by-{name}.txt", "by bob") == "written"
    body = bob.world.s3.get_object(Bucket=BUCKET, Key=f"team/by-{name}.txt")["Body"].read()
    assert body == b"by bob"


@pytest.mark.parametrize("name", TOOLS)
def test_without_what_the_page_shows_each_tool_gets_nothing(bob: Person, name: str) -> None:
    shell = bob.pasted()
    Path(shell["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).write_text("xacct_" + "A" * 43)
    assert refusal_of(bob.start(name, shell), "read", "team/notes.md")
    assert IssuedToken.objects.count() == 0


def test_all_tools_of_a_sign_in_and_its_browser_share_one_token(bob: Person) -> None:
    bob.browser.post(reverse("credentials", args=[bob.mapping.pk]))
    for name in TOOLS:
        assert bob.start(name).do("read", "team/notes.md")
    assert IssuedToken.objects.count() == 1


def test_boto3_takes_them_as_a_containers(bob: Person) -> None:
    tool = bob.start("boto3")
    tool.do("read", "team/notes.md")
    assert tool.do("method") == "container-role"


@pytest.mark.parametrize("name", LIVING)
def test_a_tool_that_runs_on_refreshes_across_an_expiry(bob: Person, name: str, short: None) -> None:
    tool = bob.start(name)
    assert tool.do("read", "team/notes.md")
    time.sleep(SHORT_SECONDS)
    cut_off_older_tokens(bob.world)
    assert "One shared folder" in tool.do("read", "team/notes.md")
    assert IssuedToken.objects.count() == 2


@pytest.mark.parametrize("name", LIVING)
def test_what_a_tool_held_would_not_do_after_the_expiry(bob: Person, name: str) -> None:
    tool = bob.start(name)  # with an hour, it sees no need to refresh
    assert tool.do("read", "team/notes.md")
    cut_off_older_tokens(bob.world)
    assert refusal_of(tool, "read", "team/notes.md")


@pytest.mark.parametrize("name", ["boto3", "s3fs", "aws"])
def test_after_signing_out_a_tool_is_refused_within_seconds_when_it_next_refreshes(
    bob: Person, name: str, short: None
) -> None:
    tool = bob.start(name)
    assert tool.do("read", "team/notes.md")
    bob.sign_out()
    assert seconds_until_refused(tool) <= SOON_SECONDS


def test_after_signing_out_pyarrow_goes_on_with_what_it_holds_until_an_admin_cuts_it_off(
    bob: Person, alice: User, short: None
) -> None:
    # The AWS SDK for C++ goes on with what it has when a refresh is refused, also past the end that it was told.
    tool = bob.start("pyarrow")
    assert tool.do("read", "team/notes.md")
    bob.sign_out()
    time.sleep(SHORT_SECONDS + 1)
    assert tool.do("read", "team/notes.md")
    assert IssuedToken.objects.count() == 1
    time.sleep(1.1)  # AWS's issue times have whole seconds
    (_, (run,)) = cut_off(actor=alice, whose=Whose(user=bob.world.rows.bob))
    tasks.reconcile_run(run.pk)
    assert seconds_until_refused(tool) <= SOON_SECONDS
    assert IssuedToken.objects.count() == 1


def test_after_signing_out_pyarrow_gets_no_new_token_once_aws_takes_its_old_one_no_more(
    bob: Person, short: None
) -> None:
    tool = bob.start("pyarrow")
    assert tool.do("read", "team/notes.md")
    bob.sign_out()
    cut_off_older_tokens(bob.world)
    assert seconds_until_refused(tool) <= SOON_SECONDS
    assert IssuedToken.objects.count() == 1


def test_after_unmapping_a_tool_is_refused_when_it_next_refreshes(bob: Person, short: None) -> None:
    tool = bob.start("boto3")
    assert tool.do("read", "team/notes.md")
    unmap_role(actor=SystemActor("a portal admin"), mapping=bob.mapping)
    assert seconds_until_refused(tool) <= SOON_SECONDS


# --- a copy that expires ---


@pytest.mark.parametrize("name", TOOLS)
def test_the_lines_for_bash_open_the_access_and_nothing_beside_it(bob: Person, name: str) -> None:
    tool = bob.start(name, bob.pasted(bob.shown("credentials", "bash", bob.mapping.pk)))
    assert DENIED.search(refusal_of(tool, "read", "team-secret/plan.md"))
    assert "One shared folder" in tool.do("read", "team/notes.md")


@pytest.mark.parametrize("name", ["boto3", "s3fs", "aws"])
def test_the_profile_opens_the_access_and_nothing_beside_it(bob: Person, name: str) -> None:
    file = bob.home / ".aws" / "credentials"
    file.parent.mkdir()
    file.write_text(bob.shown("credentials", "profile", bob.mapping.pk))
    tool = bob.start(name, bob.plain | {"AWS_PROFILE": formats.PROFILE_NAME})
    assert DENIED.search(refusal_of(tool, "read", "team-secret/plan.md"))
    assert "One shared folder" in tool.do("read", "team/notes.md")


def test_the_lines_for_boto3_open_the_access_and_nothing_beside_it(bob: Person) -> None:
    block = bob.shown("credentials", "boto3", bob.mapping.pk)
    for key, is_open in (("team-secret/plan.md", False), ("team/notes.md", True)):
        read = f"{block}print(s3.get_object(Bucket={BUCKET!r}, Key={key!r})['Body'].read())"
        answer = subprocess.run(
            [sys.executable, "-c", read], env=bob.plain, capture_output=True, text=True, check=False
        )
        assert ("One shared folder" in answer.stdout) is is_open
        assert bool(DENIED.search(answer.stderr)) is not is_open


# --- xacct-credentials ---


def test_the_aws_cli_uses_xacct_credentials_until_the_person_signs_out(bob: Person, tmp_path: Path) -> None:
    computer = Computer.with_program(tmp_path / "program", portal=bob.portal)
    access = f"{bob.mapping.pk}/{bob.world.rows.role_b.pk}"
    signed = computer.sign_in(bob.browser, access)
    assert signed.returncode == 0, signed.stderr
    profile = signed.stderr[signed.stderr.index("[profile xacct]") :]
    config = tmp_path / "config"
    config.write_text(f"{profile}region = us-east-1\n")
    shell = {**bob.plain, "HOME": str(computer.home), "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "xacct"}
    tool = bob.start("aws", shell)
    assert DENIED.search(refusal_of(tool, "read", "team-secret/plan.md"))
    assert "One shared folder" in tool.do("read", "team/notes.md")
    bob.sign_out()
    assert "This tool was signed out" in refusal_of(tool, "read", "team/notes.md")
