"""AWS's errors, translated once: (service, code, message) to one of ours. An unknown code stays a plain `AwsError`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from roles.errors import (
    AwsAccessDenied,
    AwsConflict,
    AwsError,
    AwsLimitExceeded,
    AwsNotFound,
    AwsPropagating,
    AwsThrottled,
    AwsUnreachable,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Empty `service` or `message` matches all; `message` is searched, ignoring case."""

    code: str
    error: type[AwsError]
    hint: str
    service: str = ""
    message: str = ""


_DENIED = "Give the portal's identity the action named above in that account; docs/aws-permissions.md lists them."
_FIXED = (
    "AWS raises this limit for nobody. A role's inline policies count together, those of others too: make managed "
    "policies of some of them, or spread what the role may do over several roles."
)
_LATER = "AWS has not made a change visible everywhere yet; the portal tries again by itself."
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
)
_SLOW = "AWS asks for fewer calls; the portal slows down and tries again."

# Who signed the call is known no more: new credentials may have come meanwhile.
EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId")

TABLE: tuple[Row, ...] = (
    # The same code for an unknown principal (wait) and a bad document (never right): the message decides.
    Row("MalformedPolicyDocument", AwsPropagating, _LATER, "iam", "invalid principal"),
    Row("MalformedPolicy", AwsPropagating, _LATER, "s3", "invalid principal"),
    Row(
        "MalformedPolicy", AwsLimitExceeded, "Use fewer or wider grants on this bucket.", "s3", "exceeds|too large|size"
    ),
    Row("MalformedPolicyDocument", AwsError, "Report this: the portal should not write such a document.", "iam"),
    Row(
        "MalformedPolicy",
        AwsError,
        "A statement in the bucket policy is not accepted; look at those of others too.",
        "s3",
    ),
    # IAM and STS quotas: these two are the same for everybody. IAM names them in the message only.
    Row("LimitExceeded", AwsLimitExceeded, _FIXED, "iam", "maximum policy size|quota for PolicySize"),
    Row("LimitExceeded", AwsLimitExceeded, "Ask AWS to raise the quota, or remove what is no longer needed."),
    Row("LimitExceededException", AwsLimitExceeded, "Ask AWS to raise the quota, or remove what is no longer needed."),
    Row(
        "PackedPolicyTooLarge",
        AwsLimitExceeded,
        "The session policy is too large; narrow the mapping less finely.",
        "sts",
    ),
    *(
        Row(code, AwsThrottled, _SLOW)
        for code in (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "SlowDown",
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
        )
    ),
    *(
        Row(code, AwsConflict, "The portal reads again and retries.")
        for code in (
            "ConcurrentModification",
            "ConcurrentModificationException",
            "OperationAborted",
            "DeleteConflict",
            "EntityTemporarilyUnmodifiable",
        )
    ),
    Row(
        "EntityAlreadyExists",
        AwsConflict,
        "Something has that name already, perhaps in other letter case or under another path; the portal reads again.",
    ),
    *(
        Row(code, AwsNotFound, "Create it, or correct its name in the portal.")
        for code in (
            "NoSuchEntity",
            "NoSuchBucket",
            "NoSuchKey",
            "NoSuchBucketPolicy",
            "404",
            "NotFound",
        )
    ),
    *(
        Row(code, AwsUnreachable, "The portal tries again by itself.")
        for code in (
            "InternalError",
            "InternalFailure",
            "ServiceUnavailable",
            "ServiceFailure",
            "RequestTimeout",
            "503",
            "500",
        )
    ),
    *(
        Row(code, AwsAccessDenied, "The portal's own AWS credentials have expired or are wrong; renew them.")
        for code in (
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
            "InvalidToken",
            "RequestExpired",
        )
    ),
    Row(
        "RequestTimeTooSkewed",
        AwsAccessDenied,
        "The clock of the portal's host is wrong; set it (AWS takes a difference of 15 minutes).",
    ),
    Row(
        "RegionDisabledException",
        AwsAccessDenied,
        "Switch the region on for STS in that account, or give the account another region in the portal.",
        "sts",
    ),
    Row(
        "MethodNotAllowed",
        AwsAccessDenied,
        "Only an identity of the bucket's own account may change its policy; use a provisioner role there.",
        "s3",
    ),
    *(
        Row(code, AwsAccessDenied, _DENIED)
        for code in (
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "403",
            "Forbidden",
            "AuthFailure",
        )
    ),
)


def find_row(service: str, code: str, message: str) -> Row | None:
    """Return the first line of the table that matches."""
    for row in TABLE:
        if row.code != code or (row.service and row.service != service):
            continue
        if not row.message or re.search(row.message, message, re.IGNORECASE):
            return row
    return None


def from_client_error(error: ClientError, *, service: str, operation: str, account: str, arn: str) -> AwsError:
    """Return our error for AWS's answer, with everything an operator needs to find it in CloudTrail."""
    answer: dict[str, Any] = dict(error.response)
    code = str(answer.get("Error", {}).get("Code", ""))
    message = str(answer.get("Error", {}).get("Message", ""))
    row = find_row(service, code, message)
    kind = row.error if row else AwsError
    return kind(
        f"AWS refused {operation} on {arn or service} in account {account or 'of the portal'}: {message or code}",
        hint=row.hint if row else "AWS gave an answer the portal does not know; see its code and message.",
        account=account,
        service=service,
        operation=operation,
        arn=arn,
        aws_code=code,
        aws_message=message,
        request_id=str(answer.get("ResponseMetadata", {}).get("RequestId", "")),
    )


@contextmanager
def translated(*, service: str, operation: str, account: str = "", arn: str = "") -> Iterator[None]:
    """Turn what boto3 raises inside the `with` block into one of our errors."""
    where = {"service": service, "operation": operation, "account": account, "arn": arn}
    try:
        yield
    except ClientError as error:
        raise from_client_error(error, **where) from error
    except ParamValidationError as error:
        raise AwsError(f"{operation} was given a value that AWS does not take: {error}", **where) from error
    except _NO_CREDENTIALS as error:
        raise AwsAccessDenied(
            "The portal has no AWS credentials of its own.",
            hint="Give its host a role, or set AWS credentials or a profile in its environment.",
            **where,
        ) from error
    except (BotoConnectionError, HTTPClientError, BotoCoreError) as error:
        raise AwsUnreachable(
            f"No answer from AWS for {operation} in account {account or 'of the portal'}.",
            hint="Check the network and XACCT_AWS_ENDPOINT_URL; the portal tries again by itself.",
            aws_message=type(error).__name__,
            **where,
        ) from error
