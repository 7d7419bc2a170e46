"""The script that an account's owner is given, run as that owner would: with the AWS CLI, on an enforcing AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from roles.aws import sandbox, sts
from roles.aws.objects import ObjectStore
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT, REGION, foreign_statement
from roles.errors import AwsAccessDenied
from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus
from roles.policies import limits
from roles.policies.document import parse
from roles.provisioning import handoff, preview, runner
from roles.values.accounts import AccountId
from tests import factories
from tests.sandbox.owner import Owner
from tests.sandbox.proxy import CallLog, Proxy

OLD = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}})
pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]


@pytest.fixture
def owned(procedure: factories.Procedure, settings: Any) -> factories.Procedure:
    """The procedure's world with Account B in mode `handoff`."""
    settings.XACCT_PROPAGATION_SECONDS = 0.5  # nothing is late here; a run that needs the owner is not to wait
    account = procedure.account_b
    account.access_mode, account.provisioner_role_arn, account.external_id = "handoff", "", ""
    account.save()
    return procedure


@pytest.fixture
def owner(aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path) -> Owner:
    """The owner, in an empty directory."""
    directory = tmp_path / "owner"
    directory.mkdir()
    return Owner(sandbox_server, directory)


def give(world: factories.Procedure, prefix: str) -> GroupRole:
    """Map MyRoleA, with MyRoleB's grant on the bucket limited to `prefix`."""
    world.bucket_grant.prefix = prefix
    world.bucket_grant.save()
    return world.map()


def script_for(world: factories.Procedure) -> str:
    """Return the script that Account B's owner downloads for what a run would do now."""
    return handoff.documents_for(preview.plan_now(world.role_a).changes, world.account_b.access()).cli.text


def policies_of(owner: Owner, role: str) -> list[str]:
    """Return the ARNs of the managed policies attached to a role."""
    attached = owner.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [policy["PolicyArn"] for policy in attached]


def read_as_member(prefix: str) -> list[str]:
    """List the bucket under `prefix` as MyRoleB, reached by way of MyRoleA, as a member's token would."""
    source = sts.assume_role(sts.AssumeRoleRequest(f"arn:aws:iam::{PORTAL_ACCOUNT}:role/MyRoleA", "bob"), region=REGION)
    target = sts.AssumeRoleRequest(f"arn:aws:iam::{BUCKET_ACCOUNT}:role/MyRoleB", "bob")
    credentials = sts.assume_role(target, region=REGION, using=source)
    store = ObjectStore(credentials, bucket=BUCKET, region=REGION, account_id=AccountId(BUCKET_ACCOUNT))
    return [item.key for item in store.list_folder(prefix).objects]


def provision(world: factories.Procedure) -> ProvisioningRun:
    """Reconcile what the portal itself may do."""
    run = factories.ProvisioningRunFactory(role=world.role_a)
    done = runner.reconcile(run.pk)
    assert done is not None
    return done


def test_script_on_an_empty_account_makes_a_mapping_that_works_inside_the_prefix_only(
    owner: Owner, owned: factories.Procedure
) -> None:
    give(owned, "team/")
    assert provision(owned).status == RunStatus.NEEDS_OWNER
    with pytest.raises(AwsAccessDenied):
        read_as_member("team/")
    done = owner.run(script_for(owned))
    assert (done.returncode, done.stderr) == (0, "")
    assert read_as_member("team/") == ["team/notes.md"]
    for outside in ("", "reports/2026/", "team-secret/"):
        with pytest.raises(AwsAccessDenied):
            read_as_member(outside)
    assert provision(owned).status == RunStatus.IN_SYNC


def test_script_keeps_the_statement_of_others_and_the_policy_as_it_was_before(
    owner: Owner, owned: factories.Procedure
) -> None:
    give(owned, "")
    provision(owned)
    owner.run(script_for(owned))
    assert owner.bucket_policy[0] == foreign_statement()
    assert len(owner.bucket_policy) == 3
    assert owner.backups == [f"bucket-policy-{BUCKET}.json"]
    (kept,) = owner.directory.glob("xacct-*-before-*/*.json")
    assert json.loads(kept.read_text())["Statement"] == [foreign_statement()]


