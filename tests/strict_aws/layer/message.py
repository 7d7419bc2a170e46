"""One HTTP request and one answer, and AWS's error envelopes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

from tests.strict_aws.rules.refusal import Refusal

_SCOPE = re.compile(r"Credential=([^/,\s]+)/[0-9]{8}/([^/]+)/([^/]+)/aws4_request")
_QUERY_SCOPE = re.compile(
    r"X-Amz-Credential=([^%&/]+)(?:%2F|/)[0-9]{8}(?:%2F|/)([^%&/]+)(?:%2F|/)([^%&/]+)(?:%2F|/)aws4"
)


@dataclass(frozen=True, slots=True)
class Request:
    """An AWS call on the wire. `target` is path and query, `base` scheme and host."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    base: str = ""
    source_ip: str = "127.0.0.1"

    def header(self, name: str) -> str:
        """Return a header by its name in any case, or empty."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    @property
    def scope(self) -> tuple[str, str, str]:
        """Access key id, region and service that it is signed with; empty for anonymous requests."""
        match = _SCOPE.search(self.header("Authorization")) or _QUERY_SCOPE.search(self.target)
        return (match.group(1), match.group(2), match.group(3)) if match else ("", "", "")

    @property
    def access_key(self) -> str:
        """Whose key signs it, or empty."""
        return self.scope[0]

    @property
    def service(self) -> str:
        """The service it is for: the signature's, else S3's, which alone takes anonymous requests here."""
        return self.scope[2] or "s3"

    def signed_as_root(self, account: str) -> Request:
        """Return the same call as `account`'s root makes it. Emulators take a root's signature on trust."""
        region, service = self.scope[1] or "us-east-1", self.service
        path, _, query = self.target.partition("?")
        kept = "&".join(part for part in query.split("&") if part and not part.startswith(("X-Amz-", "x-amz-")))
        headers = {
            key: value
            for key, value in self.headers.items()
            if key.lower() not in ("authorization", "x-amz-security-token")
        }
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request, "
            "SignedHeaders=host, Signature=0"
        )
        headers["x-moto-account-id"] = account
        return replace(self, headers=headers, target=f"{path}?{kept}" if kept else path)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer on the wire."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether AWS did as asked."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body as text; only for XML and JSON answers."""
        return self.body.decode()

    @property
    def error_code(self) -> str:
        """AWS's error code, or empty for success and for answers without a body."""
        match = re.search(rb"<Code>([^<]+)</Code>", self.body) if not self.ok else None
        return match.group(1).decode() if match else ""

    def with_text(self, text: str) -> Response:
        """Return the same answer with another body."""
        return replace(self, body=text.encode())


def error_response(refusal: Refusal, request: Request) -> Response:
    """Return what AWS puts on the wire for a refusal of `request`: S3's envelope, or that of the query services."""
    code, message, identifier = escape(refusal.code), escape(refusal.message), str(uuid.uuid4())
    if request.service == "s3":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{identifier}</RequestId></Error>"
        )
        headers = {"Content-Type": "application/xml", "x-amz-request-id": identifier}
        return Response(refusal.status, headers, b"" if request.method == "HEAD" else body.encode())
    namespace = "https://sts.amazonaws.com/doc/2011-06-15/" if request.service == "sts" else IAM_NAMESPACE
    kind = "Receiver" if refusal.status >= 500 else "Sender"
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>{identifier}</RequestId></ErrorResponse>"
    )
    return Response(refusal.status, {"Content-Type": "text/xml", "x-amzn-RequestId": identifier}, body.encode())


IAM_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
