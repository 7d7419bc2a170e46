"""The two orders through the REST interface: who may, the plan, the admin's word, and what is not as it was seen."""

from __future__ import annotations

from typing import Any

import pytest

from roles.models import AuditEvent, BucketGrant, IamRole, ProvisioningRun, User
from roles.provisioning import outbox, runner
from tests import factories
from tests.api.test_rest import ROLE_A, make, plan, post, problem
from tests.commands.conftest import no_longer_used
from tests.commands.test_put_back_document import LATER, actions, add_statement
from tests.commands.test_scan_drift import aws, client_in
from tests.operations.conftest import powerless

__all__ = ["aws", "powerless"]
pytestmark = pytest.mark.django_db
BUCKET = "arn:aws:s3:::example-data"
DELETE = {"action": "delete_role", "role": ROLE_A, "name": "MyRoleA", "reason": "OPS-12"}


@pytest.fixture
def unused(aws: None, procedure: factories.Procedure) -> IamRole:
    """The procedure's source role, in AWS and not used any more."""
    return no_longer_used(procedure.role_a)


@pytest.fixture
def put_back(aws: None, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The order to undo the run that took the writing out of the bucket's policy; others added a statement since."""
    monkeypatch.setattr(outbox, "send_scan", lambda: True)
    BucketGrant.objects.update(access="READ")
    run = factories.ProvisioningRunFactory(role=procedure.role_a)
    runner.reconcile(run.pk)
    add_statement()
    return {"action": "put_back", "run": run.pk, "number": 6, "resource": BUCKET}


def orders() -> list[str]:
    found = ProvisioningRun.objects.exclude(purpose="reconcile").order_by("pk")
    return list(found.values_list("purpose", flat=True))


def done() -> str:
    """Let a worker have the one order, and return how it ended."""
    run = runner.reconcile(ProvisioningRun.objects.exclude(purpose="reconcile").get().pk)
    assert run is not None
    return run.status


# --- who may ---


@pytest.mark.parametrize("name", ["plans", "changes"])
def test_who_may_not_delete_roles_may_not_and_learns_nothing(name: str, unused: IamRole, powerless: User) -> None:
    for role in (ROLE_A, f"{ROLE_A}-that-never-was"):
        body = {"change": {**DELETE, "role": role}}
        body |= {"expected_plan": "0" * 64, "seen": "0" * 64} if name == "changes" else {}
        refused = problem(post(powerless, name, body), 403)
        assert (refused["code"], "never-was" in refused["detail"]) == ("access.denied", False)
    assert orders() == []
    assert AuditEvent.objects.filter(code="access.denied", actor=powerless).count() == 2


@pytest.mark.parametrize("name", ["plans", "changes"])
def test_who_may_not_put_back_may_not_and_learns_nothing(name: str, put_back: dict[str, Any], powerless: User) -> None:
    for number in (6, 3):
        body = {"change": {**put_back, "number": number}}
        body |= {"expected_plan": "0" * 64, "seen": "0" * 64} if name == "changes" else {}
        assert problem(post(powerless, name, body), 403)["code"] == "access.denied"
    assert orders() == []


def test_what_is_not_there_is_named_to_who_may_know(put_back: dict[str, Any], alice: User) -> None:
    for change in ({**put_back, "run": 4711}, {**put_back, "number": 1}, {**put_back, "resource": f"{BUCKET}-else"}):
        assert "has no step" in problem(post(alice, "plans", {"change": change}), 404)["detail"]
    change = {**DELETE, "role": f"{ROLE_A}-that-never-was"}
    assert "There is no role" in problem(post(alice, "plans", {"change": change}), 404)["detail"]


# --- deleting a role ---


def test_a_role_in_use_stays(aws: None, procedure: factories.Procedure, alice: User) -> None:
    assert "It is mapped to analysts" in problem(post(alice, "plans", {"change": DELETE}), 409)["detail"]
    body = {"change": DELETE, "expected_plan": "0" * 64, "seen": "0" * 64}
    assert problem(post(alice, "changes", body), 409)["code"] == "conflict"
    assert orders() == []


@pytest.mark.parametrize("name", [None, "", "myrolea"])
def test_another_name_deletes_nothing(name: str | None, unused: IamRole, alice: User) -> None:
    change = {key: value for key, value in {**DELETE, "name": name}.items() if value is not None}
    refused = problem(make(alice, change, plan(alice, change)), 400)
    assert (refused["field"], orders()) == ("name", [])


def test_without_having_seen_aws_nothing_is_deleted(unused: IamRole, alice: User) -> None:
    seen = plan(alice, DELETE)
    assert problem(make(alice, DELETE, {**seen, "seen": ""}), 409)["code"] == "conflict.stale_plan"
    assert orders() == []


def test_a_role_that_others_took_up_in_between_stays_and_the_new_plan_says_so(unused: IamRole, alice: User) -> None:
    seen = plan(alice, DELETE)
    client_in("111111111111", "iam").untag_role(RoleName="MyRoleA", TagKeys=["xacct-portal"])
    stale = problem(make(alice, DELETE, seen), 409)
    assert stale["code"] == "conflict.stale_plan"
    assert "does not carry the portal's tag" in stale["plan"]["changes"][0]["blocked"]
    assert orders() == []


def test_a_blocked_order_is_not_taken(unused: IamRole, alice: User) -> None:
    client_in("111111111111", "iam").untag_role(RoleName="MyRoleA", TagKeys=["xacct-portal"])
    refused = problem(make(alice, DELETE, plan(alice, DELETE)), 409)
    assert (refused["code"], orders()) == ("conflict.blocked", [])


def test_an_unused_role_is_deleted_by_the_run_of_the_answer(unused: IamRole, alice: User) -> None:
    seen = plan(alice, DELETE)
    assert [one["action"] for one in seen["changes"] if one["writes"]] == ["delete", "delete"]
    assert {one["account"] for one in seen["changes"]} == {"111111111111"}
    answer = make(alice, DELETE, seen)
    assert answer.status_code == 201, answer.content
    run = ProvisioningRun.objects.get(purpose="delete_role")
    made = answer.json()  # type: ignore[attr-defined]
    assert (made["type"], made["id"], made["runs"]) == ("provisioningrun", run.pk, [run.pk])
    assert (run.requested_by, run.plan_digest, run.plan_seen) == (alice, seen["expected_plan"], seen["seen"])
    assert done() == "in_sync"
    assert client_in("111111111111", "iam").list_roles()["Roles"] == []


# --- putting a document back ---


def test_what_aws_changed_in_between_is_shown_anew_and_nothing_is_put_back(
    put_back: dict[str, Any], alice: User
) -> None:
    seen = plan(alice, put_back)
    add_statement(Sid="Another", Action="s3:GetObjectVersion")
    stale = problem(make(alice, put_back, seen), 409)
    assert (stale["code"], orders()) == ("conflict.stale_plan", [])
    assert make(alice, put_back, stale["plan"]).status_code == 201


def test_what_aws_changed_after_the_order_is_not_overwritten_by_the_run(put_back: dict[str, Any], alice: User) -> None:
    assert make(alice, put_back, plan(alice, put_back)).status_code == 201
    add_statement(Sid="Another", Action="s3:GetObjectVersion")
    before = actions()
    assert (done(), actions()) == ("failed", before)


def test_statements_of_others_are_lost_only_to_who_agrees(put_back: dict[str, Any], alice: User) -> None:
    exactly = {**put_back, "exactly": True}
    seen = plan(alice, exactly)
    assert any(f"LOST: '{LATER['Sid']}'" in warning for warning in seen["changes"][0]["warnings"])
    assert "may be lost" in problem(make(alice, exactly, seen), 409)["detail"]
    assert orders() == []
    assert make(alice, {**exactly, "agrees": True}, seen).status_code == 201
    assert done() == "in_sync"
    assert LATER["Action"] not in actions()


def test_the_portals_own_go_back_by_the_run_of_the_answer(put_back: dict[str, Any], alice: User) -> None:
    assert make(alice, put_back, plan(alice, put_back)).status_code == 201
    assert done() == "in_sync"
    assert {"s3:DeleteObject", LATER["Action"]} <= set(actions())
