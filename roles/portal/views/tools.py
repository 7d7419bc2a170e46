"""What lets a person's tools ask the portal themselves: set one up, authorise a computer, see and sign out what is."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from roles.errors import NotFound
from roles.models import ToolBearer
from roles.operations.revoke_bearer import revoke_bearer
from roles.portal.page import show, signed_in
from roles.tokens import bearers, container_blocks, scope
from roles.tokens.container_blocks import Source
from roles.tokens.formats import Place


@never_cache
@require_POST
@sensitive_variables()
def fresh(request: HttpRequest, mapping_id: int, target_id: int) -> HttpResponse:
    """Make a bearer for one access and show what to paste, so that a tool asks for credentials itself."""
    user = signed_in(request)
    made = bearers.issue(actor=user, session=request.session, mapping_id=mapping_id, target_id=target_id)
    target = scope.mapping_for(user, mapping_id).target(target_id)
    uri = request.build_absolute_uri(reverse("container_credentials", args=[mapping_id, target_id]))
    source = Source(uri, Place(target.region, settings.XACCT_AWS_ENDPOINT_URL), f"{mapping_id}-{target_id}", made.text)
    shown = {
        "target": target.role,
        "slot": f"fresh-{mapping_id}-{target_id}",
        "blocks": [
            {"name": name, "label": label, "text": block(source)} for name, label, block in container_blocks.BLOCKS
        ],
    }
    if getattr(request, "htmx", False):
        return render(request, "portal/credentials_fresh.html", shown)
    return show(request, "portal/credentials_fresh_page.html", shown, title="Credentials that keep themselves fresh")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables()
def authorise(request: HttpRequest, mapping_id: int, target_id: int) -> HttpResponse:
    """Show what asks to be signed in; when the person confirms, show the code that it needs."""
    user = signed_in(request)
    asked = request.POST if request.method == "POST" else request.GET
    challenge, name = asked.get("challenge", ""), asked.get("name", "")
    bearers.challenge_or_refuse(challenge)
    bearers.name_or_refuse(name)
    usable = scope.mapping_for(user, mapping_id)
    shown = {
        "name": name,
        "challenge": challenge,
        "mapping": usable.mapping,
        "target": usable.target(target_id),
        "minutes": bearers.COLLECT_MINUTES,
    }
    if request.method == "POST":
        made = bearers.authorise(
            actor=user,
            session=request.session,
            mapping_id=mapping_id,
            target_id=target_id,
            challenge=challenge,
            name=name,
        )
        shown["code"] = made.text
    return show(request, "portal/tool_authorise.html", shown, title="Authorise this computer")


@require_safe
def signed_in_tools(request: HttpRequest) -> HttpResponse:
    """Show the tools that may ask for this person's credentials."""
    tools = ToolBearer.objects.live().filter(user=signed_in(request))
    shown = {"tools": tools.select_related("mapping__group", "mapping__role", "target__account")}
    return show(request, "portal/tools.html", shown, title="Signed-in tools")


@require_POST
def sign_tool_out(request: HttpRequest, bearer_id: int) -> HttpResponse:
    """Revoke one's own bearer."""
    user = signed_in(request)
    bearer = ToolBearer.objects.filter(pk=bearer_id, user=user).first()
    if bearer is None:
        raise NotFound("There is no such tool of yours.", hint="See 'Signed-in tools'.")
    revoke_bearer(actor=user, bearer=bearer)
    messages.success(request, f"{bearer} is signed out. What it was given before works until it expires.")
    return redirect("signed_in_tools")
