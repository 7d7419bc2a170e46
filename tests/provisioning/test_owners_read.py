"""Handoff accounts whose owner lets the portal read: reading says what is done, and nothing is ever written there."""

from __future__ import annotations

import json

import pytest

from roles.aws.sessions import AccountSession
from roles.errors import Misconfigured
from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import drift, preview
from roles.provisioning.owners import RETRIED
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_B, reconciled, steps_of, unmap
from tests.provisioning.drifting import take_ours_out
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db
OWNERS = "222222222222"


@pytest.fixture
def read(procedure: factories.Procedure) -> factories.Procedure:
    """The procedure's world, the bucket's account in its owner's hands, with a role for the portal to read with.

    That role may do in AWS all that a provisioner may, so that what is not written is the portal's own doing.
    """
    procedure.account_b.access_mode = "handoff"
    procedure.account_b.save()
    return procedure


@pytest.fixture
def refused(read: factories.Procedure) -> factories.Procedure:
    """The same, but the owner's role does not let the portal in."""
    read.account_b.external_id = "another-external-id"
    read.account_b.save()
    return read


def written_there(aws: WatchedAws) -> list[str]:
    """Return the writes that the portal made in the owner's account."""
    return [call.name for call in aws.calls if call.is_write and (OWNERS in call.about or call.about == BUCKET)]


def applied(aws: WatchedAws, run: ProvisioningRun) -> None:
    """Do what an owner does with the documents of steps 4 to 6. One that was read has their own statements already."""
    role, trust, policy = (run.steps.get(step=step, account_id=OWNERS) for step in (4, 5, 6))
    aws.add_role(role.resource, role.after)
    aws.role(ROLE_B).trust = trust.after
    there = [] if policy.before else aws.bucket_policies["example-data"]["Statement"]
    aws.bucket_policies["example-data"] = {**policy.after, "Statement": [*there, *policy.after["Statement"]]}


def in_sync(aws: WatchedAws, world: factories.Procedure) -> GroupRole:
    """Map, let the owner apply, and look again."""
    mapping = world.map()
    applied(aws, reconciled(mapping))
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    return mapping


def ours_gone(aws: WatchedAws) -> None:
    """Do what an owner does who takes our statements out, of the bucket's policy and of the trust."""
    take_ours_out(aws)
    aws.role(ROLE_B).trust = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Own", "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}],
    }


def test_reading_says_that_it_is_not_applied_and_then_that_it_is(aws: WatchedAws, read: factories.Procedure) -> None:
    mapping = read.map()
    run = reconciled(mapping)
    assert run.status == RunStatus.NEEDS_OWNER
    said = dict(run.steps.filter(account_id=OWNERS).values_list("step", "hint"))
    assert all("has read what is there" in said[step] for step in (4, 6))
    assert "checks by using" in said[5]  # there is no role yet whose trust could be read
    applied(aws, run)
    done = reconciled(mapping)
    assert (done.status, {status for _, _, status in steps_of(done)}) == (RunStatus.IN_SYNC, {"done"})
    assert {action for step, action, _ in steps_of(done) if step < 7} == {"none"}
    assert written_there(aws) == []


def test_a_removal_is_seen_without_anybodys_word(aws: WatchedAws, read: factories.Procedure) -> None:
    mapping = unmap(in_sync(aws, read))
    assert reconciled(mapping).status == RunStatus.NEEDS_OWNER
    assert reconciled(mapping, trigger=RETRIED).status == RunStatus.NEEDS_OWNER  # a word does not help: it is there
    ours_gone(aws)
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    mapping.refresh_from_db()
    assert mapping.state == MappingState.REMOVED
    assert written_there(aws) == []


def test_where_the_role_refuses_a_removal_still_takes_the_admins_word(
    aws: WatchedAws, refused: factories.Procedure
) -> None:
    mapping = unmap(in_sync(aws, refused))
    ours_gone(aws)
    first = reconciled(mapping)
    assert first.status == RunStatus.NEEDS_OWNER
    assert "takes your word" in first.steps.get(step=6).hint
    assert reconciled(mapping, trigger=RETRIED).status == RunStatus.IN_SYNC


