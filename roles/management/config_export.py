"""Write what is in the portal as a configuration file that `import_config` reads back without a change."""

from __future__ import annotations

from typing import Any

import yaml

from roles.models import AssumeRoleGrant, AwsAccount, Bucket, BucketGrant, GroupRole, IamRole, Membership, UserGroup
from roles.models.choices import AccessLevelChoice, RoleOwnership
from roles.values.accounts import TRUST_POLICY_CHARACTERS

_LINE_CHARACTERS = 10_000  # an entry stays on its line, so that two exports compare line by line


class _Quoted(str):
    """Text that is written in quotes even where YAML would not need them."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Never writes anchors: a person would not."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)


def export_text() -> str:
    """Return everything an admin can enter, in a stable order, as YAML."""
    text: str = yaml.dump(
        export_document(),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=_LINE_CHARACTERS,
    )
    return text


def export_document() -> dict[str, list[dict[str, Any]]]:
    """Return it as the structure of the file. What is ended or has expired is left out."""
    return {
        "accounts": [_account(row) for row in AwsAccount.objects.order_by("account_id")],
        "roles": [_role(row) for row in IamRole.objects.select_related("account").order_by("account__name", "name")],
        "buckets": [_bucket(row) for row in Bucket.objects.select_related("account").order_by("name")],
        "assume_role_grants": _assume_role_grants(),
        "bucket_grants": _bucket_grants(),
        "groups": _groups(),
    }


def _account(row: AwsAccount) -> dict[str, Any]:
    access = {"mode": row.access_mode, "role_arn": row.provisioner_role_arn, "external_id": row.external_id}
    entry: dict[str, Any] = {
        "id": _Quoted(row.account_id),
        "name": row.name,
        "partition": row.partition,
        "region": row.region,
        "access": {name: value for name, value in access.items() if value},
    }
    if row.trust_policy_characters != TRUST_POLICY_CHARACTERS:
        entry["trust_policy_characters"] = row.trust_policy_characters
    return entry


def _role(row: IamRole) -> dict[str, Any]:
    entry: dict[str, Any] = {"account": row.account.name, "name": row.name}
    if row.path != "/":
        entry["path"] = row.path
    if row.ownership != RoleOwnership.MANAGED:
        entry["ownership"] = row.ownership
    if not row.attribution:
        entry["attribution"] = False
    if row.permissions_boundary:
        entry["permissions_boundary"] = row.permissions_boundary
    return entry


def _bucket(row: Bucket) -> dict[str, Any]:
    entry: dict[str, Any] = {"account": row.account.name, "name": row.name, "region": row.region}
    if row.kms_key_arn:
        entry["kms_key_arn"] = row.kms_key_arn
    if row.grants_in_identity_policy:
        entry["grants_in_identity_policy"] = True
    return entry


def _assume_role_grants() -> list[dict[str, str]]:
    rows = AssumeRoleGrant.objects.open().select_related("source__account", "target__account")
    pairs = sorted((str(row.source), str(row.target)) for row in rows)
    return [{"source": source, "target": target} for source, target in pairs]


def _bucket_grants() -> list[dict[str, Any]]:
    rows = BucketGrant.objects.open().select_related("role__account", "bucket")
    entries = sorted((str(row.role), row.bucket.name, row.prefix, row.access, row.multipart_cleanup) for row in rows)
    return [
        {
            "role": role,
            "bucket": bucket,
            "access": access,
            "prefix": prefix,
            **({"multipart_cleanup": True} if cleanup else {}),
        }
        for role, bucket, prefix, access, cleanup in entries
    ]


def _groups() -> list[dict[str, Any]]:
    members: dict[int, list[str]] = {}
    memberships = Membership.objects.open().select_related("user").order_by("user__username")
    for membership in memberships:
        members.setdefault(membership.group_id, []).append(membership.user.username)
    mappings: dict[int, list[GroupRole]] = {}
    for mapping in GroupRole.objects.in_force().select_related("role__account").prefetch_related("buckets"):
        mappings.setdefault(mapping.group_id, []).append(mapping)
    return [
        {
            "name": row.name,
            **({"description": row.description} if row.description else {}),
            "members": members.get(row.pk, []),
            "roles": [_mapping(mapping) for mapping in sorted(mappings.get(row.pk, []), key=lambda one: str(one.role))],
        }
        for row in UserGroup.objects.order_by("name")
    ]


def _mapping(row: GroupRole) -> str | dict[str, Any]:
    entry: dict[str, Any] = {"role": str(row.role)}
    if row.access != AccessLevelChoice.READWRITE:
        entry["access"] = row.access
    if row.prefix:
        entry["prefix"] = row.prefix
    if buckets := sorted(bucket.name for bucket in row.buckets.all()):
        entry["buckets"] = buckets
    if row.expires_at:
        entry["expires_at"] = _Quoted(row.expires_at.isoformat())
    return entry if len(entry) > 1 else str(row.role)
