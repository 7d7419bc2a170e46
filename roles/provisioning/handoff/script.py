"""The form for the AWS CLI: a bash script that reads, merges by Sid, keeps the previous document, and writes.

It can be run again at any time: what is in order is left as it is. Only "there is no such thing" counts as empty; any
other error on reading ends it. The functions that it begins with are in script_prelude.sh, those for managed policies
in script_policies.sh, the merging in merge_by_sid.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from roles.policies.builders import nobody_statement
from roles.provisioning.handoff.rendered import Rendered, head, printable
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
from roles.values.arns import MANAGED_POLICY_PATH, MANAGED_TAGS

_HERE = Path(__file__).parent
_NO_ENTITY = "NoSuchEntity"
_NO_POLICY = "NoSuchBucketPolicy"
_TRUST_PATH = ("Role", "AssumeRolePolicyDocument")


def render(work: Work, *, name: str) -> Rendered:
    """Return the script."""
    if not work.items:
        return Rendered("", work.refused)
    account = work.account.account_id
    top = head(
        f"For account {account}. Run it with credentials of that account that may change roles and bucket policies.",
        [
            "It adds the portal's statements and leaves those of others as they are. Before it replaces a document, it "
            f"keeps it in a new directory {name}-before-<time>. Run it again as often as you like.",
        ],
        work.refused,
    )
    parts = [
        f"#!/usr/bin/env bash\n{top}",
        f"account={quote(account)}\nname={quote(name)}\n{_file('script_prelude.sh').strip()}\n",
        *([_file("script_policies.sh")] if any(isinstance(item, ManagedItem) for item in work.items) else []),
        _heredoc('cat >"$work/merge_by_sid.py"', _file("merge_by_sid.py"), end="XACCT_PYTHON"),
        *(_section(item) for item in work.items),
        "printf '%s\\n' 'Done. Now let the portal verify it.'\n",
    ]
    return Rendered("\n".join(parts), work.refused)


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _section(item: Item) -> str:
    what = str(item.bucket) if isinstance(item, BucketItem) else str(item.role)
    lines = [f"# {printable(item.heading)}", f"printf '%s\\n' {quote(f'{item.heading}: {printable(what)}')}"]
    if isinstance(item, RoleItem):
        lines += _role(item)
    elif isinstance(item, ProfileItem):
        lines += _profile(item)
    elif isinstance(item, InlineItem):
        lines += _inline(item)
    elif isinstance(item, ManagedItem):
        lines += _managed(item)
    else:
        lines += _bucket(item)
    return "\n".join(lines) + "\n"


def _role(item: RoleItem) -> list[str]:
    share = item.trust if item.trust is not None else Share((), ())
    name = quote(item.role.name)
    key, value = next(iter(item.tags.items()), ("", ""))
    create = [
        _command("iam", "create-role", "--role-name", name, "--path", quote(item.role.path)),
        '--assume-role-policy-document "file://$work/after.json"',
        *([f"--permissions-boundary {quote(item.boundary)}"] if item.boundary else []),
        *(["--tags", *(quote(f"Key={tag},Value={text}") for tag, text in item.tags.items())] if item.tags else []),
    ]
    if item.create:
        missing = ["merge", f"write {' '.join(create)}", "echo '  created'"]
    elif item.required:
        missing = [f"fail {quote(f'{printable(str(item.role))} does not exist. The portal expects it to be there.')}"]
    else:
        missing = ["echo '  there is no such role, so nothing has to be taken out'"]
    update = _command("iam", "update-assume-role-policy", "--role-name", name)
    return [
        f"read_answer {_NO_ENTITY} {_command('iam', 'get-role', '--role-name', name, '--output', 'json')}",
        _job(share, _TRUST_PATH, trust=True),
        'if [ ! -s "$work/answer" ]; then',
        *_indented(missing),
        "else",
        *_indented(
            [
                f'check_role {quote(str(item.role))} {quote(key)} {quote(value)} "$adopt"',
                "merge",
                'if [ "$verdict" = unchanged ]; then',
                "  echo '  in order'",
                "else",
                f"  keep {quote(f'trust-policy-{item.role.name}')}",
                f'  write {update} --policy-document "file://$work/after.json"',
                "  echo '  trust policy written'",
                "fi",
            ]
        ),
        "fi",
    ]


def _profile(item: ProfileItem) -> list[str]:
    name, path = quote(item.role.name), quote(item.role.path)
    profile = ("--instance-profile-name", name)
    get, create = (_command("iam", f"{verb}-instance-profile", *profile) for verb in ("get", "create"))
    ((key, value),) = MANAGED_TAGS.items()
    taken = (
        "The instance profile is there already, empty, and not marked as made for the portal. If it is the one you "
        "mean, run this script again with --adopt."
    )
    tag = quote(f"InstanceProfile.Tags[?Key=='{key}'].Value | [0]")
    return [
        f"read_answer {_NO_ENTITY} {get} --output json",
        'if [ ! -s "$work/answer" ]; then',
        f"  write {create} --path {path} --tags {quote(f'Key={key},Value={value}')}",
        "  echo '  created'",
        "fi",
        f"held=$({get} --query 'InstanceProfile.Roles[].RoleName' --output text)",
        f"mark=$({get} --query {tag} --output text)",
        'case "$held" in',
        f"  {name}) echo '  in order' ;;",
        "  '' | None)",
        f'    if [ "$mark" != {quote(value)} ] && [ "$adopt" != yes ]; then',
        f'      fail "{taken}"',
        "    fi",
        f"    write {_command('iam', 'add-role-to-instance-profile', *profile, '--role-name', name)} ;;",
        '  *) fail "The instance profile holds another role already: $held. A profile holds one." ;;',
        "esac",
    ]


def _inline(item: InlineItem) -> list[str]:
    target = ("--role-name", quote(item.role.name), "--policy-name", quote(item.policy_name))
    put = _command("iam", "put-role-policy", *target)
    return [
        f"read_answer {_NO_ENTITY} {_command('iam', 'get-role-policy', *target, '--output', 'json')}",
        _job(item.share, ("PolicyDocument",)),
        *_merged(
            f"policy-{item.role.name}",
            put=f'{put} --policy-document "file://$work/after.json"',
            delete=_command("iam", "delete-role-policy", *target),
        ),
    ]


def _managed(item: ManagedItem) -> list[str]:
    """Return the lines for policies that are ours as a whole: whatever they say is replaced."""
    path, role = ("PolicyVersion", "Document"), quote(item.role.name)
    (key, value), *_ = item.tags.items()
    lines: list[str] = []
    for arn, document in item.wished:
        arguments = (quote(arn), role, quote(MANAGED_POLICY_PATH), quote(key), quote(value))
        lines += [_job(Share(("",), document.statements), path), f"put_policy {' '.join(arguments)}"]
    for arn in item.left:
        lines += [_job(Share(("",), ()), path), f"remove_policy {quote(arn)} {role} {quote(key)} {quote(value)}"]
    return lines


def _bucket(item: BucketItem) -> list[str]:
    target = ("--bucket", quote(item.bucket.name), "--region", quote(item.region))
    owner = '--expected-bucket-owner "$account"'
    put = f'{_command("s3api", "put-bucket-policy", *target)} {owner} --policy "file://$work/after.json"'
    get = f"{_command('s3api', 'get-bucket-policy', *target)} {owner} --output json"
    return [
        f"read_answer {_NO_POLICY} {get}",
        _job(item.share, ("Policy",)),
        *_merged(
            f"bucket-policy-{item.bucket.name}",
            put=put,
            delete=f"{_command('s3api', 'delete-bucket-policy', *target)} {owner}",
        ),
    ]


def _merged(backup: str, *, put: str, delete: str) -> list[str]:
    return [
        "merge",
        'case "$verdict" in',
        "  unchanged) echo '  in order' ;;",
        "  delete)",
        f"    keep {quote(backup)}",
        f"    write {delete}",
        "    echo '  deleted, as no statement is left'",
        "    ;;",
        "  write)",
        f'    if [ -s "$work/answer" ]; then keep {quote(backup)}; fi',
        f"    write {put}",
        "    echo '  written'",
        "    ;;",
        "esac",
    ]


def _job(share: Share, path: Sequence[str], *, trust: bool = False) -> str:
    """Return the lines that write what merge_by_sid.py is told; the files' names are put in by the shell."""
    job: dict[str, Any] = {
        "path": list(path),
        "owned": list(share.owned),
        "statements": [dict(statement.body) for statement in share.statements],
        "placeholder": dict(nobody_statement().body) if trust else None,
    }
    return _heredoc('cat >"$work/job.json"', json.dumps(job, indent=2), end="XACCT_JSON")


def _heredoc(command: str, text: str, *, end: str) -> str:
    """Return a command that reads `text` as it is. No line of JSON or of our own files is like `end`."""
    return f"{command} <<'{end}'\n{text.rstrip()}\n{end}\n"


def _command(service: str, operation: str, *arguments: str) -> str:
    return " ".join(["aws", service, operation, *arguments])


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
