"""Give a target role access to a bucket: step 6 of the procedure."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import Bucket, BucketGrant, IamRole
from roles.models.choices import AccessLevelChoice
from roles.operations._concerned import queue_runs, require_mappings_fit
from roles.operations._planned import planned
from roles.operations._rows import access_level, locked, locked_roles, person, refused_as, validate
from roles.permissions import Rule, require
from roles.provisioning import desired
from roles.values.arns import AccessLevel, object_prefix


def grant_bucket(
    *,
    actor: Any,
    role: IamRole,
    bucket: Bucket,
    access: str = AccessLevelChoice.READWRITE,
    prefix: str = "",
    reason: str = "",
    multipart_cleanup: bool = False,
    expected_plan: str = "",
) -> BucketGrant:
    """Begin the grant and return it; the source roles in use that may assume `role` are provisioned again.

    Raises `NotPermitted`, `NotFound`, `Conflict` if there is one for the same place, `InputError` with its field, and
    `PolicyTooLarge` if a mapping that reaches the role could have no session any more.
    """
    require(actor, Rule.MANAGE_GRANTS, bucket)
    with planned(expected_plan):
        (role,), bucket = locked_roles(role), locked(Bucket, bucket.pk, "account")
        _check_account(role, bucket)
        level, folder = access_level(access), object_prefix(prefix)
        place = f"{bucket.name}/{folder}"
        already = Conflict(f"{role} has a grant on {place} already.", hint="End that grant to change its level.")
        if BucketGrant.objects.open().filter(role=role, bucket=bucket, prefix=folder).exists():
            raise already
        _check_uploads(level, multipart_cleanup)
        row = BucketGrant(
            role=role,
            bucket=bucket,
            access=level.value,
            prefix=folder,
            multipart_cleanup=multipart_cleanup,
            reason=reason,
            started_by=person(actor),
        )
        validate(row)
        with refused_as(already):
            row.save()
        require_mappings_fit(targets=[role.pk])
        _record(row, actor)
        queue_runs(desired.sources_in_use(role), actor=actor, trigger="bucket_grant.added")
    return row


def _record(row: BucketGrant, actor: Any) -> None:
    given = {name: getattr(row, name) for name in ("access", "prefix", "multipart_cleanup")}
    record(
        "bucket_grant.added",
        actor=actor,
        subject=row,
        account_id=row.bucket.account.account_id,
        resource=str(row.bucket.arn),
        after={"role": str(row.role.arn), "bucket": row.bucket.name, **given},
        reason=row.reason,
    )


def _check_uploads(level: AccessLevel, multipart_cleanup: bool) -> None:
    if multipart_cleanup and not level.writes:
        raise InputError(
            "Who only reads has no uploads to clean up.", field="multipart_cleanup", allowed="with WRITE or READWRITE"
        )


def _check_account(role: IamRole, bucket: Bucket) -> None:
    """Refuse a role of another account, and with it one of another partition."""
    if role.account_id == bucket.account_id:
        return
    raise InputError(
        f"{role} is not in the account of the bucket {bucket}, {bucket.account}.",
        field="role",
        allowed=f"a role in {bucket.account}",
        hint="The bucket policy of step 6 is enough only for roles of the bucket's own account. For a role of another "
        "account, AWS also asks that role's own policy, which the procedure does not write. Give the grant to a role "
        "of the bucket's account and let the other role assume it.",
    )
