"""System checks: settings that would fail later are said at start-up."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from roles.aws.timeouts import WRITE_SECONDS_MAX

# IAM User Guide, "IAM identifiers": what a trust policy can name. Sessions and wildcards are not for a setting.
_PRINCIPAL = re.compile(
    r"\Aarn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:(root|(user|role)/[\x21-\x29\x2b-\x3e\x40-\x7e]+)\Z"
)
POSITIVE = (
    "XACCT_PROPAGATION_SECONDS",
    "XACCT_ACCOUNT_CALLS_PER_SECOND",
    "XACCT_DRIFT_READERS",
    "XACCT_LEASE_SECONDS",
    "XACCT_RUN_CLAIM_SECONDS",
    "XACCT_UPLOAD_MAX_BYTES",
)
TERMS = ("XACCT_LEASE_SECONDS", "XACCT_RUN_CLAIM_SECONDS")
_CACHES_OF_ONE_PROCESS = ("LocMemCache", "DummyCache")


@register(Tags.security)
def check_token_keys(**_kwargs: Any) -> list[CheckMessage]:
    """E001: every key that encrypts cached tokens is a Fernet key. The key itself is never shown."""
    return [
        Error(
            f"Key {number} of XACCT_TOKEN_KEYS is not a Fernet key.",
            hint="Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
            id="roles.E001",
        )
        for number, key in enumerate(settings.XACCT_TOKEN_KEYS, start=1)
        if not _is_fernet_key(key)
    ]


@register(Tags.security)
def check_portal_principals(**_kwargs: Any) -> list[CheckMessage]:
    """E002: the principals that trust policies of source roles admit are IAM ARNs, each naming one identity."""
    return [
        Error(
            f"'{principal}' in XACCT_PORTAL_PRINCIPALS is not the ARN of an IAM identity.",
            hint="Write it like arn:aws:iam::111111111111:role/xacct-portal, or leave the setting empty.",
            id="roles.E002",
        )
        for principal in settings.XACCT_PORTAL_PRINCIPALS
        if not _PRINCIPAL.match(principal)
    ]


@register()
def check_numbers(**_kwargs: Any) -> list[CheckMessage]:
    """E003: times and sizes are above zero."""
    return [
        Error(f"{name} must be above zero, not {getattr(settings, name)}.", id="roles.E003")
        for name in POSITIVE
        if getattr(settings, name) <= 0
    ]


@register()
def check_terms(**_kwargs: Any) -> list[CheckMessage]:
    """E004: a lease and a claim last longer than a write takes at most, or others would write meanwhile."""
    return [
        Error(
            f"{name} must be above {WRITE_SECONDS_MAX}, not {getattr(settings, name)}.",
            hint=f"AWS may take {WRITE_SECONDS_MAX} seconds to answer a write; until then nobody else may write there.",
            id="roles.E004",
        )
        for name in TERMS
        if getattr(settings, name) <= WRITE_SECONDS_MAX
    ]


@register(Tags.security, deploy=True)
def check_identities(**_kwargs: Any) -> list[CheckMessage]:
    """W001: who can make the portal hand out a token must not thereby be able to change policies."""
    provisioning, tokens = settings.XACCT_PROVISIONING_AWS_PROFILE, settings.XACCT_TOKENS_AWS_PROFILE
    if not provisioning or provisioning != tokens:
        return []
    return [
        Warning(
            "XACCT_PROVISIONING_AWS_PROFILE and XACCT_TOKENS_AWS_PROFILE are the same identity.",
            hint="Make two, as docs/aws-permissions.md says: one changes policies, the other hands out tokens.",
            id="roles.W001",
        )
    ]


@register(Tags.caches, deploy=True)
def check_shared_cache(**_kwargs: Any) -> list[CheckMessage]:
    """W002: web processes and workers share the cache, or a token forgotten in one would live on in another.

    SQLite and the filesystem broker are not warned of: all processes of one host share them, and they are the default.
    """
    backend: str = settings.CACHES["shared"]["BACKEND"]
    if backend.rpartition(".")[2] not in _CACHES_OF_ONE_PROCESS:
        return []
    return [
        Warning(
            "CACHE_URL names a cache that each process has for itself.",
            hint="Use redis://… or, unset, the database: tokens are cached and forgotten for all processes.",
            id="roles.W002",
        )
    ]


@register(Tags.security)
def check_endpoint_holds_no_secret(**_kwargs: Any) -> list[CheckMessage]:
    """E005: the endpoint is shown to everybody, with what there is to paste into tools."""
    parts = urlsplit(settings.XACCT_AWS_ENDPOINT_URL)
    if parts.username is None and parts.password is None:
        return []
    return [
        Error(
            "XACCT_AWS_ENDPOINT_URL holds a name or a password, and is shown to everybody.",
            hint="Leave out what stands before the '@'.",
            id="roles.E005",
        )
    ]


@register(Tags.security, deploy=True)
def check_endpoint(**_kwargs: Any) -> list[CheckMessage]:
    """W003: a production portal talks to AWS itself."""
    url = settings.XACCT_AWS_ENDPOINT_URL
    if not url:
        return []
    return [
        Warning(
            f"XACCT_AWS_ENDPOINT_URL is set: every AWS call goes to {url}.",
            hint="Leave it empty in production; it is for sandboxes.",
            id="roles.W003",
        )
    ]


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except (ValueError, TypeError):
        return False
    return True
