from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.context import RequestContext, SystemActor, use
from roles.errors import AlreadyMapped, InputError, NotFound, NotPermitted, PolicyTooLarge, StalePlan
from roles.models import GroupRole, ProvisioningRun, User
from roles.operations import map_role_to_group as module
from roles.operations.map_role_to_group import check_map_role_to_group, map_role_to_group
from roles.provisioning import desired, outbox
from tests.factories import (
    AssumeRoleGrantFactory,
    BucketFactory,
    BucketGrantFactory,
    GroupRoleFactory,
    IamRoleFactory,
    Procedure,
    UserGroupFactory,
)
from tests.operations.conftest import ended, event, runs, traces


def wish(procedure: Procedure, **given: Any) -> dict[str, Any]:
    return {"group": procedure.group, "role": procedure.role_a, **given}


def digest_if_mapped(procedure: Procedure) -> str:
    """What the page of the plan would send back."""
    mapping = procedure.map()
    digest = desired.digest_for(procedure.role_a)
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=mapping.started_at)
    return digest


@pytest.mark.parametrize("operation", [map_role_to_group, check_map_role_to_group])
def test_who_may_not_map_roles_is_refused(operation: Any, procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        operation(actor=powerless, **wish(procedure))
    assert refusal.value.rule == "mappings.manage"
    assert not GroupRole.objects.exists()


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"access": "ADMIN"}, "access", "not an access level"),
        ({"prefix": "/team"}, "prefix", "not a usable prefix"),
        ({"prefix": "team/*"}, "prefix", "not a usable prefix"),
        ({"expires_at": datetime(2099, 1, 1)}, "expires_at", "no time zone"),  # noqa: DTZ001 (that is the point)
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expires_at", "is over"),
        ({"reason": "x" * 501}, "reason", "500"),
    ],
)
@pytest.mark.parametrize("operation", [map_role_to_group, check_map_role_to_group])
def test_what_cannot_be_right_is_refused_at_its_field(
    operation: Any, given: dict[str, Any], field: str, says: str, *, procedure: Procedure, alice: User
) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        operation(actor=alice, **wish(procedure, **given))
    assert refusal.value.field == field
    assert not GroupRole.objects.exists()


def test_a_bucket_that_the_role_does_not_reach_is_refused(procedure: Procedure, alice: User) -> None:
    stranger = BucketFactory(account=procedure.account_b, name="somebody-elses")
    with pytest.raises(InputError, match="does not reach the bucket somebody-elses") as refusal:
        map_role_to_group(actor=alice, **wish(procedure, buckets=[procedure.bucket, stranger]))
    assert (refusal.value.field, refusal.value.allowed) == ("buckets", "example-data")


def test_a_bucket_is_not_reached_any_more_once_its_grant_has_ended(procedure: Procedure, alice: User) -> None:
    procedure.bucket_grant.ended_at = timezone.now()
    procedure.bucket_grant.save()
    with pytest.raises(InputError, match="does not reach") as refusal:
        map_role_to_group(actor=alice, **wish(procedure, buckets=[procedure.bucket]))
    assert "none" in refusal.value.allowed


def test_a_level_that_leaves_nothing_is_refused(alice: User) -> None:
    with pytest.raises(InputError, match="leaves nothing") as refusal:
        map_role_to_group(actor=alice, **wish(Procedure(access="READ"), access="WRITE"))
    assert refusal.value.field == "access"


def test_a_folder_beside_the_granted_one_is_refused(alice: User) -> None:
    with pytest.raises(InputError, match="reaches nothing under 'team-secret/'") as refusal:
        map_role_to_group(actor=alice, **wish(Procedure(prefix="team/"), prefix="team-secret"))
    assert refusal.value.field == "prefix"


def test_a_narrowing_that_no_session_policy_has_room_for_is_refused(procedure: Procedure, alice: User) -> None:
    for number in range(40):
        BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"{'deep/' * 8}{number}/")
    procedure.bucket_grant.ended_at = timezone.now()
    procedure.bucket_grant.save()
    with pytest.raises(PolicyTooLarge) as refusal:
        map_role_to_group(actor=alice, **wish(procedure, access="READ"))
    assert refusal.value.limit == 2_048
    assert not GroupRole.objects.exists()
    assert map_role_to_group(actor=alice, **wish(procedure)).is_open  # not narrowed: no session policy


def test_a_target_that_may_assume_others_and_has_too_many_folders_for_a_session_policy_is_refused(
    procedure: Procedure, alice: User
) -> None:
    for number in range(40):
        BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"{'deep/' * 8}{number}/")
    ended(procedure.bucket_grant)
    onward = AssumeRoleGrantFactory(source=procedure.role_b)
    with pytest.raises(PolicyTooLarge):
        map_role_to_group(actor=alice, **wish(procedure))
    assert not GroupRole.objects.exists()
    ended(onward)
    assert map_role_to_group(actor=alice, **wish(procedure)).is_open


