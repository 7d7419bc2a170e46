"""Every error the portal raises on purpose.

Each class carries a stable `code`, an `http_status`, a `message` (what happened, to which thing), a `hint` (what the
person can do) and typed fields. Surfaces show them; nothing else catches them broadly. Pure: knows no framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar


class Retry(StrEnum):
    """When trying the same call again makes sense."""

    NEVER = "never"
    SOON = "soon"
    LATER = "later"
    BACKOFF = "backoff"


class PortalError(Exception):
    """The root: a message for people, a hint, and a code for programs."""

    code: ClassVar[str] = "portal.error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(PortalError):
    """What was entered cannot be right. `field` names the form field, `allowed` says what would be accepted."""

    code = "input.invalid"
    http_status = 400

    def __init__(self, message: str, *, field: str = "", allowed: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.allowed = allowed


class InvalidArn(InputError):
    """Not an ARN of the kind asked for."""

    code = "input.arn"


class InvalidAccountId(InputError):
    """Not exactly twelve digits."""

    code = "input.account_id"


class InvalidPrefix(InputError):
    """A prefix S3 or IAM would read differently from what was meant."""

    code = "input.prefix"


class InvalidConfig(InputError):
    """A configuration file that cannot be applied. Each line of `problems` begins with the path in the file."""

    code = "input.config"

    def __init__(self, problems: Sequence[str]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count} in the file; nothing was changed.", *problems]))
        self.problems = tuple(problems)


class PolicyError(InputError):
    """A policy document that cannot be used."""

    code = "policy.invalid"


class PolicySyntax(PolicyError):
    """A policy document that is not one."""

    code = "policy.syntax"


class PolicyTooLarge(PolicyError):
    """A document over AWS's limit. `limit` and `size` are in the unit that AWS counts for that kind of document."""

    code = "policy.too_large"

    def __init__(self, message: str, *, limit: int, size: int, owner: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.size = size
        self.owner = owner


class NotPermitted(PortalError):
    """The actor may not do this. `rule` is the rule that said no; `subject` is what it was about."""

    code = "access.denied"
    http_status = 403

    def __init__(self, message: str, *, rule: str = "", subject: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.subject = subject


class NotFound(PortalError):
    """No such thing, or none that this actor may know of."""

    code = "not_found"
    http_status = 404


class Conflict(PortalError):
    """The world moved on since the actor looked."""

    code = "conflict"
    http_status = 409


class StalePlan(Conflict):
    """The plan that was confirmed is not the plan that would be applied now."""

    code = "conflict.stale_plan"


class AlreadyMapped(Conflict):
    """The role is already added to that group."""

    code = "conflict.already_mapped"


class GrantEnded(Conflict):
    """The membership, mapping or grant was ended already."""

    code = "conflict.ended"


class RunAlreadyRunning(Conflict):
    """Another worker holds this run."""

    code = "conflict.run_running"


class Blocked(Conflict):
    """The plan says that this must not be done; the message says why."""

    code = "conflict.blocked"


class NotOurs(Blocked):
    """A role of that name exists that the portal did not make; an admin may adopt it."""

    code = "conflict.not_ours"


class LeaseLost(Conflict):
    """The lease ran out while we worked, and somebody else has the document now."""

    code = "conflict.lease_lost"


class LeaseBusy(Conflict):
    """Somebody else kept the document for longer than a lease lasts."""

    code = "conflict.lease_busy"


class TokenError(PortalError):
    """No temporary credentials for this request."""

    code = "token.error"
    http_status = 503


class SessionEnded(TokenError):
    """The login session is over; sign in again."""

    code = "token.session_ended"
    http_status = 401


class NotEntitled(TokenError):
    """The database, asked now, does not give this user this mapping.

    `facts` is what the history shows of the request beside that, as JSON values.
    """

    code = "token.not_entitled"
    http_status = 403

    def __init__(self, message: str, *, rule: str = "token.get", subject: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.subject = subject
        self.facts: dict[str, Any] = {}


class BearerRefused(TokenError):
    """What a program showed does not lead to credentials. `rule` says why; `subject` is the bearer, if there is one."""

    code = "token.bearer_refused"
    http_status = 401

    def __init__(self, message: str, *, rule: str, subject: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.subject = subject


class TokenUnavailable(TokenError):
    """The user is entitled, but the token cannot be made or stored right now."""

    code = "token.unavailable"
    http_status = 503


class CacheDown(TokenUnavailable):
    """The cache that keeps tokens does not answer."""

    code = "token.cache_down"


class AwsError(PortalError):
    """AWS refused or did not answer. Fields say who was asked what, and what AWS said."""

    code = "aws.error"
    http_status = 502
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        account: str = "",
        service: str = "",
        operation: str = "",
        arn: str = "",
        aws_code: str = "",
        aws_message: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.account = account
        self.service = service
        self.operation = operation
        self.arn = arn
        self.aws_code = aws_code
        self.aws_message = aws_message
        self.request_id = request_id


class AwsAccessDenied(AwsError):
    """AWS says no."""

    code = "aws.access_denied"


class AwsNotFound(AwsError):
    """AWS has no such thing."""

    code = "aws.not_found"


class AwsConflict(AwsError):
    """Somebody else is changing the same thing; read again and retry."""

    code = "aws.conflict"
    retry = Retry.SOON


class AwsPropagating(AwsError):
    """AWS has not made an earlier change visible everywhere yet."""

    code = "aws.propagating"
    retry = Retry.LATER


class AwsThrottled(AwsError):
    """Too many calls."""

    code = "aws.throttled"
    retry = Retry.BACKOFF


class AwsLimitExceeded(AwsError):
    """A quota of the account is used up."""

    code = "aws.limit_exceeded"


class AwsUnreachable(AwsError):
    """No answer from AWS."""

    code = "aws.unreachable"
    retry = Retry.BACKOFF


class Misconfigured(PortalError):
    """A setting is missing or wrong; raised at start-up."""

    code = "misconfigured"


def text_of(error: PortalError) -> str:
    """Return the message and the hint as one text, with what would be accepted and AWS's own code where known."""
    parts = [error.message, error.hint]
    allowed = getattr(error, "allowed", "")
    if allowed and allowed not in str(error):
        parts.append(f"Allowed: {allowed}.")
    if aws_code := getattr(error, "aws_code", ""):
        request_id = getattr(error, "request_id", "")
        parts.append(f"({aws_code}{f', request {request_id}' if request_id else ''})")
    return " ".join(part for part in parts if part)
