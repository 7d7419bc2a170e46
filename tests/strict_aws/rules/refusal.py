"""What AWS says when it refuses."""

from __future__ import annotations


class Refusal(Exception):
    """One of AWS's error answers: its code, its message and its HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def malformed_iam(message: str) -> Refusal:
    """Return IAM's and STS's refusal of a document."""
    return Refusal("MalformedPolicyDocument", message, 400)


def malformed_s3(message: str) -> Refusal:
    """Return S3's refusal of a bucket policy: one code for bad JSON, unknown principals and too many bytes."""
    return Refusal("MalformedPolicy", message, 400)


def invalid(field: str, value: object, constraint: str) -> Refusal:
    """Return the refusal that a value of the wrong shape gets from IAM and STS."""
    failed = f"Value '{value}' at '{field}' failed to satisfy constraint: Member must {constraint}"
    return Refusal("ValidationError", f"1 validation error detected: {failed}", 400)


def limit_exceeded(message: str) -> Refusal:
    """Return IAM's answer to what is over a quota: permanent, and not to be taken for throttling."""
    return Refusal("LimitExceeded", message, 409)


def access_denied(message: str = "Access Denied") -> Refusal:
    """Return the answer to who may not."""
    return Refusal("AccessDenied", message, 403)
