"""What a user may have now: asked of the database at every call, never remembered. Default deny."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from roles.errors import NotEntitled, NotFound
from roles.models import Bucket, GroupRole, IamRole, User
from roles.models.choices import MappingState, RoleOwnership
from roles.policies.session import Grant, effective_grants, session_policy
from roles.tokens.entitlements import Entitlement, Opened, entitlements_of
from roles.values.arns import AccessLevel

_LEAVING = (MappingState.REMOVING, MappingState.REMOVED)
_NOT_YET = "Ask a portal admin to look at its run if this does not change."
_WAIT_FOR = {
    MappingState.QUEUED: "A worker will set it up in AWS; try again in a minute.",
    MappingState.APPLYING: "It is being set up in AWS now; try again in a minute.",
    MappingState.WAITING: "AWS does not show it everywhere yet; try again in a minute.",
    MappingState.NEEDS_OWNER: "The account's owner has to allow it in AWS first.",
    MappingState.FAILED: "Setting it up in AWS failed; tell a portal admin.",
}


@dataclass(frozen=True, slots=True)
class EffectiveGrant:
    """What may be done in a bucket under `prefix`, a folder or empty for all of it."""

    bucket: Bucket
    level: AccessLevel
    prefix: str
    cleans_uploads: bool = False


@dataclass(frozen=True, slots=True)
class UsableTarget:
    """A target role that a mapping reaches, and what is left of its grants after the mapping's narrowing.

    `is_bounded` says whether sessions carry a session policy: where the mapping gives less than the role's grants, or
    the account of one of their buckets is disabled, and always with a role that may do more in AWS than its grants on
    buckets say: one that the portal did not make, or one that may itself assume others.
    """

    role: IamRole
    grants: tuple[EffectiveGrant, ...]
    is_bounded: bool

    @property
    def region(self) -> str:
        """The region for tools: the buckets' own when they share one, else the role's account's."""
        regions = {grant.bucket.region for grant in self.grants}
        return regions.pop() if len(regions) == 1 else self.role.account.region


@dataclass(frozen=True, slots=True)
class UsableMapping:
    """A mapping that the user may use now, with at least one target that opens something.

    `disabled` has the targets that would open something if an admin had not disabled it, by id: in a sentence, what.
    """

    mapping: GroupRole
    targets: tuple[UsableTarget, ...]
    disabled: dict[int, str] = field(default_factory=dict)

    def target(self, target_id: int | None) -> UsableTarget:
        """Return the target role with that id, the first by name for None.

        Raises `NotFound`, and `NotEntitled` for one that is disabled.
        """
        for target in self.targets:
            if target_id in (None, target.role.pk):
                return target
        if target_id in self.disabled:
            raise self.refusal(self.disabled[target_id])
        raise NotFound("There is no such target role in this access.", hint="Choose one on 'My access'.")

    def refusal(self, sentence: str) -> NotEntitled:
        """Return the refusal of what is disabled."""
        return NotEntitled(
            sentence,
            rule="token.not_disabled",
            subject=self.mapping,
            hint="It works again once a portal admin enables it.",
        )


def usable_mappings(user: User) -> list[UsableMapping]:
    """Return what `user` may use now, oldest mapping first. One query, however much it is."""
    now = timezone.now()
    found = [_usable(entitlement) for entitlement in entitlements_of(user, now)]
    return [usable for usable in found if usable.targets and not _refusal(usable.mapping, now)]


def mapping_for(user: User, mapping_id: int) -> UsableMapping:
    """Return one mapping of `user`. One query.

    Raises `NotFound` for one that is not theirs, `NotEntitled` for one of theirs that cannot be used now; the message
    says why.
    """
    now = timezone.now()
    found = entitlements_of(user, now, mapping_id=mapping_id)
    if not found:
        raise NotFound("There is no such access of yours.", hint="See what you may use on 'My access'.")
    usable = _usable(found[0])
    mapping = usable.mapping
    if usable.disabled and not usable.targets:
        raise usable.refusal(next(iter(usable.disabled.values())))
    refusal = _refusal(mapping, now)
    if refusal:
        raise NotEntitled(refusal[0], rule="token.usable_mapping", subject=mapping, hint=refusal[1])
    if not usable.targets:
        raise NotEntitled(
            f"{mapping.role} does not open any bucket for {mapping.group} now.",
            rule="token.reaches_something",
            subject=mapping,
            hint="Ask a portal admin: the role needs a target role with a bucket, and the narrowing must leave some.",
        )
    return usable


