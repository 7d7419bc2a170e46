"""Saving what alters AWS or anybody's access shows its plan first, and applies what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roles.errors import AwsAccessDenied
from roles.models import AuditEvent, BucketGrant, GroupRole, IamRole, Membership, ProvisioningRun, User
from roles.operations.map_role_to_group import map_role_to_group
from roles.provisioning import runner
from tests import factories
from tests.admin.conftest import SignedIn, hidden, provisioned
from tests.operations.conftest import a_token, is_forgotten
from tests.strict_aws.watched import EXTERNAL_ID, PARTNER, THEIRS, WatchedAws

ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"
STALE = "AWS changed since you looked."
WISH_CHANGED = "What is to be done changed since you looked."


@pytest.fixture
def mapping(aws: WatchedAws, procedure: factories.Procedure) -> GroupRole:
    """The procedure, provisioned."""
    return provisioned(procedure.map())


@pytest.fixture
def auditor_client(signed_in: SignedIn, audrey: User) -> Client:
    """A client in which the auditor is signed in."""
    return signed_in(audrey)


def saving(procedure: factories.Procedure, mapping: GroupRole, what: str) -> tuple[str, dict[str, Any]]:
    """Return the address of a form and what is typed in it, different from what is stored."""
    account, role, bucket = procedure.account_b, procedure.role_b, procedure.bucket
    forms: dict[str, tuple[str, list[int], dict[str, Any]]] = {
        "way in": (
            "awsaccount_change",
            [account.pk],
            {
                "name": account.name,
                "region": account.region,
                "access_mode": "assume-role",
                "trust_policy_characters": 2048,
                "provisioner_role_arn": "arn:aws:iam::222222222222:role/other-provisioner",
                "external_id": account.external_id,
            },
        ),
        "attribution": ("iamrole_change", [role.pk], {"ownership": "managed"}),
        "ownership": ("iamrole_change", [role.pk], {"ownership": "adopted", "attribution": "on"}),
        "region": ("bucket_change", [bucket.pk], {"region": "eu-west-1", "kms_key_arn": ""}),
        "narrowing": ("grouprole_change", [mapping.pk], {"access": "READ", "prefix": "", "reason": ""}),
        "new grant": (
            "bucketgrant_add",
            [],
            {"role": role.pk, "bucket": bucket.pk, "access": "READ", "prefix": "team/", "reason": "OPS-12"},
        ),
        "new chain": (
            "assumerolegrant_add",
            [],
            {
                "source": procedure.role_a.pk,
                "target": factories.IamRoleFactory(account=account, name="MyRoleD").pk,
                "reason": "",
            },
        ),
    }
    name, args, typed = forms[what]
    return reverse(f"admin:roles_{name}", args=args), typed


SAVED = ["way in", "attribution", "ownership", "region", "narrowing", "new grant", "new chain"]


def rows() -> list[object]:
    kinds = (IamRole, BucketGrant, GroupRole, ProvisioningRun, AuditEvent)
    return [list(kind._default_manager.order_by("pk").values()) for kind in kinds]


@pytest.mark.parametrize("what", SAVED)
def test_an_auditor_is_refused_before_anything_is_looked_at(
    what: str, procedure: factories.Procedure, mapping: GroupRole, auditor_client: Client, aws: WatchedAws
) -> None:
    address, typed = saving(procedure, mapping, what)
    aws.calls.clear()
    assert auditor_client.post(address, typed).status_code == 403
    assert aws.calls == []


@pytest.mark.parametrize("what", SAVED)
def test_the_plan_comes_before_the_change(
    what: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address, typed = saving(procedure, mapping, what)
    before = rows()
    response = admin_client.post(address, typed)
    assert response.status_code == 200
    assert rows() == before
    page = response.content.decode()
    assert 'id="plan-title"' in page and "What people gain and lose" in page
    sent = hidden(page)
    assert {name: sent[name] for name in typed if typed[name] != ""} == {
        name: [str(value)] for name, value in typed.items() if value != ""
    }
    assert admin_client.post(address, {**sent, "step": "confirm"}).status_code == 302
    assert rows() != before


@pytest.mark.parametrize("what", SAVED)
def test_a_plan_that_is_not_any_more_what_was_seen_is_shown_anew(
    what: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address, typed = saving(procedure, mapping, what)
    before = rows()
    response = admin_client.post(address, {**typed, "step": "confirm", "expected_plan": "e" * 64, "seen": ""})
    assert response.status_code == 409
    assert WISH_CHANGED in response.content.decode()
    assert rows() == before
    assert admin_client.post(address, {**hidden(response.content.decode()), "step": "confirm"}).status_code == 302


@pytest.mark.parametrize("what", SAVED)
def test_going_back_shows_the_form_with_what_was_typed(
    what: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address, typed = saving(procedure, mapping, what)
    before = rows()
    response = admin_client.post(
        address, {**hidden(admin_client.post(address, typed).content.decode()), "step": "edit"}
    )
    assert response.status_code == 200
    assert 'name="_save"' in response.content.decode()
    assert {name: str(response.context["adminform"].form[name].value()) for name in typed} == {
        name: str(value) for name, value in typed.items() if name != "attribution"
    } | ({"attribution": "True"} if "attribution" in typed else {})
    assert rows() == before


def test_a_change_of_aws_between_looking_and_confirming_is_said_and_shown(
    aws: WatchedAws, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address, typed = saving(procedure, mapping, "new grant")
    sent = hidden(admin_client.post(address, typed).content.decode())
    more = [*aws.bucket_policies["example-data"]["Statement"], {**THEIRS, "Sid": "AnotherPartner"}]
    aws.bucket_policies["example-data"] = {"Version": "2012-10-17", "Statement": more}
    response = admin_client.post(address, {**sent, "step": "confirm"})
    page = response.content.decode()
    assert response.status_code == 409
    assert STALE in page and "2 statements of others kept" in page
    assert not BucketGrant.objects.filter(prefix="team/").exists()
    assert admin_client.post(address, {**hidden(page), "step": "confirm"}).status_code == 302


def test_aws_that_cannot_be_read_any_more_is_said_and_does_not_stop_the_admin(
    aws: WatchedAws, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address = reverse("admin:roles_grouprole_remove", args=[mapping.pk])
    sent = hidden(admin_client.get(address).content.decode())
    denied = AwsAccessDenied("AWS said no.")
    aws.fail_always.update(dict.fromkeys(("get_role", "get_bucket_policy"), denied))
    response = admin_client.post(address, sent)
    assert response.status_code == 409
    assert "AWS cannot be read any more." in response.content.decode()
    admin_client.post(address, hidden(response.content.decode()))
    mapping.refresh_from_db()
    assert not mapping.is_open


def test_a_narrowing_says_that_aws_stays_and_who_loses_what(
    procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    token = a_token(procedure.bob, mapping)
    address, typed = saving(procedure, mapping, "narrowing")
    page = admin_client.post(address, typed).content.decode()
    assert "AWS is not changed: what a mapping narrows is in the tokens alone." in page
    assert "bob can no longer write to example-data." in page
    assert "nothing to change in AWS" in page
    assert not is_forgotten(token)
    admin_client.post(address, {**hidden(page), "step": "confirm"})
    assert is_forgotten(token)


def test_what_alters_nothing_is_saved_without_asking(
    procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address, typed = saving(procedure, mapping, "way in")
    typed["provisioner_role_arn"] = procedure.account_b.provisioner_role_arn
    assert admin_client.post(address, {**typed, "name": "renamed"}).status_code == 302
    procedure.account_b.refresh_from_db()
    assert procedure.account_b.name == "renamed"


def test_a_grant_that_nobody_uses_is_saved_without_asking(procedure: factories.Procedure, admin_client: Client) -> None:
    typed = {"role": procedure.role_b.pk, "bucket": procedure.bucket.pk, "access": "READ", "prefix": "team/"}
    assert admin_client.post(reverse("admin:roles_bucketgrant_add"), typed).status_code == 302
    assert BucketGrant.objects.filter(prefix="team/").exists()


def test_what_the_operation_refuses_is_told_at_the_form_and_not_asked_about(
    procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    typed = {"role": procedure.role_b.pk, "bucket": procedure.bucket.pk, "access": "READ", "prefix": ""}
    response = admin_client.post(reverse("admin:roles_bucketgrant_add"), typed)
    assert response.status_code == 409
    assert "has a grant on example-data/ already" in response.content.decode()


def test_sizes_stand_against_their_limits(
    procedure: factories.Procedure, aws: WatchedAws, admin_client: Client
) -> None:
    address = reverse("admin:roles_usergroup_map_role", args=[procedure.group.pk])
    page = admin_client.post(address, {"role": procedure.role_a.pk, "access": "READWRITE"}).content.decode()
    for limit in ("of 2,048 characters", "of 5,120 characters", "of 20,480 bytes"):
        assert limit in page


def test_a_dead_principal_in_a_statement_of_others_blocks_the_plan(
    procedure: factories.Procedure, aws: WatchedAws, admin_client: Client
) -> None:
    aws.role(PARTNER).delete()
    address = reverse("admin:roles_usergroup_map_role", args=[procedure.group.pk])
    page = admin_client.post(address, {"role": procedure.role_a.pk, "access": "READWRITE"}).content.decode()
    assert "Statements of others name identities that were deleted" in page


# --- connect a bucket ---

CONNECT = {
    "source_account_id": "111111111111",
    "source_role": "MyRoleA",
    "source_access_mode": "ambient",
    "target_account_id": "222222222222",
    "target_role": "MyRoleB",
    "target_access_mode": "assume-role",
    "target_provisioner_role_arn": "arn:aws:iam::222222222222:role/xacct-provisioner",
    "target_external_id": EXTERNAL_ID,
    "attribution": "on",
    "bucket": "example-data",
    "region": "us-east-1",
    "access": "READWRITE",
    "new_group": "analysts",
}


def test_connecting_shows_the_plan_against_aws_and_enters_nothing(aws: WatchedAws, admin_client: Client) -> None:
    response = admin_client.post(reverse("admin:connect_bucket"), CONNECT)
    page = response.content.decode()
    assert response.status_code == 200
    assert "Plan: 7 changes in AWS" in page and "1 statement of others kept" in page
    assert not IamRole.objects.exists() and aws.writes == []
    response = admin_client.post(reverse("admin:connect_bucket"), {**hidden(page), "step": "confirm"})
    mapping = GroupRole.objects.get()
    assert response["Location"] == reverse("admin:roles_grouprole_change", args=[mapping.pk])
    assert [ProvisioningRun.objects.get().plan_digest] == hidden(page)["expected_plan"]


def test_what_was_typed_to_connect_can_be_corrected(aws: WatchedAws, admin_client: Client) -> None:
    sent = hidden(admin_client.post(reverse("admin:connect_bucket"), CONNECT).content.decode())
    page = admin_client.post(reverse("admin:connect_bucket"), {**sent, "step": "edit"}).content.decode()
    assert 'value="example-data"' in page and "Show the plan" in page
    assert not IamRole.objects.exists()


def test_connecting_is_refused_when_aws_moved(aws: WatchedAws, admin_client: Client) -> None:
    sent = hidden(admin_client.post(reverse("admin:connect_bucket"), CONNECT).content.decode())
    aws.bucket_policies.clear()
    response = admin_client.post(reverse("admin:connect_bucket"), {**sent, "step": "confirm"})
    assert response.status_code == 409
    assert STALE in response.content.decode()
    assert not IamRole.objects.exists()


def test_a_role_that_exists_is_adopted_only_when_the_admin_says_so(aws: WatchedAws, admin_client: Client) -> None:
    aws.add_role(ROLE_B)
    page = admin_client.post(reverse("admin:connect_bucket"), CONNECT).content.decode()
    assert "that the portal did not make" in page and "1 blocked" in page
    assert f'name="adopt_next" value="{ROLE_B}"' in page
    page = admin_client.post(reverse("admin:connect_bucket"), {**hidden(page), "adopt_next": ROLE_B}).content.decode()
    assert "blocked" not in page and not IamRole.objects.exists()
    assert hidden(page)["adopt"] == [ROLE_B]
    admin_client.post(reverse("admin:connect_bucket"), {**hidden(page), "step": "confirm"})
    assert IamRole.objects.get(name="MyRoleB").ownership == "adopted"
    assert IamRole.objects.get(name="MyRoleA").ownership == "managed"


# --- adopting from a run that stopped ---


def stopped_run(aws: WatchedAws, procedure: factories.Procedure, alice: User) -> ProvisioningRun:
    aws.add_role(ROLE_B)
    mapping = map_role_to_group(actor=alice, group=procedure.group, role=procedure.role_a)
    run = runner.reconcile(mapping.runs.get().pk)
    assert run is not None and run.status == "failed"
    return run


def test_a_run_that_met_a_role_of_others_offers_admins_to_adopt_it(
    aws: WatchedAws, procedure: factories.Procedure, alice: User, audrey: User, signed_in: SignedIn
) -> None:
    run = stopped_run(aws, procedure, alice)
    adopt = reverse("admin:roles_iamrole_adopt", args=[procedure.role_b.pk])
    address = reverse("run", args=[run.pk])
    assert adopt not in signed_in(audrey).get(address).content.decode()
    assert adopt in signed_in(alice).get(address).content.decode()


def test_adopting_shows_the_plan_and_queues_the_run(
    aws: WatchedAws, procedure: factories.Procedure, alice: User, admin_client: Client
) -> None:
    stopped = stopped_run(aws, procedure, alice)
    address = reverse("admin:roles_iamrole_adopt", args=[procedure.role_b.pk])
    page = admin_client.get(address).content.decode()
    assert "Adopt bucket-owner/MyRoleB?" in page and "Edit trust relationship of MyRoleB" in page
    procedure.role_b.refresh_from_db()
    assert procedure.role_b.ownership == "managed"
    response = admin_client.post(address, hidden(page))
    new = ProvisioningRun.objects.latest("pk")
    assert new.pk > stopped.pk and response["Location"] == reverse("run", args=[new.pk])
    procedure.role_b.refresh_from_db()
    assert procedure.role_b.ownership == "adopted"


# --- ending a group, retiring a role or an account ---


@pytest.mark.parametrize("what", ["usergroup_end", "iamrole_retire", "awsaccount_retire"])
def test_ending_all_of_it_asks_with_the_plan_and_the_people(
    what: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    row: Any = {"usergroup": procedure.group, "iamrole": procedure.role_b, "awsaccount": procedure.account_b}[
        what.partition("_")[0]
    ]
    address = reverse(f"admin:roles_{what}", args=[row.pk])
    page = admin_client.get(address).content.decode()
    assert "End access of 1 person" in page
    assert "bob can no longer read or write to example-data." in page
    before = rows()
    assert admin_client.post(address, {**hidden(page), "expected_plan": "e" * 64}).status_code == 409
    assert rows() == before
    assert admin_client.post(address, {**hidden(page), "reason": "over"}).status_code == 302
    assert rows() != before


def test_a_group_that_has_ended_has_no_members_and_offers_no_end(
    procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    page_of_group = reverse("admin:roles_usergroup_change", args=[procedure.group.pk])
    address = reverse("admin:roles_usergroup_end", args=[procedure.group.pk])
    assert address in admin_client.get(page_of_group).content.decode()
    admin_client.post(address, hidden(admin_client.get(address).content.decode()))
    assert not Membership.objects.open().exists()
    assert address not in admin_client.get(page_of_group).content.decode()
    assert "There is nothing to end." in admin_client.get(address, follow=True).content.decode()
