"""The run's page: the seven steps, live while they go on, what failed and why, and trying again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from roles.models import GroupRole, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import RunStatus, StepAction, StepStatus
from roles.portal import stepper
from roles.provisioning.resources import STEP_TITLES
from tests.factories import Procedure, ProvisioningRunFactory
from tests.portal.conftest import signed_in

TRUST = {"Version": "2012-10-17", "Statement": [{"Sid": "XacctTrust", "Effect": "Allow"}]}


def a_run(mapping: GroupRole, status: RunStatus = RunStatus.APPLYING, **fields: Any) -> ProvisioningRun:
    run: ProvisioningRun = ProvisioningRunFactory(role=mapping.role, mapping=mapping, status=status, **fields)
    return run


def a_step(run: ProvisioningRun, number: int, status: StepStatus = StepStatus.DONE, **fields: Any) -> ProvisioningStep:
    defaults: dict[str, Any] = {
        "sequence": number,
        "account_id": "222222222222",
        "resource": "arn:aws:iam::222222222222:role/MyRoleB",
        "title": "Trust policy of MyRoleB",
        "action": StepAction.UPDATE,
    }
    return ProvisioningStep.objects.create(run=run, step=number, status=status, **(defaults | fields))


def page(user: User, run: ProvisioningRun, view: str = "run", **query: str) -> str:
    return signed_in(user).get(reverse(view, args=[run.pk]), query).content.decode()


def test_a_person_without_the_permission_cannot_retry(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping, RunStatus.FAILED)
    assert "Retry" not in page(audrey, run)
    assert signed_in(audrey).post(reverse("run_retry", args=[run.pk])).status_code == 403


def test_who_maps_roles_sees_runs_without_reading_the_history(mapping: GroupRole, charlie: User) -> None:
    run = a_run(mapping)
    charlie.user_permissions.add(Permission.objects.get(codename="change_grouprole"))
    assert "Step 1:" in page(charlie, run)


def test_all_seven_steps_are_there_with_the_procedures_titles(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping, RunStatus.QUEUED)
    shown = page(audrey, run)
    for step, title in STEP_TITLES.items():
        assert f"Step {step.value}: {title}" in shown
    assert shown.count("Not yet") == 7


def test_what_a_finished_removal_had_no_need_of_does_not_look_unfinished(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping, RunStatus.IN_SYNC)
    for number in range(1, 7):
        a_step(run, number)
    shown = page(audrey, run)
    assert "6 of 6 steps done" in shown and "Not needed" in shown
    assert "Not yet" not in shown


def test_a_failed_step_says_what_aws_said_and_what_to_do(mapping: GroupRole, alice: User) -> None:
    run = a_run(mapping, RunStatus.FAILED, error="MyRoleB does not trust MyRoleA yet.", hint="Ask the owner.")
    a_step(
        run,
        5,
        StepStatus.FAILED,
        error="MyRoleB does not trust MyRoleA yet.",
        hint="Ask the owner.",
        aws_code="AccessDenied",
        aws_request_id="7f3c-request",
    )
    shown = page(alice, run)
    for text in ("Step 5 failed", "does not trust MyRoleA", "Ask the owner.", "AccessDenied", "7f3c-request", "Retry"):
        assert text in shown
    assert "every " not in shown


def test_a_steps_documents_are_compared_and_said_in_words(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping, RunStatus.IN_SYNC)
    a_step(run, 5, before=None, after=TRUST, foreign_statements=2)
    shown = page(audrey, run)
    assert "&quot;XacctTrust&quot;" in shown and "2 statements of others kept" in shown


@pytest.mark.parametrize(
    ("status", "seconds"), [(RunStatus.APPLYING, 1), (RunStatus.QUEUED, 2), (RunStatus.WAITING, 3)]
)
def test_an_unfinished_run_asks_again_by_itself(
    status: RunStatus, seconds: int, mapping: GroupRole, audrey: User
) -> None:
    assert f'hx-trigger="every {seconds}s"' in page(audrey, a_run(mapping, status), "run_steps")


@pytest.mark.parametrize("status", [RunStatus.IN_SYNC, RunStatus.FAILED, RunStatus.NEEDS_OWNER])
def test_a_finished_run_does_not(status: RunStatus, mapping: GroupRole, audrey: User) -> None:
    assert "hx-get" not in page(audrey, a_run(mapping, status), "run_steps")


def test_nothing_is_sent_while_nothing_changed_and_a_change_is_announced(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping)
    step = a_step(run, 1, StepStatus.APPLYING)
    client = signed_in(audrey)
    address = reverse("run_steps", args=[run.pk])
    seen = client.get(address).context["progress"].seen
    assert client.get(address, {"seen": seen}).status_code == 204
    ProvisioningStep.objects.filter(pk=step.pk).update(status=StepStatus.DONE)
    changed = client.get(address, {"seen": seen})
    assert changed.status_code == 200
    assert 'id="run-said" hx-swap-oob="innerHTML"' in changed.content.decode()
    assert "1 of 7 steps done" in changed.content.decode()
    assert "<html" not in changed.content.decode()


def test_a_run_that_no_worker_takes_says_so(mapping: GroupRole, audrey: User) -> None:
    fresh = a_run(mapping, RunStatus.QUEUED)
    stale = a_run(mapping, RunStatus.QUEUED, queued_at=timezone.now() - timedelta(minutes=2))
    assert "No worker has taken" not in page(audrey, fresh)
    assert "No worker has taken" in page(audrey, stale)


def test_the_newest_attempt_is_shown_and_earlier_ones_can_be(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping, RunStatus.IN_SYNC)
    a_step(run, 2, StepStatus.FAILED, attempt=1, title="First try")
    a_step(run, 2, StepStatus.DONE, attempt=2, title="Second try")
    assert "Second try" in page(audrey, run) and "First try" not in page(audrey, run)
    assert "First try" in page(audrey, run, attempt="1")
    assert "Second try" in page(audrey, run, attempt="99")


def test_what_a_step_says_is_never_run_as_a_page(mapping: GroupRole, audrey: User) -> None:
    run = a_run(mapping, RunStatus.FAILED, error="<script>alert(1)</script>")
    a_step(run, 6, StepStatus.FAILED, error="<img src=x onerror=alert(1)>", after={"Sid": "</pre><script>alert(1)"})
    shown = page(audrey, run)
    assert "<script>alert(1)" not in shown and "<img src=x" not in shown


def test_the_worst_of_a_steps_resources_is_the_steps_state(mapping: GroupRole) -> None:
    run = a_run(mapping)
    steps = [a_step(run, 6, StepStatus.DONE, sequence=1), a_step(run, 6, StepStatus.FAILED, sequence=2)]
    progress = stepper.progress_of(run, steps)
    assert progress.stages[5].state == StepStatus.FAILED
    assert progress.failed is progress.stages[5]
    assert progress.stages[0].state == stepper.PENDING


def test_an_admin_retries_and_lands_on_the_run(mapping: GroupRole, alice: User) -> None:
    run = a_run(mapping, RunStatus.FAILED)
    response = signed_in(alice).post(reverse("run_retry", args=[run.pk]))
    assert response.status_code == 302
    newest = ProvisioningRun.objects.order_by("-id").first()
    assert newest is not None and response["Location"] == reverse("run", args=[newest.pk])
    assert newest.role == run.role


def test_a_run_costs_the_same_with_few_steps_and_with_many(procedure: Procedure, audrey: User) -> None:
    mapping = procedure.map()

    def cost(run: ProvisioningRun) -> int:
        client = signed_in(audrey)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("run", args=[run.pk]))
        return len(queries)

    few, many = a_run(mapping), a_run(mapping)
    a_step(few, 1)
    for number in range(1, 40):
        a_step(many, number % 7 + 1, sequence=number)
    assert cost(few) == cost(many)
