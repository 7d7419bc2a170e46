"""Cutting off from the pages: who may, what the page says before, and what happens after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.errors import AwsUnreachable
from roles.models import CutOff, GroupRole, IssuedToken, Membership, ProvisioningRun, User
from roles.provisioning import runner
from tests import factories
from tests.admin.conftest import SignedIn, hidden
from tests.operations.conftest import a_token, is_forgotten
from tests.strict_aws.watched import WatchedAws


@pytest.fixture
def aws() -> Iterator[WatchedAws]:
    with WatchedAws() as world:
        yield world


@pytest.fixture
def mapping(aws: WatchedAws, procedure: factories.Procedure) -> GroupRole:
    """The procedure's mapping, in sync."""
    row = procedure.map()
    runner.reconcile(factories.ProvisioningRunFactory(role=row.role, mapping=row).pk)
    return row


@pytest.fixture
def token(mapping: GroupRole, procedure: factories.Procedure) -> IssuedToken:
    """What Bob has in his tools."""
    return a_token(procedure.bob, mapping, target=procedure.role_b, session_name="bob")


@pytest.fixture
def admin_client(signed_in: SignedIn, alice: User) -> Client:
    return signed_in(alice)


def of(row: Any) -> str:
    return reverse(f"admin:roles_{row._meta.model_name}_cut_off", args=[row.pk])


def shown(response: Any) -> dict[str, list[str]]:
    """Return what the page's button sends besides what is typed."""
    return hidden(response.content.decode())


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_an_auditor_may_neither_look_nor_do(
    token: IssuedToken, procedure: factories.Procedure, signed_in: SignedIn, audrey: User
) -> None:
    client = signed_in(audrey)
    for row in (procedure.bob, token.mapping, procedure.role_b):
        assert client.post(of(row), {"hits_everybody": "on"}).status_code == 403
        page = client.get(reverse(f"admin:roles_{row._meta.model_name}_change", args=[row.pk]))
        assert "Cut off credentials" not in text_of(page)
    assert not CutOff.objects.exists()


def test_the_page_names_the_people_the_roles_and_the_end_and_shows_the_plan(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client, aws: WatchedAws
) -> None:
    written = len(aws.writes)
    page = admin_client.get(of(procedure.bob))
    text = text_of(page)
    assert "bob at bucket-owner/MyRoleB: AWS refuses every call" in text
    assert "Who is affected: 1 person" in text
    assert "1 change in AWS" in text
    assert "aws:TokenIssueTime" in text.replace("&quot;", '"')
    assert "lifted by itself" in text
    assert "hits_everybody" not in text
    assert not CutOff.objects.exists()
    assert len(aws.writes) == written


def test_confirming_cuts_off_and_leads_to_the_run(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client, aws: WatchedAws
) -> None:
    page = admin_client.get(of(procedure.bob))
    done = admin_client.post(of(procedure.bob), {"reason": "lost laptop", **shown(page)})
    run = ProvisioningRun.objects.latest("pk")
    assert done["Location"] == reverse("run", args=[run.pk])
    row = CutOff.objects.get()
    assert (row.names, row.reason, row.started_by.username) == (["bob"], "lost laptop", "alice")
    assert is_forgotten(token)
    runner.reconcile(run.pk)
    assert "xacct-cut-off" in aws.role(str(procedure.role_b.arn)).policies
    person = text_of(admin_client.get(reverse("admin:roles_user_change", args=[procedure.bob.pk])))
    role = text_of(admin_client.get(reverse("admin:roles_iamrole_change", args=[procedure.role_b.pk])))
    assert "bob at bucket-owner/MyRoleB" in person
    assert "bob at bucket-owner/MyRoleB" in role


def test_what_nobody_looked_at_is_shown_and_cuts_nobody_off(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client
) -> None:
    asked = admin_client.post(of(procedure.bob), {"reason": "lost laptop"})
    assert (asked.status_code, "Nobody has looked at the plan" in text_of(asked)) == (409, True)
    assert not CutOff.objects.exists()
    assert admin_client.post(of(procedure.bob), shown(asked)).status_code == 302
    assert CutOff.objects.get().names == ["bob"]


def test_where_others_are_concerned_by_now_the_page_comes_again(
    token: IssuedToken, admin_client: Client, procedure: factories.Procedure
) -> None:
    page = admin_client.get(of(token.mapping))
    carol = factories.UserFactory(username="carol")
    a_token(carol, token.mapping, target=procedure.role_b, session_name="carol")
    again = admin_client.post(of(token.mapping), shown(page))
    assert again.status_code == 409
    assert "Cut off 2 people" in text_of(again)
    assert not CutOff.objects.exists()
    assert admin_client.post(of(token.mapping), shown(again)).status_code == 302
    assert CutOff.objects.get().names == ["bob", "carol"]


def test_a_role_asks_whether_everybody_is_meant(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client
) -> None:
    asked = admin_client.get(of(procedure.role_b))
    page = text_of(asked)
    assert "this hits everybody who uses the role now" in page
    assert "Everybody at bucket-owner/MyRoleB" in page
    refused = admin_client.post(of(procedure.role_b), shown(asked), follow=True)
    assert "This hits everybody who uses bucket-owner/MyRoleB" in text_of(refused)
    assert not CutOff.objects.exists()
    admin_client.post(of(procedure.role_b), {**shown(asked), "hits_everybody": "on"})
    assert CutOff.objects.get().names == []


