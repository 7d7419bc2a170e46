"""Who could reach a bucket on a day: each thing that access hangs on opens and closes it, at its own moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from roles.errors import NotPermitted
from roles.history.reach import Reach, ReachFilter, who_could_reach
from roles.models import AuditEvent, GroupRole, ProvisioningRun, ProvisioningStep, Suspension, User
from roles.models.choices import RunPurpose, RunStatus, StepAction, StepStatus
from roles.values.arns import AccessLevel
from roles.values.spans import Span
from tests.factories import (
    BucketFactory,
    BucketGrantFactory,
    GroupRoleFactory,
    MembershipFactory,
    Procedure,
    ProvisioningRunFactory,
    ProvisioningStepFactory,
    UserGroupFactory,
)

DAY = datetime(2026, 3, 14, tzinfo=UTC)
LONG_AGO = DAY - timedelta(days=30)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def in_sync(procedure: Procedure, when: datetime, **fields: Any) -> ProvisioningRun:
    """A run of MyRoleA that ended a minute after it began."""
    wanted = {"status": RunStatus.IN_SYNC, "started_at": when, "finished_at": when + timedelta(minutes=1), **fields}
    run: ProvisioningRun = ProvisioningRunFactory(role=procedure.role_a, **wanted)
    return run


@pytest.fixture
def mapping(procedure: Procedure) -> GroupRole:
    """Bob's group mapped a month before the day, with everything it needs, and set up in AWS at once."""
    row = procedure.map(started_at=LONG_AGO)
    for one in (procedure.assume_grant, procedure.bucket_grant, procedure.group.memberships.get()):
        type(one).objects.filter(pk=one.pk).update(started_at=LONG_AGO)
    in_sync(procedure, LONG_AGO)
    return row


@pytest.fixture
def ask(procedure: Procedure, audrey: User) -> Callable[..., Reach]:
    """What asks about the bucket on the day."""

    def asked(**wanted: Any) -> Reach:
        fields = {"bucket": procedure.bucket, **wanted}
        return who_could_reach(audrey, ReachFilter(Span(DAY, DAY + timedelta(days=1)), **fields))

    return asked


def hours(reach: Reach) -> list[tuple[str, float, float]]:
    """Who could and when, in hours of the day."""
    return [
        (member.membership.user.username, *((moment - DAY) / timedelta(hours=1) for moment in (span.start, span.end)))
        for way in reach.ways
        for member in way.members
        for span in member.spans
    ]


ALL_DAY = [("bob", 0, 24)]


def test_only_readers_of_the_history_are_answered(mapping: GroupRole, procedure: Procedure, charlie: User) -> None:
    wanted = ReachFilter(Span(DAY, at(24)), procedure.bucket)
    for user in (charlie, procedure.bob):
        with pytest.raises(NotPermitted):
            who_could_reach(user, wanted)


def test_a_member_could_all_day_and_nobody_else_and_not_before_it_began(
    mapping: GroupRole, ask: Callable[..., Reach], procedure: Procedure, audrey: User
) -> None:
    assert hours(ask()) == ALL_DAY
    before = ReachFilter(Span(LONG_AGO - timedelta(days=2), LONG_AGO - timedelta(days=1)), procedure.bucket)
    assert who_could_reach(audrey, before).ways == ()
    assert ask(bucket=BucketFactory()).ways == ()


def _end(row: Any, hour: float) -> None:
    type(row).objects.filter(pk=row.pk).update(ended_at=at(hour))


