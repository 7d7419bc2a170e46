"""The Terraform form. Documents that others write to as well are read by data sources and merged when it runs.

Terraform cannot ask whether a thing exists. Where the portal does not know, a variable asks the owner, and its default
is the answer with which a wrong guess stops the run and changes nothing: a role is taken to be missing (creating it
fails if it is there), a bucket is taken to have a policy (reading it fails if there is none).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from roles.policies.builders import nobody_statement
from roles.policies.sids import TRUST_NOBODY
from roles.provisioning.handoff import hcl
from roles.provisioning.handoff.hcl import Block, Call, Raw
from roles.provisioning.handoff.rendered import Rendered, head, label
from roles.provisioning.handoff.work import (
    BucketItem,
    InlineItem,
    Item,
    ManagedItem,
    ProfileItem,
    RoleItem,
    Share,
    Work,
)
from roles.provisioning.resources import INLINE_POLICY_NAME
from roles.values.arns import MANAGED_POLICY_PATH, MANAGED_TAGS

_USE_SCRIPT = "Use the script or the console for it."
_KEPT_OF_A_ROLE = ["description", "force_detach_policies", "max_session_duration", "permissions_boundary", "tags"]
_KEEP = {"prevent_destroy": True}


def render(work: Work) -> Rendered:
    """Return the configuration, and what Terraform cannot say."""
    left_out = list(work.refused)
    items: list[Item] = []
    for item in work.items:
        reason = _why_not(item)
        if reason:
            left_out.append(reason)
        else:
            items.append(item)
            left_out += _left_of(item)
    if not items:
        return Rendered("", tuple(left_out))
    blocks, made = _settings(work, items), dict[str, str]()
    for item in items:
        blocks += _blocks(item, work, made)
    top = head(f"For account {work.account.account_id}.", _HOW, left_out)
    return Rendered(f"{top}\n{hcl.document(blocks)}", tuple(left_out))


_HOW = (
    "Apply it from a directory of its own, or beside the portal's other files for this account. Taking a block out of "
    "it later deletes what the block made, so take nothing out by hand.",
    "Where your own Terraform manages the same policy already, put the statements of the locals there instead.",
    "Terraform writes characters in their composed form (Unicode NFC), in the statements of others too.",
)


def _left_of(item: Item) -> list[str]:
    """Return what of an item that is in the file the file does not do, in whole sentences."""
    return [_why_not_deleted(item)] if isinstance(item, ManagedItem) and item.documents and item.left else []


def _why_not_deleted(item: ManagedItem) -> str:
    names = ", ".join(arn.rpartition("/")[2] for arn in item.left)
    return f"Deleting the managed policies {names} of {item.role.name}: a configuration only adds. {_USE_SCRIPT}"


def _why_not(item: Item) -> str:
    if isinstance(item, ProfileItem | ManagedItem):
        return _why_not_managed(item) if isinstance(item, ManagedItem) else ""
    name = item.bucket.name if isinstance(item, BucketItem) else item.role.name
    share = item.trust if isinstance(item, RoleItem) else item.share
    if share is not None and not all(_is_composed(statement.body) for statement in share.statements):
        return _altered(name)
    if isinstance(item, InlineItem) and item.share.merged().is_empty:
        return f"Deleting policy {item.policy_name} of {name}: a configuration only adds. {_USE_SCRIPT}"
    if isinstance(item, BucketItem) and item.share.merged().is_empty:
        return (
            f"Taking the portal's statements out of the policy of bucket {name}, as it may be empty then. {_USE_SCRIPT}"
        )
    if isinstance(item, RoleItem) and not (item.create or item.required) and item.exists is None:
        return f"Taking the portal's statements out of the trust relationship of {name}, if it is there. {_USE_SCRIPT}"
    return ""


def _why_not_managed(item: ManagedItem) -> str:
    if not item.documents:
        return _why_not_deleted(item)
    bodies = [statement.body for document in item.documents for statement in document.statements]
    return "" if all(map(_is_composed, bodies)) else _altered(item.role.name)


def _altered(name: str) -> str:
    """Return why a name with uncomposed characters is left out.

    HCL specification, "String Literals": strings are normalised, and would then name another folder.
    """
    return f"{name}: a name in it is not in Unicode's composed form (NFC); Terraform would alter it. {_USE_SCRIPT}"


def _is_composed(value: Any) -> bool:
    if isinstance(value, str):
        return unicodedata.is_normalized("NFC", value)
    if isinstance(value, dict):
        return all(_is_composed(each) for pair in value.items() for each in pair)
    return all(map(_is_composed, value)) if isinstance(value, list | tuple) else True


def _settings(work: Work, items: Iterable[Item]) -> list[Block]:
    aws = {"source": "hashicorp/aws", "version": ">= 5.0"}
    main, account = work.account.region, [work.account.account_id]
    regions = sorted({item.region for item in items if isinstance(item, BucketItem)} - {main})
    return [
        Block("terraform", {"required_version": ">= 1.7"}, [Block("required_providers", {"aws": aws})]),
        Block('provider "aws"', {"region": main, "allowed_account_ids": account}),
        *(
            Block('provider "aws"', {"alias": _alias(region), "region": region, "allowed_account_ids": account})
            for region in regions
        ),
    ]


def _alias(region: str) -> str:
    return region.replace("-", "_")


def _blocks(item: Item, work: Work, made: dict[str, str]) -> list[Block]:
    """Return an item's blocks. `made` are the addresses of the roles that come before it, by ARN."""
    if isinstance(item, RoleItem):
        return _role_blocks(item, made)
    if isinstance(item, BucketItem):
        return _bucket_blocks(item, work, made)
    name, role = label(str(item.role), item.role.name), item.role
    held = Raw(f"{made[str(role)]}.name") if str(role) in made else role.name
    if isinstance(item, ManagedItem):
        return _managed_blocks(item, name, held)
    if isinstance(item, ProfileItem):
        attributes = {"name": role.name, "path": role.path, "role": held, "tags": dict(MANAGED_TAGS)}
        kind = "aws_iam_instance_profile"
        adopt = [Block("import", {"to": Raw(f"{kind}.{name}"), "id": role.name})] if item.exists else []
        return [*adopt, Block(f'resource "{kind}" "{name}"', attributes, [Block("lifecycle", _KEEP)])]
    policy = Call("jsonencode", item.share.merged().as_dict())
    if item.policy_name != INLINE_POLICY_NAME:
        name = label(f"{role} {item.policy_name}", f"{role.name} {item.policy_name}")
    return [
        Block(f'resource "aws_iam_role_policy" "{name}"', {"name": item.policy_name, "role": held, "policy": policy})
    ]


