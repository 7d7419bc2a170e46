"""The provisioner role that an account's owner makes: enough for every operation of the engine, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from roles.aws import sandbox
from roles.aws.inventory import account_inventory
from roles.aws.sandbox_documents import (
    BUCKET,
    BUCKET_ACCOUNT,
    PORTAL_ACCOUNT,
    PROVISIONER_ROLE,
    REGION,
    SANDBOX_ANYWHERE,
)
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied
from roles.models import AssumeRoleGrant, BucketGrant, CutOff, GroupRole, IamRole, ProvisioningRun
from roles.models.choices import MappingState, RunPurpose, RunStatus, StepStatus
from roles.policies import limits
from roles.policies.provisioner import ACTIONS, ProvisionerScope, provisioner_policy, provisioner_trust, scope_of
from roles.provisioning import handoff, runner
from roles.values.accounts import AccountId, Partition, new_external_id
from roles.values.arns import BucketArn
from tests import factories
from tests.sandbox.owner import Owner
from tests.sandbox.proxy import CallLog

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]
PORTAL = f"arn:aws:iam::{PORTAL_ACCOUNT}:user/xacct-portal"


@dataclass(frozen=True)
class Breaks:
    """Where a run stops without an action: of the run that maps, that changes something, that unmaps, or that deletes.

    "full": of a world in which the source role's inline policy has no room for what it may assume.
    """

    step: int
    when: str = "mapped"


# Each allowed action and the step that needs it. SCANS has what no step needs, but the search for drift. MiniStack 1.5
# checks only the action that a call is named after, so it does not miss those that AWS asks for besides; NOT_ASKED
# says which calls those belong to.
BREAKS = {
    "iam:GetRole": Breaks(1),
    "iam:CreateRole": Breaks(1),
    "iam:GetInstanceProfile": Breaks(1),
    "iam:CreateInstanceProfile": Breaks(1),
    "iam:AddRoleToInstanceProfile": Breaks(1),
    "iam:GetRolePolicy": Breaks(2),
    "iam:PutRolePolicy": Breaks(2),
    "iam:UpdateAssumeRolePolicy": Breaks(5),
    "s3:GetBucketPolicy": Breaks(6),
    "s3:PutBucketPolicy": Breaks(6),
    "iam:DeleteRolePolicy": Breaks(3, when="unmapped"),
    "iam:ListAttachedRolePolicies": Breaks(2, when="mapped full"),
    "iam:GetPolicy": Breaks(2, when="mapped full"),
    "iam:GetPolicyVersion": Breaks(2, when="mapped full"),
    "iam:CreatePolicy": Breaks(2, when="mapped full"),
    "iam:AttachRolePolicy": Breaks(2, when="mapped full"),
    "iam:CreatePolicyVersion": Breaks(2, when="changed full"),
    "iam:ListPolicyVersions": Breaks(2, when="unmapped full"),
    "iam:DetachRolePolicy": Breaks(2, when="unmapped full"),
    "iam:DeletePolicy": Breaks(2, when="unmapped full"),
    "iam:DeletePolicyVersion": Breaks(2, when="unmapped full"),
    "s3:DeleteBucketPolicy": Breaks(6, when="unmapped"),
    "iam:ListRolePolicies": Breaks(1, when="deleted"),
    "iam:ListInstanceProfilesForRole": Breaks(1, when="deleted"),
    "iam:RemoveRoleFromInstanceProfile": Breaks(1, when="deleted"),
    "iam:DeleteInstanceProfile": Breaks(1, when="deleted"),
    "iam:DeleteRole": Breaks(1, when="deleted"),
}
SCANS = {"iam:GetAccountAuthorizationDetails"}
NOT_ASKED = {
    "iam:TagPolicy": "CreatePolicy",
    "iam:TagRole": "CreateRole",  # IAM API, CreateRole: tags in the call need it
    "iam:TagInstanceProfile": "CreateInstanceProfile",  # the same of CreateInstanceProfile
    "iam:PassRole": "AddRoleToInstanceProfile",  # IAM API, AddRoleToInstanceProfile
}


@pytest.fixture
def anywhere() -> tuple[str, ...]:
    """The actions that this AWS asks for with other resources than AWS does."""
    return SANDBOX_ANYWHERE


@pytest.fixture
def owner(aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path, anywhere: tuple[str, ...]) -> Owner:
    """The owner of Account B, in which nobody has made a provisioner role yet, and whose bucket has no policy."""
    directory = tmp_path / "owner"
    directory.mkdir()
    found = Owner(sandbox_server, directory, anywhere=anywhere)
    for policy in (PROVISIONER_ROLE, "sandbox-only"):
        found.iam.delete_role_policy(RoleName=PROVISIONER_ROLE, PolicyName=policy)
    found.iam.delete_role(RoleName=PROVISIONER_ROLE)
    found.s3.delete_bucket_policy(Bucket=BUCKET)
    return found


@pytest.fixture
def world(procedure: factories.Procedure, settings: Any) -> factories.Procedure:
    """The procedure's world, its Account B with an external id of its own."""
    settings.XACCT_PROPAGATION_SECONDS = 0.5  # nothing is late here
    procedure.account_b.external_id = new_external_id()
    procedure.account_b.save()
    return procedure


