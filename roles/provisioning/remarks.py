"""What may be wrong with a way into an account, each as a sentence and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from roles.errors import AwsAccessDenied, AwsError, AwsUnreachable
from roles.models import AwsAccount
from roles.values.accounts import AccessMode

_CLOCK_WORDS = ("signature expired", "signature not yet current", "too large")
_UNKNOWN_KEYS = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId")


class Tone(StrEnum):
    """How a remark is meant."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence. `code` names it for programs and the history; `advice` says what to do, or is empty."""

    code: str
    tone: Tone
    text: str
    advice: str = ""


HANDOFF = Remark(
    "handoff",
    Tone.WARNING,
    "This is a handoff account: the portal has no way in, so there is nothing to test.",
    "Its owner applies the documents; the portal checks them by using the access.",
)
NOTHING_THERE = Remark(
    "nothing_there",
    Tone.WARNING,
    "The portal has no role and no bucket in this account yet, so it needs no permission there.",
    "Enter roles and buckets, then test again.",
)
NOT_SIMULATED = Remark(
    "not_simulated",
    Tone.WARNING,
    "Reading shows only some permissions. The others cannot be known without writing: they are listed as unknown.",
    "To know them all, allow the portal's identity iam:SimulatePrincipalPolicy on itself, and test again.",
)


def out_of_time() -> Remark:
    """Return that there was no time for everything."""
    return Remark(
        "out_of_time",
        Tone.WARNING,
        "There was not enough time to look at everything; the rest is listed as unknown.",
        "Test again when AWS answers quicker; runs take the time that they need.",
    )


def of_way_in(error: AwsError, account: AwsAccount) -> Remark:
    """Return why the portal did not get in at all."""
    for is_it, words in ((_is_clock, _clock_refused), (_is_silent, _no_answer), (_is_unknown_key, _unknown_key)):
        if is_it(error):
            return words(error, account)
    if isinstance(error, AwsAccessDenied) and error.operation == "AssumeRole" and error.aws_code == "AccessDenied":
        return _not_let_in(error, account)
    return Remark("way_in.failed", Tone.BAD, error.message, error.hint)


def of_identity(arn: str, account_id: str, account: AwsAccount) -> list[Remark]:
    """Return what is wrong with where the way in leads, or that it is right."""
    partition = arn.split(":")[1]
    if account_id != account.account_id:
        advice = (
            "The portal's own identity is elsewhere: choose 'Assume role' and enter a provisioner role of this account."
            if account.access_mode == AccessMode.AMBIENT
            else "Correct the provisioner role's ARN."
        )
        text = f"The way in leads to account {account_id}, not to {account.account_id}."
        return [Remark("identity.other_account", Tone.BAD, text, advice)]
    if partition != account.partition:
        text = f"AWS says partition '{partition}', the portal has '{account.partition}' for this account."
        advice = "An account's partition never changes: add the account again with the right one."
        return [Remark("identity.other_partition", Tone.BAD, text, advice)]
    return [Remark("identity.found", Tone.GOOD, f"The portal gets in, as {arn}.")]


def of_clock(skew: timedelta, *, is_refused: bool) -> Remark:
    """Return how far AWS's clock is from ours. `skew` is positive when AWS's is ahead."""
    seconds = int(abs(skew).total_seconds())
    far = f"{seconds // 60} min {seconds % 60} s"
    text = f"The clock of the portal's host is {far} {'behind' if skew > timedelta() else 'ahead of'} AWS's."
    return Remark(
        "clock",
        Tone.BAD if is_refused else Tone.WARNING,
        text,
        "Set the host's clock, e.g. by NTP: AWS refuses requests that are more than five minutes off.",
    )


def no_bucket(name: str, account: AwsAccount) -> Remark:
    """Return that a bucket is not there."""
    return Remark(
        "bucket.missing",
        Tone.BAD,
        f"There is no bucket {name}.",
        f"Create it in account {account.account_id}, or correct its name in the portal.",
    )


def bucket_refused(name: str, account: AwsAccount) -> Remark:
    """Return that AWS does not show a bucket's policy."""
    return Remark(
        "bucket.refused",
        Tone.BAD,
        f"AWS does not show the policy of {name}: the permission is missing, or the bucket is not in account "
        f"{account.account_id}.",
        "Look at the missing permissions, and whose bucket it is.",
    )


def other_region(name: str, entered: str, found: str) -> Remark:
    """Return that a bucket is in another region than was entered."""
    return Remark(
        "bucket.other_region",
        Tone.BAD,
        f"The bucket {name} is in {found}, the portal has {entered} for it.",
        "Correct the bucket's region in the portal.",
    )


def of_trust_quota(found: int, account: AwsAccount) -> Remark:
    """Return that the account's quota for trust policies is another one than was entered."""
    text = (
        f"AWS lets a trust policy have {found:,} characters in this account, the portal has "
        f"{account.trust_policy_characters:,} for it."
    )
    advice = "Correct the length on the account's page: plans are measured against it."
    return Remark("trust_quota.other", Tone.WARNING, text, advice)


# --- the way in ---


def _is_clock(error: AwsError) -> bool:
    said = error.aws_message.lower()
    return error.aws_code == "RequestTimeTooSkewed" or (
        error.aws_code in ("SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired")
        and any(word in said for word in _CLOCK_WORDS)
    )


def _clock_refused(_error: AwsError, _account: AwsAccount) -> Remark:
    return Remark(
        "clock.refused",
        Tone.BAD,
        "AWS refuses the portal's requests because its host's clock is wrong.",
        "Set the host's clock, e.g. by NTP, then test again.",
    )


def _is_silent(error: AwsError) -> bool:
    return isinstance(error, AwsUnreachable)


def _no_answer(_error: AwsError, account: AwsAccount) -> Remark:
    return Remark(
        "region.no_answer",
        Tone.BAD,
        f"AWS STS in region {account.region} does not answer.",
        "Check that the account's region is right and that the portal's host can reach it (network, proxy, "
        "XACCT_AWS_ENDPOINT_URL).",
    )


def _is_unknown_key(error: AwsError) -> bool:
    return error.aws_code in _UNKNOWN_KEYS


def _unknown_key(_error: AwsError, account: AwsAccount) -> Remark:
    return Remark(
        "credentials.unknown",
        Tone.BAD,
        f"AWS in partition '{account.partition}' does not know the portal's credentials.",
        "Credentials work in their own partition only, and in regions that their account has switched on. "
        "Check the account's partition and region, and the portal's own credentials.",
    )


def _not_let_in(error: AwsError, account: AwsAccount) -> Remark:
    role = account.provisioner_role_arn
    if "identity-based policy" in error.aws_message.lower():
        return Remark(
            "way_in.own_policy",
            Tone.BAD,
            f"The portal's own policy does not let it assume {role}.",
            f"Allow the portal's provisioning identity sts:AssumeRole on {role}.",
        )
    about_id = (
        "the role's trust policy asks for another external id than the one entered here"
        if account.external_id
        else "the role's trust policy asks for an external id, and none is entered here"
    )
    return Remark(
        "way_in.refused",
        Tone.BAD,
        f"AWS does not let the portal assume {role}. It does not say why: there may be no such role, its trust policy "
        f"may not name the portal, or {about_id}.",
        "Give the account's owner the documents of the provisioner role: they make it with the right trust and "
        "external id. What its trust has now, only the owner can see.",
    )
