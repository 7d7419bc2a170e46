"""The policy that cuts off credentials, from the wish to AWS and out of it again; beside the trust, not part of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.errors import Conflict
from roles.models import CutOff, DriftFinding, IamRole, ProvisioningRun, ProvisioningStep
from roles.models.choices import RunStatus, StepStatus
from roles.operations.accept_drift import accept_drift
from roles.operations.lift_cut_offs import lift_cut_off
from roles.operations.repair_drift import repair_drift
from roles.provisioning import desired, preview, runner
from roles.provisioning.handoff import documents_for
from roles.provisioning.plan import inline_policy_of, slot_of, title_for
from roles.provisioning.recording import NO_ROLE
from roles.provisioning.resources import DesiredDocument, Place, Step, cut_off_of, holder_of, is_cut_off
from tests import factories
from tests.provisioning.conftest import DENIED, ROLE_B, Clock, again, as_aws_has, reconciled, sids, unmap
from tests.provisioning.drifting import in_sync, read_in_bulk, scanned, seen
from tests.strict_aws.watched import Killed, WatchedAws, foreign

pytestmark = pytest.mark.django_db

POLICY = "xacct-cut-off"
RESOURCE = f"{ROLE_B}#{POLICY}"


def cut(procedure: factories.Procedure, *names: str, ago: int = 0, **given: Any) -> CutOff:
    """Cut people off, or everybody, some minutes ago, without any operation."""
    moment = timezone.now() - timedelta(minutes=ago)
    fields = {"target": procedure.role_b, "source": procedure.role_a, "started_at": moment, "cut_before": moment}
    return CutOff.objects.create(**{**fields, "names": list(names), "lifts_at": timezone.now(), **given})


def lift(row: CutOff) -> None:
    CutOff.objects.filter(pk=row.pk).update(ended_at=timezone.now())


def wished(role: IamRole) -> list[DesiredDocument]:
    wishes = desired.wishes_for(role, tuple)
    return [one for one in wishes if isinstance(one, DesiredDocument) and is_cut_off(one.resource)]


def cut_at(aws: WatchedAws) -> list[str]:
    """Return the kinds of statement in the policy in AWS: their Sids without the digest."""
    return sorted({sid[:-10] or sid for sid in sids(aws.role(ROLE_B).policies[POLICY])})


# --- the place ---


def test_it_has_a_place_of_its_own_beside_the_trust(procedure: factories.Procedure) -> None:
    assert not is_cut_off(ROLE_B)
    assert inline_policy_of(ROLE_B) == (procedure.role_b.arn, "xacct-portal")
    assert inline_policy_of(RESOURCE) == (procedure.role_b.arn, POLICY)
    assert (cut_off_of(procedure.role_b.arn), holder_of(RESOURCE), holder_of(ROLE_B)) == (RESOURCE, ROLE_B, ROLE_B)
    assert title_for(Step.TARGET_TRUST, RESOURCE) == "Cut off credentials of MyRoleB"
    cut(procedure, "bob")
    (wish,) = wished(procedure.role_a)
    assert (slot_of(wish), wish.step) == ((Place.INLINE_POLICY, RESOURCE), Step.TARGET_TRUST)


# --- the wish ---


def test_without_a_cut_off_nothing_is_read_or_written_for_one(procedure: factories.Procedure) -> None:
    procedure.map()
    assert wished(procedure.role_a) == []


def test_several_cut_offs_of_a_target_are_one_document(procedure: factories.Procedure) -> None:
    cut(procedure, "bob", ago=9)
    cut(procedure, "bob", "carol")
    lift(cut(procedure, "dave"))
    (wish,) = wished(procedure.role_a)
    identity, session = [one.body["Condition"] for one in wish.statements]
    assert identity["StringEquals"] == {"aws:SourceIdentity": ["bob", "carol"]}
    assert session["StringLike"] == {"aws:userid": ["*:bob", "*:carol"]}


def test_a_lifted_one_is_taken_out_until_a_run_was_in_sync_long_after(procedure: factories.Procedure) -> None:
    row = cut(procedure, "bob", ago=9)
    lift(row)
    (wish,) = wished(procedure.role_a)
    assert wish.statements == ()
    factories.ProvisioningRunFactory(role=procedure.role_a, status="in_sync", started_at=timezone.now())
    assert wished(procedure.role_a)  # it may not have seen the end yet
    CutOff.objects.update(ended_at=timezone.now() - timedelta(hours=3), started_at=timezone.now() - timedelta(hours=4))
    assert wished(procedure.role_a) == []


def test_another_source_role_of_the_target_wishes_the_same(procedure: factories.Procedure) -> None:
    other = factories.IamRoleFactory(account=procedure.account_a, name="OtherA")
    cut(procedure, "bob")
    assert wished(other) == []
    factories.AssumeRoleGrantFactory(source=other, target=procedure.role_b)
    assert wished(other) == wished(procedure.role_a) != []


# --- the run ---


def test_a_run_writes_it_keeps_what_others_have_there_and_writes_it_once(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    theirs = foreign("Theirs", Action="s3:DeleteBucket", Resource="*", Effect="Deny")
    aws.role(ROLE_B).policies[POLICY] = {"Version": "2012-10-17", "Statement": [theirs]}
    trust = aws.role(ROLE_B).trust
    cut(procedure, "bob")
    run = reconciled(mapping)
    assert run.status == RunStatus.IN_SYNC
    document = aws.role(ROLE_B).policies[POLICY]
    assert document["Statement"][0] == theirs
    assert cut_at(aws) == ["Theirs", "XacctCutOff", "XacctCutOffSession"]
    assert aws.role(ROLE_B).trust == trust
    first = run.steps.order_by("sequence").first()
    assert first is not None
    assert (first.step, first.resource, first.action, as_aws_has(first.after)) == (5, RESOURCE, "update", [document])
    written = len(aws.writes)
    reconciled(mapping)
    assert len(aws.writes) == written


def test_it_is_written_first_and_whatever_else_fails(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    cut(procedure, "bob")
    aws.fail_always["get_role"] = DENIED
    aws.calls.clear()
    assert reconciled(mapping).status == RunStatus.FAILED
    assert [(call.name, call.about) for call in aws.calls][:2] == [
        ("get_role_policy", ROLE_B),
        ("put_role_policy", ROLE_B),
    ]
    assert cut_at(aws) == ["XacctCutOff", "XacctCutOffSession"]


def test_a_role_that_the_run_has_yet_to_make_gets_its_cut_off_as_soon_as_it_is_there(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    cut(procedure, "bob")
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert cut_at(aws) == ["XacctCutOff", "XacctCutOffSession"]
    told = run.steps.filter(resource=RESOURCE).order_by("sequence").values_list("action", "status", "hint")
    assert list(told) == [("none", "done", NO_ROLE), ("create", "done", "")]
    made = run.steps.get(step=4, resource=ROLE_B)
    assert run.steps.filter(resource=RESOURCE, sequence__gt=made.sequence).get().sequence == made.sequence + 1


def test_a_role_that_cannot_be_made_has_no_cut_off_and_the_run_fails_for_the_role(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    cut(procedure, "bob")
    aws.fail_always["create_role"] = DENIED
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED
    assert set(run.steps.filter(resource=RESOURCE).values_list("action", "status")) == {("none", "done")}
    assert not aws.has_role(ROLE_B)


def test_a_second_attempt_does_not_wait_for_a_role_that_is_not_made(
    aws: WatchedAws, procedure: factories.Procedure, clock: Clock
) -> None:
    cut(procedure, "bob")
    procedure.map()
    run = factories.ProvisioningRunFactory(role=procedure.role_a, attempts=1)
    assert runner.reconcile(run.pk) is not None
    first = ProvisioningStep.objects.filter(resource=RESOURCE).order_by("pk").first()
    assert first is not None and (first.hint, clock.now) == (NO_ROLE, 0)
    assert cut_at(aws) == ["XacctCutOff", "XacctCutOffSession"]


def test_a_cut_off_that_is_denied_fails_its_step_alone(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    cut(procedure, "bob")
    aws.fail_always["put_role_policy"] = DENIED
    run = reconciled(mapping)
    assert run.status == RunStatus.FAILED
    failed = run.steps.filter(status=StepStatus.FAILED)
    assert list(failed.values_list("resource", flat=True)) == [RESOURCE]


def test_a_worker_that_dies_after_writing_it_leaves_the_next_one_nothing_to_write(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    cut(procedure, "bob")
    aws.die_after = len(aws.calls) + 2
    run: ProvisioningRun = factories.ProvisioningRunFactory(role=procedure.role_a, mapping=mapping)
    with pytest.raises(Killed):
        runner.reconcile(run.pk)
    aws.die_after = None
    assert again(run).status == RunStatus.IN_SYNC
    assert aws.writes.count("put_role_policy") == 3  # steps 2 and 3 of the first run, and this one


def test_a_role_that_nobody_uses_any_more_keeps_its_cut_off_until_it_is_lifted(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    row = cut(procedure, "bob")
    procedure.assume_grant.ended_at = timezone.now()
    procedure.assume_grant.save()
    reconciled(unmap(mapping))
    assert cut_at(aws) == ["XacctCutOff", "XacctCutOffSession"]
    reconciled(procedure.role_a)
    assert cut_at(aws) == ["XacctCutOff", "XacctCutOffSession"]
    lift(row)
    assert reconciled(procedure.role_a).status == RunStatus.IN_SYNC
    assert POLICY not in aws.role(ROLE_B).policies


# --- the preview ---


def test_the_plan_shows_it_and_nothing_is_saved(aws: WatchedAws, procedure: factories.Procedure) -> None:
    reconciled(procedure.map())
    written = len(aws.writes)
    row = CutOff(
        target=procedure.role_b,
        source=procedure.role_a,
        names=["bob"],
        cut_before=timezone.now(),
        lifts_at=timezone.now(),
    )
    (plan,) = preview.plans_if_cut_off(row)
    assert [(change.resource, change.action.value) for change in plan.changes if change.writes] == [
        (RESOURCE, "create")
    ]
    assert len(aws.writes) == written
    assert not CutOff.objects.exists()


def test_the_plan_of_lifting_shows_that_it_goes(aws: WatchedAws, procedure: factories.Procedure, alice: Any) -> None:
    mapping = procedure.map()
    row = cut(procedure, "bob")
    reconciled(mapping)
    reconciled(mapping)
    plan = preview.plan_if(lambda: lift_cut_off(actor=alice, cut_off=row))
    assert [(change.resource, change.action.value) for change in plan.changes if change.writes] == [
        (RESOURCE, "delete")
    ]
    row.refresh_from_db()
    assert row.is_open


# --- drift ---


def test_a_cut_off_that_was_taken_out_by_hand_is_drift(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch, alice: Any
) -> None:
    mapping = in_sync(procedure)
    cut(procedure, "bob")
    reconciled(mapping)
    read_in_bulk(monkeypatch)
    assert scanned().is_clean
    document = aws.role(ROLE_B).policies.pop(POLICY)
    assert seen(scanned()) == [(RESOURCE, 5, "missing")]
    with pytest.raises(Conflict, match="stays so until it is lifted"):
        accept_drift(actor=alice, finding=DriftFinding.objects.get())
    (run,) = repair_drift(actor=alice, finding=DriftFinding.objects.get())
    assert runner.reconcile(run.pk) is not None
    assert aws.role(ROLE_B).policies[POLICY] == document
    assert scanned().is_clean


def test_a_cut_off_that_nobody_wished_for_is_drift_and_a_run_takes_it_out(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch, alice: Any
) -> None:
    in_sync(procedure)
    read_in_bulk(monkeypatch)
    copied = foreign("XacctCutOffEverybody", Effect="Deny", Action="*", Resource="*")
    aws.role(ROLE_B).policies[POLICY] = {"Version": "2012-10-17", "Statement": [copied]}
    assert seen(scanned()) == [(RESOURCE, 5, "extra")]
    finding = DriftFinding.objects.get()
    assert finding.role == procedure.role_b
    (run,) = repair_drift(actor=alice, finding=finding)
    assert runner.reconcile(run.pk) is not None
    assert POLICY not in aws.role(ROLE_B).policies


# --- accounts that the portal may not write to ---


def test_in_a_handoff_account_its_owner_has_to_apply_it(aws: WatchedAws, procedure: factories.Procedure) -> None:
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    aws.add_role(ROLE_B)
    cut(procedure, "bob")
    run = reconciled(procedure.role_a)
    assert run.status == RunStatus.NEEDS_OWNER
    step = run.steps.get(resource=RESOURCE)
    assert (step.status, POLICY in aws.role(ROLE_B).policies) == (StepStatus.NEEDS_OWNER, False)
    assert "take" in step.hint  # the portal cannot look, so a retry takes the admin's word


def test_an_owner_gets_both_policies_of_a_role_that_is_source_and_target(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    third = factories.IamRoleFactory(account=procedure.account_a, name="Third")
    factories.AssumeRoleGrantFactory(source=procedure.role_b, target=third)
    factories.GroupRoleFactory(role=procedure.role_b)
    cut(procedure, "bob", source=procedure.role_b, target=procedure.role_a)
    cut(procedure, "bob")
    CutOff.objects.filter(target=procedure.role_b).update(source=third)
    plans = [preview.plan_now(procedure.role_b), preview.plan_now(CutOff.objects.get(target=procedure.role_b).source)]
    changes = [change for plan in plans for change in plan.changes]
    assert {inline_policy_of(change.resource)[1] for change in changes if ROLE_B in change.resource} == {
        "xacct-portal",
        POLICY,
    }
    files = documents_for(changes, procedure.account_b.access())
    assert all(POLICY in form.text for form in (files.terraform, files.cli, files.console, files.cloudformation))
    assert "Cut off credentials of MyRoleB" in files.console.text
    names = [line.split('"')[3] for line in files.terraform.text.splitlines() if '"aws_iam_role_policy"' in line]
    assert len(names) == len(set(names)) == 2
