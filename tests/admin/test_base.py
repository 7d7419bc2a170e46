"""What all pages of the admin share: refusals become messages, typed values stay, denials are recorded."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse

from roles.admin import accounts, base
from roles.errors import AwsAccessDenied, Conflict, InputError, NotPermitted, PortalError
from roles.models import AuditEvent, AwsAccount, User
from tests.admin.conftest import SignedIn

TYPED = {
    "name": "bucket-owner",
    "account_id": "222222222222",
    "partition": "aws",
    "region": "us-east-1",
    "access_mode": "ambient",
    "trust_policy_characters": "2048",
    "provisioner_role_arn": "",
    "external_id": "",
}
ADD = "admin:roles_awsaccount_add"


def _refuse_with(monkeypatch: pytest.MonkeyPatch, error: PortalError) -> None:
    def refuse(*, actor: User, **_wish: Any) -> None:
        AwsAccount.objects.create(account_id="999999999999", name="left-behind", access_mode="ambient")
        raise error

    monkeypatch.setattr(accounts, "save_account", refuse)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotPermitted("alice may not do this.", rule="accounts.manage"), 403),
        (Conflict("Somebody else changed it.", hint="Look again."), 409),
        (InputError("That is not a name.", field="name", allowed="letters"), 400),
    ],
)
def test_a_refusal_by_an_operation_is_shown_and_nothing_typed_is_lost(
    error: PortalError, status: int, monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User
) -> None:
    _refuse_with(monkeypatch, error)
    response = signed_in(alice).post(reverse(ADD), TYPED)
    page = response.content.decode()
    assert response.status_code == status
    assert error.message in page
    assert 'value="222222222222"' in page
    assert "was added successfully" not in page


def test_a_refusal_undoes_what_the_operation_had_written(
    monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User
) -> None:
    _refuse_with(monkeypatch, Conflict("Somebody else changed it."))
    signed_in(alice).post(reverse(ADD), TYPED)
    assert not AwsAccount.objects.exists()


def test_a_denial_by_an_operation_is_in_the_history_although_its_transaction_is_gone(
    monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User
) -> None:
    _refuse_with(monkeypatch, NotPermitted("alice may not do this.", rule="accounts.manage"))
    signed_in(alice).post(reverse(ADD), TYPED)
    event = AuditEvent.objects.get(code="access.denied")
    assert (event.actor_name, event.details["rule"]) == ("alice", "accounts.manage")


def test_a_conflict_is_no_denial(monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User) -> None:
    _refuse_with(monkeypatch, Conflict("Somebody else changed it."))
    signed_in(alice).post(reverse(ADD), TYPED)
    assert not AuditEvent.objects.filter(code="access.denied").exists()


def test_a_refusal_that_names_a_field_stands_at_the_field(
    monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User
) -> None:
    _refuse_with(monkeypatch, InputError("That is not a name.", field="name", allowed="letters"))
    response = signed_in(alice).post(reverse(ADD), TYPED)
    assert response.context["adminform"].form.errors == {"name": ["That is not a name. Allowed: letters."]}


def test_an_input_that_cannot_be_right_never_reaches_the_operation(
    monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User
) -> None:
    _refuse_with(monkeypatch, Conflict("It was called."))
    response = signed_in(alice).post(reverse(ADD), {**TYPED, "account_id": "123"})
    errors = response.context["adminform"].form.errors
    assert "exactly 12 digits" in errors["account_id"][0]
    assert "It was called." not in response.content.decode()


def test_what_is_saved_is_saved_by_the_operation_and_for_whom_asked(
    monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn, alice: User
) -> None:
    asked: list[User] = []

    def save(*, actor: User, account: AwsAccount) -> AwsAccount:
        asked.append(actor)
        account.save()
        return account

    monkeypatch.setattr(accounts, "save_account", save)
    with transaction.atomic():
        response = signed_in(alice).post(reverse(ADD), TYPED)
    assert response.status_code == 302
    assert asked == [alice, alice]  # once to see what it would do, once for real
    assert AwsAccount.objects.get().account_id == "222222222222"


def test_text_of_an_error_says_what_happened_what_to_do_and_what_aws_said() -> None:
    error = AwsAccessDenied("AWS refused.", hint="Allow iam:PutRolePolicy.", aws_code="AccessDenied", request_id="7f3c")
    assert base.text_of(error) == "AWS refused. Allow iam:PutRolePolicy. (AccessDenied, request 7f3c)"


def test_history_of_a_thing_is_its_events(signed_in: SignedIn, audrey: User, procedure: Any) -> None:
    address = reverse("admin:roles_bucket_history", args=[procedure.bucket.pk])
    response = signed_in(audrey).get(address, follow=True)
    assert response.status_code == 200
    assert response.request["PATH_INFO"] == reverse("admin:roles_auditevent_changelist")


def test_nobody_deletes_not_even_a_superuser(signed_in: SignedIn, alice: User, procedure: Any) -> None:
    alice.is_superuser = True
    alice.save()
    address = reverse("admin:roles_bucket_delete", args=[procedure.bucket.pk])
    assert signed_in(alice).post(address, {"post": "yes"}).status_code == 403


def test_history_is_read_only_for_superusers_too(signed_in: SignedIn, alice: User) -> None:
    alice.is_superuser = True
    alice.save()
    assert signed_in(alice).get(reverse("admin:roles_auditevent_add")).status_code == 403
