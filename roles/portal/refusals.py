"""What AWS's refusals mean to somebody who works in a bucket with their own token.

`roles.aws.errors` speaks to the operator of the portal; a member did not configure anything and cannot. Here the same
error, with AWS's code and request id kept, says what was refused, to which thing, and what this person can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest

from roles.errors import AwsAccessDenied, AwsError, AwsLimitExceeded, AwsNotFound, AwsThrottled, AwsUnreachable
from roles.history.recorder import record
from roles.models.choices import Outcome
from roles.portal.page import signed_in
from roles.portal.storage import Place

EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId")


@contextmanager
def explained(request: HttpRequest, place: Place, doing: str) -> Iterator[None]:
    """Reword what AWS refuses inside the `with` block; record a denial. `doing` completes "AWS does not let you …"."""
    try:
        yield
    except AwsError as error:
        if isinstance(error, AwsAccessDenied):
            _record_denial(request, place, doing, error)
        error.message, error.hint = _words(error, place, doing)
        raise


def _record_denial(request: HttpRequest, place: Place, doing: str, error: AwsError) -> None:
    record(
        "access.denied",
        actor=signed_in(request),
        subject=place.mapping,
        outcome=Outcome.DENIED,
        group=place.mapping.group.name,
        account_id=error.account,
        resource=str(place.bucket.arn),
        rule=f"aws {error.service}:{error.operation}",
        message=f"AWS refused to {doing}.",
        aws_code=error.aws_code,
        aws_request_id=error.request_id,
    )


def _words(error: AwsError, place: Place, doing: str) -> tuple[str, str]:
    """Return what happened, and what to do."""
    for kind, words in _KINDS:
        if isinstance(error, kind):
            return words(error, place, doing)
    return f"AWS did not {doing}: {error.aws_message or error.aws_code or 'no reason given'}.", "Try again in a minute."


def _denied(error: AwsError, place: Place, doing: str) -> tuple[str, str]:
    if error.service == "sts":
        return (
            f"AWS does not hand out a token for {place.target.name} now: {place.mapping.role.name} may not assume it.",
            "If access was given a minute ago, wait and try again. Otherwise ask a portal admin to look at the "
            f"provisioning of {place.mapping.role}.",
        )
    if error.aws_code in EXPIRED_CODES:
        return "Your token for this bucket has expired.", "Sign out and in again to get a new one."
    return (
        f"AWS does not let you {doing}. {place.target.name}, through which you reach the bucket, is not allowed to.",
        "If access was given a minute ago, wait and try again. Otherwise the bucket's owner may have forbidden it in "
        f"the bucket's policy or its key's policy (account {place.bucket.account.account_id}): tell a portal admin.",
    )


def _missing(error: AwsError, place: Place, _doing: str) -> tuple[str, str]:
    if error.aws_code == "NoSuchBucket":
        return (
            f"There is no bucket '{place.bucket}' in account {place.bucket.account.account_id} any more.",
            "Tell a portal admin: it was deleted, or belongs to somebody else now.",
        )
    return f"'{place.key}' is not in {place.bucket} (any more).", "Go back to the folder to see what is there now."


def _slow(_error: AwsError, place: Place, _doing: str) -> tuple[str, str]:
    return f"AWS asks for fewer requests to {place.bucket} just now.", "Wait some seconds and try again."


def _unreachable(_error: AwsError, place: Place, doing: str) -> tuple[str, str]:
    return f"AWS did not answer, so it is not known whether it could {doing}.", "Try again; then tell a portal admin."


def _limit(error: AwsError, _place: Place, doing: str) -> tuple[str, str]:
    return f"AWS did not {doing}: a limit is reached ({error.aws_message}).", "Tell a portal admin."


_KINDS = (
    (AwsAccessDenied, _denied),
    (AwsNotFound, _missing),
    (AwsThrottled, _slow),
    (AwsUnreachable, _unreachable),
    (AwsLimitExceeded, _limit),
)