def session_policy_of(target: UsableTarget) -> str:
    """Return the session policy for one target as JSON, or empty when sessions need none.

    Raises `PolicyTooLarge` when it would not fit.
    """
    if not target.is_bounded:
        return ""
    return session_policy(
        Grant(grant.bucket.arn, grant.level, grant.prefix, grant.bucket.kms_key_arn, grant.cleans_uploads)
        for grant in target.grants
    )


def fingerprint(user: User, mapping: GroupRole, target: UsableTarget) -> str:
    """Return a digest (64 hex digits) of all that a token's permissions and attribution depend on.

    Whatever of it changes, tokens made before are not found any more.
    """
    wish = {
        "user": [user.pk, user.get_username()],
        "group": mapping.group.name,
        "mapping": [mapping.pk, mapping.access, mapping.prefix, target.is_bounded],
        "expires_at": mapping.expires_at.isoformat() if mapping.expires_at else None,
        "source": str(mapping.role.arn),
        "target": [str(target.role.arn), target.role.attribution],
        "grants": [
            [str(grant.bucket.arn), grant.level.value, grant.prefix, grant.bucket.kms_key_arn, grant.cleans_uploads]
            for grant in target.grants
        ],
    }
    return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()


def _refusal(mapping: GroupRole, now: datetime) -> tuple[str, str] | None:
    """Return why an open mapping cannot be used, and what to do; None when it can.

    One that is being applied again stays usable: what it gave before still holds in AWS.
    """
    if mapping.expires_at is not None and mapping.expires_at <= now:
        return (
            f"Access to {mapping.role} for {mapping.group} ended on {mapping.expires_at:%Y-%m-%d at %H:%M} UTC.",
            "Ask a portal admin to extend it.",
        )
    if mapping.state in _LEAVING:
        return f"{mapping.role} is being taken from {mapping.group}.", "Ask a portal admin if you still need it."
    if mapping.provisioned_at is None:
        hint = _WAIT_FOR.get(MappingState(mapping.state), _NOT_YET)
        return f"{mapping.role} is not set up in AWS for {mapping.group} yet.", hint
    return None


def _usable(entitlement: Entitlement) -> UsableMapping:
    mapping = entitlement.mapping
    is_narrowed = entitlement.names_buckets or bool(mapping.prefix) or mapping.access != AccessLevel.READWRITE.value
    targets, disabled = [], {}
    for target in entitlement.targets:
        role = target.role
        reached = [one for one in target.opened if one.is_named or not entitlement.names_buckets]
        enabled = [one for one in reached if not one.disabled]
        grants = _cut(mapping, enabled)
        if grants:
            may_more = target.assumes_others or role.ownership == RoleOwnership.ADOPTED
            is_bounded = is_narrowed or may_more or len(enabled) < len(reached)
            targets.append(UsableTarget(role, grants, is_bounded))
        elif len(enabled) < len(reached):
            disabled[role.pk] = next(one.disabled for one in reached if one.disabled)
    return UsableMapping(mapping, tuple(targets), disabled)


def _cut(mapping: GroupRole, opened: Sequence[Opened]) -> tuple[EffectiveGrant, ...]:
    """Return what is left of a target's grants, by the rule that session policies are made with."""
    buckets = {one.bucket.arn: one.bucket for one in opened}
    left = effective_grants(
        [
            Grant(one.bucket.arn, AccessLevel(one.access), one.prefix, one.bucket.kms_key_arn, one.cleans_uploads)
            for one in opened
        ],
        level=AccessLevel(mapping.access),
        prefix=mapping.prefix,
        buckets=(),  # those that the mapping does not name are left out already
    )
    return tuple(EffectiveGrant(buckets[grant.bucket], grant.level, grant.prefix, grant.uploads) for grant in left)
