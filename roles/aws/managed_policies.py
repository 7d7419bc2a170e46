"""IAM: customer managed policies of the portal's own, which take up what a role's inline policy has no room for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roles.aws.answers import policy_document, request_id
from roles.aws.errors import translated
from roles.aws.sessions import AccountSession
from roles.errors import AwsNotFound
from roles.policies.document import PolicyDocument
from roles.values.arns import MANAGED_POLICY_PATH, RoleArn

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import TagTypeDef

VERSIONS_MAX = 5  # IAM and STS quotas: versions of a managed policy


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A managed policy as IAM has it, in its default version."""

    document: PolicyDocument
    tags: Mapping[str, str]


def attached_policies(session: AccountSession, role: RoleArn) -> tuple[str, ...] | None:
    """Return the ARNs of all managed policies attached to the role, whosever; None when there is no such role."""
    found: list[str] = []
    try:
        with _calling("ListAttachedRolePolicies", session, str(role)):
            for page in session.iam.get_paginator("list_attached_role_policies").paginate(RoleName=role.name):
                found += [policy["PolicyArn"] for policy in page["AttachedPolicies"]]
    except AwsNotFound:
        return None
    return tuple(found)


def get_policy(session: AccountSession, arn: str) -> PolicyState | None:
    """Return the managed policy of this ARN, or None when there is none."""
    try:
        with _calling("GetPolicy", session, arn):
            policy = session.iam.get_policy(PolicyArn=arn)["Policy"]
        with _calling("GetPolicyVersion", session, arn):
            version = session.iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    except AwsNotFound:
        return None
    return PolicyState(
        policy_document(version["PolicyVersion"]["Document"], owner=arn),
        {tag["Key"]: tag["Value"] for tag in policy.get("Tags", [])},
    )


def create_policy(session: AccountSession, arn: str, document: PolicyDocument, *, tags: Mapping[str, str]) -> str:
    """Create the policy of this ARN, under our path; return AWS's request id."""
    listed: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    with _calling("CreatePolicy", session, arn):
        answer = session.iam.create_policy(
            PolicyName=arn.rpartition("/")[2], Path=MANAGED_POLICY_PATH, PolicyDocument=document.as_json(), Tags=listed
        )
    return request_id(answer)


def put_policy_version(session: AccountSession, arn: str, document: PolicyDocument) -> str:
    """Make `document` the policy's default version and return AWS's request id.

    A policy keeps five versions: where it has as many, the oldest that is not the default is deleted first.
    """
    others = _other_versions(session, arn)
    if len(others) + 1 >= VERSIONS_MAX:
        _delete_version(session, arn, others[0])
    with _calling("CreatePolicyVersion", session, arn):
        answer = session.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document.as_json(), SetAsDefault=True)
    return request_id(answer)


def attach_role_policy(session: AccountSession, role: RoleArn, arn: str) -> str:
    """Attach the policy to the role, if it is not; return AWS's request id."""
    with _calling("AttachRolePolicy", session, str(role)):
        answer = session.iam.attach_role_policy(RoleName=role.name, PolicyArn=arn)
    return request_id(answer)


def detach_role_policy(session: AccountSession, role: RoleArn, arn: str) -> str:
    """Detach the policy from the role; return AWS's request id. One that is not attached is as good as detached."""
    try:
        with _calling("DetachRolePolicy", session, str(role)):
            answer = session.iam.detach_role_policy(RoleName=role.name, PolicyArn=arn)
    except AwsNotFound as error:
        return error.request_id
    return request_id(answer)


def delete_policy(session: AccountSession, arn: str) -> str:
    """Delete the policy with all its versions; return AWS's request id. One that is gone is as good as deleted.

    Raises `AwsConflict` while somebody has it attached elsewhere.
    """
    try:
        for version in _other_versions(session, arn):
            _delete_version(session, arn, version)
        with _calling("DeletePolicy", session, arn):
            answer = session.iam.delete_policy(PolicyArn=arn)
    except AwsNotFound as error:
        return error.request_id
    return request_id(answer)


def _other_versions(session: AccountSession, arn: str) -> list[str]:
    """Return the ids of the versions that are not the default, the oldest first."""
    found = []
    with _calling("ListPolicyVersions", session, arn):
        for page in session.iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn):
            found += [version for version in page["Versions"] if not version["IsDefaultVersion"]]
    # Ids count up: v2 is older than v10.
    return sorted((version["VersionId"] for version in found), key=lambda name: int(name.removeprefix("v")))


def _delete_version(session: AccountSession, arn: str, version: str) -> None:
    with _calling("DeletePolicyVersion", session, arn):
        session.iam.delete_policy_version(PolicyArn=arn, VersionId=version)


def _calling(operation: str, session: AccountSession, arn: str) -> AbstractContextManager[None]:
    return translated(service="iam", operation=operation, account=session.access.account_id, arn=arn)
