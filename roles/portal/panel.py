"""The panel that shows a token, as HTML. What is the same in all of them is rendered once a process.

That is nearly all of it: rendered at each request, it took a fifth of what the request cost (`benchmarks/tokens.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import get_script_prefix, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_variables

from roles.aws import console as aws_console
from roles.tokens import container_blocks, formats
from roles.tokens.broker import Token
from roles.values.credentials import Credentials
from roles.values.spans import in_minutes


@dataclass(frozen=True, slots=True)
class Shape:
    """A tab: what it is called, what to do with it, and what makes the text of credentials and a place."""

    name: str
    label: str
    help: str
    text_of: Callable[[Credentials, formats.Place], str]

    @property
    def hole(self) -> str:
        """Where the text goes in the frame."""
        return f"{{{self.name}}}"


PATHS_KEPT = 4096  # finding an address by its name takes longer than filling the frame with it
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


@sensitive_variables()
def panel_of(request: HttpRequest, token: Token, *, slot: str) -> SafeString:
    """Return the panel of a token. `slot` makes its ids differ from those of another panel on the page."""
    access, ids = f"{token.mapping.pk}/{token.target_id}", (token.mapping.pk, token.target_id)
    address = request.build_absolute_uri("/")
    place = formats.Place(token.region, settings.XACCT_AWS_ENDPOINT_URL)
    frame = _frame(
        get_script_prefix(),
        is_attributed=token.attributed,
        is_taken_by_sdks=container_blocks.is_taken_by_sdks(address),
        has_console=aws_console.is_available(),
    )
    return format_html(
        frame,
        slot=slot,
        csrf=get_token(request),
        target=token.target,
        session_name=token.session_name,
        expires_at=token.credentials.expires_at.isoformat(),
        expires_in=in_minutes(token.credentials.expires_at - timezone.now()),
        opened=format_html_join(
            ", ", '<span class="xp-mono">{}/{}</span>', ((grant.bucket.name, grant.prefix) for grant in token.grants)
        ),
        portal=address,
        fresh=_path(get_script_prefix(), "credentials_fresh", *ids),
        console=_path(get_script_prefix(), "aws_console", *ids),
        sign_in=container_blocks.program_sign_in(
            address.rstrip("/") + _path(get_script_prefix(), "xacct_credentials"), access
        ),
        config=container_blocks.program_profile(access, place),
        **{shape.name: shape.text_of(token.credentials, place) for shape in SHAPES},
    )


@lru_cache(maxsize=PATHS_KEPT)
def _frame(_prefix: str, *, is_attributed: bool, is_taken_by_sdks: bool, has_console: bool) -> str:
    """Return the HTML with a hole for each value, as `str.format` knows them. `format_html` escapes what goes in.

    `_prefix` is where the portal is mounted, which a proxy may say with each request: addresses begin with it.
    """
    shown = {
        "shapes": SHAPES,
        "is_attributed": is_attributed,
        "is_taken_by_sdks": is_taken_by_sdks,
        "has_console": has_console,
    }
    return render_to_string("portal/credentials_panel.html", shown)


@lru_cache(maxsize=PATHS_KEPT)
def _path(_prefix: str, name: str, *ids: int) -> str:
    return reverse(name, args=ids)
