"""What the pages show, shaped for them. Constant numbers of queries, whatever a person has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from roles.models import AssumeRoleGrant, Bucket, BucketGrant, GroupRole, IamRole, ProvisioningRun, User
from roles.models.choices import AccessLevelChoice
from roles.policies.session import Grant, effective_grants
from roles.provisioning import access
from roles.tokens import scope
from roles.tokens.changes import changed_since_issued
from roles.values.arns import AccessLevel


@dataclass(frozen=True, slots=True)
class CardGrant:
    """One line of a card: what may be done under which folder. An empty prefix is the whole bucket."""

    level: AccessLevel
    prefix: str

    @property
    def level_label(self) -> str:
        """The level in words."""
        return str(AccessLevelChoice(self.level.value).label)


@dataclass(frozen=True, slots=True)
class AccessCard:
    """One bucket that a mapping opens. `target` and `bucket` are None while the mapping's role reaches nothing.

    `has_changed`: credentials that this session handed out give something else than the mapping does now. `disabled`
    says in a sentence what on the way to it an admin disabled, and why; empty: nothing.
    """

    mapping: GroupRole
    target: IamRole | None
    bucket: Bucket | None
    grants: tuple[CardGrant, ...]
    is_usable: bool
    is_expired: bool
    queued_at: datetime | None
    has_changed: bool = False
    disabled: str = ""

    @property
    def reads(self) -> bool:
        """Whether anything in the bucket may be read, so that browsing makes sense."""
        return any(grant.level.reads for grant in self.grants)

    @property
    def why(self) -> str:
        """Why it cannot be used yet, as the key of a sentence on the page; empty when it can."""
        if self.disabled:
            return "disabled"
        if self.is_expired:
            return "expired"
        if self.bucket is None:
            return "reaches_nothing"
        return "" if self.is_usable else self.mapping.state


def access_cards(user: User, session: Any) -> list[AccessCard]:
    """Return a card for each bucket of each mapping of the user's groups: usable ones first, then by name."""
    usable = {item.mapping.pk: item for item in scope.usable_mappings(user)}
    changed = changed_since_issued(user, session, usable.values())
    mappings = open_mappings(user)
    reached, disabled = _reached(mappings), access.disabled_now()
    now = timezone.now()
    cards: list[AccessCard] = []
    for item in usable.values():
        found = [
            (target.role, grant.bucket, grant.level, grant.prefix) for target in item.targets for grant in target.grants
        ]
        paused = [one for one in reached.get(item.mapping.pk, []) if disabled.on_the_way(item.mapping, *one[:2])]
        cards += _cards(item.mapping, [*found, *paused], now, disabled, is_usable=True)
    for mapping in mappings:
        if mapping.pk not in usable:
            cards += _cards(mapping, reached.get(mapping.pk, []), now, disabled, is_usable=False)
    cards = [
        replace(card, has_changed=card.target is not None and (card.mapping.pk, card.target.pk) in changed)
        for card in cards
    ]
    return sorted(cards, key=lambda card: (bool(card.why), str(card.bucket or ""), card.mapping.pk))


_Reached = tuple[IamRole, Bucket, AccessLevel, str]


def open_mappings(user: User) -> list[GroupRole]:
    """Return the open mappings of the groups that `user` is in, expired or not, with `last_queued_at` of their runs."""
    newest = ProvisioningRun.objects.filter(mapping=OuterRef("pk")).order_by("-id").values("queued_at")[:1]
    rows = (
        GroupRole.objects.open()
        .filter(group__memberships__user=user, group__memberships__ended_at__isnull=True)
        .annotate(last_queued_at=Subquery(newest))
        .select_related("group", "role__account")
        .prefetch_related("buckets__account")
    )
    return list(rows) if user.is_active else []


def _cards(
    mapping: GroupRole, found: Iterable[_Reached], now: datetime, disabled: access.Disabled, *, is_usable: bool
) -> list[AccessCard]:
    is_expired = mapping.expires_at is not None and mapping.expires_at <= now
    queued_at = getattr(mapping, "last_queued_at", None)
    buckets: dict[tuple[int, int], tuple[IamRole, Bucket, list[CardGrant]]] = {}
    for target, bucket, level, prefix in found:
        entry = buckets.setdefault((target.pk, bucket.pk), (target, bucket, []))
        entry[2].append(CardGrant(level, prefix))
    if not buckets:
        sentence = disabled.on_the_way(mapping)
        return [AccessCard(mapping, None, None, (), is_usable, is_expired, queued_at, disabled=sentence)]
    return [
        AccessCard(
            mapping,
            target,
            bucket,
            tuple(grants),
            is_usable,
            is_expired,
            queued_at,
            disabled=disabled.on_the_way(mapping, target, bucket),
        )
        for target, bucket, grants in buckets.values()
    ]


def _reached(mappings: Sequence[GroupRole]) -> Mapping[int, list[_Reached]]:
    """Return what mappings open, or will open once they can be used, by mapping id. Two queries."""
    targets: dict[int, list[IamRole]] = {}
    chains = AssumeRoleGrant.objects.open().filter(source__in=[mapping.role_id for mapping in mappings])
    for chain in chains.select_related("target__account"):
        targets.setdefault(chain.source_id, []).append(chain.target)
    roles = [role.pk for group in targets.values() for role in group]
    grants: dict[int, list[BucketGrant]] = {}
    for grant in BucketGrant.objects.open().filter(role__in=roles).select_related("bucket__account"):
        grants.setdefault(grant.role_id, []).append(grant)
    return {
        mapping.pk: [
            found
            for role in targets.get(mapping.role_id, [])
            for found in _opened(mapping, role, grants.get(role.pk, []))
        ]
        for mapping in mappings
    }


def _opened(mapping: GroupRole, target: IamRole, rows: Sequence[BucketGrant]) -> list[_Reached]:
    """Return what a mapping opens through one target role, by the rule that session policies are made with."""
    buckets = {row.bucket.arn: row.bucket for row in rows}
    cut = effective_grants(
        [Grant(row.bucket.arn, AccessLevel(row.access), row.prefix) for row in rows],
        level=AccessLevel(mapping.access),
        prefix=mapping.prefix,
        buckets={bucket.arn for bucket in mapping.buckets.all()},
    )
    return [(target, buckets[grant.bucket], grant.level, grant.prefix) for grant in cut]
