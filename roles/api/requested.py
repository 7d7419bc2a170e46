"""A change as it was sent, as the operation that makes it. What it names is looked up only for who may make it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from roles.api import schemas
from roles.errors import NotFound
from roles.models import (
    AssumeRoleGrant,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    User,
    UserGroup,
)
from roles.operations.add_member import add_member
from roles.operations.change_mapping import change_mapping
from roles.operations.delete_managed_role import delete_managed_role
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.end_group import end_group
from roles.operations.grant_assume_role import grant_assume_role
from roles.operations.grant_bucket import grant_bucket
from roles.operations.map_role_to_group import map_role_to_group
from roles.operations.put_back_document import put_back_document
from roles.operations.remove_member import remove_member
from roles.operations.retire_account import retire_account
from roles.operations.retire_role import retire_role
from roles.operations.unmap_role import unmap_role
from roles.permissions import Rule, require
from roles.provisioning import kept
from roles.values.arns import object_prefix, role_arn

M = TypeVar("M", bound=Model)
Made = Callable[[], Model]
Call = tuple[Callable[..., Model], dict[str, Any]]


def change_of(actor: Any, asked: schemas.AnyChange, *, seen: str = "") -> Made:
    """Return what makes the change; `seen` is what AWS had when it was looked at.

    Raises `NotPermitted`, `NotFound` for what it names, `InputError`.
    """
    rule, read = _KNOWN[type(asked)]
    require(actor, rule)
    operation, arguments = read(asked)
    if isinstance(asked, schemas.Order):
        arguments["seen"] = seen
    return partial(operation, actor=actor, reason=asked.reason, **arguments)


def _narrowing(asked: Any) -> dict[str, Any]:
    buckets = [_bucket(name) for name in asked.buckets]
    return {"access": asked.access, "prefix": asked.prefix, "buckets": buckets, "expires_at": asked.expires_at}


def _map_role(asked: schemas.MapRole) -> Call:
    return map_role_to_group, {"group": _group(asked.group), "role": _role(asked.role), **_narrowing(asked)}


def _change_mapping(asked: schemas.ChangeMapping) -> Call:
    return change_mapping, {"mapping": _mapping(asked), **_narrowing(asked)}


def _unmap_role(asked: schemas.UnmapRole) -> Call:
    return unmap_role, {"mapping": _mapping(asked)}


def _grant_bucket(asked: schemas.GrantBucket) -> Call:
    place = {"role": _role(asked.role), "bucket": _bucket(asked.bucket), "prefix": asked.prefix}
    return grant_bucket, {**place, "access": asked.access, "multipart_cleanup": asked.multipart_cleanup}


def _end_bucket_grant(asked: schemas.EndBucketGrant) -> Call:
    role, bucket, prefix = _role(asked.role), _bucket(asked.bucket), object_prefix(asked.prefix)
    rows = BucketGrant.objects.open().filter(role=role, bucket=bucket, prefix=prefix)
    return end_bucket_grant, {"grant": _found(rows, f"{role} has no grant on {bucket.name}/{prefix}.")}


def _grant_assume_role(asked: schemas.GrantAssumeRole) -> Call:
    return grant_assume_role, {"source": _role(asked.source, "source"), "target": _role(asked.target, "target")}


def _end_assume_role_grant(asked: schemas.EndAssumeRoleGrant) -> Call:
    source, target = _role(asked.source, "source"), _role(asked.target, "target")
    rows = AssumeRoleGrant.objects.open().filter(source=source, target=target)
    return end_assume_role_grant, {"grant": _found(rows, f"There is no grant for {source} to assume {target}.")}


def _add_member(asked: schemas.AddMember) -> Call:
    return add_member, {"group": _group(asked.group), "user": _user(asked.user)}


def _remove_member(asked: schemas.RemoveMember) -> Call:
    return remove_member, {"group": _group(asked.group), "user": _user(asked.user)}


def _end_group(asked: schemas.EndGroup) -> Call:
    return end_group, {"group": _group(asked.group)}


def _retire_role(asked: schemas.RetireRole) -> Call:
    return retire_role, {"role": _role(asked.role)}


def _retire_account(asked: schemas.RetireAccount) -> Call:
    rows = AwsAccount.objects.filter(account_id=asked.account)
    return retire_account, {"account": _found(rows, f"There is no account '{asked.account}'.")}


def _delete_role(asked: schemas.DeleteRole) -> Call:
    return delete_managed_role, {"role": _role(asked.role), "name": asked.name}


def _put_back(asked: schemas.PutBack) -> Call:
    step = kept.step_named(asked.run, asked.number, asked.resource)
    return put_back_document, {"step": step, "exactly": asked.exactly, "agrees": asked.agrees}


# Whoever may not make a change does not learn from it what there is: the rule is asked before anything is looked up.
_KNOWN: dict[type[Any], tuple[Rule, Callable[[Any], Call]]] = {
    schemas.MapRole: (Rule.MAP_ROLES, _map_role),
    schemas.ChangeMapping: (Rule.MAP_ROLES, _change_mapping),
    schemas.UnmapRole: (Rule.MAP_ROLES, _unmap_role),
    schemas.GrantBucket: (Rule.MANAGE_GRANTS, _grant_bucket),
    schemas.EndBucketGrant: (Rule.MANAGE_GRANTS, _end_bucket_grant),
    schemas.GrantAssumeRole: (Rule.MANAGE_GRANTS, _grant_assume_role),
    schemas.EndAssumeRoleGrant: (Rule.MANAGE_GRANTS, _end_assume_role_grant),
    schemas.AddMember: (Rule.MANAGE_GROUPS, _add_member),
    schemas.RemoveMember: (Rule.MANAGE_GROUPS, _remove_member),
    schemas.EndGroup: (Rule.MANAGE_GROUPS, _end_group),
    schemas.RetireRole: (Rule.MANAGE_ROLES, _retire_role),
    schemas.RetireAccount: (Rule.MANAGE_ACCOUNTS, _retire_account),
    schemas.DeleteRole: (Rule.DELETE_ROLES, _delete_role),
    schemas.PutBack: (Rule.RESTORE_DOCUMENTS, _put_back),
}


def _found(rows: QuerySet[M], otherwise: str) -> M:
    row = rows.first()
    if row is None:
        raise NotFound(otherwise, hint="Look at the name again, or enter it in the portal first.")
    return row


def _group(name: str) -> UserGroup:
    return _found(UserGroup.objects.filter(name=name), f"There is no user group '{name}'.")


def _user(name: str) -> User:
    return _found(User.objects.filter(username=name), f"There is no user '{name}'.")


def _bucket(name: str) -> Bucket:
    return _found(Bucket.objects.filter(name=name).select_related("account"), f"There is no bucket '{name}'.")


def _role(text: str, field: str = "role") -> IamRole:
    return _found(IamRole.named(role_arn(text, field=field)), f"There is no role '{text}'.")


def _mapping(asked: schemas.ChangeMapping | schemas.UnmapRole) -> GroupRole:
    group, role = _group(asked.group), _role(asked.role)
    rows = GroupRole.objects.open().filter(group=group, role=role).select_related("group", "role__account")
    row: GroupRole = _found(rows, f"{role} is not added to {group}.")
    return row