def test_script_run_twice_writes_once(owner: Owner, owned: factories.Procedure, aws: CallLog, proxy: Proxy) -> None:
    give(owned, "team/")
    provision(owned)
    owner.endpoint_url = proxy.endpoint_url
    aws.clear()
    assert owner.run(script_for(owned)).returncode == 0
    assert aws.writes == ["CreateRole", "PutBucketPolicy"]
    aws.clear()
    again = owner.run(script_for(owned))
    assert again.returncode == 0
    assert aws.writes == []
    assert again.stdout.count("in order") == 2


def test_script_after_the_last_mapping_takes_ours_out_and_leaves_the_rest(
    owner: Owner, owned: factories.Procedure
) -> None:
    mapping = give(owned, "team/")
    provision(owned)
    owner.run(script_for(owned))
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state=MappingState.REMOVING)
    done = owner.run(script_for(owned))
    assert (done.returncode, done.stderr) == (0, "")
    assert owner.bucket_policy == [foreign_statement()]
    assert owner.trust_sids == ["XacctTrustNobody"]
    with pytest.raises(AwsAccessDenied):
        read_as_member("team/")


def test_script_for_another_account_changes_nothing(owner: Owner, owned: factories.Procedure, aws: CallLog) -> None:
    give(owned, "team/")
    provision(owned)
    refused = owner.run(script_for(owned), account=PORTAL_ACCOUNT)
    assert refused.returncode == 1
    assert f"not of account {BUCKET_ACCOUNT}" in refused.stderr
    assert owner.bucket_policy == [foreign_statement()]


def test_script_does_not_take_a_bucket_that_it_cannot_read_for_one_without_a_policy(
    owner: Owner, owned: factories.Procedure
) -> None:
    give(owned, "team/")
    provision(owned)
    script = script_for(owned).replace(f"--bucket {BUCKET}", "--bucket nobody-has-this-one")
    refused = owner.run(script)
    assert refused.returncode == 1
    assert "Could not read what is there" in refused.stderr
    assert owner.bucket_policy == [foreign_statement()]


def test_script_takes_over_a_role_of_that_name_only_when_told_to(owner: Owner, owned: factories.Procedure) -> None:
    give(owned, "team/")
    provision(owned)
    theirs = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = {"Version": "2012-10-17", "Statement": theirs}
    owner.iam.create_role(RoleName="MyRoleB", AssumeRolePolicyDocument=json.dumps(document))
    refused = owner.run(script_for(owned))
    assert refused.returncode == 1
    assert "--adopt" in refused.stderr
    assert owner.trust_sids == ["Theirs"]
    assert owner.run(script_for(owned), "--adopt").returncode == 0
    assert owner.trust_sids == ["Theirs", "XacctTrust", "XacctTrustAttribution"]
    assert "trust-policy-MyRoleB.json" in owner.backups
    assert read_as_member("team/") == ["team/notes.md"]


def test_script_for_the_accounts_source_role_makes_its_policy_and_profile(
    owner: Owner, owned: factories.Procedure
) -> None:
    owned.role_a.account = owned.account_b
    owned.role_a.save()
    give(owned, "team/")
    done = owner.run(script_for(owned))
    assert (done.returncode, done.stderr) == (0, "")
    profile = owner.iam.get_instance_profile(InstanceProfileName="MyRoleA")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["MyRoleA"]
    assert profile["Tags"] == [{"Key": "xacct-portal", "Value": "managed"}]
    policy = parse(owner.iam.get_role_policy(RoleName="MyRoleA", PolicyName="xacct-portal")["PolicyDocument"])
    assert [one.sid for one in policy.statements] == ["XacctAssume", "XacctAssumeAttribution", "XacctPassRole"]
    again = owner.run(script_for(owned))
    assert again.returncode == 0
    assert again.stdout.count("in order") == 5


