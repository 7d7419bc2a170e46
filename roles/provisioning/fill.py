"""How full AWS's documents are by what the database wishes, if all of it is in use, beside what others have there.

What is of others is what the newest step or finding about the document found: nothing is read for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q

from roles.models import AssumeRoleGrant, Bucket, BucketGrant, DriftFinding, IamRole, ProvisioningStep
from roles.models.choices import StepStatus
from roles.policies import limits
from roles.policies.builders import bucket_statements, source_role_trust_statements, trust_statements
from roles.policies.document import PolicyDocument, Statement, parse
from roles.policies.ownership import foreign_statements
from roles.provisioning.own_policies import identity_if_used, others_in
from roles.provisioning.resources import Step
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel

NEARLY_FULL = 0.8
# The steps about a role's trust policy, and about a bucket's policy: step 6 at a role is about its own.
_TRUST, _BUCKET = (Step.SOURCE_ROLE, Step.TARGET_ROLE, Step.TARGET_TRUST), (Step.BUCKET_POLICY,)


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
        return round(100 * self.used / self.limit) if self.limit else 100 * bool(self.used)

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
    note = f"{limits.CUT_OFF_RESERVE_CHARACTERS:,} more are kept for cutting sessions off."
    if others := others_in(role) or 0:
        note = f"Others have {others:,} characters in inline policies; the rest is kept for cutting sessions off."
    room = limits.inline_room(others=others)
    return (
        Fill("Trust policy", _trust_characters(role), role.account.trust_policy_characters, "characters"),
        Fill("Inline policy", inline, room, "characters", note),
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
    whole = PolicyDocument((*_of_others(str(bucket.arn), _BUCKET), *statements))
    used = 0 if whole.is_empty else limits.measure_bucket_policy(whole)
    return (Fill("Bucket policy", used, limits.BUCKET_POLICY_MAX_BYTES, "bytes", note),)


def _trust_characters(role: IamRole) -> int:
    chains = AssumeRoleGrant.objects.open().select_related("source__account")
    sources = [grant.source.arn for grant in chains.filter(target=role)]
    statements = list(trust_statements(sources, attribution=role.attribution))
    if AssumeRoleGrant.objects.open().filter(source=role).exists():
        statements += source_role_trust_statements(
            Partition(role.account.partition), services=True, portal_principals=settings.XACCT_PORTAL_PRINCIPALS
        )
    whole = PolicyDocument((*_of_others(str(role.arn), _TRUST), *statements))
    return 0 if whole.is_empty else limits.measure_trust_policy(whole)


def _of_others(resource: str, about: Iterable[Step]) -> tuple[Statement, ...]:
    """Return the statements of others in a trust or bucket policy, as it was last read or written."""
    at_it = Q(resource=resource, step__in=[int(one.value) for one in about])
    told = Q(before__isnull=False) | Q(after__isnull=False)
    step = ProvisioningStep.objects.filter(at_it, told).order_by("-pk").first()
    finding = DriftFinding.objects.filter(at_it).order_by("-last_seen_at").first()
    if finding is not None and (step is None or finding.last_seen_at > step.started_at):
        return _foreign(finding.before)
    if step is None:
        return ()
    return _foreign(step.after if step.status == StepStatus.DONE else step.before)


def _foreign(document: dict[str, Any] | None) -> tuple[Statement, ...]:
    return foreign_statements(parse(document)) if document and "Statement" in document else ()