def _role_blocks(item: RoleItem, made: dict[str, str]) -> list[Block]:
    name = label(str(item.role), item.role.name)
    if item.trust is None and not item.create:
        return [Block(f'data "aws_iam_role" "{name}"', {"name": item.role.name})]
    exists, there = f"{name}_exists", f"data.aws_iam_role.{name}[0].assume_role_policy"
    share = item.trust if item.trust is not None else Share((), ())
    waits = _waits(share, made)
    trust, locals_ = _merging(f"{name}_trust", there, f"var.{exists}", share, is_trust=True)
    resource = {
        "name": item.role.name,
        "path": item.role.path,
        "assume_role_policy": trust,
        **({"permissions_boundary": item.boundary} if item.boundary else {}),
        **({"tags": dict(item.tags)} if item.tags else {}),
        **waits,
    }
    made[str(item.role)] = f"aws_iam_role.{name}"
    lifecycle = Block("lifecycle", {**_KEEP, "ignore_changes": [Raw(each) for each in _KEPT_OF_A_ROLE]})
    what = f"Whether the role {item.role.name} is there already, and is the one that is meant."
    return [
        _variable(exists, what, default=bool(item.exists)),
        Block(f'data "aws_iam_role" "{name}"', {"count": Raw(f"var.{exists} ? 1 : 0"), "name": item.role.name}),
        _import(f"aws_iam_role.{name}", item.role.name, f"var.{exists}"),
        locals_,
        Block(f'resource "aws_iam_role" "{name}"', resource, [lifecycle]),
    ]


