"""Issued tokens in the admin: who got which, until when. Never a secret, and never changed here."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter

from roles.admin.base import ReadOnlyModelAdmin, badge, copyable, link_to, moment
from roles.models import IssuedToken


@admin.register(IssuedToken)
class IssuedTokenAdmin(ReadOnlyModelAdmin):
    """Temporary credentials that were handed out."""

    list_display = (
        moment("issued_at", "Issued"),
        "display_user",
        "display_mapping",
        "session_name",
        "display_key",
        moment("expires_at", "Expires"),
        "display_state",
    )
    list_filter = (("issued_at", RangeDateTimeFilter),)
    list_filter_submit = True
    list_select_related = ("user", "mapping__group", "mapping__role__account")
    search_fields = ("=access_key_id", "session_name", "user__username", "mapping__group__name")
    fields = (
        *("display_user", "session_name", "display_mapping", "display_target", "display_scope", "display_key"),
        *("issued_at", "expires_at", "cached_until", "evicted_at"),
    )
    readonly_fields = ("display_user", "display_mapping", "display_target", "display_scope", "display_key")

    @admin.display(description="User", ordering="user__username")
    def display_user(self, obj: IssuedToken) -> str:
        """Link to the person."""
        return link_to(obj.user)

    @admin.display(description="Mapping")
    def display_mapping(self, obj: IssuedToken) -> str:
        """Link to the mapping."""
        return link_to(obj.mapping)

    @admin.display(description="Target role")
    def display_target(self, obj: IssuedToken) -> str:
        """Link to the role that it is a session of."""
        return link_to(obj.target) if obj.target else "–"

    @admin.display(description="What it may do")
    def display_scope(self, obj: IssuedToken) -> str:
        """Show the grants that it was made for."""
        return ", ".join(obj.scope.get("grants", [])) or "–"

    @admin.display(description="Access key id")
    def display_key(self, obj: IssuedToken) -> str:
        """Show the key id, to be found in CloudTrail."""
        return copyable(obj.access_key_id, "access key id")

    @admin.display(description="State")
    def display_state(self, obj: IssuedToken) -> str:
        """Say whether the portal still holds it and whether it still works."""
        if obj.expires_at <= timezone.now():
            return badge("removed", "Expired")
        return badge("done", "In the cache") if obj.is_cached else badge("waiting", "Out of the cache")
