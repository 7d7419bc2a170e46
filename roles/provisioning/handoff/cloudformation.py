"""The CloudFormation form. CloudFormation owns a resource whole, so it does only what cannot take anything away.

- A role is created; the trust policy of one that exists is not changed, as the template would have to own the role.
- An inline policy has a name of its own (`xacct-portal`), so it can be owned.
- `AWS::S3::BucketPolicy` replaces the bucket's policy: it is rendered with the statements of others that the portal has
  read, and left out where it could not read them.

Everything is retained when it leaves the stack.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from roles.policies.document import PolicyDocument
from roles.policies.ownership import TRUST_SIDS, merged_trust
from roles.provisioning.handoff.rendered import Rendered, digest, head
from roles.provisioning.handoff.work import BucketItem, InlineItem, Item, ProfileItem, RoleItem, Work
from roles.provisioning.resources import INLINE_POLICY_NAME

_RETAIN = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
_ANY_WIDTH = 1_000_000
# CloudFormation replaces such text by a parameter or a secret, wherever it stands in a template (User Guide, "Get
# values stored in other services using dynamic references"), and has no escape for it.
_DYNAMIC_REFERENCE = "{{resolve:"
_USE_SCRIPT = "Use the script or the console for it."


def render(work: Work, *, stack: str) -> Rendered:
    """Return the template, and what CloudFormation must not do or cannot say."""
    region = _region(work)
    left_out = list(work.refused)
    resources: dict[str, Any] = {}
    created: dict[str, str] = {}
    importing: list[str] = []
    for item in work.items:
        reason = _why_not(item, region)
        if reason:
            left_out.append(reason)
            continue
        name, resource = _logical_id(item), _resource(item, created)
        if _DYNAMIC_REFERENCE in json.dumps(resource):
            left_out.append(
                f"{_name(item)}: CloudFormation would put a parameter or a secret in place of '{_DYNAMIC_REFERENCE}' "
                f"in it. {_USE_SCRIPT}"
            )
            continue
        resources[name] = resource
        if isinstance(item, RoleItem):
            created[str(item.role)] = name
        if isinstance(item, BucketItem) and item.share.current is not None:
            importing.append(f"Bucket {item.bucket.name} has a policy, so first bring it into the stack as {name}")
    if not resources:
        return Rendered("", tuple(left_out))
    body = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Cross-account S3 access: what account {work.account.account_id} has to add.",
        "Resources": resources,
    }
    text = yaml.safe_dump(json.loads(json.dumps(body)), sort_keys=False, width=_ANY_WIDTH)
    return Rendered(
        head(f"For account {work.account.account_id}, region {region}.", _how(stack, region, importing), left_out)
        + text,
        tuple(left_out),
    )


def _how(stack: str, region: str, importing: Iterable[str]) -> list[str]:
    deploy = (
        f"aws cloudformation deploy --region {region} --stack-name {stack} --template-file {stack}.yaml "
        "--capabilities CAPABILITY_NAMED_IAM"
    )
    steps = [f"{one} (Stack actions > Import resources into stack)." for one in importing]
    return [
        "Deploy it in that one region; roles are global. A name that is taken stops the stack and changes nothing.",
        *steps,
        "",
        deploy,
    ]


def _region(work: Work) -> str:
    """Return the region for the stack: that of the first bucket, as S3 takes a policy in the bucket's own only."""
    return next((item.region for item in work.items if isinstance(item, BucketItem)), work.account.region)


def _why_not(item: Item, region: str) -> str:
    """Return why CloudFormation must not or cannot do it, or an empty text."""
    if isinstance(item, RoleItem):
        return _why_not_role(item)
    if isinstance(item, ProfileItem) and item.exists:
        return f"Putting {item.role.name} into its instance profile, which is there already. {_USE_SCRIPT}"
    if isinstance(item, InlineItem) and item.share.merged().is_empty:
        return f"Deleting policy {item.policy_name} of {item.role.name}: a template only adds. {_USE_SCRIPT}"
    if isinstance(item, BucketItem):
        return _why_not_bucket(item, region)
    return ""