def _managed_blocks(item: ManagedItem, name: str, held: Any) -> list[Block]:
    """Return the blocks of the role's managed policies: `held` is the role, `name` what stands for it."""
    kind, blocks = "aws_iam_policy", list[Block]()
    for number, (arn, document) in enumerate(item.wished, start=1):
        policy, exists = arn.rpartition("/")[2], f"{name}_policy_{number}_exists"
        made = f"{name}_{number}"
        attributes = {
            "name": policy,
            "path": MANAGED_POLICY_PATH,
            "policy": Call("jsonencode", document.as_dict()),
            "tags": dict(item.tags),
        }
        what = f"Whether the managed policy {policy} is there already, made for the portal."
        attached = {"role": held, "policy_arn": Raw(f"{kind}.{made}.arn")}
        blocks += [
            _variable(exists, what, default=False),
            _import(f"{kind}.{made}", arn, f"var.{exists}"),
            Block(f'resource "{kind}" "{made}"', attributes),
            Block(f'resource "aws_iam_role_policy_attachment" "{made}"', attached),
        ]
    return blocks


def _import(address: str, name: str, condition: str) -> Block:
    """Return the block that brings what AWS calls `name` into the state, where the condition holds."""
    each = Raw(f"{condition} ? toset([{hcl.quoted(name)}]) : toset([])")
    return Block("import", {"for_each": each, "to": Raw(address), "id": Raw("each.value")})


def _bucket_blocks(item: BucketItem, work: Work, made: dict[str, str]) -> list[Block]:
    name = label(str(item.bucket), item.bucket.name)
    has_policy, there = f"{name}_has_policy", f"data.aws_s3_bucket_policy.{name}[0].policy"
    elsewhere = item.region != work.account.region
    provider = {"provider": Raw(f"aws.{_alias(item.region)}")} if elsewhere else {}
    policy, locals_ = _merging(f"{name}_policy", there, f"var.{has_policy}", item.share, is_trust=False)
    what = (
        f"Whether bucket {item.bucket.name} has a policy. Set it to false only while Terraform says that there is "
        "none, and to true again afterwards: with false, the policy that is there would be replaced."
    )
    resource = {**provider, "bucket": item.bucket.name, "policy": policy, **_waits(item.share, made)}
    return [
        _variable(has_policy, what, default=True),
        Block(
            f'data "aws_s3_bucket_policy" "{name}"',
            {**provider, "count": Raw(f"var.{has_policy} ? 1 : 0"), "bucket": item.bucket.name},
        ),
        locals_,
        Block(f'resource "aws_s3_bucket_policy" "{name}"', resource, [Block("lifecycle", _KEEP)]),
    ]


def _merging(name: str, there: str, condition: str, share: Share, *, is_trust: bool) -> tuple[Raw, Block]:
    """Return the expression of the merged document as JSON, and the locals that it is made of.

    `there` is the document that the data source read, `condition` whether it did. Others' statements keep their order
    and stand before ours. In a trust policy the placeholder stands in when there is no statement at all; as it denies,
    it does not stay beside any other.
    """
    empty = hcl.quoted('{"Version":"2012-10-17","Statement":[]}')
    owned = [*share.owned, *([TRUST_NOBODY] if is_trust else [])]
    others = (
        f"[for s in flatten([local.{name}_there.Statement]) : s if !anytrue([for p in "
        f'[{", ".join(map(hcl.quoted, owned))}] : startswith(try(s.Sid, ""), p)])]'
    )
    statements = f"local.{name}_statements"
    values: dict[str, Any] = {
        f"{name}_there": Raw(f"jsondecode({condition} ? {there} : {empty})"),
        f"{name}_others": Raw(others),
        f"{name}_ours": [dict(statement.body) for statement in share.statements],
        f"{name}_statements": Raw(f"concat(local.{name}_others, local.{name}_ours)"),
    }
    if is_trust:
        values[f"{name}_nobody"] = [dict(nobody_statement().body)]
        statements = f"concat({statements}, [for s in local.{name}_nobody : s if length({statements}) == 0])"
    document = f"jsonencode(merge(local.{name}_there, {{ Statement = {statements} }}))"
    return Raw(document), Block("locals", values)


def _waits(share: Share, made: dict[str, str]) -> dict[str, Any]:
    """Return what to wait for: the roles of this file that our statements name."""
    text = json.dumps([dict(statement.body) for statement in share.statements])
    named = [Raw(address) for arn, address in made.items() if json.dumps(arn) in text]
    return {"depends_on": named} if named else {}


def _variable(name: str, description: str, *, default: bool) -> Block:
    return Block(f'variable "{name}"', {"description": description, "type": Raw("bool"), "default": default})
