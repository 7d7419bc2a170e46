"""What a role's own policies must say, from the database as it is now: whom it may assume, and what it may do itself.

A bucket's grants are in its policy, unless the bucket's page places them in the roles' own. What a bucket's key needs
is in the roles' own policies either way. Both are as a whole in one inline policy of ours and, where that is full, in
managed policies of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Max, Q

from roles.models import AssumeRoleGrant, BucketGrant, DriftFinding, IamRole, ProvisioningStep
from roles.models.choices import StepStatus
from roles.policies import limits
from roles.policies.builders import pass_role_statements
from roles.policies.document import PolicyDocument
from roles.policies.identity import Identity, OwnGrant, Target, identity_of
from roles.policies.ownership import ASSUME_SIDS, GRANT_SIDS
from roles.policies.session import Grant
from roles.provisioning.managed import highest_in
from roles.provisioning.reach import in_use, role_of, sources_in_use
from roles.provisioning.resources import DesiredDocument, DesiredPolicies, Step
from roles.values.arns import AccessLevel

_OWN = Q(bucket__grants_in_identity_policy=True) | ~Q(bucket__kms_key_arn="")


def identity_for(role: IamRole) -> Identity:
    """Return what the role's own policies say, with what it gets while it is in use as a source or as a target."""
    return _identity(role, is_source=in_use(role), is_target=bool(sources_in_use(role)))


def identity_if_used(role: IamRole) -> tuple[Identity, int]:
    """Return what the role's own policies would say if all its grants were in use, and the inline one's characters."""
    identity = _identity(role, is_source=True, is_target=True)
    fixed = pass_role_statements(role.arn) if identity.assume else ()
    inline = PolicyDocument((*identity.assume, *fixed, *identity.grants))
    return identity, 0 if inline.is_empty else limits.measure_inline_policies(inline)


def _identity(role: IamRole, *, is_source: bool, is_target: bool) -> Identity:
    return identity_of(
        fixed=pass_role_statements(role.arn) if is_source else (),
        targets=_targets(role) if is_source else (),
        grants=_grants(role) if is_target else (),
    )


def assume_policy(role_id: int) -> DesiredDocument:
    """Return step 2's part of the role's inline policy."""
    role = role_of(role_id)
    statements = identity_for(role).assume
    return DesiredDocument(Step.ASSUME_POLICY, role.account.access(), str(role.arn), ASSUME_SIDS, statements)


def own_grants(role_id: int) -> DesiredDocument:
    """Return what the role's inline policy gives of buckets and their keys."""
    role = role_of(role_id)
    statements = identity_for(role).grants
    return DesiredDocument(Step.BUCKET_POLICY, role.account.access(), str(role.arn), GRANT_SIDS, statements)


def managed_policies(role_id: int) -> DesiredPolicies:
    """Return what the role's inline policy has no room for."""
    role = role_of(role_id)
    return DesiredPolicies(role.account.access(), role.arn, identity_for(role).spilled, _known(role))


def is_spilled(role: IamRole) -> bool:
    """Return whether the role has managed policies of ours, needs some, or may have some left."""
    return bool(_known(role)) or bool(identity_for(role).spilled)


def with_own_grants(roles: Iterable[IamRole]) -> dict[int, bool]:
    """Return the ids of the roles whose own policy gives, or may still give, something of buckets and keys.

    True where grants are placed there now: they have to be there before they leave a bucket's policy.
    """
    by_arn = {str(role.arn): role.pk for role in roles}
    rows = BucketGrant.objects.open().filter(_OWN, role__in=by_arn.values())
    placed = dict.fromkeys(rows.filter(bucket__grants_in_identity_policy=True).values_list("role", flat=True), True)
    needed = dict.fromkeys(rows.values_list("role", flat=True), False)
    left = {by_arn[arn]: False for arn, there in _left(Step.BUCKET_POLICY, list(by_arn)).items() if any(there)}
    return {**left, **needed, **placed}


def _targets(role: IamRole) -> list[Target]:
    grants = AssumeRoleGrant.objects.open().filter(source=role).select_related("target__account")
    return [(grant.target.arn, grant.target.attribution) for grant in grants.order_by("started_at", "id")]


def _grants(role: IamRole) -> list[OwnGrant]:
    rows = BucketGrant.objects.open().filter(_OWN, role=role).select_related("bucket__account")
    return [
        OwnGrant(
            Grant(row.bucket.arn, AccessLevel(row.access), row.prefix, row.bucket.kms_key_arn, row.multipart_cleanup),
            placed=row.bucket.grants_in_identity_policy,
        )
        for row in rows.order_by("started_at", "id")
    ]


def _known(role: IamRole) -> int:
    arn = role.arn.managed_policies
    return max((highest_in(document) for document in _left(Step.ASSUME_POLICY, [arn]).get(arn, [])), default=0)


def _left(step: Step, resources: Collection[str]) -> dict[str, list[dict[str, object] | None]]:
    """Return what may be in AWS in these places: what the newest step there found and wrote, and what drift found."""
    told = Q(before__isnull=False) | Q(after__isnull=False) | Q(status=StepStatus.DONE)
    steps = ProvisioningStep.objects.filter(told, step=int(step.value), resource__in=resources)
    newest = steps.order_by("resource").values("resource").annotate(last=Max("pk")).values("last")
    found: dict[str, list[dict[str, object] | None]] = {}
    for row in ProvisioningStep.objects.filter(pk__in=newest):
        # A step that did not end may have written any part of it.
        found[row.resource] = [row.after] if row.status == StepStatus.DONE else [row.before, row.after]
    for finding in DriftFinding.objects.open().filter(step=int(step.value), resource__in=resources):
        found.setdefault(finding.resource, []).extend([finding.before, finding.after])
    return found
