"""`--expected-plan` and `--seen`: a command does what its plan showed, or shows the new plan and does nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from roles.errors import AwsUnreachable, StalePlan
from roles.models import Bucket, ProvisioningRun
from roles.operations.apply_config import apply_config
from tests import factories
from tests.commands.conftest import Write
from tests.commands.test_import_config import footprint, imported
from tests.strict_aws.watched import THEIRS, WatchedAws

pytestmark = pytest.mark.django_db
IMPORT, PROVISION = "import_config", "provision"


@pytest.fixture
def aws() -> Iterator[WatchedAws]:
    with WatchedAws(THEIRS) as world:
        yield world


@pytest.fixture(params=[IMPORT, PROVISION])
def command(request: pytest.FixtureRequest, example: str, db: None) -> list[str]:
    """One of the commands, with something to do."""
    if request.param == IMPORT:
        return [IMPORT, example]
    factories.Procedure().map()
    return [PROVISION, "--all"]


def called(*words: str) -> tuple[str, str, int]:
    """Return what is printed, why it was refused and what the command ends with."""
    out = StringIO()
    try:
        call_command(*words, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error), error.returncode
    return out.getvalue(), "", 0


def shown(command: list[str]) -> tuple[str, ...]:
    """Look, and return the options that confirm what was seen."""
    plan: dict[str, Any] = json.loads(called(*command, "--plan", "--json")[0])
    return "--expected-plan", plan.get("digest") or plan["expected_plan"], "--seen", plan["seen"]


def refused(command: list[str], *options: str) -> tuple[str, str]:
    """Return what is printed and why it was refused, after making sure that it ends with 2 and nothing changed."""
    before = footprint()
    said, why, code = called(*command, *options)
    assert (code, footprint()) == (2, before)
    return said, why


@pytest.mark.parametrize("given", [("--expected-plan", "e" * 64), ("--seen", "e" * 64), ("--plan", "both")])
def test_half_of_it_or_both_beside_a_plan_is_bad_input(
    given: tuple[str, ...], command: list[str], aws: WatchedAws
) -> None:
    options = ("--plan", *shown(command)) if given[-1] == "both" else given
    assert "together" in refused(command, *options)[1]


@pytest.mark.parametrize("number", [1, 3])
def test_what_was_not_seen_is_shown_and_not_done(number: int, command: list[str], aws: WatchedAws) -> None:
    options = list(shown(command))
    options[number] = "e" * 64
    said, why = refused(command, *options, "--json")
    assert "changed since you looked" in why
    assert json.loads(said)["seen"] == shown(command)[3]
    assert "To do just this, give: --expected-plan" in refused(command, *options)[0]
    assert not aws.writes


def test_what_was_seen_is_done(command: list[str], aws: WatchedAws) -> None:
    options = shown(command)
    assert called(*command, *options)[1:] == ("", 0)
    run = ProvisioningRun.objects.get()
    assert run.plan_digest == options[1]
    assert bool(aws.writes) == (command[0] == PROVISION)  # the import leaves it to a worker


def test_aws_that_changed_since_is_said_and_the_new_plan_shown(command: list[str], aws: WatchedAws) -> None:
    options = shown(command)
    policy = aws.bucket_policies["example-data"]
    aws.bucket_policies["example-data"] = {
        **policy,
        "Statement": [*policy["Statement"], {**THEIRS, "Sid": "CameSince"}],
    }
    said, why = refused(command, *options)
    assert "AWS changed since you looked" in why and "CameSince" in said
    assert called(*command, *shown(command))[2] == 0


def test_aws_that_cannot_be_read_any_more_confirms_nothing(command: list[str], aws: WatchedAws) -> None:
    options = shown(command)
    aws.fail_always["get_bucket_policy"] = AwsUnreachable("AWS does not answer.")
    said, why = refused(command, *options)
    assert "cannot be read" in why and "AWS does not answer." in why
    assert "To do just this" not in said


def test_a_wish_that_changed_since_is_said(command: list[str], aws: WatchedAws, write: Write, example: str) -> None:
    options = shown(command)
    if command[0] == IMPORT:
        with open(example, encoding="utf-8") as file:
            command = [IMPORT, write(file.read().replace("access: READWRITE", "access: READ"))]
    else:
        Bucket.objects.get().grants.update(access="READ")
    assert "What is to be done changed since you looked." in refused(command, *options)[1]


def test_a_wish_that_changes_while_it_is_being_done_is_noticed_too(
    command: list[str], aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = shown(command)

    def refuse(**_asked: Any) -> None:
        raise StalePlan("The plan changed.", hint="Look at the new one.")

    if command[0] == IMPORT:
        where = "roles.management.commands.import_config.apply_config"
        monkeypatch.setattr(where, lambda **asked: refuse() if asked["expected_plan"] else apply_config(**asked))
    else:
        monkeypatch.setattr("roles.management.commands.provision.confirmed", refuse)
    said, why = refused(command, *options)
    assert "The plan changed." in why and "To do just this" in said


def test_without_them_it_is_done_unseen(example: str, aws: WatchedAws) -> None:
    imported(example)
    assert called(PROVISION, "--all")[2] == 0
    assert aws.writes
