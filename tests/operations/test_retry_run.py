from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from roles.errors import Conflict, NotFound, NotPermitted
from roles.models import AwsAccount, GroupRole, ProvisioningRun, User
from roles.operations.retry_run import retry_run
from tests.factories import Procedure, ProvisioningRunFactory, ProvisioningStepFactory
from tests.operations.conftest import event, traces


def a_run(procedure: Procedure, **given: Any) -> ProvisioningRun:
    run: ProvisioningRun = ProvisioningRunFactory(role=procedure.role_a, **{"status": "failed", **given})
    return run


def test_who_may_not_retry_runs_is_refused(procedure: Procedure, powerless: User) -> None:
    run = a_run(procedure)
    with pytest.raises(NotPermitted) as refusal:
        retry_run(actor=powerless, run=run)
    assert refusal.value.rule == "runs.retry"
    assert ProvisioningRun.objects.count() == 1


@pytest.mark.parametrize("status", ["queued", "applying", "waiting", "in_sync"])
def test_a_run_that_did_not_fail_is_not_retried(status: str, procedure: Procedure, alice: User) -> None:
    run = a_run(procedure, status=status)
    with pytest.raises(Conflict, match="nothing to retry"):
        retry_run(actor=alice, run=run)
    assert traces() == (0, 1)


def test_a_run_that_went_on_since_the_page_was_shown_is_not_retried(procedure: Procedure, alice: User) -> None:
    run = a_run(procedure)
    ProvisioningRun.objects.update(status="in_sync")
    with pytest.raises(Conflict):
        retry_run(actor=alice, run=run)


def test_a_run_that_never_was_is_not_found(procedure: Procedure, alice: User) -> None:
    with pytest.raises(NotFound):
        retry_run(actor=alice, run=ProvisioningRunFactory.build(id=4711, role=procedure.role_a))


def test_a_newer_run_that_is_on_its_way_is_the_answer(procedure: Procedure, alice: User) -> None:
    run = a_run(procedure)
    underway = a_run(procedure, status="waiting")
    assert retry_run(actor=alice, run=run) == underway
    assert traces() == (0, 2)


@pytest.mark.parametrize("status", ["failed", "needs_owner"])
def test_a_failed_run_is_queued_again_as_a_new_one_and_stays_what_it_was(
    status: str, procedure: Procedure, alice: User
) -> None:
    mapping = procedure.map(state=status)
    run = a_run(procedure, status=status, mapping=mapping, error="AWS refused.", plan_digest="d" * 64)
    new = retry_run(actor=alice, run=run)
    run.refresh_from_db()
    assert (run.status, run.error) == (status, "AWS refused.")
    assert (new.role, new.mapping, new.status, new.trigger) == (procedure.role_a, mapping, "queued", "run.retried")
    assert (new.requested_by, new.plan_digest) == (alice, "")
    assert GroupRole.objects.get().state == "queued"
    retried = event("run.retried")
    assert (retried.before, retried.after) == (
        {"run": run.pk, "status": status},
        {"run": new.pk, "status": "queued"},
    )
    assert (retried.group_name, retried.account_id) == ("analysts", "111111111111")


def test_a_removal_that_failed_is_retried_as_a_removal(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(state="failed")
    GroupRole.objects.update(ended_at=timezone.now())
    mapping.refresh_from_db()
    retry_run(actor=alice, run=a_run(procedure, mapping=mapping))
    assert GroupRole.objects.get().state == "removing"


def test_a_run_that_no_mapping_asked_for_is_retried_too(procedure: Procedure, alice: User) -> None:
    new = retry_run(actor=alice, run=a_run(procedure, trigger="bucket_grant.added"))
    assert new.mapping is None
    assert event("run.retried").group_name == ""


def test_retrying_twice_gives_one_run(procedure: Procedure, alice: User) -> None:
    run = a_run(procedure)
    assert retry_run(actor=alice, run=run) == retry_run(actor=alice, run=run)
    assert ProvisioningRun.objects.count() == 2


def test_an_order_that_waits_for_an_owner_is_verified(procedure: Procedure, alice: User) -> None:
    step = ProvisioningStepFactory(run=a_run(procedure, status="in_sync"))
    given = {"purpose": "put_back", "puts_back": step, "plan_seen": "s" * 64}
    failed, waits = a_run(procedure, **given), a_run(procedure, status="needs_owner", **given)
    for run in (failed, waits):  # the portal may write in that account: it would, and nobody confirmed that
        with pytest.raises(Conflict, match="an order"):
            retry_run(actor=alice, run=run)
    AwsAccount.objects.filter(pk=procedure.account_b.pk).update(access_mode="handoff")
    with pytest.raises(Conflict, match="an order"):
        retry_run(actor=alice, run=failed)
    new = retry_run(actor=alice, run=waits)
    assert (new.purpose, new.puts_back, new.plan_seen, new.trigger) == ("put_back", step, "s" * 64, "run.retried")
    assert retry_run(actor=alice, run=waits) == new


@pytest.mark.parametrize(
    ("purpose", "permission"), [("put_back", "restore_provisioningstep"), ("delete_role", "delete_iamrole")]
)
def test_an_order_is_given_anew_only_by_who_may_give_it(
    purpose: str, permission: str, procedure: Procedure, powerless: User
) -> None:
    powerless.user_permissions.add(Permission.objects.get(codename="retry_provisioningrun"))
    step = ProvisioningStepFactory(run=a_run(procedure, status="in_sync")) if purpose == "put_back" else None
    waits = a_run(procedure, status="needs_owner", purpose=purpose, puts_back=step)
    AwsAccount.objects.filter(pk=procedure.account_b.pk).update(access_mode="handoff")
    before = traces()
    with pytest.raises(NotPermitted) as refused:
        retry_run(actor=User.objects.get(pk=powerless.pk), run=waits)
    assert permission in refused.value.hint
    assert traces() == before
