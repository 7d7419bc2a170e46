"""What the layer itself asks of the emulator, as the root of an account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote, urlencode
from xml.etree import ElementTree

from tests.strict_aws.layer.message import Request, Response

Upstream = Callable[[Request], Response]
_VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}


class RootApi:
    """IAM, STS and S3 of every account of the emulator."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def query(self, account: str, service: str, action: str, **parameters: str) -> Response:
        """Make a call of IAM or STS."""
        body = urlencode({"Action": action, "Version": _VERSIONS[service], **parameters}).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "Host": f"{service}.amazonaws.com",
        }
        headers["Authorization"] = f"Credential=x/20260101/us-east-1/{service}/aws4_request"
        request = Request("POST", "/", headers, body, base=f"https://{service}.amazonaws.com")
        return self._upstream(request.signed_as_root(account))

    def iam(self, account: str, action: str, **parameters: str) -> ElementTree.Element | None:
        """Return the answer of an IAM call without its namespace, or None when there is no such thing."""
        return parsed(self.query(account, "iam", action, **parameters))

    def pages(self, account: str, action: str, **parameters: str) -> Iterator[ElementTree.Element]:
        """Yield every page of a listing of IAM."""
        page = self.iam(account, action, **parameters)
        while page is not None:
            yield page
            marker = page.findtext(".//Marker")
            page = self.iam(account, action, **parameters, Marker=marker) if marker else None

    def s3(self, account: str, method: str, bucket: str, query: str = "", body: bytes = b"") -> Response:
        """Make a call of S3 on a bucket."""
        headers = {"Authorization": "Credential=x/20260101/us-east-1/s3/aws4_request", "Host": "s3.amazonaws.com"}
        if body:
            headers["Content-Length"] = str(len(body))
        target = f"/{quote(bucket)}{'?' if query else ''}{query}"
        request = Request(method, target, headers, body, base="https://s3.amazonaws.com")
        return self._upstream(request.signed_as_root(account))


def parsed(response: Response) -> ElementTree.Element | None:
    """Return a successful XML answer without namespaces, else None."""
    if not response.ok:
        return None
    root = ElementTree.fromstring(response.body)  # noqa: S314 - the emulator's own answer
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def decoded(text: str | None) -> dict[str, Any]:
    """Return a document as IAM's answers carry it: URL-encoded JSON, or plain. What is no JSON object is empty."""
    text = text or "{}"
    try:
        document = json.loads(text if text.lstrip().startswith("{") else unquote(text))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
