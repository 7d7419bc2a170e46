"""What an account's owner is given, from the database as it is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from roles.errors import AwsAccessDenied, InputError, PolicyError
from roles.models import AwsAccount, GroupRole
from roles.provisioning import for_owners
from roles.provisioning.for_owners import (
    asked_of,
    documents_for_owner,
    documents_of_provisioner,
    provisioning_principal,
    waiting_for,
)
from roles.provisioning.owners import RETRIED
from roles.provisioning.scope import provisioner_scope
from tests import factories
from tests.provisioning.conftest import ROLE_B, queued, reconciled, unmap
from tests.strict_aws.watched import PORTAL, WatchedAws

pytestmark = pytest.mark.django_db


@pytest.fixture
def handed(procedure: factories.Procedure) -> factories.Procedure:
    """The procedure's world, with the bucket's account in its owner's hands."""
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    return procedure


def another(world: factories.Procedure, source: str, target: str) -> GroupRole:
    """Map a second source role that reaches the same bucket by way of another role of its account."""
    role = factories.IamRoleFactory(account=world.account_a, name=source)
    holder = factories.IamRoleFactory(account=world.account_b, name=target)
    factories.AssumeRoleGrantFactory(source=role, target=holder)
    factories.AssumeRoleGrantFactory(source=role, target=world.role_b)
    factories.BucketGrantFactory(role=holder, bucket=world.bucket, prefix="team/")
    mapping: GroupRole = factories.GroupRoleFactory(group=world.group, role=role)
    return mapping


def documents(account: AwsAccount) -> list[dict[str, Any]]:
    """Return the JSON documents of the console instructions."""
    blocks = re.findall(r"```json\n(.*?)```", documents_for_owner(account).console.text, flags=re.DOTALL)
    return [json.loads(block) for block in blocks]


def principals(found: list[dict[str, Any]], sid: str) -> list[str]:
    """Return whom the statement of that Sid names."""
    return [
        name
        for document in found
        for one in document["Statement"]
        if one["Sid"] == sid
        for name in one["Principal"]["AWS"]
    ]


# --- nothing ---


def test_an_account_that_no_run_was_about_has_nothing_to_do(handed: factories.Procedure) -> None:
    assert documents_for_owner(handed.account_b).is_empty


def test_a_role_whose_own_part_failed_is_not_named_to_the_owner(aws: WatchedAws, handed: factories.Procedure) -> None:
    aws.fail_always["create_role"] = AwsAccessDenied("No.", aws_code="AccessDenied")
    assert reconciled(handed.map()).status == "failed"
    assert documents_for_owner(handed.account_b).is_empty


def test_a_removal_that_was_confirmed_leaves_nothing_to_do(aws: WatchedAws, handed: factories.Procedure) -> None:
    mapping = handed.map()
    reconciled(mapping)
    unmap(mapping)
    reconciled(mapping)
    assert not documents_for_owner(handed.account_b).is_empty
    reconciled(mapping, trigger=RETRIED)
    assert documents_for_owner(handed.account_b).is_empty
    assert waiting_for(handed.account_b) == []


def test_a_scope_without_anything_has_no_provisioner(aws: WatchedAws) -> None:
    account = factories.AwsAccountFactory(
        access_mode="assume-role", provisioner_role_arn="arn:aws:iam::300000000099:role/p", account_id="300000000099"
    )
    account.external_id = "an-id"
    with pytest.raises(PolicyError, match="no role and no bucket"):
        documents_of_provisioner(account.access(), provisioner_scope(account))


def test_without_an_external_id_there_is_no_provisioner(aws: WatchedAws, procedure: factories.Procedure) -> None:
    procedure.account_b.external_id = ""
    with pytest.raises(InputError, match="external id"):
        documents_of_provisioner(procedure.account_b.access(), provisioner_scope(procedure.account_b))


# --- documents ---


def test_the_documents_of_a_mapping_are_those_of_its_account_only(aws: WatchedAws, handed: factories.Procedure) -> None:
    reconciled(handed.map())
    found = documents_for_owner(handed.account_b)
    for form in (found.cloudformation, found.terraform, found.cli, found.console):
        assert "MyRoleB" in form.text
        assert "XacctAssume" not in form.text


def test_a_role_whose_run_is_under_way_is_in_when_asked_for(handed: factories.Procedure) -> None:
    queued(handed.map())
    assert documents_for_owner(handed.account_b).is_empty
    assert not documents_for_owner(handed.account_b, handed.role_a).is_empty


def test_what_several_roles_wait_for_is_in_one_document(aws: WatchedAws, handed: factories.Procedure) -> None:
    reconciled(handed.map())
    reconciled(another(handed, "MyRoleC", "MyRoleD"))
    found = documents(handed.account_b)
    named = principals(found, "XacctTrust")
    assert {name.rpartition("/")[2] for name in named} == {"MyRoleA", "MyRoleC"}
    objects = [one for document in found for one in document["Statement"] if one["Sid"].startswith("XacctBucketObj")]
    assert {one["Principal"]["AWS"][0].rpartition("/")[2] for one in objects} == {"MyRoleB", "MyRoleD"}
    assert len(objects) == 2


def test_statements_of_one_sid_are_put_together_with_all_their_principals() -> None:
    one = for_owners.Statement({"Sid": "XacctTrust", "Principal": {"AWS": ["b", "a"]}})
    other = for_owners.Statement({"Sid": "XacctTrust", "Principal": {"AWS": ["c", "a"]}})
    assert for_owners._both(one, other).body["Principal"] == {"AWS": ["a", "b", "c"]}
    assert for_owners._both(one, one) is one


def test_the_run_says_whom_it_waits_for(aws: WatchedAws, handed: factories.Procedure) -> None:
    run = reconciled(handed.map())
    (asked,) = asked_of(run)
    assert (asked.account, asked.steps, asked.is_word) == (handed.account_b, 3, False)
    assert waiting_for(handed.account_b) == [run]
    assert waiting_for(handed.account_a) == []


def test_a_removal_is_taken_at_ones_word(aws: WatchedAws, handed: factories.Procedure) -> None:
    mapping = handed.map()
    reconciled(mapping)
    unmap(mapping)
    (asked,) = asked_of(reconciled(mapping))
    assert asked.is_word


# --- the provisioner role ---


def test_the_provisioner_trusts_the_portals_identity_with_the_accounts_id(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    found = documents_of_provisioner(procedure.account_b.access(), provisioner_scope(procedure.account_b))
    for form in (found.cloudformation, found.terraform, found.cli, found.console):
        assert PORTAL in form.text
        assert "example-external-id" in form.text
        assert "xacct-provisioner" in form.text
    assert ROLE_B in found.console.text


@pytest.mark.parametrize(
    ("configured", "named"),
    [
        ([], "arn:aws:iam::111111111111:role/portal"),
        (["arn:aws:iam::111111111111:role/services/portal"], "arn:aws:iam::111111111111:role/services/portal"),
        (["arn:aws:iam::111111111111:role/services/tokens"], "arn:aws:iam::111111111111:role/portal"),
        (["arn:aws:iam::111111111111:user/portal"], "arn:aws:iam::111111111111:role/portal"),
    ],
)
def test_a_role_under_a_path_is_known_by_the_setting(
    configured: list[str], named: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.XACCT_PORTAL_PRINCIPALS = configured
    caller = "arn:aws:sts::111111111111:assumed-role/portal/i-0123"
    monkeypatch.setattr(for_owners.sts, "caller_arn", lambda **_: caller)
    assert provisioning_principal("us-east-1") == named
