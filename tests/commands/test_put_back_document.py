"""Putting a document back from the command line: the plan, what is lost, what is not as it was seen, and the run."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from roles.models import BucketGrant, ProvisioningRun
from roles.provisioning import outbox
from tests.commands.test_scan_drift import aws, client_in
from tests.factories import Procedure

__all__ = ["aws"]
pytestmark = pytest.mark.django_db
BUCKET = "arn:aws:s3:::example-data"
LATER = {
    "Sid": "CameLater",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
    "Action": "s3:GetObjectTagging",
    "Resource": f"{BUCKET}/*",
}


@pytest.fixture
def run(aws: None, procedure: Procedure, monkeypatch: pytest.MonkeyPatch) -> int:
    """The run that took the writing out of the bucket's policy; somebody has added a statement since."""
    monkeypatch.setattr(outbox, "send_scan", lambda: True)
    BucketGrant.objects.update(access="READ")
    out = StringIO()
    call_command("provision", "--all", "--json", stdout=out)
    add_statement()
    number: int = json.loads(out.getvalue())["run"]
    return number


def policy() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        client_in("222222222222", "s3").get_bucket_policy(Bucket="example-data")["Policy"]
    )
    return document


def add_statement(**given: Any) -> None:
    document = policy()
    document["Statement"].append({**LATER, **given})
    client_in("222222222222", "s3").put_bucket_policy(Bucket="example-data", Policy=json.dumps(document))


def called(run: int, *options: str, step: int = 6, resource: str = BUCKET) -> tuple[int, str, str]:
    """Return what the command ends with, what it prints, and why it says no."""
    out = StringIO()
    arguments = ["--step", str(step), "--resource", resource, *options]
    try:
        call_command("put_back_document", str(run), *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


def planned(run: int, *options: str) -> dict[str, Any]:
    code, text, why = called(run, "--plan", "--json", *options)
    assert (code, why) == (0, "")
    answer: dict[str, Any] = json.loads(text)
    return answer


def confirmation(plan: dict[str, Any]) -> list[str]:
    return ["--expected-plan", plan["expected_plan"], "--seen", plan["seen"]]


def orders() -> int:
    return ProvisioningRun.objects.filter(purpose="put_back").count()


def actions() -> list[str]:
    return sorted(
        action
        for one in policy()["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    )


def test_a_step_that_never_was_is_bad_input(run: int) -> None:
    for number, step, resource in [(run + 99, 6, BUCKET), (run, 2, BUCKET), (run, 6, f"{BUCKET}-else")]:
        code, said, why = called(number, "--plan", step=step, resource=resource)
        assert (code, said) == (2, "")
        assert "has no step" in why


def test_a_step_that_changed_nothing_is_refused(run: int) -> None:
    code, _, why = called(run, "--plan", step=5, resource="arn:aws:iam::222222222222:role/MyRoleB")
    assert code == 2
    assert "The step changed nothing." in why


def test_without_what_the_plan_showed_nothing_is_done(run: int) -> None:
    assert called(run)[0] == called(run, "--expected-plan", planned(run)["expected_plan"])[0] == 2
    assert orders() == 0


def test_what_aws_changed_in_between_is_said_with_the_new_plan_and_nothing_is_done(run: int) -> None:
    plan = planned(run)
    add_statement(Sid="Another", Action="s3:GetObjectVersion")
    before = policy()
    code, said, why = called(run, *confirmation(plan), "--json")
    assert (code, orders(), policy()) == (2, 0, before)
    assert "AWS changed since you looked." in why
    new = json.loads(said)
    assert new["seen"] != plan["seen"]
    assert called(run, *confirmation(new))[0] == 0


def test_statements_of_others_are_lost_only_to_who_agrees(run: int) -> None:
    plan = planned(run, "--exactly")
    assert any("LOST: 'CameLater'" in warning for step in plan["steps"] for warning in step["warnings"])
    code, _, why = called(run, "--exactly", *confirmation(plan))
    assert (code, orders()) == (2, 0)
    assert "may be lost" in why
    assert called(run, "--exactly", "--agree", *confirmation(plan))[0] == 0
    assert "s3:GetObjectTagging" not in actions()


def test_the_plan_of_the_portals_own_is_not_that_of_all_of_it(run: int) -> None:
    code, _, why = called(run, "--exactly", "--agree", *confirmation(planned(run)))
    assert (code, orders()) == (2, 0)
    assert "What is to be done changed" in why


def test_the_plan_shows_what_comes_back_and_changes_nothing(run: int) -> None:
    before = policy()
    code, said, _ = called(run, "--plan")
    assert code == 0
    assert "The database wishes otherwise" in said
    assert any(line.startswith("+") and "s3:DeleteObject" in line for line in said.splitlines())
    assert (policy(), orders()) == (before, 0)


def test_confirmed_the_portals_own_go_back_and_what_others_added_stays(run: int) -> None:
    code, said, why = called(run, *confirmation(planned(run)), "--reason", "OPS-12", "--json")
    assert (code, why) == (0, "")
    answer = json.loads(said)
    order = ProvisioningRun.objects.get(purpose="put_back")
    assert (answer["run"], answer["status"], order.requested_by_name) == (
        order.pk,
        "in_sync",
        "command:put_back_document",
    )
    assert {"s3:DeleteObject", "s3:GetObjectTagging"} <= set(actions())
