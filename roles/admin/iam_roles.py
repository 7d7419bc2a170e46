"""IAM roles in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path

from roles import context
from roles.admin import cut_offs, deleting, queries, retiring
from roles.admin.base import PortalModelAdmin, change_url, copyable, link_to
from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, IamRole, ProvisioningRun
from roles.models.choices import RoleOwnership
from roles.operations.adopt_role import adopt_role
from roles.operations.cut_off import Whose
from roles.operations.retire_role import retire_role
from roles.operations.save_role import save_role
from roles.permissions import Rule, can
from roles.provisioning.fill import fill_of_role

RELATED_SHOWN = 50


@admin.register(IamRole)
class IamRoleAdmin(PortalModelAdmin):
    """Source and target roles, with what hangs on each."""

    list_display = ("display_name", "display_account", "display_arn", "ownership")
    list_filter = ("ownership", ("account", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("account",)
    search_fields = ("name", "account__name", "account__account_id")
    ordering = ("account__name", "name")
    autocomplete_fields = ("account",)
    fields = ("account", "name", "path", "ownership", "attribution", "permissions_boundary")
    change_form_template = "admin/roles/iamrole/change_form.html"
    shows_plan = True

    @admin.display(description="Role", ordering="name")
    def display_name(self, obj: IamRole) -> str:
        """Show the name."""
        return obj.name

    @admin.display(description="Account", ordering="account__name")
    def display_account(self, obj: IamRole) -> str:
        """Link to the account."""
        return link_to(obj.account)

    @admin.display(description="ARN")
    def display_arn(self, obj: IamRole) -> str:
        """Show the ARN with a copy button."""
        return copyable(obj.arn, f"ARN of {obj.name}")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the account with each role: its name says it."""
        return super().get_queryset(request).select_related("account")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep what makes the ARN: in AWS a renamed role is another role."""
        return ("account", "name", "path") if obj is not None else ()

    def cut_off_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask before everybody's sessions of the role are cut off."""
        role = self.row_or_404(request, object_id)
        return cut_offs.view(self, request, Whose(role=role), back=change_url(role))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add what the role may assume, who may assume it, its buckets, groups and runs."""
        role = self.get_object(request, object_id)
        extra = related_of(role) if role is not None else {}
        extra |= {
            "may_change": role is not None and self.has_change_permission(request, role),
            "may_delete": role is not None and deleting.is_offered(request, role),
            "may_cut_off": bool(extra.get("grants_as_target")) and can(request.user, Rule.CUT_OFF),
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})
        return response

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that ask before a role is adopted, retired or deleted, or sessions of it are cut off."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:object_id>/cut-off/", wrap(self.cut_off_view), name="roles_iamrole_cut_off"),
            path("<int:object_id>/adopt/", wrap(self.adopt_view), name="roles_iamrole_adopt"),
            path("<int:object_id>/retire/", wrap(self.retire_view), name="roles_iamrole_retire"),
            path("<int:object_id>/delete-from-aws/", wrap(self.delete_from_aws_view), name="roles_iamrole_from_aws"),
        ]
        return [*own, *super().get_urls()]

    def adopt_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan; on POST let the portal use the role that exists, and go to the run that does."""
        role = self.row_or_404(request, object_id, change=True)

        def done(_role: IamRole) -> HttpResponse:
            messages.success(request, f"{role} is adopted.")
            run = ProvisioningRun.objects.filter(request_id=context.current().request_id).order_by("pk").first()
            return redirect(change_url(role)) if run is None else redirect("run", run.pk)

        return self.ask(
            request,
            lambda: adopt_role(actor=request.user, role=role),
            done=done,
            title=f"Adopt {role}?",
            subject=str(role.arn),
            effects=[
                "The portal uses the role that exists in AWS: it adds its own policy and its own statements to the "
                "trust policy, keeps those of others, and never deletes the role.",
                "The source roles in use that this concerns are provisioned again.",
            ],
            button=f"Adopt {role.name}",
            is_constructive=True,
            back=change_url(role),
            asks_reason=False,
        )

    def retire_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan and the people; end all access through the role on POST."""
        role = self.row_or_404(request, object_id, change=True)

        def retire(reason: str) -> IamRole:
            return retire_role(actor=request.user, role=role, reason=reason)

        return retiring.view(self, request, role, retire, queries.people_through([role.pk]))

    def delete_from_aws_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the plan and the role's name to type; queue the run on POST, and go to it."""
        role = self.row_or_404(request, object_id)
        if not can(request.user, Rule.DELETE_ROLES):
            raise PermissionDenied
        return deleting.view(self, request, role)

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> IamRole:
        """Save through the operation."""
        return save_role(actor=request.user, role=obj)


def related_of(role: IamRole) -> dict[str, Any]:
    """Return what hangs on a role, for its page."""
    chains = AssumeRoleGrant.objects.open().select_related("source__account", "target__account")
    return {
        "role": role,
        "may_be_adopted": role.ownership == RoleOwnership.MANAGED,
        "drift": queries.open_drift(role),
        "fill": fill_of_role(role),
        "grants_as_source": chains.filter(source=role)[:RELATED_SHOWN],
        "grants_as_target": chains.filter(target=role)[:RELATED_SHOWN],
        "bucket_grants": BucketGrant.objects.open().filter(role=role).select_related("bucket")[:RELATED_SHOWN],
        "mappings": GroupRole.objects.open().filter(role=role).select_related("group", "role__account")[:RELATED_SHOWN],
        "cut_offs": queries.open_cut_offs(target=role),
        "runs": queries.recent_runs(role=role)[:10],
    }
