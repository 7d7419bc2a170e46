"""The reads of the admin's pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.http import Http404
from django.utils import timezone

from roles.admin import queries
from roles.models.choices import MappingState, RunStatus
from roles.provisioning import access
from roles.values.arns import AccessLevel
from tests import factories


def test_an_ended_grant_gives_nothing(procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    procedure.bucket_grant.ended_at = timezone.now()
    procedure.bucket_grant.save()
    assert access.group_reach([mapping]) == []


def test_a_mapping_narrowed_to_another_bucket_gives_nothing(procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    mapping.buckets.add(factories.BucketFactory())
    assert access.group_reach([mapping]) == []


def test_levels_without_anything_in_common_give_nothing(procedure: factories.Procedure) -> None:
    procedure.bucket_grant.access = "WRITE"
    procedure.bucket_grant.save()
    assert access.group_reach([procedure.map(access="READ")]) == []


def test_reach_is_the_grant_cut_to_the_mapping(procedure: factories.Procedure) -> None:
    mapping = procedure.map(access="READ", prefix="team/")
    (reach,) = access.group_reach([mapping])
    assert (reach.bucket, reach.target, reach.level, reach.prefix) == (
        procedure.bucket,
        procedure.role_b,
        AccessLevel.READ,
        "team/",
    )
    assert reach.level_label == "Read"


def test_a_grant_that_covers_another_is_the_only_one_shown(procedure: factories.Procedure) -> None:
    factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="team/", access="READ")
    (reach,) = access.group_reach([procedure.map()])
    assert (reach.level, reach.prefix) == (AccessLevel.READWRITE, "")


def test_people_of_a_group_are_its_active_members(procedure: factories.Procedure) -> None:
    factories.MembershipFactory(group=procedure.group, user=factories.UserFactory(username="gone", is_active=False))
    left = factories.MembershipFactory(group=procedure.group)
    left.ended_at = timezone.now()
    left.save()
    assert [person.username for person in queries.affected_people(procedure.group)] == ["bob"]


def test_people_reaching_a_role_are_members_of_groups_it_is_mapped_to(procedure: factories.Procedure) -> None:
    assert queries.people_reaching([procedure.role_a.pk]) == []
    procedure.map()
    assert queries.people_reaching([procedure.role_a.pk]) == [procedure.bob]


def test_an_expired_mapping_reaches_nobody(procedure: factories.Procedure) -> None:
    procedure.map(expires_at=timezone.now() - timedelta(days=1))
    assert queries.people_reaching([procedure.role_a.pk]) == []


def test_a_stranger_of_the_group_is_no_membership_of_it(procedure: factories.Procedure) -> None:
    other = factories.MembershipFactory()
    with pytest.raises(Http404):
        queries.membership_or_404(procedure.group, other.pk)


def test_trouble_comes_first_among_a_groups_mappings(procedure: factories.Procedure) -> None:
    fine = procedure.map(state=MappingState.IN_SYNC)
    trouble = factories.GroupRoleFactory(group=procedure.group, state=MappingState.FAILED)
    assert queries.open_mappings(procedure.group) == [trouble, fine]


def test_nothing_needs_attention_in_a_quiet_portal(procedure: factories.Procedure) -> None:
    mapping = procedure.map(state=MappingState.IN_SYNC)
    factories.ProvisioningRunFactory(role=procedure.role_a, mapping=mapping, status=RunStatus.IN_SYNC)
    assert not queries.needs_attention()


def test_attention_names_failed_mappings_waiting_runs_and_access_about_to_end(procedure: factories.Procedure) -> None:
    failed = procedure.map(state=MappingState.FAILED)
    ending = factories.GroupRoleFactory(state=MappingState.IN_SYNC, expires_at=timezone.now() + timedelta(days=2))
    now = timezone.now()
    waiting = factories.ProvisioningRunFactory(queued_at=now - timedelta(minutes=10))
    factories.ProvisioningRunFactory(queued_at=now)
    found = queries.needs_attention(now)
    assert (found.mappings, found.expiring, found.waiting_runs) == ([failed], [ending], [waiting])


def test_a_failed_run_that_was_followed_by_a_good_one_needs_no_attention(procedure: factories.Procedure) -> None:
    failed = factories.ProvisioningRunFactory(role=procedure.role_a, status=RunStatus.FAILED)
    assert queries.needs_attention().failed_runs == [failed]
    factories.ProvisioningRunFactory(role=procedure.role_a, status=RunStatus.IN_SYNC)
    assert queries.needs_attention().failed_runs == []


def test_the_newest_run_of_a_mapping_may_be_a_later_one_of_its_role(procedure: factories.Procedure) -> None:
    factories.ProvisioningRunFactory(role=procedure.role_a)
    mapping = procedure.map()
    assert queries.newest_run(mapping) is None
    own = factories.ProvisioningRunFactory(role=procedure.role_a, mapping=mapping)
    assert queries.newest_run(mapping) == own
    later = factories.ProvisioningRunFactory(role=procedure.role_a)
    assert queries.newest_run(mapping) == later
