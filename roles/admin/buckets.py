"""Buckets in the admin, each with its grants."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from roles.admin import queries
from roles.admin.base import PortalModelAdmin, copyable, link_to
from roles.models import Bucket, BucketGrant
from roles.operations.save_bucket import save_bucket
from roles.provisioning.fill import fill_of_bucket
from roles.provisioning.keys import key_advice

RELATED_SHOWN = 100


@admin.register(Bucket)
class BucketAdmin(PortalModelAdmin):
    """Buckets, and who may do what in each."""

    list_display = ("name", "display_account", "region", "display_arn")
    list_filter = ("region", ("account", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("account",)
    search_fields = ("name", "account__name", "account__account_id")
    ordering = ("name",)
    autocomplete_fields = ("account",)
    fields = ("account", "name", "region", "kms_key_arn", "grants_in_identity_policy")
    change_form_template = "admin/roles/bucket/change_form.html"
    shows_plan = True

    @admin.display(description="Account", ordering="account__name")
    def display_account(self, obj: Bucket) -> str:
        """Link to the account."""
        return link_to(obj.account)

    @admin.display(description="ARN")
    def display_arn(self, obj: Bucket) -> str:
        """Show the ARN with a copy button."""
        return copyable(obj.arn, f"ARN of {obj.name}")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the account with each bucket: its partition is in the ARN."""
        return super().get_queryset(request).select_related("account")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep what says which bucket it is."""
        return ("account", "name") if obj is not None else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the open grants."""
        bucket = self.get_object(request, object_id)
        grants = BucketGrant.objects.open().filter(bucket=bucket).select_related("role__account", "started_by")
        extra = {
            "bucket": bucket,
            "bucket_grants": grants.order_by("prefix", "role__name")[:RELATED_SHOWN],
            "drift": queries.open_drift(bucket) if bucket is not None else [],
            "fill": fill_of_bucket(bucket) if bucket is not None else (),
            "key": key_advice(bucket) if bucket is not None else None,
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})
        return response

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Bucket:
        """Save through the operation."""
        return save_bucket(actor=request.user, bucket=obj)
