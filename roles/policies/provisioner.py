"""What the portal may do in an account that it changes by itself, and who may act as it there.

One source for real accounts, the sandbox and docs/aws-permissions.md: the provisioner role's documents are built here,
from the roles and buckets that the portal has in the account. Each allowed action is there for an operation of the
engine that fails without it; `ACTIONS` says which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from roles.policies.builders import ASSUME_ROLE
from roles.policies.document import PolicyDocument, Statement
from roles.values.accounts import AccountId, Partition
from roles.values.arns import MANAGED_POLICY_PATH, MANAGED_TAG, MANAGED_TAGS, BucketArn, RoleArn

PROVISIONER_ROLE = "xacct-provisioner"
PROVISIONER_SID = "PortalProvisioning"
# The portal's own identities are called so, and the portal changes none of them.
OWN_NAMES = "xacct-*"

_ROLE_ACTIONS = {
    "iam:GetRole": "read a role and its trust policy",
    "iam:CreateRole": "create a role",
    "iam:TagRole": "mark a role that it creates as its own",
    "iam:UpdateAssumeRolePolicy": "edit a trust relationship",
}
_POLICY_ACTIONS = {
    "iam:GetRolePolicy": "read a role's inline policies",
    "iam:PutRolePolicy": "write a role's own inline policy, or cut off a target role's credentials",
    "iam:DeleteRolePolicy": "delete a role's inline policy after its last mapping, or when a cut-off is lifted",
    "iam:ListAttachedRolePolicies": "see which managed policies a role has",
}
# Only to delete a role: to see what others have on it, and then on roles with the portal's tag alone.
_WHOLE_ACTIONS = {
    "iam:ListRolePolicies": "see whether others have policies on a role that is to be deleted",
    "iam:ListInstanceProfilesForRole": "see which instance profiles hold a role that is to be deleted",
}
_DELETE_ACTIONS = {"iam:DeleteRole": "delete a role that it made, when an admin confirms that"}
_ATTACH_ACTIONS = {
    "iam:AttachRolePolicy": "attach a managed policy of its own to a role whose inline policy is full",
    "iam:DetachRolePolicy": "detach a managed policy of its own",
}
# IAM API, CreatePolicy: tags in the call need iam:TagPolicy.
_MANAGED_ACTIONS = {
    "iam:CreatePolicy": "create a managed policy for what an inline policy has no room for",
    "iam:TagPolicy": "mark a managed policy that it creates as its own",
    "iam:GetPolicy": "read a managed policy of its own",
    "iam:GetPolicyVersion": "read what a managed policy of its own says",
    "iam:CreatePolicyVersion": "change a managed policy of its own",
    "iam:ListPolicyVersions": "find the old versions of a managed policy of its own",
    "iam:DeletePolicyVersion": "delete old versions of a managed policy of its own",
    "iam:DeletePolicy": "delete a managed policy of its own that is not needed any more",
}
_PROFILE_ACTIONS = {
    "iam:GetInstanceProfile": "read a source role's instance profile",
    "iam:CreateInstanceProfile": "create a source role's instance profile",
    "iam:TagInstanceProfile": "mark an instance profile that it creates as its own",
    "iam:AddRoleToInstanceProfile": "put a source role into its instance profile",
    "iam:RemoveRoleFromInstanceProfile": "take a source role that is to be deleted out of its instance profile",
    "iam:DeleteInstanceProfile": "delete the instance profile that it made for a role that is to be deleted",
}
# IAM User Guide, "Grant a user permissions to pass a role": AddRoleToInstanceProfile asks for it on the role.
_PASS_ACTIONS = {"iam:PassRole": "put a source role into its instance profile"}
# Knows no resource but '*' (Service Authorization Reference, AWS IAM).
_SCAN_ACTIONS = {"iam:GetAccountAuthorizationDetails": "compare all roles of the account with what it wishes at once"}
_BUCKET_ACTIONS = {
    "s3:GetBucketPolicy": "read a bucket's policy",
    "s3:PutBucketPolicy": "write a bucket's policy",
    "s3:DeleteBucketPolicy": "delete a bucket's policy that nothing is left in",
}
# Knows no resource but '*' (Service Authorization Reference, AWS CloudTrail).
_TRAIL_ACTIONS = {"cloudtrail:LookupEvents": "say who may have made a change by hand"}
# Without these all works, and less is said.
OPTIONAL_ACTIONS: dict[str, str] = {**_TRAIL_ACTIONS}
# What the engine cannot do without each action. It asks for no other.
ACTIONS: dict[str, str] = {
    **_ROLE_ACTIONS,
    **_POLICY_ACTIONS,
    **_WHOLE_ACTIONS,
    **_DELETE_ACTIONS,
    **_ATTACH_ACTIONS,
    **_MANAGED_ACTIONS,
    **_PROFILE_ACTIONS,
    **_PASS_ACTIONS,
    **_SCAN_ACTIONS,
    **_BUCKET_ACTIONS,
}
# Those of them that change nothing.
READ_ACTIONS = tuple(action for action in ACTIONS if action.partition(":")[2].startswith(("Get", "List")))
_NEVER = (
    "iam:CreateRole",
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:DeleteRole",
    "iam:PutRolePolicy",
    "iam:DeleteRolePolicy",
    "iam:AttachRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PassRole",
)


@dataclass(frozen=True, slots=True)
class ProvisionerScope:
    """What the portal has to do with in one account.

    `sources` and `targets` are roles' ARNs, or patterns of them (`roles_under`); source roles have an instance profile
    besides. A role may be in both.
    """

    partition: Partition
    account: AccountId
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    buckets: tuple[BucketArn, ...] = ()


def scope_of(
    partition: Partition,
    account: AccountId,
    *,
    sources: Iterable[RoleArn] = (),
    targets: Iterable[RoleArn] = (),
    buckets: Iterable[BucketArn] = (),
) -> ProvisionerScope:
    """Return the scope of exactly these roles and buckets; roles of other accounts are left out."""
    own_sources = _arns(role for role in sources if (role.partition, role.account) == (partition, account))
    own_targets = _arns(role for role in targets if (role.partition, role.account) == (partition, account))
    return ProvisionerScope(partition, account, own_sources, own_targets, tuple(sorted(set(buckets))))


def roles_under(partition: Partition, account: AccountId, path: str = "/") -> str:
    """Return the pattern of all roles under `path`, which begins and ends with '/'.

    >>> roles_under(Partition.AWS, AccountId("222222222222"), "/portal/")
    'arn:aws:iam::222222222222:role/portal/*'
    """
    return f"arn:{partition}:iam::{account}:role{path}*"


def provisioner_trust(principal: str, external_id: str) -> PolicyDocument:
    """Return who may act as the provisioner role: `principal`, the portal's provisioning identity, with the id."""
    body = {
        "Sid": PROVISIONER_SID,
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ASSUME_ROLE,
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    return PolicyDocument((Statement(body),))


def provisioner_policy(scope: ProvisionerScope) -> PolicyDocument:
    """Return what the provisioner role may do: exactly what the engine does to the scope's roles and buckets."""
    return PolicyDocument((*role_statements(scope), *_bucket_statements(scope.buckets)))


def reader_policy(scope: ProvisionerScope) -> PolicyDocument:
    """Return what a role may do with which the portal only reads: of `provisioner_policy`, what changes nothing."""
    reading = [_reading(statement) for statement in provisioner_policy(scope).statements]
    return PolicyDocument(tuple(one for one in reading if one is not None))


def reading_session_policy() -> PolicyDocument:
    """Return the session policy of a session that must not change anything, whatever its role may do."""
    return PolicyDocument((_statement("ReadOnly", "Allow", (*READ_ACTIONS, *OPTIONAL_ACTIONS), ["*"]),))


def _reading(statement: Statement) -> Statement | None:
    body = dict(statement.body)
    actions = [action for action in body["Action"] if action in READ_ACTIONS]
    return Statement({**body, "Action": actions}) if actions and body["Effect"] == "Allow" else None


def optional_statements() -> tuple[Statement, ...]:
    """Return what the portal may be allowed besides, to say more: an owner may leave it out."""
    return (_statement("WhoChangedIt", "Allow", _TRAIL_ACTIONS, ["*"]),)


def role_statements(scope: ProvisionerScope) -> tuple[Statement, ...]:
    """Return the statements about roles, their policies and their instance profiles."""
    roles = sorted({*scope.sources, *scope.targets})
    if not roles:
        return ()
    sources = sorted(set(scope.sources))
    account = f"arn:{scope.partition}:iam::{scope.account}"
    tagged = {f"iam:ResourceTag/{MANAGED_TAG}": MANAGED_TAGS[MANAGED_TAG]}
    own, policies = f"{account}:role/{OWN_NAMES}", f"{account}:policy{MANAGED_POLICY_PATH}*"
    always = (
        _statement("ProvisionRoles", "Allow", _ROLE_ACTIONS, roles),
        _statement("RolePolicies", "Allow", {**_POLICY_ACTIONS, **_WHOLE_ACTIONS}, roles),
        _statement("DeleteOwnRoles", "Allow", _DELETE_ACTIONS, roles, Condition={"StringEquals": tagged}),
        _statement(
            "AttachOwnPolicies", "Allow", _ATTACH_ACTIONS, roles, Condition={"ArnLike": {"iam:PolicyARN": policies}}
        ),
        _statement("OwnPolicies", "Allow", _MANAGED_ACTIONS, [policies]),
        _statement("NeverThePortalsOwn", "Deny", _NEVER, [own]),
        _statement("ReadAllRoles", "Allow", _SCAN_ACTIONS, ["*"]),
    )
    if not sources:
        return always
    profiles = [source.replace(":role/", ":instance-profile/", 1) for source in sources]
    return (
        *always,
        _statement("InstanceProfiles", "Allow", _PROFILE_ACTIONS, profiles),
        _statement("RoleIntoItsProfile", "Allow", _PASS_ACTIONS, sources),
    )


def _bucket_statements(buckets: Iterable[BucketArn]) -> tuple[Statement, ...]:
    names = [str(bucket) for bucket in buckets]
    return (_statement("BucketPolicies", "Allow", _BUCKET_ACTIONS, names),) if names else ()


def _statement(sid: str, effect: str, actions: Iterable[str], resources: list[str], **more: Any) -> Statement:
    return Statement({"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": resources, **more})


def _arns(roles: Iterable[RoleArn]) -> tuple[str, ...]:
    return tuple(sorted({str(role) for role in roles}))