def test_who_has_nothing_is_not_asked_about(mapping: GroupRole, admin_client: Client, charlie: User) -> None:
    back = admin_client.get(of(charlie), follow=True)
    assert back.redirect_chain == [(reverse("admin:roles_user_change", args=[charlie.pk]), 302)]
    assert "no credentials of charlie that still work" in text_of(back)


def test_an_aws_that_cannot_be_read_does_not_stop_the_admin(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client, aws: WatchedAws
) -> None:
    aws.fail_always["get_role_policy"] = AwsUnreachable("AWS does not answer.")
    page = admin_client.get(of(procedure.bob))
    assert "AWS does not answer." in text_of(page)
    assert admin_client.post(of(procedure.bob), shown(page)).status_code == 302
    assert CutOff.objects.get().names == ["bob"]


def test_an_owner_who_has_to_do_it_is_named(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client
) -> None:
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    assert "may not write to bucket-owner" in text_of(admin_client.get(of(procedure.bob)))


# --- taking somebody out of a group ---


def removal(procedure: factories.Procedure) -> str:
    membership = Membership.objects.get(user=procedure.bob)
    return reverse("admin:roles_usergroup_remove_member", args=[procedure.group.pk, membership.pk])


def test_removal_offers_no_cut_off_where_nothing_was_handed_out(
    mapping: GroupRole, procedure: factories.Procedure, admin_client: Client
) -> None:
    assert "then cut off" not in text_of(admin_client.get(removal(procedure)))


def test_removal_offers_to_cut_off_what_the_group_gave(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client
) -> None:
    page = admin_client.get(removal(procedure))
    assert "Remove, then cut off credentials" in text_of(page)
    sent = {"also": "cut-off", "reason": "left", **shown(page)}
    asked = admin_client.post(removal(procedure), sent, follow=True)
    assert not Membership.objects.get(user=procedure.bob).is_open
    assert "Cut off the credentials of bob?" in text_of(asked)
    assert not CutOff.objects.exists()
    address = f"{of(procedure.bob)}?group={procedure.group.pk}"
    assert asked.redirect_chain == [(address, 302)]
    admin_client.post(address, shown(asked))
    assert CutOff.objects.get().names == ["bob"]


def test_removal_alone_leads_back_to_the_group(
    token: IssuedToken, procedure: factories.Procedure, admin_client: Client
) -> None:
    page = admin_client.get(removal(procedure))
    done = admin_client.post(removal(procedure), {"reason": "left", **shown(page)})
    assert done["Location"] == reverse("admin:roles_usergroup_change", args=[procedure.group.pk])
    assert not CutOff.objects.exists()


# --- what is cut off ---


@pytest.fixture
def row(mapping: GroupRole, procedure: factories.Procedure) -> CutOff:
    now = timezone.now()
    return CutOff.objects.create(
        target=procedure.role_b,
        source=procedure.role_a,
        user=procedure.bob,
        names=["bob"],
        cut_before=now,
        lifts_at=now + timedelta(hours=1),
    )


def test_the_list_shows_what_is_in_force_and_on_request_what_was(row: CutOff, admin_client: Client) -> None:
    address = reverse("admin:roles_cutoff_changelist")
    assert "In force" in text_of(admin_client.get(address))
    CutOff.objects.update(ended_at=timezone.now())
    assert "bucket-owner/MyRoleB" not in text_of(admin_client.get(address))
    assert "Lifted" in text_of(admin_client.get(address, {"in_force": "ended"}))


def test_an_auditor_sees_it_and_may_not_lift_it(row: CutOff, signed_in: SignedIn, audrey: User) -> None:
    client, lift = signed_in(audrey), reverse("admin:roles_cutoff_lift", args=[row.pk])
    page = client.get(reverse("admin:roles_cutoff_change", args=[row.pk]))
    assert page.status_code == 200
    assert lift not in text_of(page)
    assert client.post(lift).status_code == 403
    row.refresh_from_db()
    assert row.is_open


def test_an_admin_lifts_it_after_seeing_what_that_does(row: CutOff, admin_client: Client) -> None:
    lift = reverse("admin:roles_cutoff_lift", args=[row.pk])
    assert lift in text_of(admin_client.get(reverse("admin:roles_cutoff_change", args=[row.pk])))
    unseen = admin_client.post(lift, {"reason": "wrong person"})
    assert (unseen.status_code, "Nobody has looked at the plan" in text_of(unseen)) == (409, True)
    row.refresh_from_db()
    assert row.is_open
    asked = admin_client.get(lift)
    assert "work again" in text_of(asked)
    done = admin_client.post(lift, {"reason": "wrong person", **shown(asked)})
    assert done["Location"] == reverse("run", args=[ProvisioningRun.objects.latest("pk").pk])
    row.refresh_from_db()
    assert (row.is_open, row.ended_by.username) == (False, "alice")
    twice = admin_client.post(lift, follow=True)
    assert "was ended already" in text_of(twice)
