"""End the mappings whose time is over."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from roles.context import SystemActor
from roles.errors import GrantEnded
from roles.models import GroupRole
from roles.operations._mappings import end_mapping, locked_mapping

WORKER = SystemActor("worker")


def expire_mappings() -> list[GroupRole]:
    """End every open mapping that has expired, each in a transaction of its own; return those that ended now.

    As with removal by a person: tokens are forgotten, and a run takes our statements out.
    """
    due = GroupRole.objects.open().filter(expires_at__lte=timezone.now()).order_by("expires_at", "pk")
    return [ended for mapping in list(due) if (ended := _expired(mapping)) is not None]


def _expired(mapping: GroupRole) -> GroupRole | None:
    """End one mapping; None if it is none of ours any more: a person ended it, or gave it more time, meanwhile."""
    with transaction.atomic():
        try:
            row = locked_mapping(mapping)
        except GrantEnded:
            return None
        if row.expires_at is None or row.expires_at > timezone.now():
            return None
        end_mapping(row, actor=WORKER, code="mapping.expired", reason="")
    return row
