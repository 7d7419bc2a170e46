"""IAM: roles, their trust, inline policies and instance profiles. Names are unique in an account, whatever the path."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roles.aws.answers import policy_document, request_id
from roles.aws.errors import translated
from roles.aws.sessions import AccountSession
from roles.errors import AwsLimitExceeded, AwsNotFound, AwsPropagating
from roles.policies.document import PolicyDocument
from roles.values.arns import RoleArn

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import TagTypeDef


@dataclass(frozen=True, slots=True)
class RoleState:
    """A role as IAM has it. `role_id` is its unique id (`AROA…`); `path` may differ from the one asked for.

    `boundary` is the ARN of its permissions boundary, or empty.
    """

    arn: str
    role_id: str
    trust: PolicyDocument
    tags: Mapping[str, str]
    path: str
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class ProfileState:
    """An instance profile as IAM has it, with the names of the roles in it."""

    roles: tuple[str, ...]
    tags: Mapping[str, str]


def get_role(session: AccountSession, role: RoleArn) -> RoleState | None:
    """Return the role of this name, or None when there is none.

    Raises `AwsPropagating` while IAM shows a fresh role's unique id in place of its ARN (boto/boto3#3206).
    """
    try:
        with _calling("GetRole", session, str(role)):
            found = session.iam.get_role(RoleName=role.name)["Role"]
    except AwsNotFound:
        return None
    arn = found["Arn"]
    if not arn.startswith("arn:"):
        raise AwsPropagating(
            f"IAM does not show the ARN of {role} yet.",
            hint="The role was made a moment ago; the portal tries again by itself.",
            account=role.account,
            service="iam",
            operation="GetRole",
            arn=str(role),
        )
    return RoleState(
        arn=arn,
        role_id=found["RoleId"],
        trust=_document(found["AssumeRolePolicyDocument"], f"The trust policy of {arn}"),
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
        path=found["Path"],
        boundary=found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
    )


def create_role(
    session: AccountSession, role: RoleArn, trust: PolicyDocument, *, tags: Mapping[str, str], boundary: str = ""
) -> str:
    """Create the role under its path and return AWS's request id. Raises `AwsConflict` when the name is taken.

    `boundary` is the ARN of the policy that limits what the role can ever do; empty is none.
    """
    limited: dict[str, Any] = {"PermissionsBoundary": boundary} if boundary else {}
    listed: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    with _calling("CreateRole", session, str(role)):
        answer = session.iam.create_role(
            RoleName=role.name, Path=role.path, AssumeRolePolicyDocument=trust.as_json(), Tags=listed, **limited
        )
    return request_id(answer)


def update_assume_role_policy(session: AccountSession, role: RoleArn, document: PolicyDocument) -> str:
    """Replace the role's trust policy and return AWS's request id."""
    with _calling("UpdateAssumeRolePolicy", session, str(role)):
        answer = session.iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=document.as_json())
    return request_id(answer)


def delete_role(session: AccountSession, role: RoleArn) -> str:
    """Delete the role and return AWS's request id. One that is gone already is as good as deleted.

    Raises `AwsConflict` while a policy or an instance profile hangs on it, and for some time after that.
    """
    try:
        with _calling("DeleteRole", session, str(role)):
            answer = session.iam.delete_role(RoleName=role.name)
    except AwsNotFound as error:
        return error.request_id
    return request_id(answer)


def role_policies(session: AccountSession, role: RoleArn) -> tuple[str, ...]:
    """Return the names of the role's inline policies, whosever; none when there is no such role."""
    found: list[str] = []
    try:
        with _calling("ListRolePolicies", session, str(role)):
            for page in session.iam.get_paginator("list_role_policies").paginate(RoleName=role.name):
                found += page["PolicyNames"]
    except AwsNotFound:
        return ()
    return tuple(found)


def get_role_policy(session: AccountSession, role: RoleArn, policy_name: str) -> PolicyDocument | None:
    """Return the role's inline policy of this name; None when there is none, or no such role."""
    try:
        with _calling("GetRolePolicy", session, str(role)):
            answer = session.iam.get_role_policy(RoleName=role.name, PolicyName=policy_name)
    except AwsNotFound:
        return None
    return _document(answer["PolicyDocument"], f"Policy '{policy_name}' of {role}")


