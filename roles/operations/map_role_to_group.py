"""Add a source role to a user group: step 7 of the procedure, after which its members have access."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.utils import timezone

from roles.errors import AlreadyMapped
from roles.models import Bucket, GroupRole, IamRole, UserGroup
from roles.models.choices import AccessLevelChoice
from roles.operations._mappings import checked_narrowing, content, record_mapping
from roles.operations._planned import planned
from roles.operations._rows import locked, locked_roles, person, refused_as, validate
from roles.permissions import Rule, require
from roles.provisioning import outbox


def map_role_to_group(
    *,
    actor: Any,
    group: UserGroup,
    role: IamRole,
    access: str = AccessLevelChoice.READWRITE,
    prefix: str = "",
    buckets: Collection[Bucket] = (),
    expires_at: datetime | None = None,
    reason: str = "",
    expected_plan: str = "",
) -> GroupRole:
    """Add `role` to `group` and queue the run that provisions it; return the mapping.

    `access`, `prefix` and `buckets` narrow what the role's grants give; `expires_at` is aware. `expected_plan` is the
    digest of the plan that the actor saw, if any. Raises `NotPermitted`, `NotFound`, `AlreadyMapped`, `StalePlan`,
    `PolicyTooLarge`, and `InputError` with its field.
    """
    require(actor, Rule.MAP_ROLES, group)
    with planned(expected_plan):
        group = locked(UserGroup, group.pk)
        (role,) = locked_roles(role)
        row = _checked(group, role, access=access, prefix=prefix, buckets=buckets, expires_at=expires_at, reason=reason)
        row.started_by = person(actor)
        with refused_as(_already_mapped(group, role)):
            row.save()
        row.buckets.set(buckets)
        record_mapping("mapping.added", row, actor=actor, before=None, after=content(row), reason=reason)
        outbox.queue_run(actor=actor, role=role, trigger="mapping.added", mapping=row)
    return row


def check_map_role_to_group(
    *,
    actor: Any,
    group: UserGroup,
    role: IamRole,
    access: str = AccessLevelChoice.READWRITE,
    prefix: str = "",
    buckets: Collection[Bucket] = (),
    expires_at: datetime | None = None,
    reason: str = "",
) -> None:
    """Raise what `map_role_to_group` would raise now, a stale plan aside. Writes nothing."""
    require(actor, Rule.MAP_ROLES, group)
    _checked(group, role, access=access, prefix=prefix, buckets=buckets, expires_at=expires_at, reason=reason)


def _checked(
    group: UserGroup,
    role: IamRole,
    *,
    access: str,
    prefix: str,
    buckets: Collection[Bucket],
    expires_at: datetime | None,
    reason: str,
) -> GroupRole:
    """Return the mapping that may be saved, or raise why it may not."""
    open_one = GroupRole.objects.open().filter(group=group, role=role).first()
    if open_one is not None:
        raise _already_mapped(group, role, expired_at=open_one.expires_at)
    narrowing = checked_narrowing(role, access=access, prefix=prefix, buckets=buckets, expires_at=expires_at)
    row = GroupRole(
        group=group, role=role, access=access, prefix=narrowing.prefix, expires_at=expires_at, reason=reason
    )
    validate(row)
    return row


def _already_mapped(group: UserGroup, role: IamRole, *, expired_at: datetime | None = None) -> AlreadyMapped:
    hint = "Change the mapping there is, or remove it first."
    if expired_at is not None and expired_at <= timezone.now():
        hint = "That mapping has expired and is about to be ended. Try again in a minute."
    return AlreadyMapped(f"{role} is added to {group} already.", hint=hint)
