"""Whom a change concerns and what they may do: as the database says it, in a constant number of queries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from roles.models import GroupRole, Membership
from roles.policies.gains import Person
from roles.policies.session import Grant
from roles.provisioning.access import Concerned, access_of, people_of
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
    with django_assert_num_queries(5):  # type: ignore[operator]
        access_of(people)
    for _ in range(4):
        other = factories.GroupRoleFactory(role=procedure.role_a)
        people.append(factories.MembershipFactory(group=other.group).user.pk)
        factories.BucketGrantFactory(role=procedure.role_b)
    with django_assert_num_queries(5):  # type: ignore[operator]
        assert len(access_of(people)) == 5