def put_role_policy(session: AccountSession, role: RoleArn, policy_name: str, document: PolicyDocument) -> str:
    """Write the role's inline policy of this name, whether there was one or not; return AWS's request id."""
    with _calling("PutRolePolicy", session, str(role)):
        answer = session.iam.put_role_policy(
            RoleName=role.name, PolicyName=policy_name, PolicyDocument=document.as_json()
        )
    return request_id(answer)


def delete_role_policy(session: AccountSession, role: RoleArn, policy_name: str) -> str:
    """Delete the role's inline policy and return AWS's request id. One that is gone already is as good as deleted."""
    try:
        with _calling("DeleteRolePolicy", session, str(role)):
            answer = session.iam.delete_role_policy(RoleName=role.name, PolicyName=policy_name)
    except AwsNotFound as error:
        return error.request_id
    return request_id(answer)


def get_instance_profile(session: AccountSession, role: RoleArn) -> ProfileState | None:
    """Return the instance profile of the role's name; None when there is no such profile."""
    try:
        with _calling("GetInstanceProfile", session, role.instance_profile):
            found = session.iam.get_instance_profile(InstanceProfileName=role.name)["InstanceProfile"]
    except AwsNotFound:
        return None
    roles = tuple(item["RoleName"] for item in found["Roles"])
    return ProfileState(roles, {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])})


def instance_profiles_of(session: AccountSession, role: RoleArn) -> tuple[str, ...]:
    """Return the names of the instance profiles that hold the role; none when there is no such role."""
    found: list[str] = []
    try:
        with _calling("ListInstanceProfilesForRole", session, str(role)):
            for page in session.iam.get_paginator("list_instance_profiles_for_role").paginate(RoleName=role.name):
                found += [profile["InstanceProfileName"] for profile in page["InstanceProfiles"]]
    except AwsNotFound:
        return ()
    return tuple(found)


def create_instance_profile(session: AccountSession, role: RoleArn, *, tags: Mapping[str, str]) -> str:
    """Create the instance profile of the role's name and path, empty; return AWS's request id."""
    listed: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    with _calling("CreateInstanceProfile", session, role.instance_profile):
        answer = session.iam.create_instance_profile(InstanceProfileName=role.name, Path=role.path, Tags=listed)
    return request_id(answer)


def add_role_to_instance_profile(session: AccountSession, role: RoleArn) -> str:
    """Put the role into the instance profile of its name; return AWS's request id.

    A profile holds one role (IAM and STS quotas): raises `AwsLimitExceeded` when another one is in it. The same role
    is refused with the same words, and is in it when the answer to an earlier try got lost: that is as good as added.
    """
    try:
        with _calling("AddRoleToInstanceProfile", session, role.instance_profile):
            answer = session.iam.add_role_to_instance_profile(InstanceProfileName=role.name, RoleName=role.name)
    except AwsLimitExceeded as error:
        found = get_instance_profile(session, role)
        if found is None or role.name not in found.roles:
            raise
        return error.request_id
    return request_id(answer)


def remove_role_from_instance_profile(session: AccountSession, role: RoleArn) -> str:
    """Take the role out of the instance profile of its name; return AWS's request id. One that is not in it is out."""
    try:
        with _calling("RemoveRoleFromInstanceProfile", session, role.instance_profile):
            answer = session.iam.remove_role_from_instance_profile(InstanceProfileName=role.name, RoleName=role.name)
    except AwsNotFound as error:
        return error.request_id
    return request_id(answer)


def delete_instance_profile(session: AccountSession, role: RoleArn) -> str:
    """Delete the instance profile of the role's name; return AWS's request id. One that is gone is as good as deleted.

    Raises `AwsConflict` while a role is in it.
    """
    try:
        with _calling("DeleteInstanceProfile", session, role.instance_profile):
            answer = session.iam.delete_instance_profile(InstanceProfileName=role.name)
    except AwsNotFound as error:
        return error.request_id
    return request_id(answer)


def _calling(operation: str, session: AccountSession, arn: str) -> AbstractContextManager[None]:
    return translated(service="iam", operation=operation, account=session.access.account_id, arn=arn)


def _document(value: Any, owner: str) -> PolicyDocument:
    return policy_document(value, owner=owner)
