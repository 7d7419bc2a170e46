"""Hand out temporary credentials, in the shape that the asking tool takes. Only ever as the answer to a POST."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from roles.aws import console as aws_console
from roles.errors import InputError, TokenUnavailable
from roles.portal.page import show, signed_in
from roles.portal.panel import panel_of
from roles.tokens import broker, scope


@never_cache
@require_POST
@sensitive_variables()
def credentials(request: HttpRequest, mapping_id: int) -> HttpResponse:
    """Show the credentials of one mapping, and of one of its target roles where it has several."""
    user, target_id = signed_in(request), _target(request)
    token = broker.get_token(actor=user, session=request.session, mapping_id=mapping_id, target_id=target_id)
    panel = panel_of(request, token, slot=f"{mapping_id}-{target_id or 0}")
    if getattr(request, "htmx", False):
        return HttpResponse(panel)
    return show(request, "portal/credentials.html", {"panel": panel}, title="Credentials")


@never_cache
@require_POST
@sensitive_variables()
def console(request: HttpRequest, mapping_id: int, target_id: int) -> HttpResponse:
    """Open the AWS console at the first bucket of one access.

    The page that answers sends the browser on: a redirect would be held back by `form-action` of our own policy.
    """
    user = signed_in(request)
    target = scope.mapping_for(user, mapping_id).target(target_id)
    if not aws_console.is_available():
        raise TokenUnavailable(
            "This portal works with an AWS sandbox, which has no console.", hint="Use Browse or your own tools."
        )
    token = broker.get_token(
        actor=user, session=request.session, mapping_id=mapping_id, target_id=target_id, purpose="console"
    )
    grant = target.grants[0]
    address = aws_console.sign_in_address(
        token.credentials,
        partition=target.role.arn.partition,
        bucket=grant.bucket.name,
        region=grant.bucket.region,
        prefix=grant.prefix,
        issuer=request.build_absolute_uri(reverse("my_access")),
    )
    return show(request, "portal/aws_console.html", {"address": address, "target": target.role}, title="AWS console")


def _target(request: HttpRequest) -> int | None:
    text = request.POST.get("target", "")
    if text and not (text.isascii() and text.isdigit()):
        raise InputError("That is no target role.", field="target", hint="Choose one on 'My access'.")
    return int(text) if text else None