def test_script_fills_an_empty_instance_profile_of_others_only_when_told_to(
    owner: Owner, owned: factories.Procedure
) -> None:
    owned.role_a.account = owned.account_b
    owned.role_a.save()
    give(owned, "team/")
    owner.iam.create_instance_profile(InstanceProfileName="MyRoleA")
    refused = owner.run(script_for(owned))
    assert refused.returncode == 1
    assert "not marked as made for the portal" in refused.stderr and "--adopt" in refused.stderr
    assert owner.iam.get_instance_profile(InstanceProfileName="MyRoleA")["InstanceProfile"]["Roles"] == []
    assert owner.run(script_for(owned), "--adopt").returncode == 0
    (held,) = owner.iam.get_instance_profile(InstanceProfileName="MyRoleA")["InstanceProfile"]["Roles"]
    assert held["RoleName"] == "MyRoleA"


def test_script_makes_changes_and_removes_managed_policies_and_does_each_once(
    owner: Owner, owned: factories.Procedure, monkeypatch: pytest.MonkeyPatch, aws: CallLog, proxy: Proxy
) -> None:
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 200)
    owned.role_a.account = owned.account_b
    owned.role_a.save()
    mapping = give(owned, "team/")
    arn = f"arn:aws:iam::{BUCKET_ACCOUNT}:policy/xacct-portal/xacct-MyRoleA-1"
    owner.endpoint_url = proxy.endpoint_url
    for attribution in (True, False):
        owned.role_b.attribution = attribution
        owned.role_b.save()
        done = owner.run(script_for(owned))
        assert (done.returncode, done.stderr) == (0, "")
        assert policies_of(owner, "MyRoleA") == [arn]
        aws.clear()
        assert owner.run(script_for(owned)).returncode == 0
        assert aws.writes == []
    assert "policy-xacct-MyRoleA-1.json" in owner.backups
    assert provision(owned).status == RunStatus.NEEDS_OWNER  # the run remembers what was handed out
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state=MappingState.REMOVING)
    done = owner.run(script_for(owned))
    assert (done.returncode, done.stderr) == (0, "")
    assert policies_of(owner, "MyRoleA") == []
    assert owner.iam.list_policies(Scope="Local")["Policies"] == []


def test_script_keeps_to_five_versions_of_a_managed_policy(
    owner: Owner, owned: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 200)
    owned.role_a.account = owned.account_b
    owned.role_a.save()
    give(owned, "team/")
    assert owner.run(script_for(owned)).returncode == 0
    (arn,) = policies_of(owner, "MyRoleA")
    for _ in range(4):
        owner.iam.create_policy_version(PolicyArn=arn, SetAsDefault=True, PolicyDocument=OLD)
    done = owner.run(script_for(owned))
    assert (done.returncode, done.stderr) == (0, "")
    versions = owner.iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert sorted(one["VersionId"] for one in versions) == ["v2", "v3", "v4", "v5", "v6"]
    assert [one["VersionId"] for one in versions if one["IsDefaultVersion"]] == ["v6"]


def test_script_does_not_take_a_managed_policy_of_others_for_the_portals(
    owner: Owner, owned: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 200)
    owned.role_a.account = owned.account_b
    owned.role_a.save()
    give(owned, "team/")
    theirs = owner.iam.create_policy(PolicyName="xacct-MyRoleA-1", Path="/xacct-portal/", PolicyDocument=OLD)
    refused = owner.run(script_for(owned))
    assert refused.returncode == 1
    assert "not marked as made for the portal" in refused.stderr
    versions = owner.iam.list_policy_versions(PolicyArn=theirs["Policy"]["Arn"])["Versions"]
    assert len(versions) == 1
    assert owner.run(script_for(owned), "--adopt").returncode == 0
    assert policies_of(owner, "MyRoleA") == [theirs["Policy"]["Arn"]]
