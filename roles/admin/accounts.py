"""AWS accounts in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from roles.admin import disabling, queries, retiring
from roles.admin.base import PortalModelAdmin, change_url, copyable, link_to
from roles.history.queries import may_see_runs
from roles.models import AwsAccount, Bucket, IamRole
from roles.models.choices import AccessModeChoice
from roles.operations.retire_account import retire_account
from roles.operations.save_account import save_account
from roles.operations.test_connection import test_connection
from roles.permissions import Rule, can
from roles.policies.provisioner import PROVISIONER_ROLE
from roles.provisioning.connection import ConnectionReport, in_words

RELATED_SHOWN = 50

# When a field is shown, in JavaScript. Whoever may only look has no field `access_mode`, and is shown all of it.
ASSUMED_ONLY = "typeof access_mode === 'undefined' || access_mode !== 'ambient'"


@admin.register(AwsAccount)
class AwsAccountAdmin(PortalModelAdmin):
    """Accounts, and how the portal gets into each."""

    list_display = ("name", disabling.display_disabled, "display_account_id", "access_mode", "region", "partition")
    list_filter = (disabling.DisabledFilter, "access_mode", "partition")
    search_fields = ("name", "account_id")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "account_id", "partition", "region")}),
        (
            "How the portal gets in",
            {
                "fields": ("access_mode", "provisioner_role_arn", "external_id"),
                "description": "Assume role needs a role in that account which trusts the portal. "
                "With handoff the portal writes nothing there: it hands the documents to the account's owner. With the "
                "ARN of a role it reads there whether they are applied, and that something is gone; leave it empty "
                "if the owner allows no reading.",
            },
        ),
        (
            "Quotas",
            {
                "fields": ("trust_policy_characters",),
                "description": "Only where AWS has raised it. Testing the connection compares it with AWS's own "
                "number, if the portal may read that (iam:GetAccountSummary).",
            },
        ),
    )
    conditional_fields = {"provisioner_role_arn": ASSUMED_ONLY, "external_id": ASSUMED_ONLY}
    empty_hint = "Connect a bucket creates the accounts it needs; or add one here."
    change_form_outer_before_template = "admin/includes/disabled.html"
    change_form_outer_after_template = "admin/includes/account_related.html"
    shows_plan = True

    @admin.display(description="Account id", ordering="account_id")
    def display_account_id(self, obj: AwsAccount) -> str:
        """Show the id with a copy button."""
        return copyable(obj.account_id, f"account id of {obj.name}")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Say of each account whether it is disabled, in the same query."""
        return super().get_queryset(request).annotate(why_disabled=queries.why_disabled("account"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the id of an account that exists: everything that hangs on it is in that account."""
        return ("account_id", "partition") if obj is not None else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add what is in the account."""
        account = self.get_object(request, object_id)
        roles = IamRole.objects.filter(account=account).select_related("account").order_by("name")
        buckets = Bucket.objects.filter(account=account).order_by("name")
        may_change = account is not None and can(request.user, Rule.MANAGE_ACCOUNTS)
        extra = {
            "disabling": disabling.section(request, account) if account is not None else None,
            "may_change": self.has_change_permission(request, account),
            "may_test": may_change and account.access_mode != AccessModeChoice.HANDOFF,
            "may_bootstrap": may_change and account.is_assumed,
            "may_see_documents": account is not None
            and account.access_mode == AccessModeChoice.HANDOFF
            and may_see_runs(request.user),
            "account_roles": [link_to(role, role.name) for role in roles[:RELATED_SHOWN]],
            "account_buckets": [link_to(bucket) for bucket in buckets[:RELATED_SHOWN]],
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})
        return response

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Say who makes an external id, and what the role is usually called."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "external_id":
            field.help_text = (
                "Leave it empty: the portal makes one that nobody can guess. The role's trust asks for it."
            )
        if db_field.name == "provisioner_role_arn":
            field.help_text = (
                f"Usually arn:aws:iam::<account id>:role/{PROVISIONER_ROLE}; its owner makes it afterwards."
            )
        return field

    # --- pages ---

    def get_urls(self) -> list[URLPattern]:
        """Add the test of the way in, and the pages that ask before an account is disabled, enabled or retired."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:object_id>/test/", wrap(require_POST(self.test_view)), name="roles_awsaccount_test"),
            path("<int:object_id>/disable/", wrap(self.disable_view), name="roles_awsaccount_disable"),
            path("<int:object_id>/enable/", wrap(self.enable_view), name="roles_awsaccount_enable"),
            path("<int:object_id>/retire/", wrap(self.retire_view), name="roles_awsaccount_retire"),
        ]
        return [*own, *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Try the way in now and show what was found: in the account's page, or as a page to who has no script."""
        account = self.row_or_404(request, object_id)
        report = test_connection(actor=request.user, account=account)
        is_part = bool(getattr(request, "htmx", False))
        return self.page(
            request,
            "admin/includes/connection.html" if is_part else "admin/connection.html",
            title=f"Connection to {account}",
            account=account,
            report=report,
            groups=_groups(report),
            back=change_url(account),
        )

    def retire_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan and the people; end all access through the account on POST."""
        account = self.row_or_404(request, object_id, change=True)
        roles = IamRole.objects.filter(account=account).values_list("pk", flat=True)

        def retire(reason: str) -> AwsAccount:
            return retire_account(actor=request.user, account=account, reason=reason)

        return retiring.view(self, request, account, retire, queries.people_through(list(roles)))

    def disable_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Disable the account for a time."""
        return disabling.disable_view(self, request, object_id)

    def enable_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Enable the account again."""
        return disabling.enable_view(self, request, object_id)

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> AwsAccount:
        """Save through the operation."""
        return save_account(actor=request.user, account=obj)


def _groups(report: ConnectionReport) -> list[tuple[str, str, list[str]]]:
    """Return the permissions by what is known of them, what is wrong first: heading, colour, sentences."""
    groups = [
        ("Missing: the portal cannot do this", "red", in_words(report.missing)),
        ("Unknown: only trying would show it", "amber", in_words(report.unknown)),
        ("Allowed", "green", in_words(report.allowed)),
    ]
    return [group for group in groups if group[2]]
