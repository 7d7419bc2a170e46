"""The documents of the sandbox's world: who the portal is there, what it may do, what was there before it.

`provisioning_policy`, `tokens_policy`, `provisioner_trust` and `provisioner_policy` are also what
docs/aws-permissions.md shows for real AWS; a test keeps the two equal.
"""

from __future__ import annotations

from typing import Any

from roles.policies import provisioner
from roles.policies.provisioner import ProvisionerScope, role_statements, roles_under
from roles.values.accounts import AccountId, Partition
from roles.values.arns import BucketArn

PORTAL_ACCOUNT = "111111111111"
BUCKET_ACCOUNT = "222222222222"
REGION = "us-east-1"
PROVISIONING_PROFILE = "xacct-portal"
TOKENS_PROFILE = "xacct-tokens"
PROVISIONER_ROLE = provisioner.PROVISIONER_ROLE
EXTERNAL_ID = "example-external-id"
BUCKET = "example-data"
SANDBOX_ANYWHERE = (
    "iam:CreateInstanceProfile",
    "iam:GetInstanceProfile",
    "iam:AddRoleToInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:CreatePolicy",
    "iam:AttachRolePolicy",
    "iam:DetachRolePolicy",
)
FOREIGN_SID = "PartnerReads"
FOREIGN_ROLE = "partner-reporting"


def _allow(actions: list[str], resources: list[str], *, sid: str, effect: str = "Allow") -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Action": actions, "Resource": resources}


def _everything(account_id: str, *buckets: str) -> ProvisionerScope:
    """Return the widest scope in one account: any role, but the named buckets only."""
    account, roles = AccountId(account_id), roles_under(Partition.AWS, AccountId(account_id))
    named = tuple(BucketArn(Partition.AWS, bucket) for bucket in buckets)
    return ProvisionerScope(Partition.AWS, account, sources=(roles,), targets=(roles,), buckets=named)


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def provisioning_policy() -> dict[str, Any]:
    """Return the identity policy of the portal's provisioning identity, in the deployment account."""
    account = f"arn:aws:iam::{PORTAL_ACCOUNT}"
    return document(
        *(dict(statement.body) for statement in role_statements(_everything(PORTAL_ACCOUNT))),
        _allow(
            ["sts:AssumeRole"],
            [f"arn:aws:iam::{BUCKET_ACCOUNT}:role/{PROVISIONER_ROLE}"],
            sid="IntoTheOtherAccounts",
        ),
        _allow(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], [f"{account}:role/*"], sid="VerifyStep7"),
    )


def sandbox_only_policy() -> dict[str, Any]:
    """Return what the provisioning identity and the provisioner role need besides, in the sandbox alone.

    MiniStack 1.5 asks for calls on instance profiles and CreatePolicy with the resource `*`, or with the role's ARN,
    where AWS asks with the profile's or the policy's ARN; and it does not know the condition keys `iam:PolicyARN` and
    `iam:ResourceTag`.
    """
    return document(_allow([*SANDBOX_ANYWHERE], ["*"], sid="SandboxAnywhere"))


def tokens_policy() -> dict[str, Any]:
    """Return the identity policy of the identity that hands out tokens. It can never act as a provisioner."""
    return document(
        _allow(
            ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            [f"arn:aws:iam::{PORTAL_ACCOUNT}:role/*"],
            sid="ActAsSourceRoles",
        ),
        _allow(
            ["sts:AssumeRole"],
            [f"arn:aws:iam::*:role/{PROVISIONER_ROLE}"],
            sid="NeverAsAProvisioner",
            effect="Deny",
        ),
    )


def provisioner_trust() -> dict[str, Any]:
    """Return who may assume the provisioner role of a bucket-owning account."""
    principal = f"arn:aws:iam::{PORTAL_ACCOUNT}:user/{PROVISIONING_PROFILE}"
    return provisioner.provisioner_trust(principal, EXTERNAL_ID).as_dict()


def provisioner_policy() -> dict[str, Any]:
    """Return the identity policy of the provisioner role of a bucket-owning account."""
    return provisioner.provisioner_policy(_everything(BUCKET_ACCOUNT, BUCKET)).as_dict()


def foreign_statement() -> dict[str, Any]:
    """Return the bucket policy statement that was there before the portal, and must survive it."""
    return {
        "Sid": FOREIGN_SID,
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{BUCKET_ACCOUNT}:role/{FOREIGN_ROLE}"},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/reports/*"],
    }
