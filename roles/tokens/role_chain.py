"""From the portal's own identity to the source role, and from there to the target role: one token of AWS."""

from __future__ import annotations

import time

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from roles.aws import sts
from roles.aws.errors import EXPIRED_CODES
from roles.aws.sessions import Purpose
from roles.aws.sts import REFRESH_PAUSE_SECONDS
from roles.errors import AwsAccessDenied, AwsError, AwsLimitExceeded, AwsThrottled, AwsUnreachable
from roles.models import GroupRole, User
from roles.tokens import scope
from roles.tokens.cache import CachedToken
from roles.tokens.scope import UsableTarget
from roles.values.arns import RoleArn, principal_of_caller
from roles.values.credentials import Credentials
from roles.values.session_names import session_name, tag_value

SHORTEST_SECONDS = 1800  # less would be in its last 20 minutes almost at once
SOURCE_SESSION_SECONDS = 900  # STS's minimum; the source role's session is used for one call


@sensitive_variables()
def assume(user: User, mapping: GroupRole, target: UsableTarget) -> CachedToken:
    """Return a new token of the target role for `user`, who was authorised for it.

    Expired credentials of the portal's own are read again, once. Raises `PolicyTooLarge` before AWS is asked, or an
    `AwsError` in words for the person who asked.
    """
    policy = scope.session_policy_of(target)
    try:
        try:
            return _chained(user, mapping, target, policy)
        except AwsAccessDenied as error:
            if error.aws_code not in EXPIRED_CODES:
                raise
        sts.forget_identity()
        time.sleep(REFRESH_PAUSE_SECONDS)
        return _chained(user, mapping, target, policy)
    except AwsError as error:
        error.message, error.hint = _in_words(error, mapping, target)
        raise


@sensitive_variables()
def _chained(user: User, mapping: GroupRole, target: UsableTarget, policy: str) -> CachedToken:
    """Assume the target, saying who it is for; without that if the target allows no more than a session's name."""
    source = _source_credentials(user, mapping)
    name, region = _name_of(user), mapping.role.account.region
    arn, seconds = str(target.role.arn), _seconds(mapping)
    if target.role.attribution:
        tags = _tags(user, mapping)
        named = sts.AssumeRoleRequest(arn, name, seconds=seconds, policy=policy, source_identity=name, tags=tags)
        try:
            return CachedToken(sts.assume_role(named, region=region, using=source), name, attributed=True)
        except (AwsAccessDenied, AwsLimitExceeded) as error:
            # The refusal may be about the names (trust without sts:TagSession or sts:SetSourceIdentity; tags that
            # leave the session policy too little room) or about all of it: the next call tells.
            if error.aws_code in EXPIRED_CODES:
                raise
    plain = sts.AssumeRoleRequest(arn, name, seconds=seconds, policy=policy)
    return CachedToken(sts.assume_role(plain, region=region, using=source), name, attributed=False)


def _source_credentials(user: User, mapping: GroupRole) -> Credentials | None:
    """Return credentials of the source role, or None when that is what the portal runs as.

    SourceIdentity and tags come only with the target: the source role's trust does not allow them.
    """
    arn, region = mapping.role.arn, mapping.role.account.region
    # The ARN of an assumed role has no path; IAM keeps names unique over all paths of an account.
    without_path = RoleArn(arn.partition, arn.account, arn.name)
    if principal_of_caller(sts.caller_arn(region=region, purpose=Purpose.TOKENS)) == str(without_path):
        return None
    request = sts.AssumeRoleRequest(str(arn), _name_of(user), seconds=SOURCE_SESSION_SECONDS)
    return sts.assume_role(request, region=region, purpose=Purpose.TOKENS)


def _name_of(user: User) -> str:
    return session_name(user.get_username(), user.pk)


def _tags(user: User, mapping: GroupRole) -> dict[str, str]:
    return {
        "user": tag_value(user.get_username()),
        "group": tag_value(mapping.group.name),
        "mapping": str(mapping.pk),
    }


def _seconds(mapping: GroupRole) -> int:
    """Return how long the token lives: an hour, as the roles are chained, but not much beyond the mapping."""
    if mapping.expires_at is None:
        return sts.ROLE_CHAINING_MAX_SECONDS
    left = int((mapping.expires_at - timezone.now()).total_seconds())
    return min(sts.ROLE_CHAINING_MAX_SECONDS, max(SHORTEST_SECONDS, left))


def _in_words(error: AwsError, mapping: GroupRole, target: UsableTarget) -> tuple[str, str]:
    """Return what AWS's refusal means to the person who asked, and what they can do."""
    if isinstance(error, AwsThrottled):
        return "AWS asks for fewer requests for tokens just now.", "Wait some seconds and try again."
    if isinstance(error, AwsUnreachable):
        return "AWS did not answer the request for a token.", "Try again in a minute; then tell a portal admin."
    if not isinstance(error, AwsAccessDenied):
        return error.message, error.hint
    if error.aws_code in ("", *EXPIRED_CODES):
        return (
            "The portal's own AWS credentials are missing or have expired.",
            "This is not about your access. Tell a portal admin.",
        )
    wait = "If access was given a minute ago, wait and try again. Otherwise tell a portal admin"
    source, name = mapping.role, target.role.name
    if error.arn == str(target.role.arn):
        return (
            f"AWS does not let {source.name} assume {name} in account {target.role.account.account_id}.",
            f"{wait}: the owner of that account may have changed the trust policy of {name}.",
        )
    return (
        f"AWS does not let the portal act as {source.name} in account {source.account.account_id}.",
        f"{wait}: the trust policy of {source.name} has to name the portal.",
    )
