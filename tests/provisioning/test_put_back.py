"""Putting a document back to what it was before a run: what of it, on top of what, and who sees it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from roles.models import BucketGrant, GroupRole, ProvisioningRun, ProvisioningStep
from roles.models.choices import MappingState, RunStatus
from roles.operations.put_back_document import put_back_document
from roles.provisioning import outbox, preview, runner
from roles.provisioning.as_before import UNDONE
from roles.provisioning.resources import Plan
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_A, ROLE_B, as_aws_has, reconciled, sids, survivors, unmap
from tests.provisioning.drifting import SCANNER, in_sync, read_in_bulk, scanned, seen, with_policy
from tests.strict_aws.watched import THEIRS, WatchedAws, foreign

pytestmark = pytest.mark.django_db
LATER = {**THEIRS, "Sid": "CameLater", "Action": "s3:GetObjectTagging"}
DEAD = "AROAEXAMPLEOFNOBODY"


@pytest.fixture(autouse=True)
def scans(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The times that a worker was asked to look for drift."""
    asked: list[bool] = []
    monkeypatch.setattr(outbox, "send_scan", lambda: asked.append(True) or True)
    return asked


@pytest.fixture
def lowered(aws: WatchedAws, procedure: factories.Procedure) -> ProvisioningStep:
    """The step that took the writing out of the bucket's policy, as the grant was lowered to READ."""
    mapping = in_sync(procedure)
    BucketGrant.objects.update(access="READ")
    run = reconciled(mapping)
    aws.calls.clear()
    return run.steps.get(resource=BUCKET, step=6)


def policy(aws: WatchedAws) -> dict[str, Any]:
    return aws.bucket_policies["example-data"]


def replace_theirs(aws: WatchedAws) -> None:
    """Put a statement before all others, and take the partner's away."""
    with_policy(aws, lambda found: [LATER, *(one for one in found if one["Sid"] != "PartnerReads")])


def asking(step: ProvisioningStep, **given: Any) -> Any:
    return partial(put_back_document, actor=SCANNER, step=step, **given)


def plan_of(step: ProvisioningStep, **given: Any) -> Plan:
    return preview.rehearse(asking(step, **given)).plan(partly=True)


def ordered(step: ProvisioningStep, **given: Any) -> ProvisioningRun:
    """Return the queued run of what the plan shows now."""
    return asking(step, seen=plan_of(step, **given).seen, **given)()  # type: ignore[no-any-return]


def done(run: ProvisioningRun) -> ProvisioningRun:
    found = runner.reconcile(run.pk)
    assert found is not None
    return found


def test_a_change_of_aws_since_the_plan_was_seen_is_not_overwritten(aws: WatchedAws, lowered: ProvisioningStep) -> None:
    run = ordered(lowered)
    with_policy(aws, lambda found: [*found, LATER])
    before = aws.state()
    run = done(run)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict.stale_plan")
    assert (aws.writes, aws.state()) == ([], before)


def test_another_order_of_what_aws_has_is_no_change(aws: WatchedAws, lowered: ProvisioningStep) -> None:
    run = ordered(lowered)
    with_policy(aws, lambda found: found[::-1])
    assert done(run).status == RunStatus.IN_SYNC


def test_the_portals_statements_go_back_and_those_of_others_stay_as_they_are_now(
    aws: WatchedAws, lowered: ProvisioningStep
) -> None:
    assert lowered.before is not None
    replace_theirs(aws)
    plan = plan_of(lowered)
    assert plan.changes[0].warnings == (UNDONE,)
    assert aws.writes == []
    run = done(ordered(lowered))
    assert (run.status, run.error, aws.writes) == (RunStatus.IN_SYNC, "", ["put_bucket_policy"])
    ours = [one for one in lowered.before["Statement"] if one["Sid"].startswith("Xacct")]
    assert policy(aws)["Statement"] == [LATER, *ours]
    (step,) = run.steps.all()
    assert (step.title, step.action, step.after) == (
        "Put back the bucket policy of example-data",
        "update",
        policy(aws),
    )


def test_exactly_as_it_was_names_what_of_others_is_lost_and_what_comes_back(
    aws: WatchedAws, lowered: ProvisioningStep
) -> None:
    replace_theirs(aws)
    given = {"exactly": True, "agrees": True}
    said = " ".join(plan_of(lowered, **given).changes[0].warnings)
    assert "LOST: 'CameLater'" in said
    assert "COME BACK: 'PartnerReads'" in said
    assert done(ordered(lowered, **given)).status == RunStatus.IN_SYNC
    assert policy(aws) == lowered.before


