"""Parts of pages that load themselves again: only when something changed, and once more when all is over."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.admin import groups
from roles.models import GroupRole, Suspension, User
from roles.models.choices import MappingState, RunStatus
from roles.provisioning import access
from tests import factories
from tests.admin.conftest import SignedIn


@pytest.fixture
def admin_client(signed_in: SignedIn, alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def mapping(procedure: factories.Procedure) -> GroupRole:
    return procedure.map(state=MappingState.QUEUED)


def asked_again(page: str, part: str) -> str:
    """Return the address that a part of the page asks for."""
    found = re.search(rf'id="{part}"[^>]*hx-get="([^"]+)"', page)
    assert found, part
    return found.group(1)


PARTS = [
    ("xa-mapped-roles", "admin:roles_usergroup_change", "group_id"),
    ("xa-mapping-state", "admin:roles_grouprole_change", "pk"),
]


@pytest.mark.parametrize(("part", "page", "key"), PARTS)
def test_nothing_new_is_not_sent_again_and_a_change_is(
    part: str, page: str, key: str, admin_client: Client, mapping: GroupRole
) -> None:
    run = factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    shown = admin_client.get(reverse(page, args=[getattr(mapping, key)])).content.decode()
    again = asked_again(shown, part)
    assert admin_client.get(again).status_code == 204
    GroupRole.objects.update(state=MappingState.APPLYING)
    changed = admin_client.get(again)
    assert changed.status_code == 200
    assert "Applying" in changed.content.decode()
    assert "HX-Trigger" not in changed
    GroupRole.objects.update(state=MappingState.IN_SYNC, provisioned_at=timezone.now())
    type(run).objects.update(status=RunStatus.IN_SYNC)
    final = admin_client.get(asked_again(changed.content.decode(), part))
    assert final["HX-Trigger"] == "settled"
    assert "hx-get" not in final.content.decode()


@pytest.mark.parametrize(("part", "page", "key"), PARTS)
def test_a_live_part_is_refused_to_who_may_not_see_the_page(
    part: str, page: str, key: str, admin_client: Client, mapping: GroupRole
) -> None:
    factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    shown = admin_client.get(reverse(page, args=[getattr(mapping, key)])).content.decode()
    admin_client.force_login(factories.UserFactory(username="charlie"))
    assert admin_client.get(asked_again(shown, part)).status_code == 403


def test_the_list_of_runs_waits_for_the_end_of_a_run_and_for_nothing_else(
    admin_client: Client, mapping: GroupRole
) -> None:
    address = reverse("admin:roles_usergroup_change", args=[mapping.group_id])
    assert "settled from:body" not in admin_client.get(address).content.decode()
    factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    assert "settled from:body" in admin_client.get(address).content.decode()


# --- what the group gives, in a sentence ---


def said(mappings: list[GroupRole], members: int = 1) -> str:
    return groups.summary(members, mappings, access.group_reach(mappings))


def test_a_group_without_a_role_says_that_nobody_reaches_anything(db: None) -> None:
    assert said([]) == "No role is mapped to this group, so nobody reaches anything through it."


def test_a_role_that_reaches_nothing_is_said(procedure: factories.Procedure) -> None:
    type(procedure.bucket_grant).objects.update(ended_at=timezone.now())
    assert said([procedure.map()]) == "The mapped roles reach no bucket yet: grant their target roles one."


def test_a_group_without_members_says_what_they_would_reach(procedure: factories.Procedure) -> None:
    assert said([procedure.map()], members=0) == "Nobody is in this group yet. Its members would reach example-data."


def test_nobody_reaches_a_bucket_before_the_role_is_in_sync(procedure: factories.Procedure) -> None:
    mapping = procedure.map(state=MappingState.QUEUED)
    assert said([mapping]) == "1 person will reach example-data once every mapped role is in sync."
    mapping.state = MappingState.IN_SYNC
    assert said([mapping]) == "1 person reaches example-data."
    assert said([mapping], members=2) == "2 people reach example-data."


def test_more_members_and_buckets_than_are_shown_are_counted(procedure: factories.Procedure) -> None:
    for number in range(groups.BUCKETS_NAMED):
        bucket = factories.BucketFactory(account=procedure.account_b, name=f"bucket-{number}")
        factories.BucketGrantFactory(role=procedure.role_b, bucket=bucket)
    mapping = procedure.map(state=MappingState.IN_SYNC)
    assert said([mapping], members=groups.MEMBERS_SHOWN + 1) == "Over 100 people reach 4 buckets."


def test_what_is_disabled_is_not_counted_among_what_is_reached(procedure: factories.Procedure) -> None:
    other = factories.BucketGrantFactory(role=procedure.role_b, bucket=factories.BucketFactory(name="third-data"))
    mapping = procedure.map(state=MappingState.IN_SYNC)
    assert said([mapping]) == "1 person reaches example-data, third-data."
    Suspension.objects.create(account=other.bucket.account, reason="audit")
    assert said([mapping]) == "1 person reaches example-data."
    Suspension.objects.create(group=procedure.group, reason="audit")
    assert said([mapping]) == (
        "The user group analysts is disabled by an admin: audit. Meanwhile nobody reaches anything through this group."
    )
