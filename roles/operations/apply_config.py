"""Make the database say what a configuration file says: all of it, or nothing."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from roles import context
from roles.errors import InputError, InvalidConfig
from roles.models import AwsAccount, Bucket, GroupRole, IamRole, Membership, User, UserGroup
from roles.operations._applying import Applying
from roles.operations._applying_grants import apply_grants
from roles.operations._planned import planned
from roles.operations.add_member import add_member
from roles.operations.change_mapping import change_mapping
from roles.operations.map_role_to_group import map_role_to_group
from roles.operations.remove_member import remove_member
from roles.operations.save_account import save_account
from roles.operations.save_bucket import save_bucket
from roles.operations.save_group import save_group
from roles.operations.save_role import save_role
from roles.operations.save_user import save_user
from roles.operations.unmap_role import unmap_role
from roles.permissions import USERS
from roles.values.accounts import partition_of_region
from roles.values.config import AccountEntry, BucketEntry, Config, GroupEntry, MappingEntry, RoleEntry

_NARROWING = ("access", "prefix", "buckets", "expires_at")


@dataclass(frozen=True, slots=True)
class ConfigReport:
    """What was done, or would be: a line each. `notes` are about what was left alone on purpose."""

    changes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def apply_config(*, actor: Any, config: Config, dry_run: bool = False, expected_plan: str = "") -> ConfigReport:
    """Apply a configuration in one transaction and return what changed; with `dry_run`, what would.

    What it lists becomes as it says: the members and mappings of a listed group, the grants of a listed role, and
    nothing besides. What it does not list is left alone. Raises `NotPermitted`, and `InvalidConfig` with a line for
    each problem, after which nothing has changed.
    """
    work = Applying(actor, config, problems=config.duplicates())
    with context.rehearsal() if dry_run else nullcontext(), planned(expected_plan):
        for account in config.accounts:
            with work.at(account.where, fields=_ACCOUNT_FIELDS, defines=[account.name]):
                _apply_account(work, account)
        for role in config.roles:
            with work.at(
                role.where, fields=("account", "name", "path", "permissions_boundary"), defines=[role.reference]
            ):
                _apply_role(work, role)
        for bucket in config.buckets:
            with work.at(bucket.where, fields=("account", "name", "region", "kms_key_arn"), defines=[bucket.name]):
                _apply_bucket(work, bucket)
        apply_grants(work)
        for group in config.groups:
            with work.at(group.where, fields=("name", "description")):
                _apply_group(work, group)
        if work.problems:
            raise InvalidConfig(work.problems)
        if dry_run:
            transaction.set_rollback(True)
    return ConfigReport(tuple(work.changes), tuple(work.notes))


_ACCOUNT_FIELDS = (
    *("account_id", "name", "partition", "region"),
    *("access_mode", "provisioner_role_arn", "external_id", "trust_policy_characters"),
)


def _apply_account(work: Applying, entry: AccountEntry) -> None:
    row = next((row for row in work.accounts.values() if row.account_id == entry.account_id), None)
    is_new, old_name = row is None, row.name if row else ""
    row = row or AwsAccount(account_id=entry.account_id, partition=partition_of_region(entry.region))
    wanted = {
        "name": entry.name,
        "partition": entry.partition or row.partition,
        "region": entry.region,
        "access_mode": entry.mode,
        "provisioner_role_arn": entry.role_arn,
        "external_id": entry.external_id,
        "trust_policy_characters": entry.trust_policy_characters,
    }
    changed = _set(row, wanted)
    if is_new or changed:
        save_account(actor=work.actor, account=row)
        _tell(work, is_new, f"account {entry.name}", changed)
    if old_name and old_name != entry.name:
        work.rename_account(old_name, row)
    work.accounts[entry.name] = row


def _apply_role(work: Applying, entry: RoleEntry) -> None:
    account = work.account(entry.account)
    row = work.roles.get((account.name, entry.name.lower()))
    if row is not None and row.name != entry.name:
        raise InputError(
            f"{account.name} has this role as '{row.name}'.", field="name", hint="IAM ignores case: write it like that."
        )
    is_new = row is None
    row = row or IamRole(account=account, name=entry.name, path="/")
    wanted = {
        "path": entry.path or row.path,
        "ownership": entry.ownership,
        "attribution": entry.attribution,
        "permissions_boundary": entry.permissions_boundary,
    }
    changed = _set(row, wanted)
    if is_new or changed:
        save_role(actor=work.actor, role=row)
        _tell(work, is_new, f"role {entry.reference}", changed)
    work.add_role(row)


def _apply_bucket(work: Applying, entry: BucketEntry) -> None:
    account = work.account(entry.account)
    row = work.buckets.get(entry.name)
    if row is not None and row.account_id != account.pk:
        raise InputError(
            f"Bucket '{entry.name}' is in account {row.account.name}, not in {account.name}.", field="account"
        )
    is_new = row is None
    row = row or Bucket(account=account, name=entry.name)
    wanted = {
        "region": entry.region or account.region,
        "kms_key_arn": entry.kms_key_arn,
        "grants_in_identity_policy": entry.grants_in_identity_policy,
    }
    changed = _set(row, wanted)
    if is_new or changed:
        save_bucket(actor=work.actor, bucket=row)
        _tell(work, is_new, f"bucket {entry.name}", changed)
    work.buckets[entry.name] = row


def _apply_group(work: Applying, entry: GroupEntry) -> None:
    row = UserGroup.objects.filter(name=entry.name).first()
    is_new = row is None
    row = row or UserGroup(name=entry.name)
    changed = _set(row, {"description": entry.description})
    if is_new or changed:
        save_group(actor=work.actor, group=row)
        _tell(work, is_new, f"group {entry.name}", changed)
    _apply_members(work, entry, row)
    _apply_mappings(work, entry, row)


def _apply_members(work: Applying, entry: GroupEntry, group: UserGroup) -> None:
    rows = Membership.objects.open().filter(group=group).select_related("user").order_by("user__username")
    members = {row.user.username: row.user for row in rows}
    for name in sorted(members.keys() - set(entry.members)):
        remove_member(actor=work.actor, group=group, user=members[name])
        work.changes.append(f"removed member {name} from {group.name}")
    users = User.objects.in_bulk(entry.members, field_name="username")
    for index, name in enumerate(entry.members):
        if name not in members:
            with work.at(f"{entry.where}.members[{index}]"):
                user = users.get(name) or _new_user(work, name)
                add_member(actor=work.actor, group=group, user=user)
                work.changes.append(f"added member {name} to {group.name}")


def _new_user(work: Applying, name: str) -> User:
    user = User(username=name)
    user.set_unusable_password()
    save_user(actor=work.actor, user=user, groups=(Group.objects.get(name=USERS),))
    work.changes.append(f"created user {name} (without a password)")
    return user


def _apply_mappings(work: Applying, entry: GroupEntry, group: UserGroup) -> None:
    now = timezone.now()
    rows = GroupRole.objects.open().filter(group=group).select_related("role__account").prefetch_related("buckets")
    mapped: dict[str, GroupRole] = {str(row.role): row for row in rows.order_by("pk")}
    for name in sorted(mapped.keys() - {mapping.role for mapping in entry.mappings}):
        # One that has expired is about to be ended by the scheduler, which says so in the history.
        if mapped[name] in GroupRole.objects.in_force(now).filter(group=group):
            unmap_role(actor=work.actor, mapping=mapped[name])
            work.changes.append(f"unmapped role {name} from {group.name}")
    for mapping in entry.mappings:
        with work.at(mapping.where, fields=_NARROWING):
            if mapping.expires_at is not None and mapping.expires_at <= now:
                work.notes.append(f"left out role {mapping.role} for {group.name}: expired {mapping.expires_at}")
            else:
                _apply_mapping(work, mapping, group, mapped.get(mapping.role))


def _apply_mapping(work: Applying, entry: MappingEntry, group: UserGroup, row: GroupRole | None) -> None:
    wanted: dict[str, Any] = {
        "access": entry.access.value,
        "prefix": entry.prefix,
        "buckets": tuple(work.bucket(name, field="buckets") for name in entry.buckets),
        "expires_at": entry.expires_at,
    }
    if row is not None and row.expires_at is not None and row.expires_at <= timezone.now():
        # What has expired is not prolonged: it is another decision, and another interval in the history.
        unmap_role(actor=work.actor, mapping=row)
        row = None
    if row is None:
        map_role_to_group(actor=work.actor, group=group, role=work.role(entry.role), **wanted)
        work.changes.append(f"mapped role {entry.role} to {group.name}")
        return
    stored = {name: getattr(row, name) for name in ("access", "prefix", "expires_at")}
    same_buckets = {bucket.pk for bucket in wanted["buckets"]} == {bucket.pk for bucket in row.buckets.all()}
    changed = [name for name, value in stored.items() if value != wanted[name]]
    if changed or not same_buckets:
        change_mapping(actor=work.actor, mapping=row, **wanted)
        what = ", ".join([*changed, *([] if same_buckets else ["buckets"])])
        work.changes.append(f"changed mapping of {entry.role} to {group.name}: {what}")


def _set(row: Any, wanted: dict[str, Any]) -> list[str]:
    """Set the fields that differ and return a few words for each."""
    changed = []
    for name, value in wanted.items():
        before = getattr(row, name)
        if before != value:
            setattr(row, name, value)
            changed.append(f"{name} {before or 'empty'} → {value or 'empty'}")
    return changed


def _tell(work: Applying, is_new: bool, thing: str, changed: list[str]) -> None:
    work.changes.append(f"created {thing}" if is_new else f"changed {thing}: {', '.join(changed)}")