@pytest.mark.parametrize("operation", [map_role_to_group, check_map_role_to_group])
def test_a_role_is_not_added_twice(operation: Any, procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(AlreadyMapped, match="deployment/MyRoleA is added to analysts already"):
        operation(actor=alice, **wish(procedure))
    assert traces() == (0, 0)


def test_a_role_whose_mapping_has_just_expired_can_be_added_in_a_minute(procedure: Procedure, alice: User) -> None:
    procedure.map(expires_at=timezone.now() - timedelta(seconds=5))
    with pytest.raises(AlreadyMapped) as refusal:
        map_role_to_group(actor=alice, **wish(procedure))
    assert "Try again in a minute" in refusal.value.hint


def test_two_people_adding_the_same_role_is_the_same_conflict(
    procedure: Procedure, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "validate", lambda row: GroupRoleFactory(group=row.group, role=row.role))
    with pytest.raises(AlreadyMapped):
        map_role_to_group(actor=alice, **wish(procedure))


def test_a_plan_that_changed_since_it_was_seen_is_refused_and_nothing_is_kept(
    procedure: Procedure, alice: User
) -> None:
    seen = digest_if_mapped(procedure)
    procedure.bucket_grant.access = "READ"
    procedure.bucket_grant.save()
    with pytest.raises(StalePlan):
        map_role_to_group(actor=alice, **wish(procedure, expected_plan=seen))
    assert not GroupRole.objects.open().exists()
    assert traces() == (0, 0)


def test_a_role_that_is_gone_is_not_mapped(procedure: Procedure, alice: User) -> None:
    gone = IamRoleFactory.build(id=4711, account=procedure.account_a)
    with pytest.raises(NotFound):
        map_role_to_group(actor=alice, **wish(procedure, role=gone))


def test_a_check_writes_nothing(procedure: Procedure, alice: User) -> None:
    check_map_role_to_group(
        actor=alice,
        **wish(procedure, access="READ", prefix="team", buckets=[procedure.bucket], expires_at=None, reason="OPS-12"),
    )
    assert not GroupRole.objects.exists()
    assert traces() == (0, 0)


def test_the_plan_that_was_seen_is_the_one_that_the_run_holds_to(procedure: Procedure, alice: User) -> None:
    seen = digest_if_mapped(procedure)
    map_role_to_group(actor=alice, **wish(procedure, expected_plan=seen))
    assert ProvisioningRun.objects.get().plan_digest == seen


def test_mapping_without_having_seen_a_plan_binds_the_run_to_none(procedure: Procedure, alice: User) -> None:
    map_role_to_group(actor=alice, **wish(procedure))
    assert ProvisioningRun.objects.get().plan_digest == ""


def test_a_mapping_is_stored_with_its_narrowing_and_waits_for_its_run(procedure: Procedure, alice: User) -> None:
    until = timezone.now() + timedelta(days=30)
    row = map_role_to_group(
        actor=alice,
        **wish(procedure, access="READ", prefix="team", buckets=[procedure.bucket], expires_at=until, reason="OPS-12"),
    )
    row.refresh_from_db()
    assert (row.access, row.prefix, row.expires_at, row.reason) == ("READ", "team/", until, "OPS-12")
    assert [*row.buckets.all()] == [procedure.bucket]
    assert (row.state, row.provisioned_at, row.started_by) == ("queued", None, alice)


def test_mapping_event_and_run_carry_the_request_that_made_them(procedure: Procedure, alice: User) -> None:
    with use(RequestContext(request_id="a" * 32)):
        row = map_role_to_group(actor=alice, **wish(procedure, reason="OPS-12"))
    added, run = event("mapping.added"), ProvisioningRun.objects.get()
    assert (added.request_id, run.request_id) == ("a" * 32, "a" * 32)
    assert (run.mapping, run.trigger, run.requested_by, run.status) == (row, "mapping.added", alice, "queued")
    assert (added.group_name, added.account_id, added.resource) == (
        "analysts",
        "111111111111",
        "arn:aws:iam::111111111111:role/MyRoleA",
    )
    assert added.before is None
    assert added.after is not None and added.after["role"] == added.resource
    assert added.details["reason"] == "OPS-12"


def test_the_message_leaves_only_once_everything_is_stored(
    procedure: Procedure, alice: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(outbox, "send", sent.append)
    with django_capture_on_commit_callbacks(execute=True):
        map_role_to_group(actor=alice, **wish(procedure))
        assert sent == []
    assert sent == [ProvisioningRun.objects.get().pk]


def test_a_role_that_reaches_nothing_yet_can_be_mapped(procedure: Procedure, alice: User) -> None:
    bare = IamRoleFactory(account=procedure.account_a, name="Bare")
    map_role_to_group(actor=alice, **wish(procedure, role=bare, access="READ"))
    assert runs() == [("mapping.added", "Bare")]


def test_the_same_role_can_be_added_to_two_groups_and_again_after_removal(procedure: Procedure, alice: User) -> None:
    procedure.map(ended_at=timezone.now() + timedelta(seconds=1))
    for group in (procedure.group, UserGroupFactory()):
        row = map_role_to_group(actor=SystemActor("command"), group=group, role=procedure.role_a)
        assert (row.is_open, row.started_by) == (True, None)
    assert GroupRole.objects.open().count() == 2
