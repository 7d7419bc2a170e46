"""What AWS's answers have in common: a request id, and policy documents in one spelling or another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from roles.errors import PolicySyntax
from roles.policies.document import PolicyDocument, parse


def request_id(answer: Mapping[str, Any]) -> str:
    """Return the id under which CloudTrail has the call, or empty where AWS gave none."""
    return str(answer.get("ResponseMetadata", {}).get("RequestId", ""))


def policy_document(value: str | Mapping[str, Any], *, owner: str) -> PolicyDocument:
    """Return the policy of `owner` (an ARN). IAM's are URL-encoded text, which botocore decodes to an object.

    Raises `PolicySyntax`, naming the owner: what cannot be read must not be taken for "there is none".
    """
    if isinstance(value, str) and value.startswith("%"):
        value = unquote(value)
    try:
        return parse(value)
    except PolicySyntax as error:
        raise PolicySyntax(f"{owner}: {error.message}", hint=error.hint) from error
