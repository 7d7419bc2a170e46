"""Who administers the portal: its last admin stays, and nobody gives or takes more than they have themselves."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from roles.errors import Conflict, NotPermitted
from roles.models import User
from roles.permissions import PORTAL_ADMINS, Rule


def lock_portal_admins() -> None:
    """Let one change of who administers the portal happen at a time: two admins could otherwise demote each other."""
    list(Group.objects.select_for_update(no_key=True).filter(name=PORTAL_ADMINS))


def is_portal_admin(user: User) -> bool:
    """Return whether this person, as stored, administers the portal."""
    return _portal_admins().filter(pk=user.pk).exists()


def require_a_portal_admin(user: User) -> None:
    """Raise `Conflict` if nobody is left who administers the portal, `user` having been one until now."""
    if not _portal_admins().exists():
        raise Conflict(
            f"{user} is the last active portal admin.",
            hint="Make somebody else a portal admin with access to the admin first.",
        )


def require_as_much(actor: Any, user: User, groups: Collection[Group] = ()) -> None:
    """Raise `NotPermitted` unless `actor` may all that `user`, as stored, may, and all that `groups` give.

    Else whoever may manage people could make themselves a portal admin, or lock out those who may more than they.
    """
    if not isinstance(actor, User) or actor.is_superuser:
        return
    is_superuser = User.objects.filter(pk=user.pk, is_superuser=True).exists()
    held = Q(user=user.pk) | Q(group__user=user.pk) if user.pk is not None else Q(pk__in=())
    wanted = Permission.objects.filter(held | Q(group__in=list(groups))).select_related("content_type").distinct()
    missing = sorted({f"{one.content_type.app_label}.{one.codename}" for one in wanted} - actor.get_all_permissions())
    if is_superuser or missing:
        raise NotPermitted(
            f"{actor} may not change {user} like this: it takes rights that {actor} does not have.",
            rule=Rule.MANAGE_USERS.value,
            subject=user if user.pk is not None else None,
            hint="Ask a superuser." if is_superuser else f"Missing: {', '.join(missing)}. Ask a portal admin.",
        )


def _portal_admins() -> QuerySet[User]:
    return User.objects.filter(
        Q(groups__name=PORTAL_ADMINS) | Q(is_superuser=True), is_active=True, is_staff=True
    ).distinct()
