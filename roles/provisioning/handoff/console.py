"""The form for the AWS console: the procedure's own instructions with the JSON documents, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from roles.policies.document import PolicyDocument
from roles.provisioning.handoff.rendered import Rendered, printable
from roles.provisioning.handoff.work import InlineItem, Item, ManagedItem, ProfileItem, RoleItem, Share, Work
from roles.values.arns import MANAGED_POLICY_PATH


def render(work: Work) -> Rendered:
    """Return the instructions, in the order in which they have to be followed."""
    if not work.items:
        return Rendered("", work.refused)
    lines = [f"# For account {work.account.account_id}", ""]
    lines += [f"Not in here: {printable(sentence)}\n" for sentence in work.refused]
    for item in work.items:
        lines += [f"## {printable(item.heading)}", "", *_section(item), ""]
    lines += ["Then let the portal verify it."]
    return Rendered("\n".join(lines) + "\n", work.refused)


def code(text: str) -> str:
    """Return `text` as a Markdown code span in which nothing is markup, whatever is in it."""
    plain = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{padding}{plain}{padding}{fence}"


def _section(item: Item) -> list[str]:
    if isinstance(item, RoleItem):
        return _role(item)
    if isinstance(item, ProfileItem):
        return [
            f"The console makes the instance profile {code(item.role.name)} together with a role for EC2. For any "
            "other role, run `aws iam create-instance-profile`, with `--tags Key=xacct-portal,Value=managed`, and "
            "`aws iam add-role-to-instance-profile`. "
            f"The Instance Profile ARN is {code(item.role.instance_profile)}.",
        ]
    if isinstance(item, InlineItem):
        return _inline(item)
    if isinstance(item, ManagedItem):
        return _managed(item)
    return [
        f"Select **S3 > {code(item.bucket.name)} > Permissions > Bucket Policy**.",
        "",
        *_enter(item.share, item.share.merged(), "the bucket policy"),
    ]


def _role(item: RoleItem) -> list[str]:
    name, lines = code(item.role.name), []
    share = item.trust if item.trust is not None else Share((), ())
    if item.create and not item.exists:
        tags = ", ".join(f"{code(key)} = {code(value)}" for key, value in item.tags.items())
        lines += [
            f"Create a role named {name} with **Custom trust policy**, unless it is there already"
            f"{f', with the tag {tags}' if tags else ''}"
            f"{f' and the path {code(item.role.path)}' if item.role.path != '/' else ''}"
            f"{f' and the permissions boundary {code(item.boundary)}' if item.boundary else ''}. "
            f"The Role ARN is {code(str(item.role))}.",
            "",
        ]
    if item.trust is not None:
        lines += [f"Select **IAM > Roles > {name} > Trust relationships > Edit trust relationship**.", ""]
    if item.trust is not None or item.create:
        lines += _enter(share, share.merged_trust(), "the trust relationship")
    return lines or [f"The role {name} has to be there; nothing has to be changed in it."]


def _inline(item: InlineItem) -> list[str]:
    name, policy = code(item.role.name), code(item.policy_name)
    if item.share.known and item.share.merged().is_empty:
        return [f"Select **IAM > Roles > {name} > Permissions** and delete the inline policy {policy}."]
    return [
        f"Select **IAM > Roles > {name} > Permissions**, click **add inline policy**, or edit {policy} if it is there.",
        "",
        *_enter(item.share, item.share.merged(), f"the policy, called {policy}"),
    ]


def _managed(item: ManagedItem) -> list[str]:
    """Return the managed policies one by one. The console gives a policy no path, and this one's ARN has a path."""
    tags, lines = ",".join(f"Key={key},Value={value}" for key, value in item.tags.items()), []
    for arn, document in item.wished:
        policy = arn.rpartition("/")[2]
        create = (
            f"aws iam create-policy --policy-name {policy} --path {MANAGED_POLICY_PATH} --tags {tags} "
            f"--policy-document file://{policy}.json"
        )
        lines += [
            f"If it is there, select **IAM > Policies > {code(policy)} > Edit** and enter the document below as the "
            "default version. If it is not, save the document and run, as the console makes no policy with a path, "
            f"{code(create)}. Then attach {code(arn)} to the role {code(item.role.name)}.",
            "",
            *_block(document.as_dict()),
            "",
        ]
    lines += [
        f"Detach {code(arn)} from the role {code(item.role.name)} and delete it, if it is there." for arn in item.left
    ]
    return lines


def _enter(share: Share, document: PolicyDocument, what: str) -> list[str]:
    """Return how to enter a document: whole where it is known, else as our part of what is there."""
    owned = ", ".join(code(prefix) for prefix in share.owned if prefix)
    if share.known or not owned:
        if document.is_empty:
            return [f"Delete {what}: no statement is left in it."]
        return [f"Enter as {what}:", "", *_block(document.as_dict())]
    if not share.statements:
        return [
            f"In {what}, delete the statements whose `Sid` begins with {owned}, and keep all others. If none is left, "
            "delete it; a trust relationship gets this one instead:",
            "",
            *_block(document.as_dict()),
        ]
    return [
        f"If there is a document already, keep its statements, delete those whose `Sid` begins with {owned}, and add "
        f"the ones below. If there is none, enter this as {what}:",
        "",
        *_block(document.as_dict()),
    ]


def _block(document: dict[str, Any]) -> Iterable[str]:
    return ("```json", *json.dumps(document, indent=2).splitlines(), "```")
