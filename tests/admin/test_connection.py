"""The way into an account in the admin: testing it, what its owner is given, the offer while connecting a bucket."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roles.admin import accounts
from roles.models import AuditEvent, AwsAccount, User
from roles.operations import test_connection as operation
from roles.provisioning import for_owners
from roles.provisioning.connection import ConnectionReport, Permission, Verdict
from roles.provisioning.remarks import Remark, Tone
from tests import factories
from tests.admin.conftest import SignedIn, hidden
from tests.admin.test_connect import FILLED, PAGE, PREVIEW

ROLE = "arn:aws:iam::222222222222:role/MyRoleB"
REPORT = ConnectionReport(
    "222222222222",
    "arn:aws:sts::222222222222:assumed-role/xacct-provisioner/xacct-portal",
    (
        Remark("identity.found", Tone.GOOD, "The portal gets in, as somebody."),
        Remark("clock", Tone.BAD, "The clock is off.", "Set it."),
    ),
    (
        Permission("iam:CreateRole", ROLE, "create a role", Verdict.MISSING),
        Permission("iam:TagRole", ROLE, "mark a role", Verdict.UNKNOWN),
        Permission("iam:GetRole", ROLE, "read a role", Verdict.ALLOWED),
    ),
)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[AwsAccount]:
    """The accounts whose way in was tried."""
    asked: list[AwsAccount] = []

    def try_connection(account: AwsAccount) -> ConnectionReport:
        asked.append(account)
        return REPORT

    monkeypatch.setattr(operation, "try_connection", try_connection)
    return asked


def change_page(client: Client, account: AwsAccount) -> str:
    return client.get(reverse("admin:roles_awsaccount_change", args=[account.pk])).content.decode()


def address_of(account: AwsAccount) -> str:
    return reverse("admin:roles_awsaccount_test", args=[account.pk])


# --- refused ---


def test_an_auditor_may_not_test_and_has_no_button(
    signed_in: SignedIn, audrey: User, procedure: factories.Procedure, tried: list[AwsAccount]
) -> None:
    client = signed_in(audrey)
    assert "Test connection" not in change_page(client, procedure.account_b)
    assert client.post(address_of(procedure.account_b)).status_code == 403
    assert tried == []
    assert AuditEvent.objects.filter(code="access.denied", actor_name="audrey").exists()


def test_a_handoff_account_has_no_test_and_no_provisioner(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    page = change_page(signed_in(alice), procedure.account_b)
    assert "Test connection" not in page
    assert reverse("provisioner_documents", args=["222222222222"]) not in page
    assert reverse("account_documents", args=["222222222222"]) in page


def test_an_ambient_account_has_a_test_but_no_provisioner(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    page = change_page(signed_in(alice), procedure.account_a)
    assert address_of(procedure.account_a) in page
    assert "provisioner-of" not in page


# --- testing ---


def test_what_was_found_is_shown_in_the_accounts_page(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure, tried: list[AwsAccount]
) -> None:
    client = signed_in(alice)
    page = change_page(client, procedure.account_b)
    assert 'hx-indicator="#connection-progress"' in page
    assert reverse("provisioner_documents", args=["222222222222"]) in page
    part = html.unescape(client.post(address_of(procedure.account_b), headers={"HX-Request": "true"}).content.decode())
    assert tried == [procedure.account_b]
    assert "<html" not in part
    assert "The portal gets in, as somebody." in part
    assert "The clock is off." in part and "Set it." in part
    assert f"iam:CreateRole on {ROLE}, to create a role." in part
    assert part.index("Missing") < part.index("Unknown") < part.index("Allowed")
    assert "example-external-id" not in part


def test_without_a_script_it_is_a_page(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure, tried: list[AwsAccount]
) -> None:
    page = signed_in(alice).post(address_of(procedure.account_b)).content.decode()
    assert "<html" in page
    assert "The clock is off." in page
    assert reverse("admin:roles_awsaccount_change", args=[procedure.account_b.pk]) in page


def test_groups_without_a_permission_are_not_shown() -> None:
    only = ConnectionReport("222222222222", permissions=REPORT.permissions[:1])
    assert [heading for heading, _, _ in accounts._groups(only)] == ["Missing: the portal cannot do this"]


# --- connecting a bucket of an unknown account ---


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(for_owners.sts, "caller_arn", lambda **_: "arn:aws:iam::111111111111:user/xacct-portal")


def download(client: Client, form: str = "cli", **typed: str) -> Any:
    return client.post(reverse("admin:connect_bucket_provisioner", args=[form]), {**FILLED, **typed})


@pytest.mark.parametrize(
    "typed", [{"target_account_id": ""}, {"target_external_id": ""}, {"bucket": ""}, {"target_access_mode": "handoff"}]
)
def test_without_what_the_documents_need_there_are_none(
    typed: dict[str, str], signed_in: SignedIn, alice: User
) -> None:
    response = download(signed_in(alice), **typed)
    assert response.status_code == 409
    assert "Fill in the bucket" in response.content.decode()


def test_no_other_form_is_given(signed_in: SignedIn, alice: User) -> None:
    assert download(signed_in(alice), form="is_empty").status_code == 409


def test_an_account_that_is_known_is_not_offered_again(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    client = signed_in(alice)
    assert "let the portal in" not in client.post(reverse(PREVIEW), FILLED).content.decode()
    assert download(client).status_code == 409


def test_the_owner_of_an_unknown_account_is_offered_the_provisioner_role(signed_in: SignedIn, alice: User) -> None:
    client = signed_in(alice)
    page = client.post(reverse(PREVIEW), FILLED).content.decode()
    assert "let the portal in" in page
    assert reverse("admin:connect_bucket_provisioner", args=["terraform"]) in page
    unready = client.post(reverse(PREVIEW), {**FILLED, "bucket": ""}).content.decode()
    assert "let the portal in" in unready
    assert reverse("admin:connect_bucket_provisioner", args=["terraform"]) not in unready


def test_its_file_is_limited_to_what_is_typed_and_nothing_is_written(signed_in: SignedIn, alice: User) -> None:
    response = download(signed_in(alice))
    assert response["Content-Disposition"] == 'attachment; filename="xacct-provisioner-222222222222.sh"'
    text = response.content.decode()
    for part in (ROLE, "arn:aws:s3:::example-data", "example-external-id", "user/xacct-portal"):
        assert part in text
    assert not AwsAccount.objects.exists()


def test_an_external_id_is_there_before_anything_is_saved(signed_in: SignedIn, alice: User) -> None:
    first, second = (signed_in(alice).get(reverse(PAGE)).context["form"] for _ in range(2))
    ids = {form.initial[f"{side}_external_id"] for form in (first, second) for side in ("source", "target")}
    assert len(ids) == 4


def test_an_account_that_is_not_assumed_keeps_no_external_id(signed_in: SignedIn, alice: User) -> None:
    client = signed_in(alice)
    page = client.post(reverse(PAGE), {**FILLED, "source_external_id": "made-for-nothing"}).content.decode()
    client.post(reverse(PAGE), {**hidden(page), "step": "confirm"})
    assert AwsAccount.objects.get(account_id="111111111111").external_id == ""
    assert AwsAccount.objects.get(account_id="222222222222").external_id == "example-external-id"
