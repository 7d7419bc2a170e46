"""Make the database say what somebody changed in AWS, where it can be said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from roles.errors import Conflict
from roles.models import AssumeRoleGrant, BucketGrant, DriftFinding, IamRole
from roles.models.choices import DriftKind, DriftResolution
from roles.operations._accepting import bucket_grants_in, is_same, own_in, trust_in
from roles.operations._rows import locked
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.grant_assume_role import grant_assume_role
from roles.operations.grant_bucket import grant_bucket
from roles.operations.save_role import save_role
from roles.permissions import Rule, require
from roles.provisioning import desired, findings
from roles.provisioning.resources import DesiredDocument, Step, is_cut_off

_REPAIR_INSTEAD = "Repair it, or change the portal's own rows to what you want."
_WHY_NOT: dict[str, str] = {
    DriftKind.STALE: "A statement names an identity that was deleted. No row of the portal can mean that.",
    DriftKind.FOREIGN_STALE: "It is about a statement of somebody else, which the portal has no rows for.",
    DriftKind.NOT_OURS: "Something that is not the portal's stands in its place.",
    DriftKind.BOUNDARY: "A boundary is the role's own field: enter the one that AWS has on the role's page.",
}
_ALWAYS_THERE: dict[int, str] = {
    1: "A source role in use always has its trust for EC2, ECS and the portal, and its instance profile.",
    2: "What a source role may assume always follows from its grants and their targets' trust.",
    3: "A source role in use may always pass itself on.",
    4: "A target role in use is always there.",
}


def check_accept_drift(finding: DriftFinding) -> None:
    """Raise `Conflict` if what was found could never be accepted, and say why."""
    if not finding.is_open:
        raise Conflict("This drift is resolved already.", hint="Look at the list again.")
    why = _WHY_NOT.get(finding.kind) or _ALWAYS_THERE.get(finding.step)
    if not why and finding.step == int(Step.BUCKET_POLICY.value) and finding.bucket is None:
        why = "What a role's own policy gives of buckets always follows from its grants and where they are placed."
    if is_cut_off(finding.resource):
        why = "What is cut off stays so until it is lifted, and begins on a page of its own."
    if why:
        raise Conflict(f"This cannot be accepted. {why}", hint=_REPAIR_INSTEAD)


def accept_drift(*, actor: Any, finding: DriftFinding, reason: str = "") -> DriftFinding:
    """Begin and end grants, or change a role's attribution, so that what AWS had when it was looked at is wished for.

    All of it or nothing: the grants' own operations do it, with their rights, events and runs. Raises `NotPermitted`,
    `NotFound`, what those operations raise, and `Conflict` that says why where the database cannot express it.
    """
    require(actor, Rule.REPAIR_DRIFT, finding)
    require(actor, Rule.MANAGE_GRANTS, finding)
    check_accept_drift(finding)
    with transaction.atomic():
        _ACCEPT[finding.step](actor, finding, reason or f"Accepted from AWS: {finding.title}"[:500])
        # Locked last, as its rows come after those of grants in the order of locks.
        row = locked(DriftFinding, finding.pk)
        check_accept_drift(row)
        _require_expressed(row)
        findings.resolve(row, DriftResolution.ACCEPTED, actor=actor, reason=reason)
        findings.tell_mappings()
    return row


def _accept_bucket_policy(actor: Any, finding: DriftFinding, reason: str) -> None:
    bucket = finding.bucket
    if bucket is None:
        raise Conflict("This is not about a bucket.")
    there, wished = bucket_grants_in(finding.before, bucket), bucket_grants_in(finding.after, bucket)
    open_grants = BucketGrant.objects.open().filter(bucket=bucket)
    for one in wished - there:
        grant = open_grants.filter(
            role=one.role, prefix=one.prefix, access=one.level.value, multipart_cleanup=one.uploads
        ).first()
        if grant is not None:
            end_bucket_grant(actor=actor, grant=grant, reason=reason)
    for one in there - wished:
        grant_bucket(
            actor=actor,
            role=one.role,
            bucket=bucket,
            access=one.level.value,
            prefix=one.prefix,
            reason=reason,
            multipart_cleanup=one.uploads,
        )


def _accept_trust(actor: Any, finding: DriftFinding, reason: str) -> None:
    if finding.role is None:
        raise Conflict("This is not about a role.")
    there, wished = trust_in(finding.before), trust_in(finding.after)
    target = IamRole.objects.select_related("account").get(pk=finding.role.pk)
    if there.attribution is not None and there.attribution != target.attribution:
        target.attribution = there.attribution
        save_role(actor=actor, role=target)
    for source in wished.sources - there.sources:
        grant = AssumeRoleGrant.objects.open().filter(source=source, target=target).first()
        if grant is not None:
            end_assume_role_grant(actor=actor, grant=grant, reason=reason)
    for source in there.sources - wished.sources:
        grant_assume_role(actor=actor, source=source, target=target, reason=reason)


def _require_expressed(finding: DriftFinding) -> None:
    """Raise `Conflict` unless what is wished for now means what AWS has: else the next run would undo it."""
    wish = _wish(finding)
    if wish is None or not is_same(wish.statements, own_in(finding.before, wish.owned)):
        raise Conflict(
            f"The grants cannot say exactly what {finding.resource} has in AWS now.",
            hint=f"Perhaps no mapping in force reaches it. {_REPAIR_INSTEAD}",
        )


def _wish(finding: DriftFinding) -> DesiredDocument | None:
    """Return what is wished for now where the finding is, in this transaction."""
    one = DriftFinding.objects.filter(pk=finding.pk)
    sources = findings.sources_of(one) or findings.sources_of(one, ever=True)
    for source in IamRole.objects.filter(pk__in=sources).select_related("account"):
        for item in desired.items_for(source, tuple):
            if (item.resource, int(item.step.value)) == (finding.resource, finding.step):
                wish = item.compute()
                return wish if isinstance(wish, DesiredDocument) else None
    return None


_ACCEPT: dict[int, Callable[[Any, DriftFinding, str], None]] = {
    int(Step.BUCKET_POLICY.value): _accept_bucket_policy,
    int(Step.TARGET_TRUST.value): _accept_trust,
}
