"""Change how a mapping narrows its role's grants, and until when."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.utils import timezone

from roles.errors import GrantEnded
from roles.models import Bucket, GroupRole
from roles.operations._mappings import checked_narrowing, content, locked_mapping, record_mapping
from roles.operations._planned import planned
from roles.operations._rows import validate
from roles.permissions import Rule, require
from roles.tokens import revocation


def change_mapping(
    *,
    actor: Any,
    mapping: GroupRole,
    access: str,
    prefix: str,
    buckets: Collection[Bucket],
    expires_at: datetime | None,
    reason: str = "",
    expected_plan: str = "",
) -> GroupRole:
    """Change an open mapping and return it; an empty `reason` keeps the one it has.

    AWS knows nothing of a narrowing, so no run follows; tokens made for the old one leave the cache. Raises
    `NotPermitted`, `NotFound`, `GrantEnded` (ended or expired), `PolicyTooLarge`, `InputError` with its field.
    """
    require(actor, Rule.MAP_ROLES, mapping)
    with planned(expected_plan):
        row = locked_mapping(mapping)
        if row.expires_at is not None and row.expires_at <= timezone.now():
            raise GrantEnded(f"{row} has expired.", hint="Add the role to the group again.")
        before = content(row)
        narrowing = checked_narrowing(row.role, access=access, prefix=prefix, buckets=buckets, expires_at=expires_at)
        row.access, row.prefix, row.expires_at = access, narrowing.prefix, expires_at
        row.reason = reason or row.reason
        validate(row)
        # The engine writes the state of the same row: only what was wished is saved.
        row.save(update_fields=["access", "prefix", "expires_at", "reason"])
        row.buckets.set(buckets)
        after = content(row)
        if after != before:
            record_mapping("mapping.changed", row, actor=actor, before=before, after=after, reason=reason)
            revocation.forget_mapping(row, actor=actor)
    return row
