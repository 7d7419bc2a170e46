"""How full AWS's documents are by what the database wishes, if all of it is in use; without what is of others."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from roles.models import AssumeRoleGrant, Bucket, BucketGrant, IamRole
from roles.policies import limits
from roles.policies.builders import bucket_statements, source_role_trust_statements, trust_statements
from roles.policies.document import PolicyDocument
from roles.provisioning.own_policies import identity_if_used
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel

NEARLY_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Fill:
    """How much of a limit is used. `note` says what else there is to know."""

    name: str
    used: int
    limit: int
    unit: str
    note: str = ""

    @property
    def percent(self) -> int:
        """How full it is; over 100 where it does not fit."""
        return round(100 * self.used / self.limit)

    @property
    def high(self) -> int:
        """From where on it counts as nearly full."""
        return round(self.limit * NEARLY_FULL)

    @property
    def is_over(self) -> bool:
        """Whether AWS would refuse it."""
        return self.used > self.limit


def fill_of_role(role: IamRole) -> tuple[Fill, ...]:
    """Return how full the role's trust policy, its inline policy and its room for managed policies are."""
    identity, inline = identity_if_used(role)
    reserve = f"{limits.CUT_OFF_RESERVE_CHARACTERS:,} more are kept for cutting sessions off."
    return (
        Fill("Trust policy", _trust_characters(role), role.account.trust_policy_characters, "characters"),
        Fill("Inline policy", inline, limits.INLINE_ROOM_CHARACTERS, "characters", reserve),
        Fill("Managed policies", len(identity.spilled), limits.MANAGED_POLICIES_MAX, "attached"),
    )


def fill_of_bucket(bucket: Bucket) -> tuple[Fill, ...]:
    """Return how full the bucket's policy is."""
    grants = BucketGrant.objects.open().filter(bucket=bucket).select_related("role__account")
    note = "Its grants are in the roles' own policies." if bucket.grants_in_identity_policy else ""
    statements = [
        statement
        for grant in ([] if note else grants)
        for statement in bucket_statements(
            grant.role.arn, bucket.arn, AccessLevel(grant.access), grant.prefix, uploads=grant.multipart_cleanup
        )
    ]
    used = limits.measure_bucket_policy(PolicyDocument(tuple(statements))) if statements else 0
    return (Fill("Bucket policy", used, limits.BUCKET_POLICY_MAX_BYTES, "bytes", note),)


def _trust_characters(role: IamRole) -> int:
    chains = AssumeRoleGrant.objects.open().select_related("source__account")
    sources = [grant.source.arn for grant in chains.filter(target=role)]
    statements = list(trust_statements(sources, attribution=role.attribution))
    if AssumeRoleGrant.objects.open().filter(source=role).exists():
        statements += source_role_trust_statements(
            Partition(role.account.partition), services=True, portal_principals=settings.XACCT_PORTAL_PRINCIPALS
        )
    return limits.measure_trust_policy(PolicyDocument(tuple(statements))) if statements else 0
