"""Lists and pages cost the same number of queries, however many rows there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from roles.history.recorder import record
from roles.models import IssuedToken, User
from tests import factories
from tests.admin.conftest import SignedIn

LISTS = (
    "awsaccount",
    "iamrole",
    "bucket",
    "assumerolegrant",
    "bucketgrant",
    "usergroup",
    "grouprole",
    "user",
    "provisioningrun",
    "issuedtoken",
    "auditevent",
)


def _fill(world: factories.Procedure, rows: int) -> None:
    for _ in range(rows):
        role = factories.IamRoleFactory()
        factories.AssumeRoleGrantFactory(source=role, target=world.role_b)
        factories.BucketGrantFactory(role=factories.IamRoleFactory())
        mapping = factories.GroupRoleFactory(group=world.group, role=role)
        factories.GroupRoleFactory(role=role)
        factories.ProvisioningRunFactory(role=role, mapping=mapping)
        member = factories.MembershipFactory(group=world.group)
        IssuedToken.objects.create(
            user=member.user,
            mapping=mapping,
            access_key_id=f"ASIA{mapping.pk}",
            cache_key=str(mapping.pk),
            expires_at="2099-01-01T00:00:00Z",
        )
        record("mapping.added", actor=member.user, subject=mapping)


def _queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


@pytest.mark.parametrize("model", LISTS)
def test_a_list_costs_the_same_with_more_rows(
    model: str, signed_in: SignedIn, audrey: User, procedure: factories.Procedure
) -> None:
    client, address = signed_in(audrey), reverse(f"admin:roles_{model}_changelist")
    _fill(procedure, 2)
    few = _queries(client, address)
    _fill(procedure, 5)
    assert _queries(client, address) == few


@pytest.mark.parametrize("page", ["usergroup", "iamrole", "bucket", "grouprole", "index", "mapped_roles"])
def test_a_page_costs_the_same_with_more_behind_it(
    page: str, signed_in: SignedIn, alice: User, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    addresses = {
        "usergroup": reverse("admin:roles_usergroup_change", args=[procedure.group.pk]),
        "iamrole": reverse("admin:roles_iamrole_change", args=[procedure.role_b.pk]),
        "bucket": reverse("admin:roles_bucket_change", args=[procedure.bucket.pk]),
        "grouprole": reverse("admin:roles_grouprole_change", args=[mapping.pk]),
        "mapped_roles": reverse("admin:roles_usergroup_mapped_roles", args=[procedure.group.pk]),
        "index": reverse("admin:index"),
    }
    client = signed_in(alice)
    _fill(procedure, 2)
    few = _queries(client, addresses[page])
    _fill(procedure, 5)
    assert _queries(client, addresses[page]) == few
