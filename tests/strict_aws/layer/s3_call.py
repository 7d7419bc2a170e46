"""S3's calls: which bucket and key, and which action of a policy allows them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from tests.strict_aws.layer.message import Request

_PLAIN_QUERY = {
    "x-id",
    "list-type",
    "prefix",
    "delimiter",
    "max-keys",
    "marker",
    "start-after",
    "continuation-token",
    "encoding-type",
    "fetch-owner",
}
_BUCKET_ACTIONS = {
    ("GET", ""): "ListBucket",
    ("HEAD", ""): "ListBucket",
    ("DELETE", ""): "DeleteBucket",
    ("PUT", ""): "CreateBucket",
    ("GET", "policy"): "GetBucketPolicy",
    ("PUT", "policy"): "PutBucketPolicy",
    ("DELETE", "policy"): "DeleteBucketPolicy",
    ("GET", "policyStatus"): "GetBucketPolicyStatus",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "acl"): "GetBucketAcl",
    ("GET", "uploads"): "ListBucketMultipartUploads",
    ("GET", "versions"): "ListBucketVersions",
    ("GET", "publicAccessBlock"): "GetBucketPublicAccessBlock",
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("GET", "encryption"): "GetEncryptionConfiguration",
}
_OBJECT_ACTIONS = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("GET", "acl"): "GetObjectAcl",
    ("PUT", "acl"): "PutObjectAcl",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("DELETE", "tagging"): "DeleteObjectTagging",
    ("GET", "uploadId"): "ListMultipartUploadParts",
    ("PUT", "uploadId"): "PutObject",
    ("POST", "uploadId"): "PutObject",
    ("POST", "uploads"): "PutObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
_SUBRESOURCES = {key for _, key in (*_BUCKET_ACTIONS, *_OBJECT_ACTIONS) if key}


@dataclass(frozen=True, slots=True)
class S3Call:
    """What an S3 request is about. `action` is empty where this layer leaves the decision to the emulator."""

    bucket: str
    key: str
    action: str
    query: dict[str, str]

    @property
    def resource(self) -> str:
        """The ARN that policies speak of."""
        return f"arn:aws:s3:::{self.bucket}/{self.key}" if self.key else f"arn:aws:s3:::{self.bucket}"


def read_s3_call(request: Request) -> S3Call:
    """Return what an S3 request is about, addressed by path or by host."""
    url = urlsplit(request.base + request.target)
    path = unquote(url.path).lstrip("/")
    host = url.hostname or ""
    if host.endswith("amazonaws.com") and not host.startswith(("s3.", "s3-")):
        bucket, key = host.split(".s3", 1)[0], path
    else:
        bucket, _, key = path.partition("/")
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return S3Call(bucket, key, _action(request, bucket, key, query), query)


def _action(request: Request, bucket: str, key: str, query: dict[str, str]) -> str:
    asked = {name for name in query if not name.startswith(("X-Amz-", "x-amz-")) and name not in _PLAIN_QUERY}
    subresource = asked & _SUBRESOURCES
    others = asked - subresource - {"partNumber", "uploadId"}
    if others or len(subresource) > 1 or request.header("x-amz-copy-source"):
        return ""
    name = next(iter(subresource), "")
    if not bucket:
        return "s3:ListAllMyBuckets" if request.method == "GET" and not name else ""
    found = (_OBJECT_ACTIONS if key else _BUCKET_ACTIONS).get((request.method, name), "")
    return f"s3:{found}" if found else ""
