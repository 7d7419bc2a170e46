"""Create or change a user group."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from roles.errors import Conflict
from roles.history.recorder import record
from roles.models import UserGroup
from roles.operations._rows import locked, refused_as, validate
from roles.permissions import Rule, require


def save_group(*, actor: Any, group: UserGroup) -> UserGroup:
    """Save a new or changed group and return it. AWS knows nothing of groups: no run follows.

    Raises `NotPermitted`, `NotFound`, `InputError` with its field, `Conflict`.
    """
    is_new = group.pk is None
    require(actor, Rule.MANAGE_GROUPS, None if is_new else group)
    with transaction.atomic():
        before = None if is_new else _content(locked(UserGroup, group.pk))
        group.name = group.name.strip()
        validate(group)
        after = _content(group)
        if after == before:
            return group
        with refused_as(Conflict(f"There is a group '{group.name}' already.", hint="Look at the groups again.")):
            group.save()
        code = "group.created" if before is None else "group.changed"
        record(code, actor=actor, subject=group, group=group.name, before=before, after=after)
    return group


def _content(group: UserGroup) -> dict[str, Any]:
    return {"name": group.name, "description": group.description}
