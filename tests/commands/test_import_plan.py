"""`import_config --plan`: what a file would do to the portal, to people and to AWS, and nothing done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from roles.errors import AwsUnreachable
from roles.models import GroupRole, ProvisioningRun, User
from roles.provisioning import desired
from roles.tokens import cache
from tests.commands.conftest import Write
from tests.commands.test_import_config import footprint, imported, refused
from tests.operations.conftest import a_token
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db


@pytest.fixture
def aws() -> Iterator[WatchedAws]:
    with WatchedAws() as world:
        yield world


def planned(path: str, *options: str) -> tuple[str, int]:
    """Return what is printed and what the command ends with, after making sure that nothing changed."""
    before, out, code = footprint(), StringIO(), 0
    try:
        call_command("import_config", path, "--plan", *options, stdout=out)
    except CommandError as error:
        code = error.returncode
    assert footprint() == before
    return out.getvalue(), code


def test_json_without_a_plan_is_bad_input(example: str) -> None:
    assert "--json goes with --plan." in refused(example, "--json")[0]


def test_a_plan_of_a_wrong_file_is_bad_input(write: Write, aws: WatchedAws) -> None:
    path = write("groups:\n- {name: analysts, members: [], roles: [{role: nowhere/Nothing}]}\n")
    assert planned(path) == ("", 2)
    assert aws.calls == []


def test_the_plan_of_a_file_shows_portal_people_and_aws_and_changes_nothing(example: str, aws: WatchedAws) -> None:
    answer, code = planned(example, "--json")
    plan = json.loads(answer)
    assert (code, plan["status"], aws.writes) == (0, "planned", [])
    assert "mapped role deployment/MyRoleA to analysts" in plan["changes"]
    assert plan["people"] == ["bob can now read and write to example-data."]
    assert [step["step"] for step in plan["steps"]] == [1, 1, 2, 3, 4, 5, 6, 7]
    assert plan["steps"][-2]["after"]["Statement"][0]["Sid"].startswith("Xacct")
    text, code = planned(example)
    assert code == 0
    assert "bob can now read and write to example-data." in text and "Plan: nothing was changed." in text


def test_the_digest_of_a_files_plan_is_that_of_the_run(example: str, aws: WatchedAws) -> None:
    plan = json.loads(planned(example, "--json")[0])
    imported(example)
    assert desired.digest_for(ProvisioningRun.objects.get().role) == plan["digest"]


def test_a_file_that_changes_nothing_is_in_sync(example: str, aws: WatchedAws) -> None:
    imported(example)
    plan = json.loads(planned(example, "--json")[0])
    assert (plan["status"], plan["changes"], plan["people"], plan["steps"]) == ("in_sync", [], [], [])
    assert "Nothing to change in the portal." in planned(example)[0]


def test_a_plan_that_is_blocked_ends_with_1_and_says_why(example: str, aws: WatchedAws) -> None:
    aws.add_role("arn:aws:iam::222222222222:role/MyRoleB")
    answer, code = planned(example, "--json")
    assert (code, json.loads(answer)["status"]) == (1, "failed")


def test_a_plan_without_aws_ends_with_1_and_still_says_what_changes(example: str, aws: WatchedAws) -> None:
    aws.fail_always["get_role"] = AwsUnreachable("No answer from AWS.")
    answer, code = planned(example, "--json")
    plan = json.loads(answer)
    assert (code, plan["status"], plan["steps"]) == (1, "failed", [])
    assert plan["people"] and plan["changes"]


def test_neither_a_dry_run_nor_a_plan_takes_tokens_out_of_the_cache(
    example: str, write: Write, aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(example)
    a_token(User.objects.get(username="bob"), GroupRole.objects.get())
    removed: list[object] = []
    monkeypatch.setattr(cache, "remove", removed.append)
    path = write("groups:\n- {name: analysts, members: [], roles: []}\n")
    imported(path, "--dry-run")
    planned(path)
    assert removed == []
    imported(path)
    assert removed
