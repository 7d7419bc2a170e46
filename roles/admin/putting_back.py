"""The page that asks before a document in AWS is put back to what it was before a run."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from roles.admin import queries
from roles.admin.base import PortalModelAdmin
from roles.models import ProvisioningRun, ProvisioningStep
from roles.operations.put_back_document import put_back_document
from roles.provisioning import kept

AGREES = "I have read which statements of others are lost or come back, and mean that."
_OWN = [
    "The portal's own statements go back to what they were. Those of others stay as they are now, in their places.",
]
_EXACTLY = [
    "The whole document goes back to what it was, with the statements of others: what they added since is lost, and "
    "what they took away comes back. The plan names both.",
]
_MANAGED = [
    "The role's managed policies of the portal's go back to what they were, all of them: nobody else's are in them."
]
_BY_OWNER = [
    "The portal may not write to this account. The run makes documents for its owner, to put back the portal's own "
    "statements that were there before, as far as the portal knows. Verify then reads what is there, if the portal may "
    "read this account; else it takes your word.",
    "The next run of a source role that reaches the document asks the owner for the wish again.",
]
_IN_AWS = "What people can do in AWS changes as the plan says, whatever the portal shows them as theirs."
_ALWAYS = [
    _IN_AWS,
    "The run reads AWS again first. If anything in the document differs from this plan then, it writes nothing.",
    "The database keeps its wish. Where that differs, drift shows it at once, and the next run of a source role that "
    "reaches the document brings the wish back.",
]


def view(model_admin: PortalModelAdmin, request: HttpRequest, step: ProvisioningStep) -> HttpResponse:
    """Ask once, with the plan; on POST queue the run that puts the document back, and go to it."""
    has_choice = kept.is_shared(step) and not kept.is_by_owner(step)
    exactly = has_choice and request.GET.get("exactly") == "1"
    here = reverse("admin:roles_provisioningrun_put_back", args=[step.pk])

    def put_back() -> ProvisioningRun:
        return put_back_document(
            actor=request.user,
            step=step,
            exactly=exactly,
            agrees=request.POST.get("agrees") == "on",
            reason=request.POST.get("reason", "").strip(),
            seen=request.POST.get("seen", "").strip(),
        )

    def done(run: ProvisioningRun) -> HttpResponse:
        how = "The documents for the owner are being made" if kept.is_by_owner(step) else "It is being put back"
        messages.success(request, f"{how}: what run {step.run_id} replaced.")
        return redirect("run", run.pk)

    return model_admin.ask(
        request,
        put_back,
        done=done,
        title=f"Put back what run {step.run_id} replaced?",
        subject=step.resource,
        choices=[
            {"text": "Only the portal's statements", "url": here, "is_chosen": not exactly},
            {"text": "Exactly as it was", "url": f"{here}?exactly=1", "is_chosen": exactly},
        ]
        if has_choice
        else [],
        effects=_effects(step, exactly=exactly),
        agree=AGREES if exactly else "",
        agree_name="agrees",
        needs_plan=True,
        # The database says nothing new of anybody: what changes is in the plan, for those who come this way.
        hides_said=True,
        people=queries.people_reaching([step.run.role_id]),
        button="Put it back",
        back=reverse("run", args=[step.run_id]),
    )


def _effects(step: ProvisioningStep, *, exactly: bool) -> list[str]:
    if kept.is_by_owner(step):
        return [_IN_AWS, *_BY_OWNER]
    if not kept.is_shared(step):
        return [*_MANAGED, *_ALWAYS]
    return [*(_EXACTLY if exactly else _OWN), *_ALWAYS]