def test_where_the_role_refuses_using_the_access_proves_it(aws: WatchedAws, refused: factories.Procedure) -> None:
    mapping = refused.map()
    run = reconciled(mapping)
    assert "checks by using the access" in run.steps.get(step=6).hint
    applied(aws, run)
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert written_there(aws) == []


def test_an_access_that_works_does_not_hide_that_a_document_is_not_as_it_must_be(
    aws: WatchedAws, read: factories.Procedure
) -> None:
    mapping = in_sync(aws, read)
    read.bucket_grant.access = "READ"
    read.bucket_grant.save()
    run = reconciled(mapping, trigger=RETRIED)
    assert run.steps.get(step=7).status == StepStatus.DONE
    assert (run.status, run.steps.get(step=6).status) == (RunStatus.NEEDS_OWNER, StepStatus.NEEDS_OWNER)


def test_the_plan_shows_what_is_there_and_that_its_owner_applies_it(aws: WatchedAws, read: factories.Procedure) -> None:
    in_sync(aws, read)
    assert not any(change.writes for change in preview.plan_now(read.role_a).changes)
    take_ours_out(aws)
    (change,) = [one for one in preview.plan_now(read.role_a).changes if one.writes]
    assert change.before is not None and change.resource == BUCKET
    assert change.warnings == (f"The owner of account {OWNERS} has to apply this.",)


def test_where_the_role_refuses_the_plan_shows_the_portals_own_part(
    aws: WatchedAws, refused: factories.Procedure
) -> None:
    in_sync(aws, refused)
    (change,) = [one for one in preview.plan_now(refused.role_a).changes if one.resource == BUCKET and one.after]
    assert change.before is None and change.writes


def test_drift_is_found_where_the_owner_lets_the_portal_read(aws: WatchedAws, read: factories.Procedure) -> None:
    in_sync(aws, read)
    assert (drift.compare().handoff, drift.compare().is_clean) == ((), True)
    take_ours_out(aws)
    assert [(one.resource, one.step) for one in drift.compare().differences] == [(BUCKET, 6)]
    assert written_there(aws) == []


def test_what_waits_for_the_owner_is_no_drift(aws: WatchedAws, read: factories.Procedure) -> None:
    assert reconciled(read.map()).status == RunStatus.NEEDS_OWNER
    assert drift.compare().differences == ()


def test_where_the_role_refuses_drift_says_that_it_could_not_read(
    aws: WatchedAws, refused: factories.Procedure
) -> None:
    in_sync(aws, refused)
    report = drift.compare()
    assert report.differences == ()
    assert {one.account_id for one in report.unread} == {OWNERS}


def test_nothing_is_written_through_the_way_to_read(aws: WatchedAws, read: factories.Procedure) -> None:
    session = AccountSession(read.account_b.access())
    assert session.iam.get_role(RoleName="xacct-provisioner")["Role"]["RoleName"] == "xacct-provisioner"
    with pytest.raises(Misconfigured, match="CreateRole"):
        session.iam.create_role(RoleName="Other", AssumeRolePolicyDocument=json.dumps({}))
    with pytest.raises(Misconfigured, match="PutBucketPolicy"):
        session.s3("us-east-1").put_bucket_policy(Bucket="example-data", Policy="{}")


def test_aws_itself_lets_nothing_be_written_through_it(
    aws: WatchedAws, read: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AccountSession, "_refuse_to_write", lambda *_, **__: None)
    session = AccountSession(read.account_b.access())
    with pytest.raises(session.iam.exceptions.ClientError, match="not authorized to perform: iam:DeleteRole"):
        session.iam.delete_role(RoleName="xacct-provisioner")


def test_without_a_role_there_is_no_way_in(aws: WatchedAws, read: factories.Procedure) -> None:
    read.account_b.provisioner_role_arn = ""
    with pytest.raises(Misconfigured, match="no way in"):
        AccountSession(read.account_b.access()).iam.get_role(RoleName="MyRoleB")