def _why_not_role(item: RoleItem) -> str:
    if item.create and not item.exists:
        return ""
    return (
        f"The trust relationship of {item.role.name}: the role is there already, and CloudFormation would have to own "
        f"all of it to change that. {_USE_SCRIPT}"
    )


def _why_not_bucket(item: BucketItem, region: str) -> str:
    name = item.bucket.name
    if not item.share.known:
        return (
            f"The policy of bucket {name}: CloudFormation replaces it whole, and the portal does not know what others "
            f"have in it. {_USE_SCRIPT}"
        )
    if item.share.merged().is_empty:
        return f"Deleting the policy of bucket {name}: a template only adds. {_USE_SCRIPT}"
    if item.region != region:
        return f"The policy of bucket {name}: it is in {item.region}, and a stack works in one region. {_USE_SCRIPT}"
    return ""


def _name(item: Item) -> str:
    return f"Bucket {item.bucket.name}" if isinstance(item, BucketItem) else f"Role {item.role.name}"


def _logical_id(item: Item) -> str:
    if isinstance(item, BucketItem):
        return _alphanumeric("BucketPolicy", item.bucket.name, str(item.bucket))
    kind = {RoleItem: "Role", ProfileItem: "InstanceProfile", InlineItem: "RolePolicy"}[type(item)]
    if isinstance(item, InlineItem) and item.policy_name != INLINE_POLICY_NAME:
        return _alphanumeric(kind, item.role.name, f"{item.role} {item.policy_name}")
    return _alphanumeric(kind, item.role.name, str(item.role))


def _alphanumeric(kind: str, name: str, resource: str) -> str:
    plain = "".join(each for each in name if each.isascii() and each.isalnum())
    return f"{kind}{plain}{digest(resource)}"


def _resource(item: Item, created: dict[str, str]) -> dict[str, Any]:
    if isinstance(item, RoleItem):
        trust = item.trust.merged_trust() if item.trust is not None else _nobody()
        properties = {
            "RoleName": item.role.name,
            "Path": item.role.path,
            "Description": "Cross-account S3 access; the portal says who uses it.",
            "AssumeRolePolicyDocument": trust.as_dict(),
            **({"PermissionsBoundary": item.boundary} if item.boundary else {}),
            **({"Tags": [{"Key": key, "Value": value} for key, value in item.tags.items()]} if item.tags else {}),
        }
        return _with("AWS::IAM::Role", properties, created, trust)
    if isinstance(item, ProfileItem):
        profile = {"InstanceProfileName": item.role.name, "Path": item.role.path, "Roles": [_role(item, created)]}
        return _with("AWS::IAM::InstanceProfile", profile, {}, None)
    document = item.share.merged()
    if isinstance(item, InlineItem):
        policy = {
            "PolicyName": item.policy_name,
            "RoleName": _role(item, created),
            "PolicyDocument": document.as_dict(),
        }
        return _with("AWS::IAM::RolePolicy", policy, {}, None)
    return _with(
        "AWS::S3::BucketPolicy",
        {"Bucket": item.bucket.name, "PolicyDocument": document.as_dict()},
        created,
        document,
    )


def _nobody() -> PolicyDocument:
    return merged_trust(None, (), owned=TRUST_SIDS)


def _role(item: ProfileItem | InlineItem, created: dict[str, str]) -> Any:
    """Return the role's name: as a reference to the role in this template, so that it is made first, or as it is."""
    name = created.get(str(item.role))
    return {"Ref": name} if name else item.role.name


def _with(
    kind: str, properties: dict[str, Any], created: dict[str, str], document: PolicyDocument | None
) -> dict[str, Any]:
    """Return a resource that waits for the roles of this template that its document names."""
    text = document.as_json() if document is not None else ""
    waits = [name for arn, name in created.items() if json.dumps(arn) in text]
    return {"Type": kind, **_RETAIN, **({"DependsOn": waits} if waits else {}), "Properties": properties}
