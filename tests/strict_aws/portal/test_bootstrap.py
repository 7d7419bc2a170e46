"""The provisioner role on the strict AWS, with the generated policy as it is: nothing of it is widened here.

IAM is asked with full ARNs, for what a call brings along (`iam:TagRole` and the like, `iam:PassRole`), and its own
conditions (`iam:PolicyARN`, `iam:ResourceTag`) are judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT, PROVISIONING_PROFILE
from roles.aws.sessions import AccountSession
from roles.models.choices import RunStatus
from roles.policies.provisioner import ProvisionerScope, provisioner_policy, roles_under
from roles.values.accounts import AccountId, Partition
from tests import factories
from tests.sandbox import test_bootstrap as plain
from tests.sandbox.owner import Owner
from tests.sandbox.proxy import CallLog
from tests.sandbox.test_bootstrap import *  # noqa: F403

# What the sandbox alone does not ask for, and the step that needs it.
ASKED = {
    "iam:TagRole": plain.Breaks(1),
    "iam:TagInstanceProfile": plain.Breaks(1),
    "iam:PassRole": plain.Breaks(1),
    "iam:TagPolicy": plain.Breaks(2, when="mapped full"),
}
del test_what_the_sandbox_does_not_ask_for_is_allowed_with_the_call_that_needs_it  # noqa: F821 - here it is asked for
pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]


@pytest.fixture
def anywhere(aws: CallLog, sandbox_server: sandbox.SandboxServer) -> tuple[str, ...]:
    """Nothing: neither the provisioner role nor the portal's own identity has more than the documented policies."""
    portal = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    portal.delete_user_policy(UserName=PROVISIONING_PROFILE, PolicyName="sandbox-only")
    return ()


@pytest.fixture
def provisioner(only_b: factories.Procedure, owner: Owner) -> AccountSession:
    """The way into Account B with exactly the generated policy."""
    plain.make_provisioner(only_b, owner)
    plain.allow(owner, plain.generated(only_b))
    return AccountSession(only_b.account_b.access())


def refusal(call: Callable[[], Any]) -> str:
    """Return the code with which AWS refuses a call, or an empty text."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def role_names(owner: Owner) -> set[str]:
    return {one["RoleName"] for one in owner.iam.list_roles()["Roles"]}


@pytest.mark.parametrize("action", sorted(ASKED))
def test_without_what_a_call_brings_along_a_step_of_the_engine_is_refused(
    only_b: factories.Procedure, owner: Owner, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain.assert_broken(only_b, owner, action, ASKED[action], monkeypatch)


def test_every_action_that_the_sandbox_does_not_ask_for_is_asked_for_here() -> None:
    assert set(ASKED) == set(plain.NOT_ASKED)


@pytest.mark.parametrize(("path", "outcome"), [("/portal/", ""), ("/", "AccessDenied"),
                                               ("/portal-not/", "AccessDenied")])  # fmt: skip
def test_only_roles_under_the_portals_path_are_made_and_changed(
    world: factories.Procedure, owner: Owner, path: str, outcome: str
) -> None:
    account = AccountId(BUCKET_ACCOUNT)
    under = roles_under(Partition.AWS, account, "/portal/")
    policy = provisioner_policy(ProvisionerScope(Partition.AWS, account, targets=(under,)))
    plain.make_provisioner(world, owner)
    plain.allow(owner, [dict(one.body) for one in policy.statements])
    iam = AccountSession(world.account_b.access()).iam
    tags: Any = [{"Key": "xacct-portal", "Value": "managed"}]
    trust = plain.document([{"Effect": "Allow", "Principal": {"AWS": BUCKET_ACCOUNT}, "Action": "sts:AssumeRole"}])
    made = {"Path": path, "AssumeRolePolicyDocument": trust, "Tags": tags}
    assert refusal(lambda: iam.create_role(RoleName="MyRoleB", **made)) == outcome
    assert ("MyRoleB" in role_names(owner)) is not bool(outcome)
    owner.iam.create_role(RoleName="Another", **made)
    assert refusal(lambda: iam.update_assume_role_policy(RoleName="Another", PolicyDocument=trust)) == outcome


@pytest.mark.parametrize("named", [True, False])
def test_only_the_policies_of_buckets_that_are_named_are_read_and_written(
    world: factories.Procedure, owner: Owner, named: bool
) -> None:
    plain.make_provisioner(world, owner)
    statements = plain.generated(world)
    other = json.loads(json.dumps(statements).replace(f":::{BUCKET}", ":::another-bucket"))
    assert other != statements
    plain.allow(owner, statements if named else other)
    world.map()
    run = plain.reconcile(world.role_a)
    assert run.status == (RunStatus.IN_SYNC if named else RunStatus.FAILED)
    if not named:
        assert "GetBucketPolicy" in run.error
        with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
            assert owner.bucket_policy


def test_a_policy_of_others_is_not_attached_and_one_of_the_portals_is(
    provisioner: AccountSession, owner: Owner
) -> None:
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": BUCKET_ACCOUNT}, "Action": "sts:AssumeRole"}
    owner.iam.create_role(RoleName="MyRoleB", AssumeRolePolicyDocument=plain.document([trust]))
    text = plain.document([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    theirs, ours = (
        owner.iam.create_policy(PolicyName="xacct-MyRoleB-1", Path=path, PolicyDocument=text)["Policy"]["Arn"]
        for path in ("/", "/xacct-portal/")
    )
    attach = provisioner.iam.attach_role_policy
    assert refusal(lambda: attach(RoleName="MyRoleB", PolicyArn=theirs)) == "AccessDenied"
    provisioner.iam.attach_role_policy(RoleName="MyRoleB", PolicyArn=ours)
    attached = owner.iam.list_attached_role_policies(RoleName="MyRoleB")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [ours]


def test_a_role_without_the_portals_tag_is_not_deleted_and_one_with_it_is(
    provisioner: AccountSession, owner: Owner
) -> None:
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": BUCKET_ACCOUNT}, "Action": "sts:AssumeRole"}
    owner.iam.create_role(RoleName="MyRoleB", AssumeRolePolicyDocument=plain.document([trust]))
    assert refusal(lambda: provisioner.iam.delete_role(RoleName="MyRoleB")) == "AccessDenied"
    owner.iam.tag_role(RoleName="MyRoleB", Tags=[{"Key": "xacct-portal", "Value": "managed"}])
    provisioner.iam.delete_role(RoleName="MyRoleB")
    assert "MyRoleB" not in role_names(owner)
