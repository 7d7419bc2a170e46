"""The CloudFormation form. CloudFormation owns a resource whole, so it does only what cannot take anything away.

- A role is created; the trust policy of one that exists is not changed, as the template would have to own the role.
- An inline policy has a name of its own (`xacct-portal`), so it can be owned.
- A managed policy is ours as a whole, so it can be owned.
- `AWS::S3::BucketPolicy` replaces the bucket's policy: it is rendered with the statements of others that the portal has
  read. Where it could not read them, a parameter asks whether there is none; as long as it says no, which is its
  default, nothing is done to the bucket.

Everything is retained when it leaves the stack.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from roles.policies.document import PolicyDocument
from roles.policies.ownership import TRUST_SIDS, merged_trust
from roles.provisioning.handoff.rendered import Rendered, digest, head
from roles.provisioning.handoff.work import BucketItem, InlineItem, Item, ManagedItem, ProfileItem, RoleItem, Work
from roles.provisioning.resources import INLINE_POLICY_NAME
from roles.values.arns import MANAGED_POLICY_PATH

_RETAIN = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
_ANY_WIDTH = 1_000_000
# CloudFormation replaces such text by a parameter or a secret, wherever it stands in a template (User Guide, "Get
# values stored in other services using dynamic references"), and has no escape for it.
_DYNAMIC_REFERENCE = "{{resolve:"
_USE_SCRIPT = "Use the script or the console for it."
_YES, _NO = "true", "false"


def render(work: Work, *, stack: str) -> Rendered:
    """Return the template, and what CloudFormation must not do or cannot say."""
    region = _region(work)
    left_out = list(work.refused)
    resources: dict[str, Any] = {}
    created: dict[str, str] = {}
    steps: list[str] = []
    asked: list[BucketItem] = []
    for item in work.items:
        reason = _why_not(item, region)
        if reason:
            left_out.append(reason)
            continue
        made = _resources(item, created)
        if _DYNAMIC_REFERENCE in json.dumps(made):
            left_out.append(
                f"{_name(item)}: CloudFormation would put a parameter or a secret in place of '{_DYNAMIC_REFERENCE}' "
                f"in it. {_USE_SCRIPT}"
            )
            continue
        resources |= made
        left_out += _left_of(item)
        steps += _steps(item)
        if isinstance(item, RoleItem):
            created[str(item.role)] = _logical_id(item)
        if isinstance(item, BucketItem) and not item.share.known:
            asked.append(item)
    if not resources:
        return Rendered("", tuple(left_out))
    body = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Cross-account S3 access: what account {work.account.account_id} has to add.",
        **_questions(asked),
        "Resources": resources,
    }
    text = yaml.safe_dump(json.loads(json.dumps(body)), sort_keys=False, width=_ANY_WIDTH)
    purpose = f"For account {work.account.account_id}, region {region}."
    return Rendered(head(purpose, _how(stack, region, steps), left_out) + text, tuple(left_out))


def _questions(buckets: Iterable[BucketItem]) -> dict[str, Any]:
    """Return the parameters that ask what the portal does not know, and the conditions that they decide."""
    parameters: dict[str, Any] = {}
    conditions: dict[str, Any] = {}
    for item in buckets:
        name = _parameter(item)
        parameters[name] = {
            "Type": "String",
            "AllowedValues": [_YES, _NO],
            "Default": _NO,
            "Description": (
                f"Whether bucket {item.bucket.name} has no policy at all. With {_YES}, a policy that it has is "
                "replaced, and what others have in it is lost."
            ),
        }
        conditions[name] = {"Fn::Equals": [{"Ref": name}, _YES]}
    return {"Parameters": parameters, "Conditions": conditions} if parameters else {}


def _steps(item: Item) -> list[str]:
    """Return what has to be done beside deploying the template, in whole sentences."""
    if isinstance(item, ManagedItem):
        return [
            f"CloudFormation gives the managed policies of {item.role.name} no tags. Mark them as the portal's own "
            "afterwards, or the script and the portal itself will not take them for its own:",
            *(_tag_command(arn, item.tags) for arn, _ in item.wished),
        ]
    if not isinstance(item, BucketItem):
        return []
    name = item.bucket.name
    if item.share.known:
        has_policy = item.share.current is not None
        importing = f"Bucket {name} has a policy, so first bring it into the stack as {_logical_id(item)}"
        return [f"{importing} (Stack actions > Import resources into stack)."] if has_policy else []
    return [
        f"Bucket {name} gets its policy only with --parameter-overrides {_parameter(item)}={_YES}. Say so only if AWS "
        "answers NoSuchBucketPolicy to the command below: CloudFormation replaces a policy that is there. If there is "
        f"one, use the script, which merges. Deploy with {_parameter(item)}={_NO} afterwards: the policy stays, and "
        "statements that others add to it later are not overwritten by the next deployment.",
        f"aws s3api get-bucket-policy --bucket {name} --region {item.region}",
    ]


def _tag_command(arn: str, tags: Mapping[str, str]) -> str:
    written = " ".join(f"Key={key},Value={value}" for key, value in tags.items())
    return f"aws iam tag-policy --policy-arn {shlex.quote(arn)} --tags {written}"


def _left_of(item: Item) -> list[str]:
    """Return what of an item that is in the template the template does not do, in whole sentences."""
    if isinstance(item, ManagedItem) and item.left:
        return [_why_not_deleted(item)]
    if isinstance(item, BucketItem) and not item.share.known:
        return [
            f"The policy of bucket {item.bucket.name}, as long as the parameter {_parameter(item)} is '{_NO}': "
            "CloudFormation replaces a policy whole, and the portal does not know what others have in it. If the "
            "bucket has a policy, use the script, which merges."
        ]
    return []


def _why_not_deleted(item: ManagedItem) -> str:
    names = ", ".join(arn.rpartition("/")[2] for arn in item.left)
    return f"Deleting the managed policies {names} of {item.role.name}: a template only adds. {_USE_SCRIPT}"


def _how(stack: str, region: str, steps: Iterable[str]) -> list[str]:
    deploy = (
        f"aws cloudformation deploy --region {region} --stack-name {stack} --template-file {stack}.yaml "
        "--capabilities CAPABILITY_NAMED_IAM"
    )
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
    if isinstance(item, ManagedItem) and not item.documents:
        return _why_not_deleted(item)
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
    if item.share.merged().is_empty:
        what = "Deleting" if item.share.known else "Taking the portal's statements out of"
        return f"{what} the policy of bucket {name}: a template only adds. {_USE_SCRIPT}"
    if item.region != region:
        return f"The policy of bucket {name}: it is in {item.region}, and a stack works in one region. {_USE_SCRIPT}"
    return ""


def _name(item: Item) -> str:
    return f"Bucket {item.bucket.name}" if isinstance(item, BucketItem) else f"Role {item.role.name}"


def _parameter(item: BucketItem) -> str:
    return _alphanumeric("BucketHasNoPolicy", item.bucket.name, str(item.bucket))


def _logical_id(item: RoleItem | ProfileItem | InlineItem | BucketItem) -> str:
    if isinstance(item, BucketItem):
        return _alphanumeric("BucketPolicy", item.bucket.name, str(item.bucket))
    kind = {RoleItem: "Role", ProfileItem: "InstanceProfile", InlineItem: "RolePolicy"}[type(item)]
    if isinstance(item, InlineItem) and item.policy_name != INLINE_POLICY_NAME:
        return _alphanumeric(kind, item.role.name, f"{item.role} {item.policy_name}")
    return _alphanumeric(kind, item.role.name, str(item.role))


def _alphanumeric(kind: str, name: str, resource: str) -> str:
    plain = "".join(each for each in name if each.isascii() and each.isalnum())
    return f"{kind}{plain}{digest(resource)}"


def _resources(item: Item, created: dict[str, str]) -> dict[str, Any]:
    """Return the item's resources by their names in the template. `created` are those of its roles, by ARN."""
    if not isinstance(item, ManagedItem):
        return {_logical_id(item): _resource(item, created)}
    made = {}
    for arn, document in item.wished:
        policy = {
            "ManagedPolicyName": arn.rpartition("/")[2],
            "Path": MANAGED_POLICY_PATH,
            "PolicyDocument": document.as_dict(),
            "Roles": [_role(item, created)],
        }
        name = _alphanumeric("ManagedPolicy", item.role.name, arn)
        made[name] = _with("AWS::IAM::ManagedPolicy", policy, {}, None)
    return made


def _resource(item: RoleItem | ProfileItem | InlineItem | BucketItem, created: dict[str, str]) -> dict[str, Any]:
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
    bucket_policy = {"Bucket": item.bucket.name, "PolicyDocument": document.as_dict()}
    resource = _with("AWS::S3::BucketPolicy", bucket_policy, created, document)
    return resource if item.share.known else {"Condition": _parameter(item), **resource}


def _nobody() -> PolicyDocument:
    return merged_trust(None, (), owned=TRUST_SIDS)


def _role(item: ProfileItem | InlineItem | ManagedItem, created: dict[str, str]) -> Any:
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
