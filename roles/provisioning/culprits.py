"""Who may have made a difference in AWS: asked of CloudTrail, for a few and where the account lets the portal.

Whatever CloudTrail refuses or does not answer is unknown, never an error: nothing depends on it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from roles.aws import trail
from roles.errors import PortalError
from roles.models import AwsAccount, Bucket, ProvisioningStep
from roles.models.choices import StepStatus
from roles.provisioning.differences import Difference
from roles.provisioning.observed import Accounts, portal_principals
from roles.provisioning.resources import holder_of
from roles.values.accounts import AccessMode, AccountAccess

LOOKUPS_MAX = 5  # for one account at one look


class Culprits:
    """Says who may have done it, for one look at all accounts. At most `LOOKUPS_MAX` are asked about in an account.

    Where the account says no once, it is not asked again.
    """

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._accounts, self._sleep = Accounts(), sleep
        self._asked: Counter[str] = Counter()
        self._ours: dict[str, frozenset[str]] = {}

    def __call__(self, one: Difference) -> str:
        """Return e.g. "alice (AWS user) at 2026-03-01 10:00 UTC, by PutBucketPolicy"; empty for unknown."""
        if self._asked[one.account_id] >= LOOKUPS_MAX:
            return ""
        try:
            found = self._newest_write(one)
        except PortalError:
            self._asked[one.account_id] = LOOKUPS_MAX
            return ""
        if found is None or not found.who:
            return ""
        arn = f" ({found.arn})" if found.arn and found.arn not in found.who else ""
        return f"{found.who} at {found.at:%Y-%m-%d %H:%M} UTC, by {found.name}{arn}"

    def _newest_write(self, one: Difference) -> trail.Write | None:
        access = AwsAccount.objects.get(account_id=one.account_id).access()
        resource = holder_of(one.resource)
        name, region = resource.rpartition("/")[2], trail.IAM_REGIONS[access.partition]
        if resource.split(":")[2] == "s3":
            name = resource.rpartition(":")[2]
            region = Bucket.objects.get(name=name).region
        elif ":policy/" in resource:
            name = resource
        if self._asked[one.account_id]:
            self._sleep(1 / trail.CALLS_PER_SECOND)
        self._asked[one.account_id] += 1
        session, ours = self._accounts.session(access), self._of_the_portal(access)
        return trail.newest_write(session, name, region=region, since=_last_good(one), but=ours)

    def _of_the_portal(self, access: AccountAccess) -> frozenset[str]:
        """Return who the portal is in the account: what it does is in its own history."""
        if access.account_id not in self._ours:
            is_role = access.mode is AccessMode.ASSUME_ROLE
            found = [access.role_arn] if is_role else portal_principals(access.region)
            self._ours[access.account_id] = frozenset(found)
        return self._ours[access.account_id]


def _last_good(one: Difference) -> datetime | None:
    """Return when a run last had this part of it in order, None for never."""
    rows = ProvisioningStep.objects.filter(resource=one.resource, step=one.step, status=StepStatus.DONE)
    row = rows.order_by("-pk").first()
    return None if row is None else row.started_at + timedelta(milliseconds=row.duration_ms)
