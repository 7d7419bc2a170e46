"""A run from its claim to its end: in order, blocked, waiting, postponed, and beside others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from roles.aws import sessions
from roles.errors import PolicyError
from roles.models import AuditEvent
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import desired, runner
from tests import factories
from tests.provisioning.conftest import (
    BUCKET,
    DENIED,
    PROFILE_A,
    ROLE_A,
    ROLE_B,
    queued,
    reconciled,
    sids,
    steps_of,
    unmap,
)
from tests.strict_aws.rules.normal import normal
from tests.strict_aws.watched import PORTAL, THEIRS, WatchedAws

pytestmark = pytest.mark.django_db

DONE_IN_ORDER = [
    (1, "create", "done"),
    (1, "create", "done"),
    (2, "create", "done"),
    (3, "update", "done"),
    (4, "create", "done"),
    (5, "update", "done"),
    (6, "update", "done"),
    (7, "verify", "done"),
]


# --- in order ---


def test_a_run_does_the_seven_steps_and_says_so(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    run = reconciled(mapping)
    mapping.refresh_from_db()
    assert (run.status, run.error, run.progress, run.claimed_by, run.claimed_until) == ("in_sync", "", "", "", None)
    assert steps_of(run) == DONE_IN_ORDER
    assert mapping.state == MappingState.IN_SYNC and mapping.provisioned_at is not None
    assert sids(aws.role(ROLE_A).trust) == ["XacctRoleServices", "XacctRolePortal"]
    assert aws.role(ROLE_A).trust["Statement"][1]["Principal"] == {"AWS": PORTAL}
    assert sids(aws.role(ROLE_A).policies["xacct-portal"]) == ["XacctAssume", "XacctAssumeAttribution", "XacctPassRole"]
    assert sids(aws.role(ROLE_B).trust) == ["XacctTrust", "XacctTrustAttribution"]
    assert aws.bucket_policies["example-data"]["Statement"][0] == THEIRS
    assert aws.profiles == {PROFILE_A: ["MyRoleA"]}
    event = AuditEvent.objects.get(code="run.succeeded")
    assert event.details["changed"] == [ROLE_A, PROFILE_A, ROLE_B, BUCKET]


def test_a_step_keeps_the_documents_before_and_after_with_awss_request_id(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    step = reconciled(procedure.map()).steps.get(step=6)
    assert step.before == {"Version": "2012-10-17", "Statement": [THEIRS]}
    assert normal(step.after) == aws.bucket_policies["example-data"]
    assert (step.resource, step.account_id, step.foreign_statements) == (BUCKET, "222222222222", 1)
    assert step.aws_request_id


def test_the_same_again_writes_nothing_and_reads_each_document_once(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    aws.calls.clear()
    run = reconciled(mapping)
    assert run.status == RunStatus.IN_SYNC
    assert aws.writes == []
    assert [call.name for call in aws.calls] == [
        "get_role",
        "get_instance_profile",
        "get_role_policy",
        "get_role",
        "get_bucket_policy",
        "assume_role",
        "assume_role",
        "list_prefix",
    ]
    assert AuditEvent.objects.filter(code="run.succeeded").latest("id").details["changed"] == []


def test_removing_the_last_mapping_leaves_what_was_there_before(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    run = reconciled(unmap(mapping))
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.IN_SYNC, MappingState.REMOVED)
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]
    assert sids(aws.role(ROLE_B).trust) == sids(aws.role(ROLE_A).trust) == ["XacctTrustNobody"]
    assert not aws.role(ROLE_A).policies


def test_a_bucket_policy_that_held_only_our_statements_is_deleted(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    aws.bucket_policies.clear()
    mapping = procedure.map()
    reconciled(mapping)
    run = reconciled(unmap(mapping))
    assert (run.status, dict(aws.bucket_policies)) == (RunStatus.IN_SYNC, {})
    assert run.steps.get(step=6).action == "delete"


def test_taking_out_goes_on_past_a_role_that_cannot_be_read(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    aws.fail_times["get_role"] = [DENIED]  # step 1: the source role
    run = reconciled(unmap(mapping))
    assert run.status == RunStatus.FAILED
    assert sids(aws.role(ROLE_B).trust) == ["XacctTrustNobody"]
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]


def test_a_role_that_is_gone_already_is_as_good_as_taken_out(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    aws.role(ROLE_B).delete()
    aws.role(ROLE_A).delete()
    assert reconciled(unmap(mapping)).status == RunStatus.IN_SYNC


# --- ways that are kept open ---


def keep_way(procedure: factories.Procedure, *, opened: timedelta) -> sessions.AccountSession:
    """Let this process have a way into account B that was opened then."""
    way = sessions.kept_session(procedure.account_b.access())
    assert way.iam
    way.opened_at = timezone.now() - opened
    return way


def test_what_an_old_way_is_refused_is_tried_once_through_a_new_one(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    old = keep_way(procedure, opened=timedelta(minutes=30))
    aws.fail_times["put_bucket_policy"] = [DENIED]
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC
    assert sessions.kept_session(old.access) is not old


def test_what_a_new_way_is_refused_too_fails(aws: WatchedAws, procedure: factories.Procedure) -> None:
    keep_way(procedure, opened=timedelta(minutes=30))
    aws.fail_always["put_bucket_policy"] = DENIED
    run = reconciled(procedure.map())
    assert (run.status, run.error_code) == (RunStatus.FAILED, DENIED.code)
    assert [call.name for call in aws.calls].count("put_bucket_policy") == 2


def test_a_way_that_was_just_opened_is_believed(aws: WatchedAws, procedure: factories.Procedure) -> None:
    keep_way(procedure, opened=timedelta(minutes=-1))
    aws.fail_times["put_bucket_policy"] = [DENIED]
    assert reconciled(procedure.map()).status == RunStatus.FAILED


def test_a_write_only_grant_is_proved_by_asking_for_the_region(aws: WatchedAws) -> None:
    world = factories.Procedure(access="WRITE", prefix="team/raw/")
    assert reconciled(world.map()).status == RunStatus.IN_SYNC
    assert aws.calls[-1].name == "get_bucket_location"


def test_a_deep_prefix_fits_the_steps_title(aws: WatchedAws) -> None:
    world = factories.Procedure(access="WRITE", prefix="deep/" * 150)
    run = reconciled(world.map())
    assert run.status == RunStatus.IN_SYNC
    assert len(run.steps.get(step=7).title) == 200


def test_a_run_refuses_to_work_inside_a_transaction(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queued(procedure.map())
    # Django's own test cases mark the transaction around a test as theirs; a caller's would not be.
    for block in connection.atomic_blocks:
        monkeypatch.setattr(block, "_from_testcase", False)
    with pytest.raises(RuntimeError, match="durable"):
        runner.reconcile(run.pk)
    assert aws.calls == []


# --- blocked ---


@pytest.mark.parametrize(
    ("tags", "ownership", "said"),
    [({}, "managed", "that the portal did not make"), ({"xacct-portal": "managed"}, "managed", "")],
)
def test_a_role_of_that_name_is_taken_over_only_if_the_portal_made_it(
    aws: WatchedAws, procedure: factories.Procedure, tags: dict[str, str], ownership: str, said: str
) -> None:
    theirs = aws.add_role(ROLE_A, **tags)
    before = theirs.trust
    run = reconciled(procedure.map())
    assert said in run.error
    assert run.status == (RunStatus.FAILED if said else RunStatus.IN_SYNC)
    assert (theirs.trust == before) is bool(said)


def test_a_blocked_source_role_blocks_what_needs_it_and_nothing_else(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    aws.add_role(ROLE_A)
    run = reconciled(procedure.map())
    assert steps_of(run) == [(1, "none", "failed"), (4, "create", "done"), (6, "update", "done")]
    assert run.error_code == "conflict.not_ours" and "adopt it" in run.hint


def test_a_role_under_another_path_is_named_and_left_alone(aws: WatchedAws, procedure: factories.Procedure) -> None:
    elsewhere = "arn:aws:iam::111111111111:role/service/MyRoleA"
    aws.add_role(elsewhere, **{"xacct-portal": "managed"})
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED
    assert elsewhere in run.error


def test_an_adopted_role_that_does_not_exist_is_not_created(aws: WatchedAws, procedure: factories.Procedure) -> None:
    procedure.role_b.ownership = "adopted"
    procedure.role_b.save()
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED
    assert "does not exist in account 222222222222" in run.error
    assert not aws.has_role(ROLE_B)
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]


def test_an_adopted_role_gets_our_statements_and_keeps_its_own(aws: WatchedAws, procedure: factories.Procedure) -> None:
    procedure.role_a.ownership = "adopted"
    procedure.role_a.save()
    aws.add_role(ROLE_A)
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC
    assert sids(aws.role(ROLE_A).trust) == ["Ec2", "XacctRoleServices", "XacctRolePortal"]
    assert aws.profiles == {}


def test_a_profile_with_another_role_in_it_fails_the_run_but_not_the_access(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    aws.add_role(ROLE_A.replace("MyRoleA", "SomebodyElse"))
    aws.set_profile(PROFILE_A, "SomebodyElse")
    run = reconciled(procedure.map())
    assert "holds the role SomebodyElse already" in run.error
    assert steps_of(run)[1] == (1, "update", "failed")
    assert steps_of(run)[-1] == (7, "verify", "done")


@pytest.mark.parametrize("is_ours", [False, True])
def test_an_empty_profile_is_filled_only_if_the_portal_made_it(
    aws: WatchedAws, procedure: factories.Procedure, is_ours: bool
) -> None:
    if is_ours:  # as a worker leaves it that dies between the two calls
        aws.fail_times["add_role_to_instance_profile"] = [DENIED]
        reconciled(procedure.map())
    else:
        aws.set_profile(PROFILE_A)
    assert aws.profiles == {PROFILE_A: []}
    run = reconciled(procedure.role_a if is_ours else procedure.map())
    assert ("that the portal did not make" in run.error) is not is_ours
    assert (run.status, aws.profiles[PROFILE_A]) == (
        (RunStatus.IN_SYNC, ["MyRoleA"]) if is_ours else (RunStatus.FAILED, [])
    )
    if not is_ours:  # the way out that the hint names
        aws.set_profile(PROFILE_A, "MyRoleA")
        assert reconciled(procedure.role_a).status == RunStatus.IN_SYNC


def test_a_document_over_the_limit_is_not_sent(aws: WatchedAws, procedure: factories.Procedure) -> None:
    for number in range(60):
        factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"folder-{number:03}/")
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED
    assert "AWS allows 20,480" in run.error
    assert "put_bucket_policy" not in aws.writes
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]


def test_a_target_that_fails_does_not_hold_up_the_buckets_of_others(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    bad = factories.IamRoleFactory(account=procedure.account_b, name="Missing", ownership="adopted")
    factories.AssumeRoleGrantFactory(source=procedure.role_a, target=bad)
    aws.add_bucket("other-data")
    other = factories.BucketFactory(account=procedure.account_b, name="other-data")
    factories.BucketGrantFactory(role=bad, bucket=other)
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED
    assert aws.bucket_policies.keys() == {"example-data"}
    assert run.steps.get(step=7).status == StepStatus.DONE


def test_a_wish_that_cannot_be_computed_is_told_at_its_step(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise PolicyError("That cannot be a policy.", hint="Correct the grant.")

    monkeypatch.setattr(desired, "bucket_statements", refuse)
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (RunStatus.FAILED, "That cannot be a policy.")
    assert run.steps.get(step=6).status == StepStatus.FAILED
