"""The page that asks before a role that the portal made is deleted in AWS."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from roles.admin.base import PortalModelAdmin, change_url
from roles.models import IamRole, ProvisioningRun
from roles.models.choices import RoleOwnership
from roles.operations.delete_managed_role import delete_managed_role
from roles.permissions import Rule, can
from roles.provisioning.facts import Facts


def is_offered(request: HttpRequest, role: IamRole) -> bool:
    """Return whether the role's page leads here: to who may, for a managed role that was seen in AWS."""
    is_managed = role.ownership == RoleOwnership.MANAGED
    return is_managed and can(request.user, Rule.DELETE_ROLES) and Facts([role.pk]).is_seen(role.pk)


def view(model_admin: PortalModelAdmin, request: HttpRequest, role: IamRole) -> HttpResponse:
    """Ask once, with the plan; on POST queue the run that deletes the role, and go to it."""

    def delete() -> ProvisioningRun:
        return delete_managed_role(
            actor=request.user,
            role=role,
            name=request.POST.get("typed", "").strip(),
            reason=request.POST.get("reason", "").strip(),
            seen=request.POST.get("seen", "").strip(),
        )

    def done(run: ProvisioningRun) -> HttpResponse:
        messages.success(request, f"{role} is being deleted in AWS.")
        return redirect("run", run.pk)

    return model_admin.ask(
        request,
        delete,
        done=done,
        title=f"Delete {role} from AWS?",
        subject=str(role.arn),
        effects=[
            "The role is deleted in AWS, with the policies of the portal's that hang on it and its instance profile. "
            "The history keeps its documents.",
            "The run looks at all of the role first. If it does not carry the portal's tag, or others have a policy, a "
            "trust statement or an instance profile on it, nothing is deleted and the run says what.",
            "It stays in the list, as the history names it. Mapping it again makes a new role of that name, which "
            "policies of others that named the old one do not let in.",
        ],
        type_name=role.name,
        needs_plan=True,
        hides_said=True,
        button=f"Delete {role.name}",
        back=change_url(role),
    )
