"""Putting a document back in an account that the portal may not write to: its owner is asked, and taken at a word."""

from __future__ import annotations

from typing import Any

import pytest

from roles.errors import Conflict
from roles.models import AuditEvent, AwsAccount, BucketGrant, GroupRole, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import RunStatus, StepStatus
from roles.operations.retry_run import retry_run
from roles.provisioning import for_owners, kept, preview
from roles.provisioning.as_before import UNDONE, UNDONE_BY_OWNER
from roles.provisioning.handoff import HandoffDocuments
from roles.provisioning.owners import RETRIED
from roles.provisioning.recording import OWNER_SEEN, OWNER_TELLS
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_A, ROLE_B, reconciled, sids, unmap
from tests.provisioning.test_owners import applied, handed, source_handed
from tests.provisioning.test_put_back import asking, done, ordered, plan_of, scans
from tests.strict_aws.watched import WatchedAws

__all__ = ["handed", "scans", "source_handed"]
pytestmark = pytest.mark.django_db
B = "222222222222"
PROVISIONER = f"arn:aws:iam::{B}:role/xacct-provisioner"


@pytest.fixture
def mapping(aws: WatchedAws, handed: factories.Procedure) -> GroupRole:
    """A mapping whose owner's part is applied, and proved."""
    found = handed.map()
    applied(aws, reconciled(found))
    assert reconciled(found, trigger=RETRIED).status == RunStatus.IN_SYNC
    return found


def lowered(mapping: GroupRole) -> ProvisioningRun:
    """Return the run that asked the owner to take the writing out of the bucket's policy."""
    BucketGrant.objects.update(access="READ")
    return reconciled(mapping)


def bucket_step(run: ProvisioningRun) -> ProvisioningStep:
    return run.steps.get(resource=BUCKET, step=6)


def actions(document: dict[str, Any] | None) -> set[str]:
    assert document is not None
    return {action for one in document["Statement"] for action in one["Action"]}


def documents_of(run: ProvisioningRun) -> HandoffDocuments:
    return for_owners.documents_of_run(AwsAccount.objects.get(account_id=B), run)


# --- refused ---


def test_a_run_that_asked_for_what_was_there_has_nothing_to_put_back(mapping: GroupRole) -> None:
    step = bucket_step(reconciled(mapping))
    with pytest.raises(Conflict, match="nothing else than was there"):
        asking(step, seen="0" * 64)()


def test_statements_of_others_are_their_owners_business(mapping: GroupRole) -> None:
    with pytest.raises(Conflict, match="its owner's business"):
        asking(bucket_step(lowered(mapping)), seen="0" * 64, exactly=True, agrees=True)()


def test_managed_policies_are_made_by_hand(mapping: GroupRole) -> None:
    step = bucket_step(lowered(mapping))
    ProvisioningStep.objects.filter(pk=step.pk).update(resource=f"arn:aws:iam::{B}:policy/xacct-portal/xacct-MyRoleB")
    step.refresh_from_db()
    with pytest.raises(Conflict, match="by hand"):
        asking(step, seen="0" * 64)()


def test_what_was_handed_out_is_not_taken_for_nothing_once_the_portal_may_write(
    aws: WatchedAws, mapping: GroupRole, handed: factories.Procedure
) -> None:
    step = bucket_step(lowered(mapping))
    handed.account_b.access_mode = "assume-role"
    handed.account_b.provisioner_role_arn = PROVISIONER
    handed.account_b.save()
    with pytest.raises(Conflict, match="does not know what was there"):
        asking(step, seen="0" * 64)()


# --- asked for ---


def test_the_owner_is_asked_for_what_was_last_known_to_be_there(aws: WatchedAws, mapping: GroupRole) -> None:
    step = bucket_step(lowered(mapping))
    aws.calls.clear()
    (change,) = plan_of(step).changes
    assert (change.title, change.action.value, change.before) == (
        "Put back the bucket policy of example-data",
        "update",
        None,
    )
    assert "s3:DeleteObject" in actions(change.after) - actions(step.after)
    assert UNDONE_BY_OWNER in change.warnings
    run = done(ordered(step))
    assert AuditEvent.objects.get(code="document.put_back_queued").after == change.after
    asked = run.steps.get()
    assert (run.status, asked.status, asked.hint) == (RunStatus.NEEDS_OWNER, StepStatus.NEEDS_OWNER, OWNER_TELLS)
    assert [call.name for call in aws.calls] == []
    assert [one.account.account_id for one in for_owners.asked_of(run)] == [B]


def test_the_documents_are_of_that_one_alone_and_have_what_goes_back(aws: WatchedAws, mapping: GroupRole) -> None:
    run = done(ordered(bucket_step(lowered(mapping))))
    documents = documents_of(run)
    for form in (documents.cli, documents.terraform, documents.console):
        assert "s3:DeleteObject" in form.text
        assert "XacctTrust" not in form.text
    assert "## Put back the bucket policy of example-data" in documents.console.text
    template = documents.cloudformation.text
    assert "s3:DeleteObject" in template and "XacctTrust" not in template
    assert "=true" in template and "Default: 'false'" in template  # a policy that is there must not be replaced
    wished = for_owners.documents_for_owner(AwsAccount.objects.get(account_id=B))
    assert "s3:DeleteObject" not in wished.console.text


