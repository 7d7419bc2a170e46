"""Hand out temporary credentials, in the shape that the asking tool takes. Only ever as the answer to a POST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from roles.aws import console as aws_console
from roles.errors import InputError, TokenUnavailable
from roles.portal.page import show, signed_in
from roles.tokens import broker, container_blocks, formats, scope
from roles.tokens.broker import Token
from roles.values.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Shape:
    """A tab: what it is called, what to do with it, and what makes the text of credentials and a region."""

    name: str
    label: str
    help: str
    text_of: Callable[[Credentials, str], str]


_CONFIGURATION = "Put it where the tool reads its configuration; it holds until the credentials expire."

SHAPES = (
    Shape("bash", "bash, zsh", "Paste it into the shell; it holds in that shell only.", formats.environment),
    Shape("fish", "fish", "Paste it into the shell; it holds in that shell only.", formats.fish),
    Shape("powershell", "PowerShell", "Paste it into the shell; it holds in that shell only.", formats.powershell),
    Shape("cmd", "cmd", "Paste it into the command prompt; it holds in that window only.", formats.cmd),
    Shape("profile", "AWS profile", "Put it into ~/.aws/credentials and use it with --profile.", formats.aws_profile),
    Shape("boto3", "boto3", "Paste it into Python. Do not save it: it holds the secret.", formats.boto3),
    Shape("spark", "Spark", "For spark-defaults.conf or --conf. " + _CONFIGURATION, formats.spark),
    Shape("duckdb", "DuckDB", "Paste it into DuckDB; it holds in that process only.", formats.duckdb),
    Shape("rclone", "rclone", "A remote for rclone.conf. " + _CONFIGURATION, formats.rclone),
    Shape(
        "process",
        "credential_process",
        "What a program named as credential_process in ~/.aws/config has to print.",
        formats.credential_process,
    ),
)


@never_cache
@require_POST
@sensitive_variables()
def credentials(request: HttpRequest, mapping_id: int) -> HttpResponse:
    """Show the credentials of one mapping, and of one of its target roles where it has several."""
    user, target_id = signed_in(request), _target(request)
    token = broker.get_token(actor=user, session=request.session, mapping_id=mapping_id, target_id=target_id)
    shown = {
        "token": token,
        "slot": f"{mapping_id}-{target_id or 0}",
        "formats": [
            {
                "name": shape.name,
                "label": shape.label,
                "help": shape.help,
                "text": shape.text_of(token.credentials, token.region),
            }
            for shape in SHAPES
        ],
        "mapping_id": mapping_id,
        "target_id": token.target_id,
        "has_console": aws_console.is_available(),
        **_ways_to_stay_fresh(request, token),
    }
    if getattr(request, "htmx", False):
        return render(request, "portal/credentials_panel.html", shown)
    return show(request, "portal/credentials.html", shown, title="Credentials")


def _ways_to_stay_fresh(request: HttpRequest, token: Token) -> dict[str, object]:
    access = f"{token.mapping.pk}/{token.target_id}"
    address = request.build_absolute_uri("/")
    return {
        "is_taken_by_sdks": container_blocks.is_taken_by_sdks(address),
        "portal_address": address,
        "program": [
            {
                "name": "sign-in",
                "label": "Sign this computer in",
                "text": container_blocks.program_sign_in(
                    request.build_absolute_uri(reverse("xacct_credentials")), access
                ),
            },
            {
                "name": "config",
                "label": "Profile for ~/.aws/config",
                "text": container_blocks.program_profile(access, token.region),
            },
        ],
    }


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
