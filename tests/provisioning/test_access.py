"""Whom a change concerns and what they may do: as the database says it, in a constant number of queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from roles.models import BucketGrant, GroupRole, Membership, Suspension
from roles.policies.gains import Person
from roles.policies.session import Grant
from roles.provisioning.access import Concerned, access_of, group_reach, people_of, sources_through
from roles.values.arns import AccessLevel
from tests import factories

pytestmark = pytest.mark.django_db


def test_who_is_in_no_mapped_group_may_do_nothing(procedure: factories.Procedure) -> None:
    assert access_of([procedure.bob.pk]) == {}


def test_a_deactivated_person_may_do_nothing(procedure: factories.Procedure) -> None:
    procedure.map()
    procedure.bob.is_active = False
    procedure.bob.save()
    assert access_of([procedure.bob.pk]) == {}


def test_a_member_may_do_what_the_mapping_leaves_of_the_grant(procedure: factories.Procedure) -> None:
    procedure.map(access="READ", prefix="raw/")
    grant = Grant(procedure.bucket.arn, AccessLevel.READ, "raw/")
    assert access_of([procedure.bob.pk]) == {procedure.bob.pk: {grant}}


@pytest.mark.parametrize("subject", ["group", "account_a", "account_b", "third"])
def test_what_goes_through_a_disabled_group_or_account_gives_nothing_and_the_rest_stays(
    subject: str, procedure: factories.Procedure
) -> None:
    mapping, third = (
        procedure.map(),
        factories.BucketGrantFactory(role=procedure.role_b, bucket=factories.BucketFactory()),
    )
    kept = {Grant(procedure.bucket.arn, AccessLevel.READWRITE, "")} if subject == "third" else set()
    row = third.bucket.account if subject == "third" else getattr(procedure, subject)
    stop = Suspension.objects.create(reason="audit", **{"group" if subject == "group" else "account": row})
    assert access_of([procedure.bob.pk]).get(procedure.bob.pk, set()) == kept
    assert {reach.bucket: bool(reach.disabled) for reach in group_reach([mapping])} == {
        procedure.bucket: subject != "third",
        third.bucket: True,
    }
    Suspension.objects.filter(pk=stop.pk).update(ended_at=timezone.now())
    assert len(access_of([procedure.bob.pk])[procedure.bob.pk]) == 2
    assert not any(reach.disabled for reach in group_reach([mapping]))


def test_source_roles_lead_through_their_own_their_targets_and_their_buckets_accounts(
    procedure: factories.Procedure,
) -> None:
    third = factories.BucketGrantFactory(role=procedure.role_b, bucket=factories.BucketFactory()).bucket.account
    for account in (procedure.account_a, procedure.account_b, third):
        assert procedure.role_a in sources_through([account.pk])
    assert procedure.role_a not in sources_through([factories.AwsAccountFactory().pk])
    BucketGrant.objects.filter(bucket__account=third).update(ended_at=timezone.now())
    assert procedure.role_a not in sources_through([third.pk])


def test_the_intervals_say_on_which_days_a_group_or_an_account_was_disabled(procedure: factories.Procedure) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    group = Suspension.objects.create(
        group=procedure.group, reason="audit", started_at=noon, ended_at=noon + timedelta(days=2)
    )
    account = Suspension.objects.create(
        account=procedure.account_b, reason="moved", started_at=noon + timedelta(days=1)
    )
    days = [list(Suspension.objects.open_at(noon + timedelta(hours=hours)).order_by("pk")) for hours in (-1, 1, 25, 49)]
    assert days == [[], [group], [group, account], [account]]
    for gone in (group.delete, Suspension.objects.all().delete):
        with pytest.raises(TypeError):
            gone()


def test_people_are_concerned_by_a_role_by_a_group_and_by_name(procedure: factories.Procedure) -> None:
    now, stranger = timezone.now(), factories.UserFactory(username="stranger")
    bob = {procedure.bob.pk: Person("bob", frozenset({"analysts"}))}
    assert people_of(Concerned(roles=[procedure.role_a.pk]), since=now) == {}
    procedure.map()
    assert people_of(Concerned(roles=[procedure.role_a.pk]), since=now) == bob
    assert people_of(Concerned(groups=["analysts"]), since=now) == bob
    assert people_of(Concerned(users=[stranger.pk]), since=now) == {stranger.pk: Person("stranger")}


def test_who_was_concerned_until_just_now_still_is(procedure: factories.Procedure) -> None:
    procedure.map()
    moment = timezone.now()
    Membership.objects.update(ended_at=moment)
    GroupRole.objects.update(ended_at=moment)
    concerned = Concerned(roles=[procedure.role_a.pk])
    assert set(people_of(concerned, since=moment)) == {procedure.bob.pk}
    assert people_of(concerned, since=moment + timedelta(seconds=1)) == {}


def test_more_people_groups_and_grants_cost_no_more_queries(
    procedure: factories.Procedure, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    procedure.map()
    people = [procedure.bob.pk]
    with django_assert_num_queries(6):  # type: ignore[operator]
        access_of(people)
    for _ in range(4):
        other = factories.GroupRoleFactory(role=procedure.role_a)
        people.append(factories.MembershipFactory(group=other.group).user.pk)
        factories.BucketGrantFactory(role=procedure.role_b)
    with django_assert_num_queries(6):  # type: ignore[operator]
        assert len(access_of(people)) == 5
