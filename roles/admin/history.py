"""Events in the admin: read only for everybody, superusers included."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import RangeDateTimeFilter

from roles.admin.base import ReadOnlyModelAdmin, badge, moment
from roles.models import AuditEvent

# What links from other pages may filter by, besides the filters that are shown.
LINKED = {"subject_type__exact", "subject_id__exact", "request_id__exact", "actor_name__exact"}


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyModelAdmin):
    """Who did what to which thing, newest first."""

    list_display = (
        moment("occurred_at", "When"),
        "code",
        "display_outcome",
        "display_actor",
        "display_subject",
        "display_group",
        "address",
    )
    list_filter = ("outcome", ("occurred_at", RangeDateTimeFilter))
    list_filter_submit = True
    search_fields = ("code", "actor_name", "subject_name", "group_name", "=request_id", "=account_id")
    search_help_text = "Event code, person, thing, group, account id or request id"
    fieldsets = (
        (None, {"fields": ("occurred_at", "code", "display_outcome", "actor_name", "address", "user_agent")}),
        ("About", {"fields": ("display_subject", "group_name", "account_id", "resource", "request_id")}),
        ("Documents", {"fields": ("display_before", "display_after", "display_details")}),
        ("Chain", {"fields": ("previous_hash", "hash")}),
    )
    readonly_fields = ("display_outcome", "display_subject", "display_before", "display_after", "display_details")

    @admin.display(description="Outcome", ordering="outcome")
    def display_outcome(self, obj: AuditEvent) -> str:
        """Show the badge."""
        return badge(obj.outcome)

    @admin.display(description="About")
    def display_subject(self, obj: AuditEvent) -> str:
        """Show the thing's kind and name as they were."""
        return f"{_kind(obj.subject_type)} {obj.subject_name}".strip() or "–"

    @admin.display(description="Who", ordering="actor_name")
    def display_actor(self, obj: AuditEvent) -> str:
        """Show who did it, by the name they had."""
        return obj.actor_name

    @admin.display(description="Group", ordering="group_name")
    def display_group(self, obj: AuditEvent) -> str:
        """Show the user group it concerned."""
        return obj.group_name

    @admin.display(description="Before")
    def display_before(self, obj: AuditEvent) -> str:
        """Show the document before."""
        return _as_json(obj.before)

    @admin.display(description="After")
    def display_after(self, obj: AuditEvent) -> str:
        """Show the document after."""
        return _as_json(obj.after)

    @admin.display(description="Details")
    def display_details(self, obj: AuditEvent) -> str:
        """Show the details."""
        return _as_json(obj.details)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow what other pages link with."""
        return lookup in LINKED or bool(super().lookup_allowed(lookup, value, request))


def _kind(subject_type: str) -> str:
    """Return what a kind of thing is called on the pages; one that there is no more keeps the name of then."""
    try:
        return str(apps.get_model("roles", subject_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return subject_type


def _as_json(document: Any) -> str:
    if not document:
        return "–"
    return format_html('<pre class="xa-json">{}</pre>', json.dumps(document, indent=2, ensure_ascii=False))