@pytest.mark.parametrize("what", ["mapping", "assume_grant", "bucket_grant", "membership"])
def test_whatever_of_it_ends_ends_access_then(
    what: str, mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    rows = {"mapping": mapping, "membership": procedure.group.memberships.get()}
    _end(rows.get(what) or getattr(procedure, what), 9)
    assert hours(ask()) == [("bob", 0, 9)]


def test_who_left_less_than_an_hour_before_is_told_apart_and_earlier_is_not_listed(
    mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    membership = procedure.group.memberships.get()
    _end(membership, -0.5)
    (member,) = ask().ways[0].members
    assert member.spans == () and member.left_at == at(-0.5)
    _end(membership, -1)
    assert ask().ways == ()


def test_a_gap_in_the_membership_is_a_gap(mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]) -> None:
    _end(procedure.group.memberships.get(), 6)
    MembershipFactory(group=procedure.group, user=procedure.bob, started_at=at(20))
    assert hours(ask()) == [("bob", 0, 6), ("bob", 20, 24)]


def test_a_mapping_that_expired_is_over(mapping: GroupRole, ask: Callable[..., Reach]) -> None:
    mapping.expires_at = at(5)
    mapping.save()
    assert hours(ask()) == [("bob", 0, 5)]


def test_a_mapping_gives_nothing_before_a_run_of_its_role_was_in_sync(
    procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    for one in (procedure.assume_grant, procedure.bucket_grant, procedure.group.memberships.get()):
        type(one).objects.filter(pk=one.pk).update(started_at=LONG_AGO)
    procedure.map(started_at=at(8))
    in_sync(procedure, at(7), finished_at=at(7.9))  # before it began
    in_sync(procedure, at(8.2), status=RunStatus.FAILED)
    in_sync(procedure, at(8.3), purpose=RunPurpose.DELETE_ROLE)
    waiting = ask()
    assert waiting.ways == () and [way.mapping.group.name for way in waiting.waiting] == ["analysts"]
    run = in_sync(procedure, at(10), finished_at=at(11))
    found = ask()
    assert hours(found) == [("bob", 11, 24)] and found.waiting == ()
    assert found.ways[0].set_up_by == run


def test_a_grant_that_came_later_gives_credentials_at_once_and_its_run_is_the_proof(
    mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    later = BucketGrantFactory(role=procedure.role_b, started_at=at(10)).bucket
    in_sync(procedure, at(10), status=RunStatus.FAILED)
    in_sync(procedure, at(9), finished_at=at(11))  # began before: it may not have known
    found = ask(bucket=later)
    assert hours(found) == [("bob", 10, 24)]
    assert found.ways[0].set_up_by is None and found.waiting == ()
    run = in_sync(procedure, at(12))
    assert hours(ask(bucket=later)) == [("bob", 10, 24)]
    assert ask(bucket=later).ways[0].set_up_by == run


@pytest.mark.parametrize("what", ["group", "account_a", "account_b"])
def test_while_something_on_the_way_was_disabled_nobody_could(
    what: str, mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    subject = getattr(procedure, what)
    about = {"group": subject} if what == "group" else {"account": subject}
    Suspension.objects.create(**about, reason="audit", started_at=at(3), ended_at=at(4))
    Suspension.objects.create(**about, reason="audit", started_at=at(22))
    assert hours(ask()) == [("bob", 0, 3), ("bob", 4, 22)]


def test_what_is_disabled_elsewhere_changes_nothing(mapping: GroupRole, ask: Callable[..., Reach]) -> None:
    Suspension.objects.create(group=UserGroupFactory(), reason="audit", started_at=at(3))
    assert hours(ask()) == ALL_DAY


def event(code: str, subject: Any, hour: float, **fields: Any) -> None:
    AuditEvent.objects.create(
        code=code, occurred_at=at(hour), subject_type=subject._meta.model_name, subject_id=str(subject.pk),
        actor_name="alice", hash=f"{code}{hour}", **fields,
    )  # fmt: skip


def test_a_deactivated_person_could_not(mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]) -> None:
    event("user.deactivated", procedure.bob, 2, before={"is_active": True}, after={"is_active": False})
    event("user.changed", procedure.bob, 5, before={"is_active": False}, after={"is_active": True})
    event("user.changed", procedure.bob, 6, before={"is_active": True}, after={"is_active": True})
    event("user.deactivated", procedure.bob, 23, before={"is_active": True}, after={"is_active": False})
    assert hours(ask()) == [("bob", 0, 2), ("bob", 5, 23)]


def content(**changed: Any) -> dict[str, Any]:
    return {"access": "READWRITE", "prefix": "", "buckets": [], "expires_at": None, **changed}


def test_a_narrowing_holds_from_its_event_on_and_the_one_before_until_then(
    mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    GroupRole.objects.filter(pk=mapping.pk).update(access="READ", prefix="raw/")
    event("mapping.changed", mapping, 12, before=content(), after=content(access="READ", prefix="raw/"))
    found = ask()
    assert [(way.level, way.prefix, way.narrowed_by is not None) for way in found.ways] == [
        (AccessLevel.READWRITE, "", False),
        (AccessLevel.READ, "raw/", True),
    ]
    assert hours(found) == [("bob", 0, 12), ("bob", 12, 24)]
    assert hours(ask(level=AccessLevel.WRITE)) == [("bob", 0, 12)]


def test_a_bucket_that_the_mapping_did_not_name_was_not_reached(
    mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    other = BucketGrantFactory(role=procedure.role_b, started_at=LONG_AGO).bucket
    mapping.buckets.add(other)
    event("mapping.changed", mapping, 1, before=content(), after=content(buckets=[other.name]))
    assert hours(ask()) == [("bob", 0, 1)]
    assert hours(ask(bucket=other)) == [("bob", 0, 1), ("bob", 1, 24)]


def test_a_person_is_asked_about_alone_and_across_buckets(
    mapping: GroupRole, procedure: Procedure, charlie: User, ask: Callable[..., Reach]
) -> None:
    MembershipFactory(group=procedure.group, user=charlie, started_at=LONG_AGO)
    BucketGrantFactory(role=procedure.role_b, started_at=LONG_AGO)
    assert hours(ask(person=charlie)) == [("charlie", 0, 24)]
    assert hours(ask(person=charlie, bucket=None)) == [("charlie", 0, 24)] * 2
    assert ask(person=User.objects.create(username="dora"), bucket=None).ways == ()


def test_the_policy_read_last_before_the_end_of_the_day_is_named(
    mapping: GroupRole, procedure: Procedure, ask: Callable[..., Reach]
) -> None:
    assert ask().policy is None
    run = in_sync(procedure, at(1))

    def step(hour: float, **fields: Any) -> ProvisioningStep:
        wanted = {"run": run, "resource": str(procedure.bucket.arn), "before": {}, "started_at": at(hour), **fields}
        found: ProvisioningStep = ProvisioningStepFactory(**wanted)
        return found

    then = step(2, foreign_statements=3)
    step(3, step=7, action=StepAction.VERIFY, before=None)
    step(4, status=StepStatus.FAILED)
    step(5, before=None, action=StepAction.UPDATE)  # asked of an owner
    step(30)
    assert ask().policy == then
    made = step(6, before=None, action=StepAction.CREATE)
    assert ask().policy == made


def test_the_number_of_queries_does_not_grow(
    mapping: GroupRole, procedure: Procedure, audrey: User, ask: Callable[..., Reach]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            ask()
        return len(counted)

    ask()  # permissions are read once
    few = queries()
    for number in range(6):
        group = UserGroupFactory(name=f"more-{number}")
        GroupRoleFactory(group=group, role=procedure.role_a, started_at=LONG_AGO)
        for _ in range(3):
            MembershipFactory(group=group, started_at=LONG_AGO)
    assert len(hours(ask())) == 19
    assert queries() == few
