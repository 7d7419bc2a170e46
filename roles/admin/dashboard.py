"""The admin's first page: what needs attention, what there is, and what one most often does."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from roles.admin import queries

RECENT = 8


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the page shows to this person: nothing of what they may not view."""
    user = request.user
    shown: dict[str, Any] = {"quick_actions": _quick_actions(request)}
    if user.has_perms(("roles.view_grouprole", "roles.view_provisioningrun")):
        shown["attention"] = queries.needs_attention()
        shown["runs"] = queries.recent_runs()[:RECENT]
    if user.has_perm("roles.view_driftfinding"):
        shown["drift"] = queries.open_drift()
    if user.has_perm("roles.view_usergroup"):
        counts = queries.counts()
        shown["is_empty"] = not counts["accounts"] and not counts["groups"]
        shown["counts"] = _tiles(counts)
    return shown


def _quick_actions(request: HttpRequest) -> list[dict[str, str]]:
    actions = [
        ("Connect a bucket", "add_link", "admin:connect_bucket", "roles.change_grouprole"),
        ("Map a role to a group", "conversion_path", "admin:roles_grouprole_add", "roles.change_grouprole"),
        ("Add a user group", "group_add", "admin:roles_usergroup_add", "roles.add_usergroup"),
        ("Add a user", "person_add", "admin:roles_user_add", "roles.add_user"),
        ("Open the history", "history", "history", "roles.view_auditevent"),
    ]
    return [
        {"title": title, "icon": icon, "link": reverse(link)}
        for title, icon, link, permission in actions
        if request.user.has_perm(permission)
    ]


def _tiles(counts: dict[str, int]) -> list[dict[str, Any]]:
    in_sync = f"{counts['in_sync']} in sync" if counts["mappings"] else "none yet"
    return [
        {"title": "User groups", "count": counts["groups"], "note": "", "link": _list("usergroup")},
        {"title": "Mappings", "count": counts["mappings"], "note": in_sync, "link": _list("grouprole")},
        {"title": "Accounts", "count": counts["accounts"], "note": "", "link": _list("awsaccount")},
        {"title": "IAM roles", "count": counts["roles"], "note": "", "link": _list("iamrole")},
        {"title": "Buckets", "count": counts["buckets"], "note": "", "link": _list("bucket")},
        {"title": "Active users", "count": counts["users"], "note": "", "link": _list("user")},
    ]


def _list(model: str) -> str:
    return reverse(f"admin:roles_{model}_changelist")
