"""What is confirmed without its plan was never seen: the plan is shown and nothing is done."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, Membership, User
from tests import factories
from tests.admin.conftest import hidden, provisioned
from tests.admin.test_confirming import CONNECT, SAVED, rows, saving
from tests.strict_aws.watched import WatchedAws

UNSEEN = "Nobody has looked at the plan of this."


@pytest.fixture
def mapping(aws: WatchedAws, procedure: factories.Procedure) -> GroupRole:
    """The procedure, provisioned."""
    return provisioned(procedure.map())


@pytest.mark.parametrize("what", SAVED)
def test_a_plan_that_nobody_looked_at_is_shown_and_nothing_saved(
    what: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    address, typed = saving(procedure, mapping, what)
    before = rows()
    response = admin_client.post(address, {**typed, "step": "confirm"})
    assert (response.status_code, UNSEEN in response.content.decode()) == (409, True)
    assert rows() == before
    assert admin_client.post(address, {**hidden(response.content.decode()), "step": "confirm"}).status_code == 302
    assert rows() != before


@pytest.mark.parametrize("what", ["admin:roles_grouprole_add", "admin:connect_bucket"])
def test_a_role_is_not_mapped_and_no_bucket_connected_without_a_look(
    what: str, aws: WatchedAws, admin_client: Client, alice: User
) -> None:
    typed: dict[str, Any] = CONNECT
    if what.endswith("grouprole_add"):
        world = factories.Procedure()
        typed = {"group": world.group.pk, "role": world.role_a.pk, "access": "READWRITE"}
    before = rows()
    response = admin_client.post(reverse(what), {**typed, "step": "confirm"})
    assert (response.status_code, UNSEEN in response.content.decode()) == (409, True)
    assert rows() == before
    assert admin_client.post(reverse(what), {**hidden(response.content.decode()), "step": "confirm"}).status_code == 302
    assert rows() != before


@pytest.mark.parametrize(
    "what",
    [
        *("grouprole_remove", "usergroup_end", "usergroup_disable", "usergroup_remove_member", "iamrole_retire"),
        *(
            "awsaccount_retire",
            "awsaccount_disable",
            "user_deactivate",
            "bucketgrant_end_confirm",
            "assumerolegrant_end_confirm",
        ),
    ],
)
def test_what_is_asked_is_not_done_without_a_look(
    what: str, procedure: factories.Procedure, mapping: GroupRole, admin_client: Client
) -> None:
    named: dict[str, Any] = {
        "grouprole": mapping,
        "usergroup": procedure.group,
        "iamrole": procedure.role_b,
        "awsaccount": procedure.account_b,
        "user": procedure.bob,
        "bucketgrant": BucketGrant.objects.get(),
        "assumerolegrant": AssumeRoleGrant.objects.get(),
    }
    args = [named[what.partition("_")[0]].pk]
    if what.endswith("member"):
        args.append(Membership.objects.get().pk)
    address = reverse(f"admin:roles_{what}", args=args)
    before = rows()
    response = admin_client.post(address, {"reason": "over", "step": "confirm"})
    assert (response.status_code, UNSEEN in response.content.decode()) == (409, True)
    assert rows() == before
    sent = {"reason": "over", **hidden(response.content.decode()), "step": "confirm"}
    assert admin_client.post(address, sent).status_code == 302
    assert rows() != before
