"""Connect a bucket of an account that the portal does not know yet: what its owner does first, from what is typed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import content_disposition_header

from roles.admin.connect_form import ConnectForm
from roles.errors import PortalError, text_of
from roles.models import AwsAccount
from roles.models.choices import AccessModeChoice
from roles.policies.provisioner import PROVISIONER_ROLE, scope_of
from roles.provisioning.for_owners import documents_of_provisioner
from roles.provisioning.handoff import HandoffDocuments
from roles.values.accounts import AccessMode, AccountAccess, AccountId, partition_of_region
from roles.values.arns import BucketArn, RoleArn

NEEDED = ("target_account_id", "target_role", "target_external_id", "bucket", "region")
FORMS = {
    "cloudformation": "CloudFormation",
    "terraform": "Terraform",
    "cli": "AWS CLI",
    "console": "Console instructions",
}


def is_offered(form: ConnectForm) -> bool:
    """Return whether the bucket's account is one that the portal does not know and is to get into by a role."""
    account = form.cleaned_data.get("target_account_id")
    if not account or form.cleaned_data.get("target_access_mode") != AccessModeChoice.ASSUME_ROLE:
        return False
    return not AwsAccount.objects.filter(account_id=account).exists()


def is_complete(form: ConnectForm) -> bool:
    """Return whether enough is typed for the documents."""
    return all(form.cleaned_data.get(name) for name in NEEDED)


def download(request: HttpRequest, form: ConnectForm, name: str) -> HttpResponse:
    """Return one form of the documents as a file, or say in a page why there is none. Writes nothing."""
    form.is_valid()
    problem = "Fill in the bucket, its region, and account, role and external id of its owner first."
    if name in FORMS and is_offered(form) and is_complete(form):
        try:
            file = getattr(_documents(form.cleaned_data), name)
        except PortalError as error:
            problem = text_of(error)
        else:
            response = HttpResponse(file.text, content_type=f"{file.content_type}; charset=utf-8")
            response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=file.name)
            return response
    context = {**admin.site.each_context(request), "title": "No documents yet", "problem": problem}
    return TemplateResponse(request, "admin/connect_owner_problem.html", context, status=409)


def _documents(data: dict[str, Any]) -> HandoffDocuments:
    partition, account = partition_of_region(data["region"]), AccountId(data["target_account_id"])
    arn = data.get("target_provisioner_role_arn") or str(RoleArn(partition, account, PROVISIONER_ROLE))
    access = AccountAccess(account, partition, data["region"], AccessMode.ASSUME_ROLE, arn, data["target_external_id"])
    role, bucket = RoleArn(partition, account, data["target_role"]), BucketArn(partition, data["bucket"])
    return documents_of_provisioner(access, scope_of(partition, account, targets=[role], buckets=[bucket]))