def test_verifying_takes_the_admins_word_and_nothing_less_does(
    aws: WatchedAws, mapping: GroupRole, alice: User
) -> None:
    run = done(ordered(bucket_step(lowered(mapping))))
    verified = retry_run(actor=alice, run=run)
    assert (verified.purpose, verified.puts_back, verified.plan_seen) == ("put_back", run.puts_back, run.plan_seen)
    assert retry_run(actor=alice, run=run) == verified
    assert done(verified).status == RunStatus.IN_SYNC
    assert done(ordered(bucket_step(lowered(mapping)))).status == RunStatus.NEEDS_OWNER


def test_the_next_run_asks_for_the_wish_again(aws: WatchedAws, mapping: GroupRole, alice: User) -> None:
    lowered(mapping)
    lower = reconciled(mapping, trigger=RETRIED)
    assert lower.status == RunStatus.IN_SYNC
    run = done(ordered(bucket_step(ProvisioningRun.objects.get(pk=lower.pk - 1))))
    done(retry_run(actor=alice, run=run))
    run = reconciled(mapping)
    assert (run.status, bucket_step(run).status) == (RunStatus.NEEDS_OWNER, StepStatus.NEEDS_OWNER)


def test_a_removal_is_undone(aws: WatchedAws, mapping: GroupRole) -> None:
    step = bucket_step(reconciled(unmap(mapping)))
    assert (step.action, step.after) == ("none", None)
    assert "s3:DeleteObject" in actions(plan_of(step).changes[0].after)
    trust = step.run.steps.get(resource=ROLE_B, step=5)
    assert kept.is_offered(step, step.run) and kept.is_offered(trust, step.run)
    assert not kept.is_offered(step.run.steps.get(resource=ROLE_B, step=4), step.run)
    (change,) = plan_of(trust).changes
    assert change.after is not None and sids(change.after) == ["XacctTrust", "XacctTrustAttribution"]


def test_where_nothing_was_the_owner_is_asked_to_take_ours_out(aws: WatchedAws, handed: factories.Procedure) -> None:
    step = bucket_step(reconciled(handed.map()))
    (change,) = plan_of(step).changes
    assert (change.action.value, change.after) == ("delete", None)
    text = documents_of(done(ordered(step))).console.text
    assert "delete the statements whose `Sid` begins with `XacctBucket`" in text


def test_what_was_read_before_the_account_was_handed_over_counts_too(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    step = bucket_step(lowered(mapping))
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    (change,) = plan_of(step).changes
    assert change.after is not None and "PartnerReads" not in sids(change.after)
    assert "s3:DeleteObject" in actions(change.after)


def test_where_the_owner_lets_the_portal_read_the_plan_is_compared_with_what_is_there(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    step = bucket_step(lowered(mapping))
    procedure.account_b.access_mode = "handoff"
    procedure.account_b.save()
    (change,) = plan_of(step).changes
    assert change.before is not None and "PartnerReads" in sids(change.after or {})
    assert "s3:DeleteObject" in actions(change.after)
    assert UNDONE_BY_OWNER in change.warnings and UNDONE not in change.warnings
    BucketGrant.objects.update(access="READWRITE")
    assert UNDONE_BY_OWNER not in plan_of(step).changes[0].warnings
    policy = dict(aws.bucket_policies["example-data"])
    run = done(ordered(step))
    assert (run.status, run.steps.get().hint) == (RunStatus.NEEDS_OWNER, OWNER_SEEN)
    assert aws.bucket_policies["example-data"] == policy
    aws.bucket_policies["example-data"] = run.steps.get().after
    assert done(ordered(step)).status == RunStatus.IN_SYNC


def test_an_inline_policy_goes_back_in_all_its_parts(aws: WatchedAws, source_handed: factories.Procedure) -> None:
    mapping = source_handed.map()
    run = reconciled(mapping)
    aws.add_role(ROLE_A, run.steps.filter(step=1).first().after)  # type: ignore[union-attr]
    parts = [run.steps.get(step=number).after["Statement"] for number in (2, 3)]  # type: ignore[index]
    aws.role(ROLE_A).policies["xacct-portal"] = {"Version": "2012-10-17", "Statement": [*parts[0], *parts[1]]}
    assert reconciled(mapping, trigger=RETRIED).status == RunStatus.IN_SYNC
    second = factories.IamRoleFactory(account=source_handed.account_b, name="Second")
    factories.AssumeRoleGrantFactory(source=source_handed.role_a, target=second)
    run = reconciled(mapping)
    order = ordered(run.steps.get(resource=ROLE_A, step=2))
    changes = preview.rehearse(asking(run.steps.get(resource=ROLE_A, step=2))).plan().changes
    assert [(change.step.value, sids(change.after or {})) for change in changes] == [
        ("2", ["XacctAssume", "XacctAssumeAttribution"]),
        ("3", ["XacctPassRole"]),
    ]
    run = done(order)
    states = [(row.step, row.status) for row in run.steps.order_by("step")]
    assert (run.status, states) == (RunStatus.NEEDS_OWNER, [(2, "needs_owner"), (3, "done")])
    documents = for_owners.documents_of_run(source_handed.account_a, run)
    for form in (documents.cloudformation, documents.console):
        assert "XacctPassRole" in form.text
        assert "role/Second" not in form.text
