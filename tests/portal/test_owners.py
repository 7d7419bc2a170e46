"""What account owners are given: pages for those who see runs, files for the owners, and Verify."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from roles.errors import AwsUnreachable
from roles.models import GroupRole, ProvisioningRun, ProvisioningStep, User
from roles.models.choices import RunStatus, StepStatus
from roles.provisioning import for_owners
from roles.provisioning.recording import OWNER_PROVES, OWNER_TELLS
from tests.factories import Procedure, ProvisioningRunFactory
from tests.portal.conftest import signed_in

PORTAL = "arn:aws:iam::111111111111:user/xacct-portal"
B = "222222222222"
FORMS = ("cloudformation", "terraform", "cli", "console")
KINDS = {
    "cloudformation": ("application/yaml; charset=utf-8", "yaml"),
    "terraform": ("text/plain; charset=utf-8", "tf"),
    "cli": ("text/x-shellscript; charset=utf-8", "sh"),
    "console": ("text/markdown; charset=utf-8", "md"),
}


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(for_owners.sts, "caller_arn", lambda **_: PORTAL)


@pytest.fixture
def handed(procedure: Procedure, mapping: GroupRole) -> Procedure:
    """The procedure's world with Account B in its owner's hands."""
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    return procedure


@pytest.fixture
def waiting(handed: Procedure, mapping: GroupRole) -> ProvisioningRun:
    """A run whose steps in Account B need the owner."""
    ago = timezone.now() - timedelta(minutes=2)
    run: ProvisioningRun = ProvisioningRunFactory(
        role=mapping.role, mapping=mapping, status=RunStatus.NEEDS_OWNER, finished_at=ago
    )
    for number in (4, 5, 6):
        a_step(run, number)
    return run


def a_step(run: ProvisioningRun, number: int, hint: str = OWNER_PROVES, account: str = B) -> ProvisioningStep:
    return ProvisioningStep.objects.create(
        run=run,
        attempt=run.attempts,
        sequence=number,
        step=number,
        account_id=account,
        resource=f"arn:aws:iam::{account}:role/MyRoleB",
        title=f"Step {number} of MyRoleB",
        action="update",
        status=StepStatus.NEEDS_OWNER,
        hint=hint,
    )


def shown(user: User, name: str, *arguments: object) -> str:
    return html.unescape(signed_in(user).get(reverse(name, args=arguments)).content.decode())


# --- refused ---


@pytest.mark.parametrize("form", ["", "cli"])
def test_a_member_of_the_group_sees_no_documents(form: str, waiting: ProvisioningRun, bob: User) -> None:
    more = [form] if form else []
    names = ("run_document", "account_document") if form else ("run_documents", "account_documents")
    for name, of in zip(names, ([waiting.pk, B], [B]), strict=True):
        response = signed_in(bob).get(reverse(name, args=[*of, *more]))
        assert response.status_code == 404
        assert b"XacctTrust" not in response.content


def test_who_maps_roles_sees_them_without_reading_the_history(waiting: ProvisioningRun, charlie: User) -> None:
    assert signed_in(charlie).get(reverse("account_documents", args=[B])).status_code == 404
    charlie.user_permissions.add(Permission.objects.get(codename="change_grouprole"))
    assert "XacctTrust" in shown(User.objects.get(pk=charlie.pk), "account_documents", B)


def test_an_auditor_sees_the_documents_and_cannot_verify(waiting: ProvisioningRun, audrey: User) -> None:
    page = shown(audrey, "account_documents", B)
    assert "XacctTrust" in page
    assert reverse("run_retry", args=[waiting.pk]) not in page
    assert signed_in(audrey).post(reverse("run_retry", args=[waiting.pk])).status_code == 403


def test_an_account_that_the_run_is_not_about_has_no_page_there(waiting: ProvisioningRun, alice: User) -> None:
    assert signed_in(alice).get(reverse("run_documents", args=[waiting.pk, "111111111111"])).status_code == 404
    assert signed_in(alice).get(reverse("account_documents", args=["999999999999"])).status_code == 404


def test_an_account_that_the_portal_writes_to_has_no_documents_for_its_owner(
    mapping: GroupRole, procedure: Procedure, alice: User
) -> None:
    response = signed_in(alice).get(reverse("account_documents", args=[B]))
    assert response.status_code == 409
    assert "writes to bucket-owner" in response.content.decode()


def test_an_account_without_a_provisioner_role_has_no_documents_of_it(handed: Procedure, alice: User) -> None:
    response = signed_in(alice).get(reverse("provisioner_documents", args=[B]))
    assert response.status_code == 409
    assert "Assume role" in response.content.decode()


def test_an_unknown_form_is_not_found(waiting: ProvisioningRun, alice: User) -> None:
    for form in ("is_empty", "pulumi"):
        assert signed_in(alice).get(reverse("account_document", args=[B, form])).status_code == 404


def test_when_the_portal_does_not_know_who_it_is_there_is_no_provisioner(
    procedure: Procedure, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(**_: object) -> str:
        raise AwsUnreachable("No answer from AWS.", hint="Try again.")

    monkeypatch.setattr(for_owners.sts, "caller_arn", silent)
    response = signed_in(alice).get(reverse("provisioner_documents", args=[B]))
    assert response.status_code == 502
    assert "No answer from AWS." in response.content.decode()


# --- pages and files ---


@pytest.mark.parametrize("name", ["run", "account"])
def test_the_page_has_all_forms_each_to_copy_and_to_download(name: str, waiting: ProvisioningRun, audrey: User) -> None:
    of = [waiting.pk, B] if name == "run" else [B]
    page = shown(audrey, f"{name}_documents", *of)
    for form in FORMS:
        assert reverse(f"{name}_document", args=[*of, form]) in page
        assert f'data-xa-copy-from="form-{form}-text"' in page
    assert "send them a file" in page


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_an_attachment_of_its_kind_with_a_plain_name(
    form: str, waiting: ProvisioningRun, audrey: User
) -> None:
    response = signed_in(audrey).get(reverse("run_document", args=[waiting.pk, B, form]))
    kind, ending = KINDS[form]
    assert response["Content-Type"] == kind
    assert response["Content-Disposition"] == f'attachment; filename="xacct-{B}.{ending}"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-store"
    assert "MyRoleB" in response.content.decode()


def test_what_a_form_leaves_out_is_said_on_the_page(waiting: ProvisioningRun, alice: User, handed: Procedure) -> None:
    handed.role_b.ownership = "adopted"
    handed.role_b.save()
    left_out = for_owners.documents_for_owner(handed.account_b).cloudformation.left_out
    assert left_out
    page = shown(alice, "account_documents", B)
    assert all(sentence in page for sentence in left_out)


def test_with_nothing_to_do_the_page_says_so_and_has_no_file(handed: Procedure, alice: User) -> None:
    assert "Nothing is left for the owner to do." in shown(alice, "account_documents", B)
    response = signed_in(alice).get(reverse("account_document", args=[B, "cli"]))
    assert response.status_code == 404


@pytest.mark.parametrize("form", FORMS)
def test_the_provisioner_role_comes_in_the_same_forms(form: str, procedure: Procedure, alice: User) -> None:
    assert reverse("provisioner_document", args=[B, form]) in shown(alice, "provisioner_documents", B)
    file = signed_in(alice).get(reverse("provisioner_document", args=[B, form]))
    assert file["Content-Disposition"] == f'attachment; filename="xacct-provisioner-{B}.{KINDS[form][1]}"'
    text = file.content.decode()
    assert PORTAL in text
    assert "example-external-id" in text


# --- the run's page ---


def test_the_run_links_to_the_documents_and_verifies(waiting: ProvisioningRun, alice: User) -> None:
    page = shown(alice, "run", waiting.pk)
    assert reverse("run_documents", args=[waiting.pk, B]) in page
    assert "bucket-owner (222222222222) has 3 documents to apply" in page
    assert "Verify" in page
    assert "Retry" not in page
    assert "also looks by itself" in page
    assert OWNER_PROVES in page


def test_what_the_portal_cannot_see_is_taken_at_ones_word(waiting: ProvisioningRun, alice: User) -> None:
    ProvisioningStep.objects.filter(step=6).update(hint=OWNER_TELLS)
    assert "it takes your word" in shown(alice, "run", waiting.pk)


def test_verifying_queues_a_run_and_says_what_happens(waiting: ProvisioningRun, alice: User) -> None:
    response = signed_in(alice).post(reverse("run_retry", args=[waiting.pk]), follow=True)
    newest = ProvisioningRun.objects.latest("pk")
    assert (newest.trigger, newest.status) == ("run.retried", "queued")
    assert "The portal uses the access now" in html.unescape(response.content.decode())


def test_a_run_that_has_a_newer_one_says_so(waiting: ProvisioningRun, audrey: User) -> None:
    newer = ProvisioningRunFactory(role=waiting.role, status=RunStatus.IN_SYNC)
    page = shown(audrey, "run", waiting.pk)
    assert f'href="{reverse("run", args=[newer.pk])}"' in page
    assert "newer run" not in shown(audrey, "run", newer.pk)


def test_the_accounts_page_lists_what_waits(waiting: ProvisioningRun, alice: User) -> None:
    page = shown(alice, "account_documents", B)
    assert f"Run {waiting.pk} of" in page
    assert reverse("run_retry", args=[waiting.pk]) in page


def test_the_run_of_an_account_that_is_not_handed_off_any_more_asks_nobody(
    waiting: ProvisioningRun, handed: Procedure, alice: User
) -> None:
    handed.account_b.access_mode = "assume-role"
    handed.account_b.provisioner_role_arn = f"arn:aws:iam::{B}:role/xacct-provisioner"
    handed.account_b.save()
    assert reverse("run_documents", args=[waiting.pk, B]) not in shown(alice, "run", waiting.pk)


# --- an order ---


@pytest.fixture
def order(waiting: ProvisioningRun, alice: User) -> ProvisioningRun:
    """An order to put back what an earlier run asked the owner for, which waits for them."""
    ours = {"Sid": "XacctTrustOld", "Effect": "Allow", "Action": "sts:AssumeRole"}
    old: ProvisioningRun = ProvisioningRunFactory(role=waiting.role, status=RunStatus.IN_SYNC)
    step = a_step(old, 5)
    ProvisioningStep.objects.filter(pk=step.pk).update(status=StepStatus.DONE, after={"Statement": [ours]})
    newer: ProvisioningRun = ProvisioningRunFactory(role=waiting.role, status=RunStatus.NEEDS_OWNER)
    found: ProvisioningRun = ProvisioningRunFactory(
        role=waiting.role, status=RunStatus.NEEDS_OWNER, purpose="put_back", puts_back=a_step(newer, 5)
    )
    a_step(found, 5, OWNER_TELLS)
    return found


def test_an_orders_documents_are_no_members_business(order: ProvisioningRun, bob: User) -> None:
    for name, more in (("run_documents", []), ("run_document", ["cli"])):
        assert signed_in(bob).get(reverse(name, args=[order.pk, B, *more])).status_code == 404
    assert signed_in(bob).post(reverse("run_retry", args=[order.pk])).status_code in (403, 404)


def test_an_order_has_documents_of_its_own_and_verify(order: ProvisioningRun, alice: User) -> None:
    run = shown(alice, "run", order.pk)
    assert reverse("run_documents", args=[order.pk, B]) in run
    assert reverse("run_retry", args=[order.pk]) in run
    page = shown(alice, "run_documents", order.pk, B)
    assert f"what run {order.puts_back.run_id} replaced" in page
    assert "XacctTrustOld" in page
    assert "The files have all that is wished for" not in page
    assert reverse("run_retry", args=[order.pk]) in page
    text = signed_in(alice).get(reverse("run_document", args=[order.pk, B, "console"])).content.decode()
    assert "XacctTrustOld" in text and "XacctBucket" not in text


def test_an_order_that_failed_is_not_tried_again(order: ProvisioningRun, alice: User) -> None:
    ProvisioningRun.objects.filter(pk=order.pk).update(status=RunStatus.FAILED)
    assert reverse("run_retry", args=[order.pk]) not in shown(alice, "run", order.pk)
