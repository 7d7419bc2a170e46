"""Connect a bucket: validation as one types, the documents beside the form, and creating everything."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from roles.admin import connect
from roles.errors import Conflict
from roles.models import AwsAccount, User
from tests import factories
from tests.admin.conftest import SignedIn

PAGE = "admin:connect_bucket"
PREVIEW = "admin:connect_bucket_preview"
FILLED = {
    "source_account_id": "111111111111",
    "source_role": "MyRoleA",
    "source_access_mode": "ambient",
    "target_account_id": "222222222222",
    "target_role": "MyRoleB",
    "target_access_mode": "assume-role",
    "target_provisioner_role_arn": "arn:aws:iam::222222222222:role/xacct-provisioner",
    "target_external_id": "example-external-id",
    "attribution": "on",
    "bucket": "example-data",
    "region": "us-east-1",
    "prefix": "",
    "access": "READWRITE",
    "new_group": "analysts",
}


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("source_account_id", "1234", "exactly 12 digits"),
        ("source_role", "My Role", "not a valid IAM role name"),
        ("target_role", "x" * 65, "1 to 64"),
        ("target_provisioner_role_arn", "arn:aws:iam::222222222222:user/me", "not the ARN of an IAM role"),
        ("target_external_id", "a b", "not a valid external id"),
        ("bucket", "Example_Data", "3 to 63 lowercase letters"),
        ("bucket", "192.168.1.1", "IP address"),
        ("region", "somewhere", "not an AWS region"),
        ("prefix", "/team", "not a usable prefix"),
        ("prefix", "team/*", "not a usable prefix"),
    ],
)
def test_an_error_is_said_at_its_field_while_typing(
    field: str, typed: str, says: str, signed_in: SignedIn, alice: User
) -> None:
    page = signed_in(alice).post(reverse(PREVIEW), {field: typed}).content.decode()
    assert says in page.partition(f'id="error-{field}"')[2].partition("</div>")[0]


def test_fields_that_are_still_empty_are_not_complained_about_while_typing(signed_in: SignedIn, alice: User) -> None:
    page = signed_in(alice).post(reverse(PREVIEW), {"bucket": "example-data"}).content.decode()
    assert "This field is required" not in page


def test_what_is_typed_wrong_never_reaches_a_document(signed_in: SignedIn, alice: User) -> None:
    page = signed_in(alice).post(reverse(PREVIEW), {"bucket": "<script>"}).content.decode()
    assert "<script>" not in page
    assert "&lt;s3-bucket-name&gt;" in page


def test_documents_carry_what_is_valid_and_placeholders_for_the_rest(signed_in: SignedIn, alice: User) -> None:
    typed = {"target_account_id": "222222222222", "target_role": "MyRoleB"}
    page = signed_in(alice).post(reverse(PREVIEW), typed).content.decode()
    assert "arn:aws:iam::222222222222:role/MyRoleB" in page
    assert "arn:aws:iam::&lt;deployment-acct-id&gt;:role/MyRoleA" in page


def test_all_six_documents_are_beside_the_empty_form(signed_in: SignedIn, alice: User) -> None:
    page = signed_in(alice).get(reverse(PAGE)).content.decode()
    assert all(f"Step {number}<" in page for number in range(1, 7))


def test_the_region_decides_the_partition(signed_in: SignedIn, alice: User) -> None:
    page = signed_in(alice).post(reverse(PREVIEW), {**FILLED, "region": "cn-north-1"}).content.decode()
    assert "arn:aws-cn:iam::222222222222:role/MyRoleB" in page


def test_typing_writes_nothing(signed_in: SignedIn, alice: User) -> None:
    signed_in(alice).post(reverse(PREVIEW), FILLED)
    assert not AwsAccount.objects.exists()


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"new_group": ""}, "group", "Choose a user group"),
        ({"target_provisioner_role_arn": ""}, "target_provisioner_role_arn", "needs the provisioner role"),
        (
            {"target_provisioner_role_arn": "arn:aws:iam::333333333333:role/other"},
            "target_provisioner_role_arn",
            "not in account 222222222222",
        ),
        ({"bucket": ""}, "bucket", "required"),
    ],
)
@pytest.mark.usefixtures("_untouched")
def test_an_incomplete_form_is_shown_again_with_everything_typed(
    change: dict[str, str], field: str, says: str, signed_in: SignedIn, alice: User
) -> None:
    response = signed_in(alice).post(reverse(PAGE), {**FILLED, **change})
    assert says in response.context["form"].errors[field][0]
    assert 'value="MyRoleA"' in response.content.decode()


@pytest.fixture
def _untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if the operation is called."""
    monkeypatch.setattr(connect.operation, "connect_bucket", _must_not_be_called)


def _must_not_be_called(**_wish: Any) -> None:
    raise AssertionError("The operation was called.")


def test_a_known_account_needs_no_provisioner_role_again(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    page = signed_in(alice).post(reverse(PREVIEW), {**FILLED, "target_provisioner_role_arn": ""})
    assert page.context["errors"]["target_provisioner_role_arn"] == []


@pytest.mark.usefixtures("_untouched")
def test_a_group_is_chosen_or_named_not_both(signed_in: SignedIn, alice: User, procedure: factories.Procedure) -> None:
    response = signed_in(alice).post(reverse(PAGE), {**FILLED, "group": procedure.group.pk})
    assert "not both" in response.context["form"].errors["new_group"][0]


def test_a_refusal_is_shown_above_the_form(signed_in: SignedIn, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_wish: Any) -> None:
        raise Conflict("That bucket is in another account.", hint="Look at it.")

    monkeypatch.setattr(connect.operation, "connect_bucket", refuse)
    response = signed_in(alice).post(reverse(PAGE), FILLED)
    assert response.status_code == 409
    assert "That bucket is in another account. Look at it." in response.content.decode()
    assert 'value="example-data"' in response.content.decode()