@pytest.fixture
def only_b(world: factories.Procedure, owner: Owner, sandbox_server: sandbox.SandboxServer) -> factories.Procedure:
    """The same with MyRoleA in Account B too, so that the provisioner does all there is to do.

    The portal's identity may act as that MyRoleA, as docs/aws-permissions.md says of sources in other accounts.
    """
    world.role_a.account = world.account_b
    world.role_a.save()
    act = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": [str(world.role_a.arn)]}
    portal = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    portal.put_user_policy(UserName="xacct-portal", PolicyName="act-as-source", PolicyDocument=document([act]))
    return world


def document(statements: Iterable[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def scope_in_b(world: factories.Procedure) -> ProvisionerScope:
    """Return the scope of exactly the roles and the bucket that the portal has in Account B."""
    bucket = BucketArn(Partition.AWS, BUCKET)
    account = AccountId(BUCKET_ACCOUNT)
    return scope_of(Partition.AWS, account, sources=[world.role_a.arn], targets=[world.role_b.arn], buckets=[bucket])


def bootstrap(world: factories.Procedure, owner: Owner) -> None:
    """Let the owner run the script of the provisioner role."""
    made = handoff.bootstrap_for(
        scope_in_b(world), principal=PORTAL, external=world.account_b.external_id, region=REGION
    )
    done = owner.run(made.cli.text)
    assert (done.returncode, done.stderr) == (0, "")


def make_provisioner(world: factories.Procedure, owner: Owner) -> None:
    """Make the role that the script makes, without the AWS CLI's seconds."""
    trust = provisioner_trust(PORTAL, world.account_b.external_id)
    owner.iam.create_role(RoleName=PROVISIONER_ROLE, AssumeRolePolicyDocument=trust.as_json())


def allow(owner: Owner, statements: list[dict[str, Any]]) -> None:
    """Give the provisioner role exactly `statements`.

    What this AWS asks for with other resources than AWS (`Owner.anywhere`) is allowed on everything.
    """
    owner.iam.put_role_policy(
        RoleName=PROVISIONER_ROLE, PolicyName=PROVISIONER_ROLE, PolicyDocument=document(statements)
    )
    actions = sorted({action for one in statements if one["Effect"] == "Allow" for action in one["Action"]})
    wide = [action for action in actions if action in owner.anywhere]
    if not wide:  # an empty list of actions would be all of them to MiniStack
        return
    anywhere = {"Effect": "Allow", "Action": wide, "Resource": ["*"]}
    owner.iam.put_role_policy(RoleName=PROVISIONER_ROLE, PolicyName="sandbox-only", PolicyDocument=document([anywhere]))


def generated(world: factories.Procedure) -> list[dict[str, Any]]:
    """Return the generated policy's statements."""
    return [dict(statement.body) for statement in provisioner_policy(scope_in_b(world)).statements]


def without(action: str, statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the statements with one action allowed less."""
    fewer = [
        {**one, "Action": [each for each in one["Action"] if each != action]} if one["Effect"] == "Allow" else one
        for one in statements
    ]
    return [one for one in fewer if one["Action"]]


def reconcile(role: IamRole, purpose: RunPurpose = RunPurpose.RECONCILE) -> ProvisioningRun:
    run = factories.ProvisioningRunFactory(role=role, purpose=purpose)
    done = runner.reconcile(run.pk)
    assert done is not None
    return done


def unmap(mapping: GroupRole) -> None:
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state=MappingState.REMOVING)


def end_grants() -> None:
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    BucketGrant.objects.update(ended_at=timezone.now())


def cut_off(world: factories.Procedure) -> CutOff:
    """Cut bob off, without any operation."""
    now = timezone.now()
    return CutOff.objects.create(
        target=world.role_b, source=world.role_a, names=["bob"], cut_before=now, lifts_at=now, started_at=now
    )


def policies_of_target(owner: Owner) -> list[str]:
    names: list[str] = owner.iam.list_role_policies(RoleName="MyRoleB")["PolicyNames"]
    return names


def test_portal_is_refused_by_a_provisioner_with_another_accounts_external_id(
    world: factories.Procedure, owner: Owner
) -> None:
    bootstrap(world, owner)
    world.account_b.external_id = new_external_id()
    world.account_b.save()
    world.map()
    run = reconcile(world.role_a)
    assert run.status == RunStatus.FAILED
    assert "AssumeRole" in f"{run.error} {run.hint}"


def test_with_the_script_of_its_owner_the_account_is_provisioned_and_cleaned(
    world: factories.Procedure, owner: Owner
) -> None:
    bootstrap(world, owner)
    mapping = world.map()
    run = reconcile(world.role_a)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert [one["Sid"][:15] for one in owner.bucket_policy] == ["XacctBucketList", "XacctBucketObje"]
    unmap(mapping)
    assert reconcile(world.role_a).status == RunStatus.IN_SYNC
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        assert owner.bucket_policy


def test_with_exactly_the_generated_policy_everything_works_also_for_source_roles(
    only_b: factories.Procedure, owner: Owner
) -> None:
    bootstrap(only_b, owner)
    allow(owner, generated(only_b))
    mapping = only_b.map()
    run = reconcile(only_b.role_a)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    unmap(mapping)
    assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC


def test_with_exactly_the_generated_policy_managed_roles_that_nobody_uses_are_deleted(
    only_b: factories.Procedure, owner: Owner
) -> None:
    make_provisioner(only_b, owner)
    allow(owner, generated(only_b))
    mapping = only_b.map()
    assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC
    unmap(mapping)
    assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC
    end_grants()
    for role in (only_b.role_b, only_b.role_a):
        run = reconcile(role, RunPurpose.DELETE_ROLE)
        assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert {"MyRoleA", "MyRoleB"}.isdisjoint(one["RoleName"] for one in owner.iam.list_roles()["Roles"])
    assert owner.iam.list_instance_profiles()["InstanceProfiles"] == []


@pytest.mark.parametrize("action", sorted(BREAKS))
def test_without_one_action_a_step_of_the_engine_is_refused(
    only_b: factories.Procedure, owner: Owner, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_broken(only_b, owner, action, BREAKS[action], monkeypatch)


def assert_broken(
    only_b: factories.Procedure, owner: Owner, action: str, breaks: Breaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take one action from the policy, and see that the step which needs it fails and says so."""
    if breaks.when.endswith("full"):
        monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 200)
    make_provisioner(only_b, owner)
    allow(owner, generated(only_b))
    mapping = only_b.map()
    if not breaks.when.startswith("mapped"):
        assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC
        only_b.role_b.attribution = False
        only_b.role_b.save()
    if breaks.when.startswith(("unmapped", "deleted")):
        assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC
        unmap(mapping)
    purpose = RunPurpose.RECONCILE
    if breaks.when == "deleted":
        assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC
        end_grants()
        purpose = RunPurpose.DELETE_ROLE
    allow(owner, without(action, generated(only_b)))
    run = reconcile(only_b.role_a, purpose)
    assert run.status == RunStatus.FAILED
    failed = run.steps.filter(status=StepStatus.FAILED)
    assert breaks.step in failed.values_list("step", flat=True)
    assert action.partition(":")[2] in f"{run.error} {run.hint}"


def test_with_exactly_the_generated_policy_credentials_of_a_target_role_are_cut_off_and_that_is_lifted(
    world: factories.Procedure, owner: Owner
) -> None:
    make_provisioner(world, owner)
    allow(owner, generated(world))
    world.map()
    row = cut_off(world)
    assert reconcile(world.role_a).status == RunStatus.IN_SYNC
    assert policies_of_target(owner) == ["xacct-cut-off"]
    CutOff.objects.filter(pk=row.pk).update(ended_at=timezone.now())
    assert reconcile(world.role_a).status == RunStatus.IN_SYNC
    assert policies_of_target(owner) == []


@pytest.mark.parametrize("action", ["iam:GetRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy"])
def test_without_one_action_on_target_roles_nothing_is_cut_off_or_lifted(
    world: factories.Procedure, owner: Owner, action: str
) -> None:
    make_provisioner(world, owner)
    allow(owner, generated(world))
    world.map()
    assert reconcile(world.role_a).status == RunStatus.IN_SYNC
    row = cut_off(world)
    if action == "iam:DeleteRolePolicy":
        assert reconcile(world.role_a).status == RunStatus.IN_SYNC
        CutOff.objects.filter(pk=row.pk).update(ended_at=timezone.now())
    allow(owner, without(action, generated(world)))
    run = reconcile(world.role_a)
    assert run.status == RunStatus.FAILED
    (failed,) = run.steps.filter(attempt=run.attempts, status=StepStatus.FAILED)
    assert (failed.step, failed.resource) == (5, f"{world.role_b.arn}#xacct-cut-off")
    assert action.partition(":")[2] in f"{run.error} {run.hint}"


@pytest.mark.parametrize("action", sorted(SCANS))
def test_without_one_action_the_search_for_drift_is_refused(
    only_b: factories.Procedure, owner: Owner, action: str
) -> None:
    make_provisioner(only_b, owner)
    session = AccountSession(only_b.account_b.access())
    allow(owner, without(action, generated(only_b)))
    with pytest.raises(AwsAccessDenied, match=action.partition(":")[2]):
        account_inventory(session)
    allow(owner, generated(only_b))
    assert len(account_inventory(session)) > 0


@pytest.mark.parametrize("action", sorted(NOT_ASKED))
def test_what_the_sandbox_does_not_ask_for_is_allowed_with_the_call_that_needs_it(
    only_b: factories.Procedure, owner: Owner, action: str
) -> None:
    make_provisioner(only_b, owner)
    allow(owner, without(action, generated(only_b)))
    only_b.map()
    # The day the sandbox asks for it, this run fails, and the action moves to BREAKS.
    assert reconcile(only_b.role_a).status == RunStatus.IN_SYNC
    allowed = {each for one in generated(only_b) if one["Effect"] == "Allow" for each in one["Action"]}
    assert {action, f"iam:{NOT_ASKED[action]}"} <= allowed


def test_every_action_of_the_policy_is_tried() -> None:
    assert sorted([*BREAKS, *NOT_ASKED, *SCANS]) == sorted(ACTIONS)


def test_provisioner_cannot_change_itself(world: factories.Procedure, owner: Owner, aws: CallLog) -> None:
    bootstrap(world, owner)
    everything = {"Effect": "Allow", "Action": ["iam:*"], "Resource": ["*"]}
    allow(owner, [*generated(world), everything])
    world.role_b.name = "xacct-provisioner"
    world.role_b.ownership = "adopted"
    world.role_b.save()
    world.map()
    run = reconcile(world.role_a)
    assert run.status == RunStatus.FAILED
    assert "UpdateAssumeRolePolicy" in f"{run.error} {run.hint}"
    trust = owner.iam.get_role(RoleName=PROVISIONER_ROLE)["Role"]["AssumeRolePolicyDocument"]
    assert [one["Sid"] for one in trust["Statement"]] == ["PortalProvisioning"]
