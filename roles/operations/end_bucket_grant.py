"""End what a target role may do in a bucket."""

from __future__ import annotations

from typing import Any

from roles.history.recorder import record
from roles.models import Bucket, BucketGrant
from roles.operations._concerned import (
    forget_mappings,
    mappings_reaching,
    queue_runs,
    require_mappings_fit,
    without_sessions,
)
from roles.operations._planned import planned
from roles.operations._rows import end, locked, locked_open, locked_roles
from roles.permissions import Rule, require
from roles.provisioning import desired

UNCOVERED = (
    "Ending a grant uncovers those it covered, and their folders are named one by one. End some of these first, or "
    "narrow the mapping. To stop access at once, take the role from the group or disable the group."
)


def end_bucket_grant(
    *, actor: Any, grant: BucketGrant, reason: str = "", expected_plan: str = "", is_one_of_several: bool = False
) -> BucketGrant:
    """End the grant and return it; tokens of the mappings that reach its role leave the cache.

    The source roles in use that may assume its role are provisioned again. Raises `NotPermitted`, `NotFound`,
    `GrantEnded`, and `PolicyTooLarge` if a mapping could have no session for the grants that are left. Whoever ends
    and begins several in one transaction looks at that after the last.
    """
    require(actor, Rule.MANAGE_GRANTS, grant)
    with planned(expected_plan):
        (role,), bucket = locked_roles(grant.role), locked(Bucket, grant.bucket_id, "account")
        row = locked_open(BucketGrant, grant.pk, "role__account", "bucket")
        before = () if is_one_of_several else without_sessions([role.pk])
        end(row, actor=actor)
        if not is_one_of_several:
            require_mappings_fit(targets=[role.pk], besides=before, hint=UNCOVERED)
        record(
            "bucket_grant.ended",
            actor=actor,
            subject=row,
            account_id=bucket.account.account_id,
            resource=str(bucket.arn),
            before={"role": str(role.arn), "bucket": bucket.name, "access": row.access, "prefix": row.prefix},
            reason=reason,
        )
        queue_runs(desired.sources_in_use(role), actor=actor, trigger="bucket_grant.ended")
        forget_mappings(mappings_reaching(role.pk), actor=actor)
    return row
