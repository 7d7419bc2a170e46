"""Disabling and enabling a group or an account: who may, what the page says, how pages and lists show it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roles.models import AuditEvent, GroupRole, Suspension, User
from roles.operations.disable_account import disable_account
from roles.operations.disable_group import disable_group
from tests import factories
from tests.admin.conftest import SignedIn, hidden
from tests.operations.conftest import a_token, is_forgotten

KINDS = {"usergroup": "group", "awsaccount": "account_b"}


@pytest.fixture
def mapping(procedure: factories.Procedure) -> GroupRole:
    return procedure.map(state="in_sync")


def address(model: str, world: factories.Procedure, page: str) -> str:
    return reverse(f"admin:roles_{model}_{page}", args=[getattr(world, KINDS[model]).pk])


def disable(model: str, world: factories.Procedure, actor: User, reason: str = "audit of 2026") -> Suspension:
    if model == "usergroup":
        return disable_group(actor=actor, group=world.group, reason=reason)
    return disable_account(actor=actor, account=world.account_b, reason=reason)


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("page", ["disable", "enable"])
def test_an_auditor_is_refused_and_it_is_on_record(
    *, model: str, page: str, procedure: factories.Procedure, signed_in: SignedIn, audrey: User, alice: User
) -> None:
    if page == "enable":
        disable(model, procedure, alice)
    before = list(Suspension.objects.values())
    answer = signed_in(audrey).post(address(model, procedure, page), {"reason": "mine now"})
    assert answer.status_code == 403
    assert list(Suspension.objects.values()) == before
    assert AuditEvent.objects.filter(code="access.denied", actor_name="audrey").exists()


@pytest.mark.parametrize("model", KINDS)
def test_an_auditor_sees_that_and_why_and_no_button(
    *, model: str, procedure: factories.Procedure, mapping: GroupRole, signed_in: SignedIn, audrey: User, alice: User
) -> None:
    client, page = signed_in(audrey), address(model, procedure, "change")
    assert "Disable…" not in client.get(page).content.decode()
    disable(model, procedure, alice)
    shown = client.get(page).content.decode()
    assert "audit of 2026" in shown and "By alice" in shown
    assert "Enable…" not in shown and "Disable…" not in shown


@pytest.mark.parametrize("model", KINDS)
def test_the_page_says_who_loses_what_and_changes_nothing(
    model: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    token = a_token(procedure.bob, mapping)
    page = admin_client.get(address(model, procedure, "disable")).content.decode()
    for said in (
        "bob can no longer read or write to example-data.",
        "Who is affected: 1 person",
        "Nobody gets credentials for example-data through",
        "deployment/MyRoleA" if model == "usergroup" else "of analysts,",
        "Credentials that were handed out already work until they expire",
        "AWS is not changed",
        "nothing to change in AWS",
    ):
        assert said in page
    assert not Suspension.objects.exists() and not is_forgotten(token)


@pytest.mark.parametrize("model", KINDS)
def test_without_a_reason_nothing_is_disabled(model: str, procedure: factories.Procedure, admin_client: Client) -> None:
    page = address(model, procedure, "disable")
    shown = admin_client.get(page).content.decode()
    assert 'maxlength="200" required' in shown
    answer = admin_client.post(page, {**hidden(shown), "step": "confirm", "reason": "  "}, follow=True)
    assert "This field cannot be blank." in answer.content.decode()
    assert not Suspension.objects.exists()


@pytest.mark.parametrize("model", KINDS)
def test_it_is_disabled_shown_and_enabled_again(
    model: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client, alice: User
) -> None:
    page = address(model, procedure, "disable")
    sent = hidden(admin_client.get(page).content.decode())
    answer = admin_client.post(page, {**sent, "step": "confirm", "reason": "audit of 2026"}, follow=True)
    shown = answer.content.decode()
    row = Suspension.objects.get()
    assert (row.subject, row.reason, row.started_by) == (getattr(procedure, KINDS[model]), "audit of 2026", alice)
    assert "is disabled." in shown and "audit of 2026" in shown and "Enable…" in shown and "Disable…" not in shown
    page = address(model, procedure, "enable")
    shown = admin_client.get(page).content.decode()
    assert "bob can now read and write to example-data." in shown
    answer = admin_client.post(page, {**hidden(shown), "step": "confirm", "reason": "over"}, follow=True)
    assert "is enabled." in answer.content.decode() and "Disable…" in answer.content.decode()
    assert not Suspension.objects.open().exists()
    assert AuditEvent.objects.latest("id").details["reason"] == "over"


@pytest.mark.parametrize("model", KINDS)
def test_what_is_disabled_or_enabled_already_is_told(
    model: str, procedure: factories.Procedure, admin_client: Client, alice: User
) -> None:
    answer = admin_client.get(address(model, procedure, "enable"), follow=True)
    assert "is not disabled. Nothing was changed." in answer.content.decode()
    disable(model, procedure, alice)
    answer = admin_client.get(address(model, procedure, "disable"), follow=True)
    assert "is disabled already: audit of 2026" in answer.content.decode()


@pytest.mark.parametrize("model", KINDS)
def test_credentials_that_are_held_are_offered_to_be_cut_off_to_who_may(
    *, model: str, procedure: factories.Procedure, mapping: GroupRole, signed_in: SignedIn, alice: User, audrey: User
) -> None:
    other = factories.GroupRoleFactory()
    a_token(procedure.bob, mapping)
    a_token(procedure.bob, other)
    disable(model, procedure, alice)
    page, link = address(model, procedure, "change"), "admin:roles_grouprole_cut_off"
    shown = signed_in(alice).get(page).content.decode()
    assert reverse(link, args=[mapping.pk]) in shown and reverse(link, args=[other.pk]) not in shown
    assert reverse(link, args=[mapping.pk]) not in signed_in(audrey).get(page).content.decode()


@pytest.mark.parametrize("model", KINDS)
def test_lists_show_and_filter_what_is_disabled(
    model: str, procedure: factories.Procedure, admin_client: Client, alice: User
) -> None:
    row = getattr(procedure, KINDS[model])
    other = procedure.account_a if model == "awsaccount" else factories.UserGroupFactory(name="others")
    disable(model, procedure, alice)
    listing = reverse(f"admin:roles_{model}_changelist")

    def names(**query: str) -> tuple[bool, bool]:
        rows: Any = admin_client.get(listing, query).context["cl"].queryset
        return row in rows, other in rows

    assert names() == (True, True)
    assert names(disabled="yes") == (True, False)
    assert names(disabled="no") == (False, True)
    assert "Disabled</span>" in admin_client.get(listing, {"disabled": "yes"}).content.decode()
    assert "Disabled</span>" not in admin_client.get(listing, {"disabled": "no"}).content.decode()


def test_the_groups_page_and_its_members_page_say_that_nobody_gets_there(
    procedure: factories.Procedure, mapping: GroupRole, admin_client: Client, alice: User
) -> None:
    group = address("usergroup", procedure, "change")
    person = reverse("admin:roles_user_change", args=[procedure.bob.pk])
    assert "Disabled</span>" not in admin_client.get(person).content.decode()
    disable("usergroup", procedure, alice)
    assert "Meanwhile nobody reaches anything through this group." in admin_client.get(group).content.decode()
    assert "Disabled</span>" in admin_client.get(person).content.decode()


def test_what_is_in_a_disabled_account_is_marked_where_a_group_reaches_it(
    procedure: factories.Procedure, mapping: GroupRole, admin_client: Client, alice: User
) -> None:
    other = factories.BucketGrantFactory(role=procedure.role_b, bucket=factories.BucketFactory(name="third-data"))
    disable_account(actor=alice, account=other.bucket.account, reason="audit")
    page = admin_client.get(address("usergroup", procedure, "change")).content.decode()
    assert page.count("Disabled</span>") == 1
    assert "1 person reaches example-data." in page
