"""The pages about account owners, against an AWS that enforces: what is downloaded works, what is missing is found."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles import tasks
from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET_ACCOUNT
from roles.models import BucketGrant, GroupRole, ProvisioningRun, User
from roles.models.choices import RunStatus
from roles.operations import test_connection as operation
from roles.policies.document import Statement
from roles.policies.equivalence import same_statement
from roles.provisioning import runner
from roles.provisioning.connection import ConnectionReport
from roles.values.accounts import new_external_id
from tests import factories
from tests.sandbox.owner import Owner
from tests.sandbox.proxy import CallLog
from tests.sandbox.test_bootstrap import allow, generated, make_provisioner, without
from tests.sandbox.test_orders import ordered

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]


@pytest.fixture
def owner(aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path) -> Owner:
    """The owner of Account B, in an empty directory."""
    directory = tmp_path / "owner"
    directory.mkdir()
    return Owner(sandbox_server, directory)


@pytest.fixture
def handed(procedure: factories.Procedure, settings: Any) -> GroupRole:
    """The procedure's mapping with Account B in mode `handoff`."""
    settings.XACCT_PROPAGATION_SECONDS = 0.5  # nothing is late here; a run that needs the owner is not to wait
    account = procedure.account_b
    account.access_mode, account.provisioner_role_arn, account.external_id = "handoff", "", ""
    account.save()
    return procedure.map()


@pytest.fixture
def client(alice: User) -> Client:
    """A portal admin at a browser."""
    signed_in = Client()
    signed_in.force_login(alice)
    return signed_in


def reconcile(run: ProvisioningRun) -> str:
    """Let a worker take the run and return how it ended."""
    done = runner.reconcile(run.pk)
    assert done is not None
    return done.status


def handed_out(mapping: GroupRole) -> ProvisioningRun:
    """Return a run that waits for the owner."""
    run: ProvisioningRun = factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    assert reconcile(run) == RunStatus.NEEDS_OWNER
    return run


def download(client: Client, name: str, *arguments: object) -> str:
    """Return a file of the portal's pages."""
    return client.get(reverse(name, args=arguments)).content.decode()


def verify(client: Client, run: ProvisioningRun) -> str:
    """Press Verify, let a worker take that, and return how it ended."""
    client.post(reverse("run_retry", args=[run.pk]))
    return reconcile(ProvisioningRun.objects.latest("pk"))


# --- handoff ---


def test_verify_before_the_owner_did_anything_leaves_it_waiting(
    owner: Owner, handed: GroupRole, client: Client
) -> None:
    assert verify(client, handed_out(handed)) == RunStatus.NEEDS_OWNER


def test_the_script_downloaded_from_the_page_makes_the_mapping_work_and_verify_sees_it(
    owner: Owner, handed: GroupRole, client: Client
) -> None:
    run = handed_out(handed)
    done = owner.run(download(client, "run_document", run.pk, BUCKET_ACCOUNT, "cli"))
    assert (done.returncode, done.stderr) == (0, "")
    assert verify(client, run) == RunStatus.IN_SYNC
    handed.refresh_from_db()
    assert handed.state == "in_sync"
    statuses = ProvisioningRun.objects.latest("pk").steps.values_list("status", flat=True)
    assert set(statuses) == {"done"}


def test_the_scheduler_sees_by_itself_what_the_owner_did(owner: Owner, handed: GroupRole, client: Client) -> None:
    run = handed_out(handed)
    assert tasks.recheck_owners() == []
    ProvisioningRun.objects.update(finished_at=timezone.now() - timedelta(minutes=10))
    owner.run(download(client, "account_document", BUCKET_ACCOUNT, "cli"))
    (number,) = tasks.recheck_owners()
    assert number != run.pk
    assert reconcile(ProvisioningRun.objects.get(pk=number)) == RunStatus.IN_SYNC


