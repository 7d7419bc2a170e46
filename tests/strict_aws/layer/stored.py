"""How a document is kept in an emulator that judges by it, and not as AWS does.

It gets another one, with the real one inside: a trust policy that lets only the layer in, a bucket policy that says
nothing. What goes out is the real one again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from tests.strict_aws.layer.message import Response
from tests.strict_aws.layer.root import decoded

LAYER_ACCOUNT = "000000000000"
_INSIDE = "StrictAwsDocument"
_DOCUMENTS = re.compile(r"<(AssumeRolePolicyDocument|PolicyDocument|Document)>([^<]*)</\1>")


def concealed_trust(document: Mapping[str, Any]) -> str:
    """Return what the emulator is to keep in place of a trust policy."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{LAYER_ACCOUNT}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement], _INSIDE: document})


def concealed_bucket_policy(document: Mapping[str, Any]) -> str:
    """Return what the emulator is to keep in place of a bucket policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": [], _INSIDE: document})


def revealed(text: str | None) -> dict[str, Any]:
    """Return the real document of what an emulator keeps (JSON, possibly URL-encoded)."""
    document = decoded(text)
    inside = document.get(_INSIDE, document)
    return inside if isinstance(inside, dict) else {}


def with_documents(response: Response, change: Callable[[Mapping[str, Any]], str]) -> Response:
    """Return an IAM answer with each document in it as AWS gives it: normalised, and URL-encoded (RFC 3986)."""
    if not response.ok or b"Document>" not in response.body:
        return response

    def rewrite(match: re.Match[str]) -> str:
        document = revealed(unescape(match.group(2), {"&quot;": '"', "&#34;": '"', "&#39;": "'"}))
        if not document:
            return match.group(0)
        return f"<{match.group(1)}>{escape(quote(change(document), safe='-_.~'))}</{match.group(1)}>"

    return response.with_text(_DOCUMENTS.sub(rewrite, response.text))
