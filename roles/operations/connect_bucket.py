"""Connect a bucket: everything that the procedure's reader fills in, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from roles.errors import Conflict, InputError
from roles.models import AssumeRoleGrant, AwsAccount, Bucket, BucketGrant, GroupRole, IamRole, UserGroup
from roles.models.choices import AccessModeChoice
from roles.operations._concerned import Narrowing
from roles.operations._planned import planned
from roles.operations._rows import locked, locked_roles
from roles.operations.grant_assume_role import grant_assume_role
from roles.operations.grant_bucket import grant_bucket
from roles.operations.map_role_to_group import map_role_to_group
from roles.operations.save_account import save_account
from roles.operations.save_bucket import save_bucket
from roles.operations.save_group import save_group
from roles.operations.save_role import save_role
from roles.permissions import Rule, require
from roles.values.accounts import partition_of_region
from roles.values.arns import object_prefix

NEEDED = (
    Rule.MANAGE_ACCOUNTS,
    Rule.MANAGE_ROLES,
    Rule.MANAGE_BUCKETS,
    Rule.MANAGE_GRANTS,
    Rule.MANAGE_GROUPS,
    Rule.MAP_ROLES,
)


@dataclass(frozen=True, slots=True)
class _Side:
    """Account A or B as typed. `name` is the beginning of its fields' names: `source` or `target`."""

    name: str
    account_id: str
    role: str
    access_mode: str
    provisioner_role_arn: str
    external_id: str

    @classmethod
    def of(cls, name: str, typed: Mapping[str, str]) -> _Side:
        """Return the side whose fields begin with `name`."""
        own = [field.name for field in fields(cls) if field.name != "name"]
        return cls(name, **{field: typed[f"{name}_{field}"] for field in own})


def connect_bucket(
    *,
    actor: Any,
    bucket: str,
    region: str,
    prefix: str,
    access: str,
    attribution: bool,
    group: UserGroup | None,
    new_group: str,
    reason: str,
    expected_plan: str = "",
    **sides: str,
) -> GroupRole:
    """Make what is missing of accounts, roles, bucket, grants, group and mapping; return the mapping.

    `sides` are Account A as `source_…` and Account B as `target_…`, each with `account_id`, `role`, `access_mode`,
    `provisioner_role_arn` and `external_id`. What exists is used: of an account only its id counts, of a role its name.
    Raises what the operations for the parts raise, with the form's field, and `Conflict` where what exists contradicts
    what was typed. All or nothing.
    """
    for rule in NEEDED:
        require(actor, rule)
    source, target = _Side.of("source", sides), _Side.of("target", sides)
    with planned(expected_plan):
        _lock_all(source, target, bucket, group)
        role_a = _role(actor, source, region)
        role_b = _role(actor, target, region, attribution=attribution)
        store = _bucket(actor, role_b.account, bucket, region)
        _chain(actor, role_a, role_b, reason)
        grant = _grant(actor, role_b, store, access=access, prefix=object_prefix(prefix), reason=reason)
        return _mapping(actor, _group(actor, group, new_group), role_a, grant, reason)


def _lock_all(source: _Side, target: _Side, bucket: str, group: UserGroup | None) -> None:
    """Lock what exists before anything is recorded, in the order in which all operations lock."""
    ids = [source.account_id, target.account_id]
    for account in AwsAccount.objects.filter(account_id__in=ids).order_by("pk"):
        locked(AwsAccount, account.pk)
    if group is not None:
        locked(UserGroup, group.pk)
    sides = [(source.account_id, source.role), (target.account_id, target.role)]
    found = [IamRole.objects.filter(account__account_id=number, name__iexact=name).first() for number, name in sides]
    locked_roles(*(role for role in found if role is not None))
    for store in Bucket.objects.filter(name=bucket):
        locked(Bucket, store.pk)


@contextmanager
def _at(**names: str) -> Iterator[None]:
    """Name the form's field in an `InputError` about a part's field."""
    try:
        yield
    except InputError as error:
        error.field = names.get(error.field, error.field)
        raise


