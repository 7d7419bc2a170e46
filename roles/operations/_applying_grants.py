"""The grants of a configuration: those of listed roles become exactly the listed ones, others are only added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from roles.models import AssumeRoleGrant, BucketGrant
from roles.operations._applying import Applying
from roles.operations._concerned import require_mappings_fit, without_sessions
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import UNCOVERED, end_bucket_grant
from roles.operations.grant_assume_role import grant_assume_role
from roles.operations.grant_bucket import grant_bucket
from roles.values.config import AssumeRoleGrantEntry, BucketGrantEntry

Place = tuple[str, str, str]  # role (as the file refers to it), bucket, prefix


@contextmanager
def sessions_kept(work: Applying) -> Iterator[None]:
    """Report it as a problem if what the `with` block ends leaves a mapping without sessions that could have them."""
    targets = {row.role_id for row in _ending(work, _open_bucket_grants()).values()}
    before = without_sessions(targets)
    yield
    with work.at("bucket_grants"):
        require_mappings_fit(targets=targets, besides=before, hint=UNCOVERED)


def apply_grants(work: Applying) -> None:
    """End what is no longer wished of the listed roles, then add what is missing."""
    assume, bucket = _open_assume_grants(), _open_bucket_grants()
    listed = {entry.reference for entry in work.config.roles}
    _end_assume(work, listed, assume)
    _end_bucket(work, bucket)
    for entry in work.config.assume_role_grants:
        if (entry.source, entry.target) not in assume:
            with work.at(entry.where, fields=("source", "target")):
                _add_assume(work, entry)
    for grant in work.config.bucket_grants:
        if (grant.role, grant.bucket, grant.prefix) not in bucket:
            with work.at(grant.where, fields=("role", "bucket", "access", "prefix", "multipart_cleanup")):
                _add_bucket(work, grant)


def _open_assume_grants() -> dict[tuple[str, str], AssumeRoleGrant]:
    rows = AssumeRoleGrant.objects.open().select_related("source__account", "target__account").order_by("pk")
    return {(str(row.source), str(row.target)): row for row in rows}


def _open_bucket_grants() -> dict[Place, BucketGrant]:
    rows = BucketGrant.objects.open().select_related("role__account", "bucket").order_by("pk")
    return {(str(row.role), row.bucket.name, row.prefix): row for row in rows}


def _end_assume(work: Applying, listed: set[str], found: dict[tuple[str, str], AssumeRoleGrant]) -> None:
    wished = {(entry.source, entry.target) for entry in work.config.assume_role_grants}
    for (source, target), row in found.items():
        if source in listed and (source, target) not in wished:
            end_assume_role_grant(actor=work.actor, grant=row)
            work.changes.append(f"ended assume-role grant {source} → {target}")


def _ending(work: Applying, found: Mapping[Place, BucketGrant]) -> dict[Place, BucketGrant]:
    """Return what is to end. What a grant gives is for life: another level ends it and begins another one."""
    listed = {entry.reference for entry in work.config.roles}
    wished = {
        (entry.role, entry.bucket, entry.prefix): (entry.access, entry.multipart_cleanup)
        for entry in work.config.bucket_grants
    }
    return {
        place: row
        for place, row in found.items()
        if (wished[place] != (row.access, row.multipart_cleanup) if place in wished else place[0] in listed)
    }


def _end_bucket(work: Applying, found: dict[Place, BucketGrant]) -> None:
    """End and take out of `found`."""
    for place, row in _ending(work, found).items():
        end_bucket_grant(actor=work.actor, grant=row, is_one_of_several=True)
        work.changes.append(f"ended bucket grant {row}")
        del found[place]


def _add_assume(work: Applying, entry: AssumeRoleGrantEntry) -> None:
    source, target = work.role(entry.source, field="source"), work.role(entry.target, field="target")
    grant_assume_role(actor=work.actor, source=source, target=target)
    work.changes.append(f"created assume-role grant {entry.source} → {entry.target}")


def _add_bucket(work: Applying, entry: BucketGrantEntry) -> None:
    role, bucket = work.role(entry.role), work.bucket(entry.bucket)
    row = grant_bucket(
        actor=work.actor,
        role=role,
        bucket=bucket,
        access=entry.access,
        prefix=entry.prefix,
        multipart_cleanup=entry.multipart_cleanup,
    )
    work.changes.append(f"created bucket grant {row}")
