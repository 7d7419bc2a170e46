"""What IAM checks before it does as told, by action. Each check raises the refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from tests.strict_aws.layer.query_call import tags_of
from tests.strict_aws.layer.world import World
from tests.strict_aws.rules import names, sizes
from tests.strict_aws.rules.identity import check_identity_policy
from tests.strict_aws.rules.refusal import Refusal, limit_exceeded
from tests.strict_aws.rules.trust import check_trust_policy

ATTACHED_POLICIES = 10  # IAM and STS quotas: managed policies attached to a role
POLICY_VERSIONS = 5  # IAM and STS quotas: versions of a managed policy

Parameters = Mapping[str, str]
Check = Callable[[World, str, Parameters], None]


def create_role(world: World, account: str, parameters: Parameters) -> None:
    """Names, path, duration, tags, a name in use in any case of its letters, and the trust policy."""
    name = parameters.get("RoleName", "")
    names.check_role_name(name)
    names.check_path(parameters.get("Path", "/"))
    names.check_tags(tags_of(parameters))
    if "MaxSessionDuration" in parameters:
        names.check_role_seconds(parameters["MaxSessionDuration"])
    if any(role.name.lower() == name.lower() for role in world.roles(account)):
        raise Refusal("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
    check_trust_policy(parameters.get("AssumeRolePolicyDocument", ""), world)


def update_assume_role_policy(world: World, account: str, parameters: Parameters) -> None:
    """The trust policy of a role that exists."""
    if world.role(account, parameters.get("RoleName", "")):
        check_trust_policy(parameters.get("PolicyDocument", ""), world)


def update_role(world: World, account: str, parameters: Parameters) -> None:
    """The longest session."""
    if "MaxSessionDuration" in parameters:
        names.check_role_seconds(parameters["MaxSessionDuration"])


def tag_role(world: World, account: str, parameters: Parameters) -> None:
    """The tags' number and sizes."""
    names.check_tags(tags_of(parameters))


def _put_policy(kind: str) -> Check:
    def check(world: World, account: str, parameters: Parameters) -> None:
        entity, name = parameters.get(f"{kind}Name", ""), parameters.get("PolicyName", "")
        text = parameters.get("PolicyDocument", "")
        names.check_policy_name(name)
        check_identity_policy(text)
        others = world.inline_texts(kind, entity, account)
        texts = [json.dumps(document) for other, document in others.items() if other != name]
        sizes.check_inline([*texts, text], name=entity, kind=kind.lower())

    return check


def create_policy(world: World, account: str, parameters: Parameters) -> None:
    """A managed policy's document and size."""
    check_identity_policy(parameters.get("PolicyDocument", ""))
    sizes.check_managed(parameters.get("PolicyDocument", ""))


def create_policy_version(world: World, account: str, parameters: Parameters) -> None:
    """The same, and the number of versions."""
    create_policy(world, account, parameters)
    answer = world.root.iam(account, "ListPolicyVersions", PolicyArn=parameters.get("PolicyArn", ""))
    if answer is not None and len(answer.findall(".//VersionId")) >= POLICY_VERSIONS:
        raise limit_exceeded(
            f"A managed policy can have up to {POLICY_VERSIONS} versions. Before you create a new version, you must "
            "delete an existing version."
        )


def attach_role_policy(world: World, account: str, parameters: Parameters) -> None:
    """The number of managed policies of a role."""
    attached = world.attached_arns("Role", parameters.get("RoleName", ""), account)
    if len({*attached, parameters.get("PolicyArn", "")}) > ATTACHED_POLICIES:
        raise limit_exceeded(f"Cannot exceed quota for PoliciesPerRole: {ATTACHED_POLICIES}")


def remove_role_from_instance_profile(world: World, account: str, parameters: Parameters) -> None:
    """A role that is in the profile. `NoSuchEntity` is documented for it (IAM API Reference); its words are not."""
    name, profile = parameters.get("RoleName", ""), parameters.get("InstanceProfileName", "")
    answer = world.root.iam(account, "GetInstanceProfile", InstanceProfileName=profile)
    if answer is not None and name not in {item.text for item in answer.findall(".//RoleName")}:
        raise Refusal("NoSuchEntity", f"The role {name} is not in the instance profile {profile}.", 404)


CHECKS: dict[str, Check] = {
    "CreateRole": create_role,
    "UpdateAssumeRolePolicy": update_assume_role_policy,
    "UpdateRole": update_role,
    "TagRole": tag_role,
    "PutRolePolicy": _put_policy("Role"),
    "PutUserPolicy": _put_policy("User"),
    "CreatePolicy": create_policy,
    "CreatePolicyVersion": create_policy_version,
    "AttachRolePolicy": attach_role_policy,
    "RemoveRoleFromInstanceProfile": remove_role_from_instance_profile,
}