def test_where_there_was_none_only_ours_goes_or_all_of_it(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.bucket_policies.clear()
    step = in_sync(procedure).runs.get().steps.get(step=6)
    with_policy(aws, lambda found: [*found, LATER])
    assert done(ordered(step)).status == RunStatus.IN_SYNC
    assert policy(aws)["Statement"] == [LATER]
    assert done(ordered(step, exactly=True, agrees=True)).status == RunStatus.IN_SYNC
    assert dict(aws.bucket_policies) == {}


def test_trust_and_inline_policies_go_back_too(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = in_sync(procedure)
    trust, inline = aws.role(ROLE_B).trust, dict(aws.role(ROLE_A).policies)
    theirs = foreign("Lambda", Principal={"Service": "lambda.amazonaws.com"})
    aws.role(ROLE_B).trust = {**trust, "Statement": [*trust["Statement"], theirs]}
    run = reconciled(unmap(mapping))
    assert done(ordered(run.steps.get(resource=ROLE_B, step=5))).status == RunStatus.IN_SYNC
    assert sids(aws.role(ROLE_B).trust) == ["Lambda", *sids(trust)]
    # Two steps of the run changed the same policy: it goes back to what it was before the first of them.
    assert done(ordered(run.steps.get(resource=ROLE_A, step=3))).status == RunStatus.IN_SYNC
    assert aws.role(ROLE_A).policies == inline


def test_putting_back_can_be_put_back(aws: WatchedAws, lowered: ProvisioningStep) -> None:
    now = policy(aws)
    run = done(ordered(lowered))
    assert policy(aws) != now
    assert done(ordered(run.steps.get())).status == RunStatus.IN_SYNC
    assert policy(aws) == now


def test_a_deleted_identity_in_it_blocks_the_plan(aws: WatchedAws, lowered: ProvisioningStep) -> None:
    assert lowered.before is not None
    lowered.before["Statement"][1]["Principal"] = {"AWS": DEAD}
    lowered.save()
    (change,) = plan_of(lowered).changes
    assert DEAD in change.blocked
    assert done(ordered(lowered)).error_code == "conflict.blocked"
    assert aws.writes == []


def test_a_role_that_is_gone_blocks_the_plan(aws: WatchedAws, procedure: factories.Procedure) -> None:
    run = reconciled(unmap(in_sync(procedure)))
    aws.role(ROLE_B).delete()
    (change,) = plan_of(run.steps.get(resource=ROLE_B, step=5)).changes
    assert "There is no role" in change.blocked


@pytest.mark.parametrize("moment", ["die_after", "die_before"])
def test_a_worker_that_dies_at_any_call_is_followed_by_one_that_puts_it_back(
    moment: str, aws: WatchedAws, lowered: ProvisioningStep
) -> None:
    now, numbers = policy(aws), 0

    def begin() -> ProvisioningRun:
        aws.bucket_policies["example-data"] = now
        return ordered(lowered)

    for number, run in survivors(aws, moment, begin, most=20):
        assert (number, run.status, run.error) == (number, RunStatus.IN_SYNC, "")
        assert policy(aws) == lowered.before
        numbers = number
    assert numbers >= 3


# --- who sees it ---


def test_what_the_database_does_not_wish_is_drift_at_once_and_no_sweep_undoes_it(
    aws: WatchedAws, lowered: ProvisioningStep, scans: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ordered(lowered)
    assert scans == []
    done(run)
    assert scans == [True]
    read_in_bulk(monkeypatch)
    assert seen(scanned()) == [(BUCKET, 6, "changed")]
    assert GroupRole.objects.get().state == MappingState.DRIFTED
    assert outbox.resend_runs() == []
    assert policy(aws) == lowered.before


def test_an_order_says_nothing_of_mappings_and_heals_no_drift(
    aws: WatchedAws, lowered: ProvisioningStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_bulk(monkeypatch)
    done(ordered(lowered))
    scanned()
    provisioned_at = GroupRole.objects.get().provisioned_at
    run = done(ordered(lowered))  # finds it as it was to be
    assert (run.status, run.steps.get().action) == (RunStatus.IN_SYNC, "none")
    assert GroupRole.objects.get().state == MappingState.DRIFTED
    assert GroupRole.objects.get().provisioned_at == provisioned_at


def test_the_next_run_brings_the_wish_back(aws: WatchedAws, lowered: ProvisioningStep) -> None:
    done(ordered(lowered))
    assert reconciled(GroupRole.objects.get()).status == RunStatus.IN_SYNC
    assert [policy(aws)] == as_aws_has(lowered.after)


def test_where_the_database_wishes_for_just_that_nothing_is_warned_of(
    aws: WatchedAws, lowered: ProvisioningStep
) -> None:
    BucketGrant.objects.update(access="READWRITE")
    assert plan_of(lowered).changes[0].warnings == ()
