"""Columns and fields: times in words and in the person's zone, one link for each thing, what needs attention first."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.history.recorder import record
from roles.models import BucketGrant, User
from roles.models.choices import MappingState
from tests import factories
from tests.admin.conftest import SignedIn


@pytest.fixture
def admin_client(signed_in: SignedIn, alice: User) -> Client:
    return signed_in(alice)


def listed(client: Client, model: str) -> str:
    return client.get(reverse(f"admin:roles_{model}_changelist")).content.decode()


def test_a_time_is_relative_with_the_exact_one_in_the_persons_zone(
    admin_client: Client, alice: User, procedure: factories.Procedure
) -> None:
    alice.time_zone = "Asia/Tokyo"
    alice.save()
    BucketGrant.objects.update(started_at=datetime(2020, 1, 1, 20, 0, tzinfo=UTC))
    page = listed(admin_client, "bucketgrant")
    assert 'title="2020-01-02 05:00:00 JST">2 Jan 2020</time>' in page
    BucketGrant.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    assert ">5 minutes ago</time>" in listed(admin_client, "bucketgrant")


def test_a_time_that_is_not_there_is_a_dash(admin_client: Client, procedure: factories.Procedure) -> None:
    procedure.map(expires_at=None)
    page = listed(admin_client, "grouprole")
    assert re.search(r"–\s*</td>", page)
    assert "<time" not in page


@pytest.mark.parametrize("model", ["bucketgrant", "assumerolegrant", "grouprole", "provisioningrun"])
def test_no_link_stands_inside_of_another(model: str, admin_client: Client, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    page = listed(admin_client, model)
    table = page[page.index('id="result_list"') : page.index("</table>")]
    assert "<a " in table
    assert not re.search(r"<a [^>]*>(?:(?!</a>).)*<a ", table, re.DOTALL)


def test_what_needs_attention_is_on_top_of_the_mappings(admin_client: Client, procedure: factories.Procedure) -> None:
    factories.GroupRoleFactory(group__name="broken", state=MappingState.FAILED)
    factories.GroupRoleFactory(group__name="newest", state=MappingState.IN_SYNC)
    page = listed(admin_client, "grouprole")
    assert page.index("→ broken") < page.index("→ newest")


def test_events_name_kinds_as_the_pages_do(admin_client: Client, procedure: factories.Procedure, alice: User) -> None:
    record("mapping.added", actor=alice, subject=procedure.map())
    page = listed(admin_client, "auditevent")
    assert "mapping deployment/MyRoleA for analysts" in page
    assert "grouprole deployment" not in page


@pytest.mark.parametrize("page", ["mapping", "group"])
def test_a_field_with_a_time_says_in_which_zone(
    page: str, admin_client: Client, alice: User, procedure: factories.Procedure
) -> None:
    alice.time_zone = "Europe/Berlin"
    alice.save()
    addresses = {
        "mapping": reverse("admin:roles_grouprole_change", args=[procedure.map().pk]),
        "group": reverse("admin:roles_usergroup_map_role", args=[procedure.group.pk]),
    }
    text = admin_client.get(addresses[page]).content.decode()
    assert "Empty means no end. In your time zone, Europe/Berlin." in text


def test_a_choice_says_what_to_choose(admin_client: Client, procedure: factories.Procedure) -> None:
    page = admin_client.get(reverse("admin:roles_usergroup_change", args=[procedure.group.pk])).content.decode()
    assert 'data-placeholder="Choose a person"' in page


def test_the_page_to_add_a_thing_says_so_in_its_heading(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:roles_usergroup_add")).content.decode()
    heading = re.search(r"<h1.*?</h1>", page, re.DOTALL)
    assert heading and "Add user group" in heading.group()
