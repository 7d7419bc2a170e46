"""STS: who am I, and AssumeRole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from roles.aws.errors import translated
from roles.aws.pacing import paced
from roles.aws.sessions import Purpose, base_client, client_with, forget_sessions, own_arn
from roles.values.credentials import Credentials

REFRESH_PAUSE_SECONDS = 3.0  # what writes new credentials for the portal's host gets a moment to do so
ROLE_CHAINING_MAX_SECONDS = 3600  # IAM User Guide, "Terms and concepts": role chaining


@dataclass(frozen=True, slots=True)
class AssumeRoleRequest:
    """What to ask STS for. `tags` and `source_identity` need the target's trust to allow them; empty leaves them out.

    `policy` is a session policy as JSON text, or empty for none. `seconds` is 900 to 3,600 when chaining.
    """

    role_arn: str
    session_name: str
    seconds: int = ROLE_CHAINING_MAX_SECONDS
    source_identity: str = ""
    tags: Mapping[str, str] | None = None
    policy: str = ""
    external_id: str = ""

    def parameters(self) -> dict[str, Any]:
        """Return boto3's keyword arguments."""
        wanted: dict[str, Any] = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name,
            "DurationSeconds": self.seconds,
        }
        if self.source_identity:
            wanted["SourceIdentity"] = self.source_identity
        if self.tags:
            wanted["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(self.tags.items())]
        if self.policy:
            wanted["Policy"] = self.policy
        if self.external_id:
            wanted["ExternalId"] = self.external_id
        return wanted


def assume_role(
    request: AssumeRoleRequest, *, region: str, purpose: Purpose = Purpose.TOKENS, using: Credentials | None = None
) -> Credentials:
    """Assume a role with `using`, or with the portal's own identity for `purpose`. Raises an `AwsError`.

    A call that provisions counts for the rate of the role's account; a member who waits for a token is not held up.
    """
    account_id = request.role_arn.split(":")[4]
    with translated(service="sts", operation="AssumeRole", account=account_id, arn=request.role_arn):
        if using is None:
            client = base_client("sts", region=region, purpose=purpose)
        else:
            client = client_with(using, "sts", region=region, purpose=purpose)
        if purpose is Purpose.PROVISIONING:
            client = paced(client, account_id)
        answer = client.assume_role(**request.parameters())["Credentials"]
    return Credentials(
        answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], answer["Expiration"].astimezone(UTC)
    )


def caller_arn(*, region: str, purpose: Purpose) -> str:
    """Return the ARN of the portal's own identity, asked once in each thread. Raises an `AwsError`."""
    return own_arn(region=region, purpose=purpose)


def forget_identity() -> None:
    """Let this thread read the portal's own credentials again, and ask whose they are."""
    forget_sessions()
