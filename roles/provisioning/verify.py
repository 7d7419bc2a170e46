"""Step 7: prove an access by using it, as a member would: act as the source role, assume the target, use the bucket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from roles.aws import s3, sts
from roles.aws.sessions import Purpose
from roles.policies.builders import GET_BUCKET_LOCATION, LIST_BUCKET
from roles.policies.document import PolicyDocument, Statement
from roles.provisioning.resources import DesiredAccess
from roles.values.arns import RoleArn, principal_of_caller
from roles.values.credentials import Credentials

VERIFY_SESSION_NAME = "xacct-verify"
VERIFY_SECONDS = 900  # STS API, AssumeRole: the shortest there is
RENEW_BEFORE = timedelta(minutes=2)


class Verifier:
    """Verifies accesses for one run. The source role is assumed once; a target anew, as its trust may have changed."""

    def __init__(self) -> None:
        self._source: dict[RoleArn, Credentials] = {}

    def check(self, wish: DesiredAccess) -> str:
        """Return AWS's request id of the call that proved it. Raises an `AwsError`."""
        credentials = self._assume_target(wish)
        owner = wish.access.account_id
        if wish.reads:
            return s3.list_prefix(
                credentials, wish.bucket.name, region=wish.region, account_id=owner, prefix=wish.prefix
            )
        return s3.get_bucket_location(credentials, wish.bucket.name, region=wish.region, account_id=owner)

    def _assume_target(self, wish: DesiredAccess) -> Credentials:
        request = sts.AssumeRoleRequest(
            str(wish.target), VERIFY_SESSION_NAME, seconds=VERIFY_SECONDS, policy=_looks_only(str(wish.bucket))
        )
        return sts.assume_role(
            request, region=wish.access.region, purpose=Purpose.PROVISIONING, using=self._source_credentials(wish)
        )

    def _source_credentials(self, wish: DesiredAccess) -> Credentials | None:
        """Return credentials of the source role, or None when the portal itself is that role."""
        region = wish.source_access.region
        if principal_of_caller(sts.caller_arn(region=region, purpose=Purpose.PROVISIONING)) == str(wish.source):
            return None
        known = self._source.get(wish.source)
        if known is None or known.expires_at - datetime.now(UTC) < RENEW_BEFORE:
            # Kept only once AWS gave them: a try that was refused must be made again, not skipped.
            request = sts.AssumeRoleRequest(str(wish.source), VERIFY_SESSION_NAME, seconds=VERIFY_SECONDS)
            known = sts.assume_role(request, region=region, purpose=Purpose.PROVISIONING)
            self._source[wish.source] = known
        return known


def _looks_only(bucket: str) -> str:
    """Return the session policy of a check: it can list the bucket, and can neither read nor change what is in it."""
    actions = [GET_BUCKET_LOCATION, LIST_BUCKET]
    return PolicyDocument((Statement({"Effect": "Allow", "Action": actions, "Resource": bucket}),)).as_json()
