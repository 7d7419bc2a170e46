"""Pages about groups, mappings, grants, users and the overview."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.admin import grants, groups, mappings, users
from roles.errors import AwsUnreachable, GrantEnded, NotPermitted
from roles.models import AuditEvent, GroupRole, Membership, ProvisioningRun, User
from roles.provisioning import preview
from tests import factories
from tests.admin.conftest import SignedIn, hidden
from tests.strict_aws.watched import WatchedAws


@pytest.fixture
def admin_client(signed_in: SignedIn, alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the operations behind these pages were asked for."""
    wishes: dict[str, Any] = {}

    def note(name: str) -> Any:
        return lambda **wish: wishes.update({name: wish})

    monkeypatch.setattr(groups, "add_member", note("add_member"))
    return wishes


# --- groups ---


def test_a_group_shows_members_roles_with_state_and_reach(admin_client: Client, procedure: factories.Procedure) -> None:
    procedure.map(state="failed", expires_at=timezone.now() + timedelta(days=3))
    page = admin_client.get(reverse("admin:roles_usergroup_change", args=[procedure.group.pk])).content.decode()
    for text in ("bob", "deployment/MyRoleA", "Failed", "Expires in", "example-data", "Read and write", "whole bucket"):
        assert text in page


def test_a_group_polls_only_while_a_run_is_under_way(admin_client: Client, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    address = reverse("admin:roles_usergroup_mapped_roles", args=[procedure.group.pk])
    assert "hx-trigger" not in admin_client.get(address).content.decode()
    factories.ProvisioningRunFactory(role=procedure.role_a, mapping=mapping)
    assert 'hx-trigger="every 2s"' in admin_client.get(address).content.decode()


def test_an_empty_group_says_what_to_do(admin_client: Client) -> None:
    group = factories.UserGroupFactory()
    page = admin_client.get(reverse("admin:roles_usergroup_change", args=[group.pk])).content.decode()
    assert "No roles mapped yet." in page
    assert reverse("admin:roles_usergroup_map_role", args=[group.pk]) in page


def test_auditors_see_a_group_without_any_button(
    signed_in: SignedIn, audrey: User, procedure: factories.Procedure
) -> None:
    page = signed_in(audrey).get(reverse("admin:roles_usergroup_change", args=[procedure.group.pk])).content.decode()
    assert "bob" in page
    assert "Add a member" not in page
    assert "/map-a-role/" not in page
    assert 'name="_save"' not in page


def test_nobody_is_added_without_choosing_somebody(
    admin_client: Client, procedure: factories.Procedure, asked: dict[str, Any]
) -> None:
    address = reverse("admin:roles_usergroup_add_member", args=[procedure.group.pk])
    assert "Choose a user" in admin_client.post(address, {}, follow=True).content.decode()
    assert asked == {}


def test_a_member_is_added_through_the_operation(
    admin_client: Client, alice: User, procedure: factories.Procedure, asked: dict[str, Any]
) -> None:
    person = factories.UserFactory(username="dora")
    address = reverse("admin:roles_usergroup_add_member", args=[procedure.group.pk])
    page = admin_client.post(address, {"user": person.pk, "reason": "OPS-12"}, follow=True).content.decode()
    wish = asked["add_member"]
    assert (wish["actor"], wish["group"], wish["user"]) == (alice, procedure.group, person)
    assert "dora is now a member of analysts." in page


def test_a_refused_member_is_told_and_recorded(
    admin_client: Client, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_wish: Any) -> None:
        raise NotPermitted("alice may not.", rule="groups.manage")

    monkeypatch.setattr(groups, "add_member", refuse)
    address = reverse("admin:roles_usergroup_add_member", args=[procedure.group.pk])
    page = admin_client.post(address, {"user": procedure.bob.pk}, follow=True).content.decode()
    assert "alice may not." in page
    assert AuditEvent.objects.filter(code="access.denied").count() == 1


def test_removing_a_member_asks_first_and_names_the_effect(
    admin_client: Client, procedure: factories.Procedure
) -> None:
    procedure.map()
    membership = Membership.objects.get(user=procedure.bob)
    address = reverse("admin:roles_usergroup_remove_member", args=[procedure.group.pk, membership.pk])
    page = admin_client.get(address).content.decode()
    assert "bob loses access to example-data" in page
    assert "bob can no longer read or write to example-data." in page
    membership.refresh_from_db()
    assert membership.is_open
    admin_client.post(address, {"reason": "left the team", **hidden(page)})
    membership.refresh_from_db()
    assert not membership.is_open


# --- mappings ---


def test_removing_a_mapping_names_the_people_and_their_number(
    admin_client: Client, procedure: factories.Procedure, aws: WatchedAws
) -> None:
    mapping = procedure.map()
    factories.MembershipFactory(group=procedure.group, user=factories.UserFactory(username="dora"))
    address = reverse("admin:roles_grouprole_remove", args=[mapping.pk])
    page = admin_client.get(address).content.decode()
    assert "Remove access for 2 people" in page
    assert "dora" in page
    assert "2 members of analysts can no longer read or write to example-data." in page
    mapping.refresh_from_db()
    assert mapping.is_open
    admin_client.post(address, {"reason": "over", **hidden(page)})
    mapping.refresh_from_db()
    assert not mapping.is_open
    assert ProvisioningRun.objects.get().plan_digest == hidden(page)["expected_plan"][0]


def test_removing_a_mapping_is_possible_while_aws_cannot_be_read(
    admin_client: Client, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_self: object, *, partly: bool) -> None:
        raise AwsUnreachable("No answer.")

    monkeypatch.setattr(preview.Rehearsal, "plan", unreachable)
    page = admin_client.get(reverse("admin:roles_grouprole_remove", args=[procedure.map().pk])).content.decode()
    assert "AWS cannot be read now" in page
    assert "Remove access for 1 person" in page


def test_a_stale_removal_shows_the_new_plan_and_keeps_the_reason(
    admin_client: Client, procedure: factories.Procedure, aws: WatchedAws
) -> None:
    mapping = procedure.map()
    address = reverse("admin:roles_grouprole_remove", args=[mapping.pk])
    response = admin_client.post(address, {"reason": "project over", "expected_plan": "e" * 64})
    assert response.status_code == 409
    assert 'value="project over"' in response.content.decode()
    mapping.refresh_from_db()
    assert mapping.is_open


def test_an_ended_mapping_is_not_removed_again_nor_changed(
    admin_client: Client, procedure: factories.Procedure
) -> None:
    mapping = procedure.map(ended_at=timezone.now() + timedelta(seconds=1), state="removed")
    assert admin_client.get(reverse("admin:roles_grouprole_remove", args=[mapping.pk])).status_code == 403
    page = admin_client.get(reverse("admin:roles_grouprole_change", args=[mapping.pk])).content.decode()
    assert 'name="_save"' not in page


def test_a_mapping_shows_its_steps_live_and_who_is_affected(
    admin_client: Client, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    run = factories.ProvisioningRunFactory(role=procedure.role_a, mapping=mapping)
    page = admin_client.get(reverse("admin:roles_grouprole_change", args=[mapping.pk])).content.decode()
    assert f'hx-get="{reverse("run_steps", args=[run.pk])}"' in page
    assert "Who is affected: 1 person" in page


def test_a_mapping_that_has_ended_affects_nobody_and_reaches_nothing(
    admin_client: Client, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    address = reverse("admin:roles_grouprole_change", args=[mapping.pk])
    assert "Who is affected: 1 person" in admin_client.get(address).content.decode()
    GroupRole.objects.update(ended_at=timezone.now(), state="removed")
    page = admin_client.get(address).content.decode()
    assert "Who is affected" not in page and "What it reaches" not in page
    assert "Removed" in page


def test_a_settled_mapping_is_not_polled(admin_client: Client, procedure: factories.Procedure) -> None:
    mapping = procedure.map(state="in_sync", provisioned_at=timezone.now())
    page = admin_client.get(reverse("admin:roles_grouprole_state", args=[mapping.pk])).content.decode()
    assert "In sync" in page
    assert "hx-trigger" not in page


def test_narrowing_is_changed_through_the_operation(
    admin_client: Client, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping, asked = procedure.map(), {}

    def change(**wish: Any) -> GroupRole:
        asked.update(wish)
        return mapping

    monkeypatch.setattr(mappings, "change_mapping", change)
    typed = {"access": "READ", "prefix": "team/", "buckets": [procedure.bucket.pk], "reason": "less"}
    response = admin_client.post(reverse("admin:roles_grouprole_change", args=[mapping.pk]), typed)
    assert response.status_code == 302
    assert (asked["access"], asked["prefix"], asked["buckets"]) == ("READ", "team/", (procedure.bucket,))


# --- grants ---


def test_ending_a_grant_asks_first_with_the_people(
    admin_client: Client, procedure: factories.Procedure, aws: WatchedAws
) -> None:
    procedure.map()
    address = reverse("admin:roles_bucketgrant_end_confirm", args=[procedure.bucket_grant.pk])
    page = admin_client.get(address).content.decode()
    assert "1 person loses it" in page
    assert "bob" in page
    procedure.bucket_grant.refresh_from_db()
    assert procedure.bucket_grant.is_open
    admin_client.post(address, {"reason": "over", **hidden(page)})
    procedure.bucket_grant.refresh_from_db()
    assert not procedure.bucket_grant.is_open


def test_a_grant_that_ended_meanwhile_is_told(
    admin_client: Client, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_wish: Any) -> None:
        raise GrantEnded("It ended already.")

    monkeypatch.setattr(grants, "end_assume_role_grant", refuse)
    address = reverse("admin:roles_assumerolegrant_end_confirm", args=[procedure.assume_grant.pk])
    assert "It ended already." in admin_client.post(address, {}, follow=True).content.decode()


def test_a_grant_is_never_edited(admin_client: Client, procedure: factories.Procedure) -> None:
    address = reverse("admin:roles_bucketgrant_change", args=[procedure.bucket_grant.pk])
    assert admin_client.post(address, {"access": "READ"}).status_code == 403
    procedure.bucket_grant.refresh_from_db()
    assert procedure.bucket_grant.access == "READWRITE"


# --- users ---


def test_deactivating_asks_first_and_names_the_groups(admin_client: Client, procedure: factories.Procedure) -> None:
    procedure.map()
    address = reverse("admin:roles_user_deactivate", args=[procedure.bob.pk])
    page = admin_client.get(address).content.decode()
    assert "Member of: analysts." in page and "bob can no longer read or write to example-data." in page
    procedure.bob.refresh_from_db()
    assert procedure.bob.is_active
    admin_client.post(address, hidden(page))
    procedure.bob.refresh_from_db()
    assert not procedure.bob.is_active


def test_signing_out_everywhere_asks_first_and_ends_the_sessions(
    admin_client: Client, procedure: factories.Procedure
) -> None:
    browser = Client()
    browser.force_login(procedure.bob)
    address = reverse("admin:roles_user_sign_out", args=[procedure.bob.pk])
    assert "All sessions of bob end" in admin_client.get(address).content.decode()
    assert browser.get(reverse("my_access")).status_code == 200
    admin_client.post(address)
    assert browser.get(reverse("my_access")).status_code == 302


def test_no_page_shows_or_takes_a_password_hash_or_superuser(
    admin_client: Client, procedure: factories.Procedure
) -> None:
    page = admin_client.get(reverse("admin:roles_user_change", args=[procedure.bob.pk])).content.decode()
    assert procedure.bob.password not in page
    assert 'name="is_superuser"' not in page
    assert 'name="password' not in page


def test_a_new_user_is_saved_by_the_operation_with_a_hashed_password(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def save(**wish: Any) -> User:
        asked.update(wish)
        wish["user"].save()
        return wish["user"]

    monkeypatch.setattr(users, "save_user", save)
    typed = {
        "username": "dora",
        "usable_password": "true",
        "password1": factories.PASSWORD,
        "password2": factories.PASSWORD,
    }
    response = admin_client.post(reverse("admin:roles_user_add"), typed)
    assert response.status_code == 302
    assert User.objects.get(username="dora").check_password(factories.PASSWORD)
    assert asked["groups"] == ()


def test_only_active_people_are_offered_as_members(admin_client: Client) -> None:
    factories.UserFactory(username="gone", is_active=False)
    factories.UserFactory(username="going-strong")
    query = {"app_label": "roles", "model_name": "membership", "field_name": "user", "term": "go"}
    found = admin_client.get(reverse("admin:autocomplete"), query).json()["results"]
    assert [item["text"] for item in found] == ["going-strong"]


# --- overview ---


def test_an_empty_portal_says_the_first_thing_to_do(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "Nothing is connected yet" in page
    assert reverse("admin:connect_bucket") in page


def test_the_overview_says_that_no_worker_takes_a_run(admin_client: Client, procedure: factories.Procedure) -> None:
    factories.ProvisioningRunFactory(role=procedure.role_a, queued_at=timezone.now() - timedelta(minutes=5))
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "Needs attention" in page
    assert "is a worker running?" in page


def test_the_sidebar_offers_only_what_a_person_may_open(
    signed_in: SignedIn, audrey: User, alice: User, procedure: factories.Procedure
) -> None:
    auditors = signed_in(audrey).get(reverse("admin:index")).content.decode()
    assert reverse("admin:connect_bucket") not in auditors
    assert reverse("admin:roles_usergroup_changelist") in auditors
    assert reverse("admin:connect_bucket") in signed_in(alice).get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("who", ["audrey", "alice"])
def test_pages_run_no_inline_script(who: str, signed_in: SignedIn, request: pytest.FixtureRequest) -> None:
    response = signed_in(request.getfixturevalue(who)).get(reverse("admin:index"))
    assert "<script>" not in response.content.decode()
    assert "'unsafe-inline'" not in response["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
