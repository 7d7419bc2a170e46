"""Roles and buckets show how full their documents are, in words and as a bar."""

from __future__ import annotations

import pytest
from django.urls import reverse

from roles.models import User
from tests import factories
from tests.admin.conftest import SignedIn


@pytest.mark.parametrize(("model", "name"), [("iamrole", "Inline policy"), ("bucket", "Bucket policy")])
def test_a_page_says_how_full_its_documents_are(
    model: str, name: str, signed_in: SignedIn, audrey: User, procedure: factories.Procedure
) -> None:
    row = procedure.bucket if model == "bucket" else procedure.role_a
    page = signed_in(audrey).get(reverse(f"admin:roles_{model}_change", args=[row.pk])).content.decode()
    assert name in page and f'aria-label="{name}: ' in page
    assert "<meter" in page and "does not fit" not in page


def test_a_document_that_would_not_fit_says_so(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    for number in range(45):
        source = factories.IamRoleFactory(account=procedure.account_a, name=f"Source{number}")
        factories.AssumeRoleGrantFactory(source=source, target=procedure.role_b)
    page = signed_in(alice).get(reverse("admin:roles_iamrole_change", args=[procedure.role_b.pk])).content.decode()
    assert "does not fit" in page


def test_a_buckets_form_offers_to_place_its_grants_in_the_roles_with_what_that_costs(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    page = signed_in(alice).get(reverse("admin:roles_bucket_change", args=[procedure.bucket.pk])).content.decode()
    assert "grants_in_identity_policy" in page and "no longer sees who may use it" in page
    assert signed_in(alice).get(reverse("admin:roles_bucket_add")).status_code == 200


def test_who_may_not_change_buckets_is_not_offered_it(
    signed_in: SignedIn, audrey: User, procedure: factories.Procedure
) -> None:
    page = signed_in(audrey).get(reverse("admin:roles_bucket_change", args=[procedure.bucket.pk])).content.decode()
    assert 'name="grants_in_identity_policy"' not in page


def test_a_bucket_whose_key_is_elsewhere_says_what_its_owner_has_to_add(
    signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    address = reverse("admin:roles_bucket_change", args=[procedure.bucket.pk])
    assert "its owner has to act" not in signed_in(alice).get(address).content.decode()
    procedure.bucket.kms_key_arn = "arn:aws:kms:us-east-1:333333333333:key/11111111-2222-3333-4444-555555555555"
    procedure.bucket.save()
    page = signed_in(alice).get(address).content.decode()
    assert "its owner has to act" in page and "kms:GenerateDataKey" in page


def test_the_form_of_a_grant_offers_to_clean_up_uploads_with_what_that_shows(signed_in: SignedIn, alice: User) -> None:
    page = signed_in(alice).get(reverse("admin:roles_bucketgrant_add")).content.decode()
    assert 'name="multipart_cleanup"' in page and "the unfinished uploads of the bucket" in page
