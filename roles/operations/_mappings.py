"""What the operations on mappings share: locking, how the history shows one, and ending one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.utils import timezone

from roles.errors import InputError
from roles.history.recorder import record
from roles.models import Bucket, GroupRole, IamRole, UserGroup
from roles.operations._concerned import Narrowing, reach_of, require_sessions_fit
from roles.operations._rows import access_level, end, locked, locked_open, locked_roles
from roles.provisioning import outbox
from roles.tokens import revocation
from roles.values.arns import AccessLevel, object_prefix


def locked_mapping(mapping: GroupRole) -> GroupRole:
    """Return an open mapping as it is now, locked after its group and its role; raise `GrantEnded` or `NotFound`."""
    locked(UserGroup, mapping.group_id)
    locked_roles(mapping.role)
    return locked_open(GroupRole, mapping.pk, "group", "role__account")


def checked_narrowing(
    role: IamRole, *, access: str, prefix: str, buckets: Collection[Bucket], expires_at: Any
) -> Narrowing:
    """Return the narrowing of a mapping of `role`, or raise what is wrong with it.

    Raises `InputError` with its field: a level, prefix or time that is none, a bucket that the role does not reach, or
    a narrowing that leaves nothing of what it reaches. Raises `PolicyTooLarge` if STS would refuse the session policy.
    """
    narrowing = Narrowing(access_level(access), object_prefix(prefix), tuple(buckets))
    _check_expiry(expires_at)
    reach = reach_of(role)
    rows = [row for found in reach.values() for row in found]
    reached = {row.bucket_id for row in rows}
    for bucket in narrowing.buckets:
        if bucket.pk not in reached:
            names = ", ".join(sorted({row.bucket.name for row in rows})) or "none: it reaches no bucket"
            raise InputError(f"{role} does not reach the bucket {bucket}.", field="buckets", allowed=names)
    if rows and not narrowing.cut(rows):
        raise _leaves_nothing(
            role, narrowing, at_any_level=Narrowing(AccessLevel.READWRITE, *_where(narrowing)).cut(rows)
        )
    require_sessions_fit(narrowing, reach.values())
    return narrowing


def _where(narrowing: Narrowing) -> tuple[str, Collection[Bucket]]:
    return narrowing.prefix, narrowing.buckets


def _leaves_nothing(role: IamRole, narrowing: Narrowing, *, at_any_level: Collection[object]) -> InputError:
    if at_any_level:
        return InputError(
            f"{narrowing.level} leaves nothing of what {role} may do there.",
            field="access",
            hint="Choose a level that its grants have something in common with.",
        )
    return InputError(
        f"{role} reaches nothing under '{narrowing.prefix}'.",
        field="prefix",
        hint="Choose a folder inside, or above, one that its grants open.",
    )


def _check_expiry(expires_at: Any) -> None:
    if expires_at is None:
        return
    if timezone.is_naive(expires_at):
        raise InputError("This time has no time zone.", field="expires_at", allowed="a time with its zone")
    if expires_at <= timezone.now():
        raise InputError("This time is over.", field="expires_at", allowed="a time to come, or none for no end")


def record_mapping(
    code: str,
    mapping: GroupRole,
    *,
    actor: Any,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    """Record an event about a mapping, to be found by its group, its account and its role's ARN."""
    record(
        code,
        actor=actor,
        subject=mapping,
        group=mapping.group.name,
        account_id=mapping.role.account.account_id,
        resource=str(mapping.role.arn),
        before=before,
        after=after,
        reason=reason,
    )


def content(mapping: GroupRole) -> dict[str, Any]:
    """Return what the history shows of a mapping."""
    return {
        "group": mapping.group.name,
        "role": str(mapping.role.arn),
        "access": mapping.access,
        "prefix": mapping.prefix,
        "buckets": sorted(bucket.name for bucket in mapping.buckets.all()),
        "expires_at": mapping.expires_at.isoformat() if mapping.expires_at else None,
        "reason": mapping.reason,
    }


def end_mapping(mapping: GroupRole, *, actor: Any, code: str, reason: str) -> None:
    """End a locked open mapping: row, event, run, tokens."""
    before = content(mapping)
    end(mapping, actor=actor)
    record_mapping(code, mapping, actor=actor, before=before, after=None, reason=reason)
    outbox.queue_run(actor=actor, role=mapping.role, trigger=code, mapping=mapping)
    revocation.forget_mapping(mapping, actor=actor)
    mapping.refresh_from_db(fields=["state"])
