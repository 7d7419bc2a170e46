"""Mapping a role: form, plan, confirmation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roles.admin import confirming, map_role
from roles.errors import AlreadyMapped, AwsUnreachable, NotPermitted, StalePlan
from roles.models import AuditEvent, GroupRole, ProvisioningRun, User
from roles.provisioning import preview
from roles.provisioning.resources import Action, Change, DesiredDocument, Plan, Step
from tests import factories
from tests.admin.conftest import SignedIn, hidden

DIGEST = "d" * 64


def _plan(world: factories.Procedure) -> Plan:
    before = {"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Allow"}]}
    after = {"Version": "2012-10-17", "Statement": [*before["Statement"], {"Sid": "XacctTrust", "Effect": "Allow"}]}
    desired = DesiredDocument(Step.TARGET_TRUST, world.account_b.access(), str(world.role_b.arn), "XacctTrust", ())
    change = Change(
        desired, Action.UPDATE, str(world.role_b.arn), "Edit trust relationship of MyRoleB", before, after, 1, ("Big.",)
    )
    return Plan((change,), DIGEST)


@pytest.fixture
def address(procedure: factories.Procedure) -> str:
    return reverse("admin:roles_usergroup_map_role", args=[procedure.group.pk])


@pytest.fixture
def admin_client(signed_in: SignedIn, alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def typed(procedure: factories.Procedure) -> dict[str, Any]:
    return {"role": procedure.role_a.pk, "access": "READ", "prefix": "team", "reason": "Ticket OPS-12"}


@pytest.fixture(autouse=True)
def _readable_aws(procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview.Rehearsal, "plan", lambda _self, **_how: _plan(procedure))


def test_a_role_that_is_mapped_already_is_refused_at_the_form(
    admin_client: Client, address: str, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_wish: Any) -> None:
        raise AlreadyMapped("MyRoleA is in analysts already.")

    monkeypatch.setattr(map_role, "check_map_role_to_group", refuse)
    response = admin_client.post(address, {**typed, "step": "plan"})
    assert "MyRoleA is in analysts already." in response.content.decode()
    assert 'value="Ticket OPS-12"' in response.content.decode()


def test_a_denial_by_the_check_is_a_403_and_recorded(
    admin_client: Client, address: str, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_wish: Any) -> None:
        raise NotPermitted("alice may not map.", rule="mappings.manage")

    monkeypatch.setattr(map_role, "check_map_role_to_group", refuse)
    assert admin_client.post(address, typed).status_code == 403
    assert AuditEvent.objects.get(code="access.denied").details["rule"] == "mappings.manage"


def test_a_prefix_that_a_policy_would_read_differently_is_refused(
    admin_client: Client, address: str, typed: dict[str, Any]
) -> None:
    response = admin_client.post(address, {**typed, "prefix": "team/*"})
    assert "not a usable prefix" in response.context["form"].errors["prefix"][0]


def test_the_plan_shows_changes_kept_statements_warnings_people_and_digest(
    admin_client: Client, address: str, typed: dict[str, Any]
) -> None:
    page = admin_client.post(address, {**typed, "step": "plan"}).content.decode()
    assert "Plan: 1 change in AWS" in page
    assert "1 statement of others kept" in page
    assert "XacctTrust" in page
    assert "Big." in page
    assert "Who gets access: 1 person" in page
    assert "bob" in page
    assert "bob can now read example-data/team/." in page
    assert re.search(r'name="expected_plan" value="[0-9a-f]{64}"', page)
    assert 'name="reason" value="Ticket OPS-12"' in page


def test_without_aws_there_is_no_plan_but_a_way_on(
    admin_client: Client, address: str, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_self: object, *, partly: bool) -> None:
        raise AwsUnreachable("No answer from account 222222222222.")

    monkeypatch.setattr(preview.Rehearsal, "plan", unreachable)
    page = admin_client.post(address, {**typed, "step": "plan"}).content.decode()
    assert "AWS cannot be read now" in page
    assert "No answer from account 222222222222." in page
    assert "Map without a preview" in page
    assert hidden(page)["seen"] == [""]


def test_looking_at_the_plan_maps_nothing(admin_client: Client, address: str, typed: dict[str, Any]) -> None:
    admin_client.post(address, {**typed, "step": "plan"})
    assert not GroupRole.objects.exists()


def test_going_back_keeps_what_was_typed(admin_client: Client, address: str, typed: dict[str, Any]) -> None:
    page = admin_client.post(address, {**typed, "step": "edit"}).content.decode()
    assert "Show the plan" in page
    assert 'value="Ticket OPS-12"' in page


def test_a_stale_plan_shows_the_new_one(
    admin_client: Client, address: str, typed: dict[str, Any], procedure: factories.Procedure
) -> None:
    sent = hidden(admin_client.post(address, {**typed, "step": "plan"}).content.decode())
    type(procedure.bucket_grant).objects.update(prefix="team/")
    response = admin_client.post(address, {**sent, "step": "confirm"})
    assert response.status_code == 409
    assert "What is to be done changed since you looked." in response.content.decode()
    assert not GroupRole.objects.exists()
    again = hidden(response.content.decode())
    assert again["expected_plan"] != sent["expected_plan"]
    assert admin_client.post(address, {**again, "step": "confirm"}).status_code == 302


def test_the_world_that_changes_between_the_last_look_and_the_lock_is_noticed_too(
    admin_client: Client, address: str, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = hidden(admin_client.post(address, {**typed, "step": "plan"}).content.decode())

    def refuse(*_args: Any, **_wish: Any) -> None:
        raise StalePlan("The plan changed.", hint="Look at the new one.")

    monkeypatch.setattr(confirming, "do", refuse)
    response = admin_client.post(address, {**sent, "step": "confirm"})
    assert response.status_code == 409
    assert "The plan changed. Look at the new one." in response.content.decode()


def test_a_refusal_at_the_end_shows_the_form_with_what_was_typed(
    admin_client: Client, address: str, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_wish: Any) -> None:
        raise NotPermitted("alice may not map.", rule="mappings.manage")

    monkeypatch.setattr(map_role, "map_role_to_group", refuse)
    response = admin_client.post(address, {**typed, "step": "confirm"})
    assert response.status_code == 403
    assert "alice may not map." in response.content.decode()
    assert AuditEvent.objects.filter(code="access.denied").count() == 1


def test_confirming_maps_with_the_plan_that_was_seen(
    admin_client: Client, address: str, typed: dict[str, Any], procedure: factories.Procedure
) -> None:
    sent = hidden(admin_client.post(address, {**typed, "step": "plan"}).content.decode())
    response = admin_client.post(address, {**sent, "step": "confirm"})
    mapping = GroupRole.objects.get()
    assert response["Location"] == reverse("admin:roles_grouprole_change", args=[mapping.pk])
    assert (mapping.group, mapping.role, mapping.access, mapping.prefix) == (
        procedure.group,
        procedure.role_a,
        "READ",
        "team/",
    )
    assert [ProvisioningRun.objects.get().plan_digest] == sent["expected_plan"]


def test_the_group_can_be_chosen_where_none_is_given(
    admin_client: Client, typed: dict[str, Any], procedure: factories.Procedure
) -> None:
    response = admin_client.post(reverse("admin:roles_grouprole_add"), {**typed, "group": procedure.group.pk})
    assert response.context["wish"]["group"] == procedure.group
