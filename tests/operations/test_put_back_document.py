from __future__ import annotations

from typing import Any

import pytest

from roles import context
from roles.errors import Conflict, NotPermitted, StalePlan
from roles.models import ProvisioningRun, ProvisioningStep, User
from roles.operations.put_back_document import put_back_document
from roles.operations.retry_run import retry_run
from tests import factories
from tests.factories import Procedure
from tests.operations.conftest import event, traces

SEEN = "0" * 64
BEFORE = {"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Deny"}]}


def a_step(procedure: Procedure, **given: Any) -> ProvisioningStep:
    run = factories.ProvisioningRunFactory(role=procedure.role_a, status="in_sync")
    fields = {
        "step": 6,
        "account_id": "222222222222",
        "resource": str(procedure.bucket.arn),
        "action": "update",
        "status": "done",
        "before": BEFORE,
        "after": {"Version": "2012-10-17", "Statement": []},
    }
    step: ProvisioningStep = factories.ProvisioningStepFactory(run=run, **{**fields, **given})
    return step


def put_back(actor: User, step: ProvisioningStep, **given: Any) -> ProvisioningRun:
    return put_back_document(actor=actor, step=step, **{"seen": SEEN, **given})


def test_who_may_not_put_back_is_refused(procedure: Procedure, powerless: User) -> None:
    step = a_step(procedure)
    before = traces()
    with pytest.raises(NotPermitted) as refusal:
        put_back(powerless, step)
    assert refusal.value.rule == "documents.restore"
    assert traces() == before


def test_without_having_seen_the_plan_it_is_refused(procedure: Procedure, alice: User) -> None:
    step = a_step(procedure)
    with pytest.raises(StalePlan, match="looked"):
        put_back(alice, step, seen="")
    with context.rehearsal():
        put_back(alice, step, seen="")


def test_statements_of_others_are_put_back_only_by_who_agrees(procedure: Procedure, alice: User) -> None:
    step = a_step(procedure)
    with pytest.raises(Conflict, match="others"):
        put_back(alice, step, exactly=True)
    assert put_back(alice, step, exactly=True, agrees=True).exactly


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"action": "none"}, "changed nothing"),
        ({"step": 7, "action": "verify"}, "changed nothing"),
        ({"step": 5, "resource": "arn:aws:iam::222222222222:role/MyRoleB#xacct-cut-off"}, "pages of its own"),
        ({"step": 1, "resource": "arn:aws:iam::111111111111:instance-profile/MyRoleA"}, "Only trust policies"),
        ({"step": 2, "resource": "arn:aws:iam::111111111111:policy/xacct-portal/xacct-Gone"}, "no role of that name"),
        (
            {"step": 4, "resource": "arn:aws:iam::222222222222:role/MyRoleB", "action": "create", "before": None},
            "There was no role",
        ),
        ({"before": None}, "does not know what was there"),
        ({"account_id": "999999999999"}, "does not know account 999999999999"),
    ],
)
def test_what_is_no_document_of_ours_to_put_back_is_refused(
    given: dict[str, Any], why: str, procedure: Procedure, alice: User
) -> None:
    step = a_step(procedure, **given)
    before = traces()
    with pytest.raises(Conflict) as refusal:
        put_back(alice, step)
    assert why in refusal.value.message
    assert traces() == before


def test_in_a_handoff_account_the_statements_of_others_are_refused(procedure: Procedure, alice: User) -> None:
    ours = {"Version": "2012-10-17", "Statement": [{"Sid": "XacctBucketList", "Effect": "Allow"}]}
    step = a_step(procedure, before=ours)
    procedure.account_b.access_mode = "handoff"
    procedure.account_b.save()
    with pytest.raises(Conflict, match="its owner's business"):
        put_back(alice, step, exactly=True, agrees=True)
    assert put_back(alice, step).puts_back == step


def test_putting_back_is_queued_as_an_order_with_what_was_seen(procedure: Procedure, alice: User) -> None:
    step = a_step(procedure)
    run = put_back(alice, step, reason="OPS-12")
    assert (run.purpose, run.puts_back, run.exactly, run.plan_seen) == ("put_back", step, False, SEEN)
    assert (run.role, run.mapping, run.requested_by) == (procedure.role_a, None, alice)
    asked = event("document.put_back_queued")
    assert (asked.resource, asked.after) == (str(procedure.bucket.arn), BEFORE)
    assert (asked.details["of_run"], asked.details["exactly"]) == (step.run_id, False)


def test_an_order_is_given_anew_and_not_retried(procedure: Procedure, alice: User) -> None:
    run = put_back(alice, a_step(procedure))
    ProvisioningRun.objects.filter(pk=run.pk).update(status="failed")
    with pytest.raises(Conflict, match="an order"):
        retry_run(actor=alice, run=run)
