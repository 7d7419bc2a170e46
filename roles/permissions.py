"""Who may do what: one table of rules, asked by every operation and every page. Default deny."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from django.db import models
from django.db.models import QuerySet

from roles.context import SystemActor
from roles.errors import NotPermitted
from roles.models import GroupRole, User

Actor = User | SystemActor
_M = TypeVar("_M", bound=models.Model)

PORTAL_ADMINS = "Portal admin"
AUDITORS = "Auditor"
USERS = "User"


class Rule(StrEnum):
    """What can be asked for. The value is what history and denials show."""

    MANAGE_ACCOUNTS = "accounts.manage"
    MANAGE_ROLES = "roles.manage"
    DELETE_ROLES = "roles.delete"
    MANAGE_BUCKETS = "buckets.manage"
    MANAGE_GRANTS = "grants.manage"
    MANAGE_GROUPS = "groups.manage"
    MAP_ROLES = "mappings.manage"
    MANAGE_USERS = "users.manage"
    REVOKE_BEARERS = "bearers.revoke"
    CUT_OFF = "credentials.cut_off"
    RETRY_RUNS = "runs.retry"
    REPAIR_DRIFT = "drift.repair"
    RESTORE_DOCUMENTS = "documents.restore"
    VIEW_HISTORY = "history.view"
    EXPORT_HISTORY = "history.export"


# Each rule is one of Django's permissions, so that sites can compose groups of their own.
PERMISSION_OF: dict[Rule, str] = {
    Rule.MANAGE_ACCOUNTS: "roles.change_awsaccount",
    Rule.MANAGE_ROLES: "roles.change_iamrole",
    Rule.DELETE_ROLES: "roles.delete_iamrole",
    Rule.MANAGE_BUCKETS: "roles.change_bucket",
    Rule.MANAGE_GRANTS: "roles.change_bucketgrant",
    Rule.MANAGE_GROUPS: "roles.change_usergroup",
    Rule.MAP_ROLES: "roles.change_grouprole",
    Rule.MANAGE_USERS: "roles.change_user",
    Rule.REVOKE_BEARERS: "roles.revoke_toolbearer",
    Rule.CUT_OFF: "roles.start_cutoff",
    Rule.RETRY_RUNS: "roles.retry_provisioningrun",
    Rule.REPAIR_DRIFT: "roles.repair_driftfinding",
    Rule.RESTORE_DOCUMENTS: "roles.restore_provisioningstep",
    Rule.VIEW_HISTORY: "roles.view_auditevent",
    Rule.EXPORT_HISTORY: "roles.export_auditevent",
}


def can(actor: Any, rule: Rule) -> bool:
    """Return whether `actor` may. The portal itself may; a user may with the rule's Django permission."""
    if isinstance(actor, SystemActor):
        return True
    return bool(isinstance(actor, User) and actor.is_active and actor.has_perm(PERMISSION_OF[rule]))


def require(actor: Any, rule: Rule, subject: models.Model | None = None) -> None:
    """Raise `NotPermitted` unless `actor` may."""
    if not can(actor, rule):
        name = actor.get_username() or "An anonymous visitor"
        about = f" on {subject}" if subject is not None else ""
        raise NotPermitted(
            f"{name} may not do this{about}.",
            rule=rule.value,
            subject=subject,
            hint=f"It needs the permission '{PERMISSION_OF[rule]}'. Ask a portal admin.",
        )


def visible_to(user: User, model: type[_M]) -> QuerySet[_M]:
    """Return the rows of `model` that `user` may see: all for those who may view it, else own."""
    rows = model._default_manager.all()
    label = model._meta
    if user.is_active and user.has_perm(f"{label.app_label}.view_{label.model_name}"):
        return rows
    own = {"memberships__user": user, "memberships__ended_at__isnull": True}
    if model is GroupRole:
        return rows.filter(**{f"group__{key}": value for key, value in own.items()})
    return rows.none()
