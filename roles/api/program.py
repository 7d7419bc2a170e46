"""`xacct-credentials`: the program itself, and the bearer that it collects once a person has authorised it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from roles.api.answers import bearer_in, refused
from roles.errors import PortalError
from roles.tokens import bearers

NAME = "xacct-credentials"
_FILE = Path(__file__).with_name("xacct_credentials.py")
_PLACE_OF_ADDRESS = 'PORTAL = ""'
_PLACE_OF_ENDPOINT = 'ENDPOINT = ""'


@login_not_required  # the same for everybody, and no secret
@require_safe
def download(request: HttpRequest) -> HttpResponse:
    """Give the program, with the address of this portal in it, and of its AWS if that is a sandbox."""
    address = request.build_absolute_uri("/").rstrip("/")
    program = _source().replace(_PLACE_OF_ADDRESS, f"PORTAL = {address!r}", 1)
    program = program.replace(_PLACE_OF_ENDPOINT, f"ENDPOINT = {settings.XACCT_AWS_ENDPOINT_URL!r}", 1)
    answer = HttpResponse(program, content_type="text/x-python; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{NAME}"'
    return answer


@csrf_exempt  # no cookie counts here: what is shown is the code and what only the program that asked for it knows
@login_not_required
@never_cache
@require_POST
@sensitive_post_parameters()
@sensitive_variables()
def collect(request: HttpRequest) -> JsonResponse:
    """Exchange a code, and the verifier of the program that it was made for, for a bearer. Works once."""
    try:
        made = bearers.collect(code=request.POST.get("code", ""), verifier=request.POST.get("verifier", ""))
    except PortalError as error:
        return refused(request, error)
    return JsonResponse({"bearer": made.text, "mapping": made.row.mapping_id, "target": made.row.target_id})


@csrf_exempt  # no cookie counts here: what is shown is the bearer
@login_not_required
@never_cache
@require_POST
@sensitive_variables()
def sign_out(request: HttpRequest, mapping_id: int, target_id: int) -> JsonResponse:
    """End the bearer that is shown."""
    try:
        shown = bearers.open_bearer(bearer_in(request), mapping_id=mapping_id, target_id=target_id)
    except PortalError as error:
        return refused(request, error)
    user = shown.row.user
    bearers.end(Q(pk=shown.row.pk), actor=user, reason="The program signed out.", subject=shown.row)
    return JsonResponse({"signed_out": True})


@cache
def _source() -> str:
    return _FILE.read_text(encoding="utf-8")
