"""Deleting a managed role from the command line: the plan, the name, what is not as it was seen, and the run."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from roles.models import AssumeRoleGrant, IamRole, ProvisioningRun
from tests.commands.conftest import no_longer_used
from tests.commands.test_scan_drift import aws, client_in
from tests.factories import Procedure

__all__ = ["aws"]
pytestmark = pytest.mark.django_db
ROLE_A = "arn:aws:iam::111111111111:role/MyRoleA"


@pytest.fixture
def role(aws: None, procedure: Procedure) -> IamRole:
    """The procedure's source role, in AWS and not used any more."""
    return no_longer_used(procedure.role_a)


def called(*options: str, arn: str = ROLE_A) -> tuple[int, str, str]:
    """Return what the command ends with, what it prints, and why it says no."""
    out = StringIO()
    try:
        call_command("delete_role", arn, *options, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


def planned() -> dict[str, Any]:
    code, text, _ = called("--plan", "--json")
    assert code == 0
    answer: dict[str, Any] = json.loads(text)
    return answer


def confirmation(plan: dict[str, Any], name: str = "MyRoleA") -> list[str]:
    return ["--name", name, "--expected-plan", plan["expected_plan"], "--seen", plan["seen"]]


def orders() -> int:
    return ProvisioningRun.objects.filter(purpose="delete_role").count()


def role_names() -> list[str]:
    return [one["RoleName"] for one in client_in("111111111111", "iam").list_roles()["Roles"]]


def test_a_role_that_is_not_there_is_bad_input(procedure: Procedure) -> None:
    code, said, why = called("--plan", arn="arn:aws:iam::111111111111:role/Nothing")
    assert (code, said) == (2, "")
    assert "There is no role" in why
    assert called("--plan", arn="MyRoleA")[0] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Look with --plan first"),
        (["--expected-plan", "x"], "Give --expected-plan and --seen together"),
        (["--seen", "x", "--name", "MyRoleA"], "Give --expected-plan and --seen together"),
    ],
)
def test_without_what_the_plan_showed_nothing_is_done(options: list[str], said: str, procedure: Procedure) -> None:
    code, _, why = called(*options)
    assert code == 2
    assert said in why
    assert orders() == 0


def test_a_role_in_use_is_refused_and_says_what_uses_it(aws: None, procedure: Procedure) -> None:
    code, said, why = called("--plan")
    assert (code, said) == (2, "")
    assert "It is mapped to analysts" in why
    assert orders() == 0


@pytest.mark.parametrize("name", ["", "myrolea", "MyRoleB"])
def test_another_name_deletes_nothing(name: str, role: IamRole) -> None:
    code, _, why = called(*confirmation(planned(), name))
    assert (code, orders()) == (2, 0)
    assert "not the name" in why
    assert "MyRoleA" in role_names()


def test_what_aws_changed_in_between_is_said_with_the_new_plan_and_nothing_is_done(role: IamRole) -> None:
    plan = planned()
    iam = client_in("111111111111", "iam")
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="MyRoleA", PolicyName="theirs", PolicyDocument=text)
    code, said, why = called(*confirmation(plan), "--json")
    assert (code, orders()) == (2, 0)
    assert "AWS changed since you looked." in why
    answer = json.loads(said)
    assert answer["status"] == "failed"
    assert answer["seen"] != plan["seen"]
    assert "theirs" in answer["steps"][0]["error"]


def test_what_the_database_changed_in_between_is_said(role: IamRole) -> None:
    plan = planned()
    AssumeRoleGrant.objects.update(ended_at=None)
    code, _, why = called(*confirmation(plan))
    assert (code, orders()) == (2, 0)
    assert "These grants are open" in why


def test_a_plan_of_something_else_is_no_plan_of_this(role: IamRole) -> None:
    plan = planned()
    code, said, why = called(*confirmation({**plan, "expected_plan": "0" * 64}))
    assert (code, orders()) == (2, 0)
    assert "What is to be done changed since you looked." in why
    assert plan["expected_plan"] in said


def test_what_is_planned_for_a_role_of_others_ends_with_1(role: IamRole) -> None:
    client_in("111111111111", "iam").untag_role(RoleName="MyRoleA", TagKeys=["xacct-portal"])
    code, said, why = called("--plan", "--json")
    assert code == 1
    assert "does not carry the portal's tag" in why
    plan = json.loads(said)
    assert called(*confirmation(plan))[0] == 1
    assert orders() == 0


def test_the_plan_shows_what_goes_and_how_to_confirm_it_and_changes_nothing(role: IamRole) -> None:
    plan = planned()
    assert (plan["run"], plan["status"]) == (None, "planned")
    assert [one["action"] for one in plan["steps"] if one["action"] != "none"] == ["delete", "delete"]
    assert any("lose their access at once" in warning for step in plan["steps"] for warning in step["warnings"])
    code, said, _ = called("--plan")
    assert code == 0
    assert f"--expected-plan {plan['expected_plan']} --seen {plan['seen']}" in said
    assert (orders(), "MyRoleA" in role_names()) == (0, True)


def test_confirmed_it_is_deleted_at_once_by_a_run_of_the_command(role: IamRole) -> None:
    plan = planned()
    code, said, why = called(*confirmation(plan), "--reason", "OPS-12", "--json")
    assert (code, why) == (0, "")
    answer = json.loads(said)
    run = ProvisioningRun.objects.get(purpose="delete_role")
    assert (answer["run"], answer["status"]) == (run.pk, "in_sync")
    assert (run.requested_by_name, run.plan_digest, run.plan_seen) == (
        "command:delete_role",
        plan["expected_plan"],
        plan["seen"],
    )
    assert {one["status"] for one in answer["steps"]} == {"done"}
    assert "MyRoleA" not in role_names()
