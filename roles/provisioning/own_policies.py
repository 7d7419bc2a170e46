"""What a role's own policies must say, by the facts: whom it may assume, and what it may do itself.

A bucket's grants are in its policy, unless the bucket's page places them in the roles' own. What a bucket's key needs
is in the roles' own policies either way. Both are as a whole in one inline policy of ours and, where that is full, in
managed policies of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from roles.models import BucketGrant, IamRole
from roles.models.choices import RoleOwnership
from roles.policies import limits
from roles.policies.builders import pass_role_statements
from roles.policies.document import PolicyDocument
from roles.policies.identity import Identity, OwnGrant, Target, identity_of
from roles.policies.ownership import ASSUME_SIDS, GRANT_SIDS
from roles.policies.session import Grant
from roles.provisioning.facts import Facts
from roles.provisioning.managed import highest_in
from roles.provisioning.resources import DesiredDocument, DesiredPolicies, Step
from roles.values.arns import AccessLevel


def identity_for(role_id: int, facts: Facts) -> Identity:
    """Return what the role's own policies say, with what it gets while it is in use as a source or as a target."""
    return _identity(role_id, facts, is_source=facts.in_use(role_id), is_target=bool(facts.sources_in_use(role_id)))


def identity_if_used(role: IamRole) -> tuple[Identity, int]:
    """Return what the role's own policies would say if all its grants were in use, and the inline one's characters."""
    identity = _identity(role.pk, Facts([role.pk]), is_source=True, is_target=True)
    fixed = pass_role_statements(role.arn) if identity.assume else ()
    inline = PolicyDocument((*identity.assume, *fixed, *identity.grants))
    return identity, 0 if inline.is_empty else limits.measure_inline_policies(inline)


def _identity(role_id: int, facts: Facts, *, is_source: bool, is_target: bool) -> Identity:
    return identity_of(
        fixed=pass_role_statements(facts.role(role_id).arn) if is_source else (),
        targets=_targets(role_id, facts) if is_source else (),
        grants=_grants(role_id, facts) if is_target else (),
        others=others_in(facts.role(role_id)) or 0,
    )


def others_in(role: IamRole) -> int | None:
    """Return how many characters others have in inline policies of an adopted role; a managed one has none of theirs.

    So nothing is read for a managed role, which is what most are.
    """
    return role.inline_of_others if role.ownership == RoleOwnership.ADOPTED else None


def assume_policy(role_id: int, facts: Facts) -> DesiredDocument:
    """Return step 2's part of the role's inline policy."""
    statements, role = identity_for(role_id, facts).assume, facts.role(role_id)
    place = (Step.ASSUME_POLICY, role.account.access(), str(role.arn))
    return DesiredDocument(*place, ASSUME_SIDS, statements, others=others_in(role))


def own_grants(role_id: int, facts: Facts) -> DesiredDocument:
    """Return what the role's inline policy gives of buckets and their keys."""
    statements, role = identity_for(role_id, facts).grants, facts.role(role_id)
    place = (Step.BUCKET_POLICY, role.account.access(), str(role.arn))
    return DesiredDocument(*place, GRANT_SIDS, statements, others=others_in(role))


def managed_policies(role_id: int, facts: Facts) -> DesiredPolicies:
    """Return what the role's inline policy has no room for."""
    spilled, role = identity_for(role_id, facts).spilled, facts.role(role_id)
    return DesiredPolicies(role.account.access(), role.arn, spilled, _known(role_id, facts))


def is_spilled(role_id: int, facts: Facts) -> bool:
    """Return whether the role has managed policies of ours, needs some, or may have some left."""
    return bool(_known(role_id, facts)) or bool(identity_for(role_id, facts).spilled)


def with_own_grants(roles: Iterable[IamRole], facts: Facts) -> dict[int, bool]:
    """Return the ids of the roles whose own policy gives, or may still give, something of buckets and keys.

    True where grants are placed there now: they have to be there before they leave a bucket's policy.
    """
    found: dict[int, bool] = {}
    for role in roles:
        grants = _own(role.pk, facts)
        if grants or any(facts.left(Step.BUCKET_POLICY, str(role.arn))):
            found[role.pk] = any(facts.bucket(grant.bucket_id).grants_in_identity_policy for grant in grants)
    return found


def _own(role_id: int, facts: Facts) -> list[BucketGrant]:
    """Return the role's open grants that its own policies have to do with."""
    grants = facts.grants_of(role_id)
    facts.meet_buckets(grant.bucket_id for grant in grants)
    buckets = ((grant, facts.bucket(grant.bucket_id)) for grant in grants)
    return [grant for grant, bucket in buckets if bucket.grants_in_identity_policy or bucket.kms_key_arn]


def _targets(role_id: int, facts: Facts) -> list[Target]:
    return [(target.arn, target.attribution) for target in facts.targets_of(role_id)]


def _grants(role_id: int, facts: Facts) -> list[OwnGrant]:
    pairs = ((row, facts.bucket(row.bucket_id)) for row in _own(role_id, facts))
    return [
        OwnGrant(
            Grant(bucket.arn, AccessLevel(row.access), row.prefix, bucket.kms_key_arn, row.multipart_cleanup),
            placed=bucket.grants_in_identity_policy,
        )
        for row, bucket in pairs
    ]


def _known(role_id: int, facts: Facts) -> int:
    places = facts.role(role_id).arn.managed_policies
    return max((highest_in(document) for document in facts.left(Step.ASSUME_POLICY, places)), default=0)
