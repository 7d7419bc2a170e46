"""Assume-role grants and bucket grants in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from roles.admin.base import link_to, moment
from roles.admin.intervals import IntervalAdmin, OpenFilter
from roles.admin.queries import people_reaching, people_through
from roles.models import AssumeRoleGrant, BucketGrant
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.grant_assume_role import grant_assume_role
from roles.operations.grant_bucket import grant_bucket


@admin.register(AssumeRoleGrant)
class AssumeRoleGrantAdmin(IntervalAdmin):
    """Which source role may assume which target role."""

    list_display = ("display_grant", "display_source", "display_target", "display_open", moment("started_at", "Since"))
    list_filter = (OpenFilter,)
    list_select_related = ("source__account", "target__account")
    search_fields = ("source__name", "target__name", "source__account__name", "target__account__name")
    autocomplete_fields = ("source", "target")
    fields = ("source", "target", "reason")
    end_label = "End this assume-role grant"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Show the interval of a row that exists."""
        return ("source", "target", *self.interval_of(obj))

    @admin.display(description="Grant", ordering="id")
    def display_grant(self, obj: AssumeRoleGrant) -> str:
        """Show what it is, as the link to its page."""
        return f"{obj.source.name} → {obj.target.name}"

    @admin.display(description="Source role", ordering="source__name")
    def display_source(self, obj: AssumeRoleGrant) -> str:
        """Link to the source role."""
        return link_to(obj.source)

    @admin.display(description="May assume", ordering="target__name")
    def display_target(self, obj: AssumeRoleGrant) -> str:
        """Link to the target role."""
        return link_to(obj.target)

    def effects(self, row: AssumeRoleGrant) -> list[str]:
        """Say what ending does."""
        return [
            f"{row.source} may no longer assume {row.target}: "
            "the portal's statements leave its policy and the target's trust policy.",
            "Every bucket that is reached through this target role is out of reach for the people below.",
        ]

    def affected(self, row: AssumeRoleGrant) -> list[Any]:
        """Return the members of all groups that the source role is mapped to."""
        return people_reaching([row.source_id])

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> AssumeRoleGrant:
        """Grant through the operation."""
        return grant_assume_role(actor=request.user, source=obj.source, target=obj.target, reason=obj.reason)

    def perform_end(self, request: HttpRequest, row: AssumeRoleGrant, reason: str) -> AssumeRoleGrant:
        """End through the operation."""
        return end_assume_role_grant(actor=request.user, grant=row, reason=reason)


@admin.register(BucketGrant)
class BucketGrantAdmin(IntervalAdmin):
    """What target roles may do in which bucket."""

    list_display = (
        "display_grant",
        "display_role",
        "display_bucket",
        "access",
        "display_open",
        moment("started_at", "Since"),
    )
    list_filter = (OpenFilter, "access")
    list_select_related = ("role__account", "bucket__account")
    search_fields = ("role__name", "bucket__name", "prefix")
    autocomplete_fields = ("role", "bucket")
    end_label = "End this bucket grant"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Show the interval of a row that exists."""
        own = ("role", "bucket", "access", "prefix", "multipart_cleanup")
        return (*own, *self.interval_of(obj))

    @admin.display(description="Grant", ordering="id")
    def display_grant(self, obj: BucketGrant) -> str:
        """Show what it is, as the link to its page."""
        return f"{obj.role.name} → {_place(obj)}"

    @admin.display(description="Target role", ordering="role__name")
    def display_role(self, obj: BucketGrant) -> str:
        """Link to the role."""
        return link_to(obj.role)

    @admin.display(description="Bucket", ordering="bucket__name")
    def display_bucket(self, obj: BucketGrant) -> str:
        """Link to the bucket."""
        return link_to(obj.bucket)

    def effects(self, row: BucketGrant) -> list[str]:
        """Say what ending does."""
        return [
            f"{row.role} may no longer use {_place(row)}: "
            f"the portal's statements for it leave the policy of bucket {row.bucket.name}; all others stay.",
            "Cached tokens that reach it are removed at once. "
            "Credentials that were handed out already work until AWS has the new policy.",
        ]

    def subject(self, row: BucketGrant) -> str:
        """Name the grant in words."""
        return f"{row.role}: {row.get_access_display()} in {_place(row)}"

    def affected(self, row: BucketGrant) -> list[Any]:
        """Return the members of all groups that reach the role."""
        return people_through([row.role_id])

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> BucketGrant:
        """Grant through the operation."""
        return grant_bucket(
            actor=request.user,
            role=obj.role,
            bucket=obj.bucket,
            access=obj.access,
            prefix=obj.prefix,
            reason=obj.reason,
            multipart_cleanup=obj.multipart_cleanup,
        )

    def perform_end(self, request: HttpRequest, row: BucketGrant, reason: str) -> BucketGrant:
        """End through the operation."""
        return end_bucket_grant(actor=request.user, grant=row, reason=reason)


def _place(grant: BucketGrant) -> str:
    return f"{grant.bucket.name}/{grant.prefix}" if grant.prefix else grant.bucket.name