def test_the_script_of_an_order_puts_back_what_was_there_and_keeps_what_others_have(
    owner: Owner, handed: GroupRole, client: Client, alice: User
) -> None:
    run = handed_out(handed)
    owner.run(download(client, "run_document", run.pk, BUCKET_ACCOUNT, "cli"))
    assert verify(client, run) == RunStatus.IN_SYNC
    before = owner.bucket_policy
    BucketGrant.objects.update(access="READ")
    lowered = handed_out(handed)
    owner.run(download(client, "run_document", lowered.pk, BUCKET_ACCOUNT, "cli"))
    assert owner.bucket_policy != before

    order = ordered(lowered.steps.get(step=6), alice)
    assert reconcile(order) == RunStatus.NEEDS_OWNER
    done = owner.run(download(client, "run_document", order.pk, BUCKET_ACCOUNT, "cli"))
    assert (done.returncode, done.stderr) == (0, "")
    found = owner.bucket_policy
    assert len(found) == len(before)
    for one in before:
        assert any(same_statement(Statement(one), Statement(other)) for other in found)
    assert verify(client, order) == RunStatus.IN_SYNC


# --- testing a way in ---


@pytest.fixture
def world(procedure: factories.Procedure, owner: Owner) -> factories.Procedure:
    """The procedure's world with nothing of the portal's in Account B, and an external id of its own."""
    for policy in ("xacct-provisioner", "sandbox-only"):
        owner.iam.delete_role_policy(RoleName="xacct-provisioner", PolicyName=policy)
    owner.iam.delete_role(RoleName="xacct-provisioner")
    procedure.account_b.external_id = new_external_id()
    procedure.account_b.save()
    # A source role in Account B too, so that all that the engine does is done there.
    procedure.role_a.account = procedure.account_b
    procedure.role_a.save()
    return procedure


# IAM asks for this with the role's ARN as resource; MiniStack with '*'.
MAY_SIMULATE = {"Sid": "Ask", "Effect": "Allow", "Action": ["iam:SimulatePrincipalPolicy"], "Resource": ["*"]}


def try_it(world: factories.Procedure, alice: User) -> ConnectionReport:
    """Test the connection to Account B as a portal admin."""
    return operation.test_connection(actor=alice, account=world.account_b)


def codes(report: ConnectionReport) -> list[str]:
    return [one.code for one in report.remarks]


def test_without_the_role_the_way_in_is_refused(world: factories.Procedure, alice: User) -> None:
    report = try_it(world, alice)
    assert (codes(report), report.works) == (["way_in.refused"], False)


def test_another_external_id_is_refused_and_named_as_a_reason(
    world: factories.Procedure, owner: Owner, alice: User
) -> None:
    make_provisioner(world, owner)
    allow(owner, generated(world))
    world.account_b.external_id = new_external_id()
    report = try_it(world, alice)
    assert codes(report) == ["way_in.refused"]
    assert "another external id" in report.remarks[0].text


@pytest.mark.parametrize("action", ["iam:PutRolePolicy", "s3:PutBucketPolicy", "iam:GetRole"])
def test_exactly_the_action_that_was_taken_away_is_found_missing(
    action: str, world: factories.Procedure, owner: Owner, alice: User
) -> None:
    make_provisioner(world, owner)
    allow(owner, [*without(action, generated(world)), MAY_SIMULATE])
    report = try_it(world, alice)
    assert report.is_simulated
    assert ({one.action for one in report.missing}, report.unknown) == ({action}, ())


@pytest.mark.parametrize("action", ["iam:GetRolePolicy", "s3:GetBucketPolicy", "iam:GetAccountAuthorizationDetails"])
def test_where_iam_may_not_be_asked_a_read_that_was_taken_away_is_found_missing(
    action: str, world: factories.Procedure, owner: Owner, alice: User
) -> None:
    make_provisioner(world, owner)
    allow(owner, without(action, generated(world)))
    report = try_it(world, alice)
    assert not report.is_simulated
    assert {one.action for one in report.missing} == {action}


def test_with_the_script_of_the_page_the_connection_works_and_nothing_is_missing(
    world: factories.Procedure, owner: Owner, client: Client, alice: User, aws: CallLog
) -> None:
    done = owner.run(download(client, "provisioner_document", BUCKET_ACCOUNT, "cli"))
    assert (done.returncode, done.stderr) == (0, "")
    aws.clear()
    report = try_it(world, alice)
    profiles = {one.action for one in report.missing} - {"iam:GetInstanceProfile"}  # the sandbox asks with '*'
    assert (profiles, codes(report)[0]) == (set(), "identity.found")
    assert {one.action for one in report.unknown} >= {"iam:PutRolePolicy", "s3:PutBucketPolicy"}
    assert aws.writes == []
