"""Somebody changes AWS by hand; the portal finds it, shows it, repairs it, and leaves to others what is theirs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roles import tasks
from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, foreign_statement
from roles.models import DriftFinding, GroupRole, ProvisioningRun, User
from roles.models.choices import MappingState, RunStatus
from roles.operations.accept_drift import accept_drift
from roles.operations.repair_drift import repair_drift
from roles.operations.scan_drift import scan_drift
from roles.provisioning import runner
from tests import factories
from tests.sandbox.proxy import CallLog

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]

ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"


@pytest.fixture
def mapping(aws: CallLog, procedure: factories.Procedure) -> GroupRole:
    """The procedure's mapping, in sync."""
    row = procedure.map()
    reconcile(factories.ProvisioningRunFactory(role=row.role, mapping=row))
    aws.clear()
    return row


@pytest.fixture
def owner(sandbox_server: sandbox.SandboxServer) -> Owner:
    """Somebody with the bucket owner's rights, outside the portal."""
    return Owner(sandbox_server.endpoint_url)


class Owner:
    """Reads and changes AWS by hand."""

    def __init__(self, endpoint_url: str) -> None:
        self._s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=endpoint_url)
        self._iam = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=endpoint_url)

    def bucket_policy(self) -> dict[str, Any]:
        policy: dict[str, Any] = json.loads(self._s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
        return policy

    def put_bucket_policy(self, policy: dict[str, Any]) -> None:
        self._s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))

    def trust(self) -> dict[str, Any]:
        trust: dict[str, Any] = self._iam.get_role(RoleName="MyRoleB")["Role"]["AssumeRolePolicyDocument"]
        return trust

    def put_trust(self, trust: dict[str, Any]) -> None:
        self._iam.update_assume_role_policy(RoleName="MyRoleB", PolicyDocument=json.dumps(trust))


def reconcile(run: ProvisioningRun) -> None:
    """Do what the worker does with a message."""
    tasks.reconcile_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")


def objects_statement(policy: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in policy["Statement"] if one["Sid"].startswith("XacctBucketObjects"))
    return found


def test_changes_by_hand_are_found_shown_repaired_and_then_gone(
    mapping: GroupRole, owner: Owner, aws: CallLog, alice: User
) -> None:
    wished, trust = owner.bucket_policy(), owner.trust()
    opened = owner.bucket_policy()
    objects_statement(opened)["Principal"] = {"AWS": "arn:aws:iam::222222222222:root"}
    theirs = {**foreign_statement(), "Sid": "AlsoTheirs", "Action": ["s3:GetObjectTagging"]}
    opened["Statement"].append(theirs)
    owner.put_bucket_policy(opened)
    owner.put_trust({**trust, "Statement": [one for one in trust["Statement"] if "Attribution" not in one["Sid"]]})

    report = scan_drift(actor=alice)
    assert report.unread == ()
    assert [(one.resource, one.step, one.kind.value) for one in report.differences] == [
        (BUCKET_ARN, 6, "changed"),
        (ROLE_B, 5, "missing"),
    ]
    assert aws.writes == []
    mapping.refresh_from_db()
    assert mapping.state == MappingState.DRIFTED
    bucket = DriftFinding.objects.get(step=6)
    assert bucket.before == opened
    assert bucket.after is not None
    assert objects_statement(bucket.after) == objects_statement(wished)
    client = Client()
    client.force_login(alice)
    page = client.get(reverse("admin:roles_driftfinding_change", args=[bucket.pk])).content.decode()
    assert "arn:aws:iam::222222222222:root" in page

    (run,) = repair_drift(actor=alice, finding=bucket)
    reconcile(run)
    assert owner.bucket_policy()["Statement"] == [*wished["Statement"], theirs]
    assert owner.trust() == trust
    assert set(DriftFinding.objects.values_list("resolution", flat=True)) == {"repaired"}
    assert scan_drift(actor=alice).is_clean
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC


def test_looking_takes_one_call_for_each_account_and_each_bucket(mapping: GroupRole, aws: CallLog, alice: User) -> None:
    scan_drift(actor=alice)
    reads = [name for name in aws.names if name not in ("AssumeRole", "GetCallerIdentity")]
    assert sorted(reads) == ["GetAccountAuthorizationDetails", "GetAccountAuthorizationDetails", "GetBucketPolicy"]
    assert aws.names.count("AssumeRole") == 1


def test_a_provisioner_that_may_not_read_roles_leaves_the_account_unknown(
    mapping: GroupRole, alice: User, sandbox_server: sandbox.SandboxServer, owner: Owner
) -> None:
    iam = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    policy = iam.get_role_policy(RoleName="xacct-provisioner", PolicyName="xacct-provisioner")["PolicyDocument"]
    policy["Statement"] = [
        one for one in policy["Statement"] if "iam:GetAccountAuthorizationDetails" not in one["Action"]
    ]
    iam.put_role_policy(RoleName="xacct-provisioner", PolicyName="xacct-provisioner", PolicyDocument=json.dumps(policy))
    report = scan_drift(actor=alice)
    assert report.differences == ()
    assert {one.resource for one in report.unread} == {ROLE_B}
    assert not report.is_clean


def test_a_level_that_was_lowered_by_hand_can_be_accepted_and_stays(
    mapping: GroupRole, owner: Owner, aws: CallLog, alice: User
) -> None:
    lowered = owner.bucket_policy()
    objects_statement(lowered)["Action"] = ["s3:GetObject"]
    owner.put_bucket_policy(lowered)
    scan_drift(actor=alice)
    accept_drift(actor=alice, finding=DriftFinding.objects.get(), reason="OPS-12")
    aws.clear()
    for run in ProvisioningRun.objects.unfinished():
        assert runner.reconcile(run.pk) is not None
    assert aws.writes == []
    assert owner.bucket_policy() == lowered
    assert scan_drift(actor=alice).is_clean


def test_a_dead_principal_is_healed_in_ours_and_reported_in_others(
    mapping: GroupRole, owner: Owner, alice: User
) -> None:
    trust, policy = owner.trust(), owner.bucket_policy()
    dead = json.loads(json.dumps(trust).replace("arn:aws:iam::111111111111:role/MyRoleA", "AROAEXAMPLEDEADROLE01"))
    owner.put_trust(dead)
    theirs = {**foreign_statement(), "Principal": {"AWS": "AROAEXAMPLEDEADROLE02"}}
    owner.put_bucket_policy({**policy, "Statement": [theirs, *policy["Statement"][1:]]})
    report = scan_drift(actor=alice)
    assert [(one.resource, one.kind.value) for one in report.differences] == [
        (BUCKET_ARN, "foreign_stale"),
        (ROLE_B, "stale"),
    ]
    (run,) = repair_drift(actor=alice, finding=DriftFinding.objects.get(step=5))
    reconcile(run)
    assert owner.trust() == trust
    assert owner.bucket_policy()["Statement"][0] == theirs
    assert [row.kind for row in DriftFinding.objects.open()] == ["foreign_stale"]