def _role(actor: Any, side: _Side, region: str, *, attribution: bool | None = None) -> IamRole:
    """Return the side's role. A target's `attribution` is set on one that exists too: it is in the documents shown."""
    account = _account(actor, side, region)
    role = IamRole.objects.filter(account=account, name__iexact=side.role).select_related("account").first()
    role = role or IamRole(account=account, name=side.role)
    if attribution is not None:
        role.attribution = attribution
    with _at(name=f"{side.name}_role"):
        return save_role(actor=actor, role=role)


def _account(actor: Any, side: _Side, region: str) -> AwsAccount:
    existing = AwsAccount.objects.filter(account_id=side.account_id).first()
    if existing is not None:
        if existing.partition != partition_of_region(region):
            raise Conflict(
                f"{existing} is in partition '{existing.partition}', the region {region} is not.",
                hint="Look at the account and at the bucket's region.",
            )
        return existing
    new = AwsAccount(
        account_id=side.account_id,
        name=f"account-{side.account_id}",
        partition=partition_of_region(region).value,
        region=region,
        access_mode=side.access_mode,
        provisioner_role_arn=side.provisioner_role_arn,
        external_id=side.external_id if side.access_mode == AccessModeChoice.ASSUME_ROLE else "",
    )
    own = ("account_id", "access_mode", "provisioner_role_arn", "external_id")
    with _at(**{field: f"{side.name}_{field}" for field in own}):
        return save_account(actor=actor, account=new)


def _bucket(actor: Any, account: AwsAccount, name: str, region: str) -> Bucket:
    existing = Bucket.objects.filter(name=name).select_related("account").first()
    if existing is None:
        with _at(name="bucket"):
            return save_bucket(actor=actor, bucket=Bucket(account=account, name=name, region=region))
    if existing.account_id != account.pk:
        raise Conflict(
            f"The bucket {name} is in {existing.account}, not in {account}.",
            hint="Names of buckets are unique in S3. Check the bucket owner account id.",
        )
    if existing.region != region:
        raise Conflict(
            f"The bucket {name} is in {existing.region}, not in {region}.",
            hint="Look at the bucket, or choose its region.",
        )
    return existing


def _chain(actor: Any, source: IamRole, target: IamRole, reason: str) -> None:
    if not AssumeRoleGrant.objects.open().filter(source=source, target=target).exists():
        with _at(target="target_role"):
            grant_assume_role(actor=actor, source=source, target=target, reason=reason)


def _grant(actor: Any, role: IamRole, bucket: Bucket, *, access: str, prefix: str, reason: str) -> BucketGrant:
    rows = BucketGrant.objects.open().filter(role=role, bucket=bucket, prefix=prefix)
    existing: BucketGrant | None = rows.select_related("role__account", "bucket__account").first()
    if existing is None:
        return grant_bucket(actor=actor, role=role, bucket=bucket, access=access, prefix=prefix, reason=reason)
    if existing.access != access:
        raise Conflict(
            f"{role} has '{existing.get_access_display()}' on {bucket}/{prefix} already.",
            hint="End that bucket grant to change its level.",
        )
    return existing


def _group(actor: Any, group: UserGroup | None, new_group: str) -> UserGroup:
    if group is not None:
        return group
    with _at(name="new_group"):
        return save_group(actor=actor, group=UserGroup(name=new_group))


def _mapping(actor: Any, group: UserGroup, role: IamRole, grant: BucketGrant, reason: str) -> GroupRole:
    """Return the group's mapping of the role; one that exists must let the group use what was granted."""
    rows = GroupRole.objects.in_force().filter(group=group, role=role)
    existing: GroupRole | None = rows.prefetch_related("buckets__account").first()
    if existing is None:
        return map_role_to_group(actor=actor, group=group, role=role, reason=reason)
    if not Narrowing.of(existing).cut([grant]):
        raise Conflict(
            f"{role} is added to {group} already, narrowed so that it does not reach {grant.bucket}/{grant.prefix}.",
            hint="Change that mapping, then connect the bucket.",
        )
    return existing
