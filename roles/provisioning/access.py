"""What mappings let people do, as the database says it now: for pages, and for what a change gives and takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from roles.models import AssumeRoleGrant, Bucket, BucketGrant, GroupRole, IamRole, Membership, Suspension, User
from roles.models.choices import AccessLevelChoice
from roles.policies.gains import Person
from roles.policies.session import Grant, effective_grants
from roles.values.arns import AccessLevel


@dataclass(frozen=True, slots=True)
class Reach:
    """One thing that a mapping lets its group do: `bucket` under `prefix` at `level`, through these two roles.

    `disabled` says in a sentence what on this way is disabled now, so that nobody gets there; empty: nothing.
    """

    mapping: GroupRole
    source: IamRole
    target: IamRole
    bucket: Bucket
    level: AccessLevel
    prefix: str
    disabled: str = ""

    @property
    def level_label(self) -> str:
        """The level in words."""
        return str(AccessLevelChoice(self.level.value).label)


@dataclass(frozen=True, slots=True)
class Disabled:
    """The groups and the accounts that are disabled now, by their ids: a sentence for each."""

    groups: Mapping[int, str]
    accounts: Mapping[int, str]

    def on_the_way(self, mapping: GroupRole, target: IamRole | None = None, bucket: Bucket | None = None) -> str:
        """Return the sentence of the first thing that is disabled between the group and the bucket; empty: nothing."""
        through = (mapping.role, target, bucket)
        said = (self.accounts.get(one.account_id) for one in through if one is not None)
        return self.groups.get(mapping.group_id) or next((sentence for sentence in said if sentence), "")


def disabled_now() -> Disabled:
    """Return what is disabled now. One query."""
    rows = list(Suspension.objects.open().select_related("group", "account"))
    return Disabled(
        {row.group_id: row.sentence for row in rows if row.group_id is not None},
        {row.account_id: row.sentence for row in rows if row.account_id is not None},
    )


def sources_through(accounts: Collection[int]) -> QuerySet[IamRole]:
    """Return the source roles whose way leads through these accounts: they, a target or a bucket of theirs are there.

    A role is among them whether a mapping of it is in force or not.
    """
    opening = BucketGrant.objects.open().filter(bucket__account__in=accounts).values("role")
    chains = AssumeRoleGrant.objects.open().filter(Q(target__account__in=accounts) | Q(target__in=opening))
    return IamRole.objects.filter(Q(account__in=accounts) | Q(pk__in=chains.values("source")))


def group_reach(mappings: Sequence[GroupRole]) -> list[Reach]:
    """Return what `mappings` give now: their roles' open grants cut to each mapping's narrowing. Three queries.

    What is disabled is among it, and says so.
    """
    sources = {mapping.role_id for mapping in mappings}
    targets: dict[int, list[AssumeRoleGrant]] = {}
    for chain in AssumeRoleGrant.objects.open().filter(source__in=sources).select_related("target__account"):
        targets.setdefault(chain.source_id, []).append(chain)
    target_ids = {chain.target_id for chains in targets.values() for chain in chains}
    grants: dict[int, list[BucketGrant]] = {}
    found = BucketGrant.objects.open().filter(role__in=target_ids).select_related("bucket__account")
    for grant in found.order_by("bucket__name", "prefix"):
        grants.setdefault(grant.role_id, []).append(grant)
    disabled = disabled_now()
    return [
        reach
        for mapping in mappings
        for chain in targets.get(mapping.role_id, [])
        for reach in _reach(mapping, chain.target, grants.get(chain.target_id, []), disabled)
    ]


def _reach(mapping: GroupRole, target: IamRole, rows: Sequence[BucketGrant], disabled: Disabled) -> list[Reach]:
    """Return what a mapping gives through one target role: by the rule that session policies are made with."""
    buckets = {row.bucket.arn: row.bucket for row in rows}
    found = effective_grants(
        [Grant(row.bucket.arn, AccessLevel(row.access), row.prefix) for row in rows],
        level=AccessLevel(mapping.access),
        prefix=mapping.prefix,
        buckets={bucket.arn for bucket in mapping.buckets.all()},
    )
    return [
        Reach(
            mapping,
            mapping.role,
            target,
            buckets[item.bucket],
            item.level,
            item.prefix,
            disabled.on_the_way(mapping, target, buckets[item.bucket]),
        )
        for item in found
    ]


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom a change may concern: the groups with a mapping of one of these roles, the named groups, these users."""

    roles: Collection[int] = ()
    groups: Collection[str] = ()
    users: Collection[int] = ()


def people_of(concerned: Concerned, *, since: datetime) -> dict[int, Person]:
    """Return the people by the ids of their users: who are concerned now, or were until `since`. Two queries."""
    lately = Q(ended_at__isnull=True) | Q(ended_at__gte=since)
    mapped = GroupRole.objects.filter(lately, role__in=concerned.roles)
    through = Q(group__name__in=concerned.groups) | Q(group__in=mapped.values("group"))
    named = User.objects.filter(pk__in=concerned.users)
    found = {pk: Person(name) for pk, name in named.values_list("pk", "username")}
    rows = Membership.objects.filter(lately, through)
    for pk, name, group in rows.values_list("user", "user__username", "group__name"):
        known = found.get(pk, Person(name))
        found[pk] = Person(name, known.groups | {group})
    return found


def access_of(users: Collection[int]) -> dict[int, set[Grant]]:
    """Return what each of these users may do through all groups they are in. Seven queries, however many there are.

    What is disabled gives nothing.
    """
    groups: dict[int, list[int]] = {}
    members = Membership.objects.open().filter(user__in=users, user__is_active=True)
    for user, group in members.values_list("user", "group"):
        groups.setdefault(group, []).append(user)
    mappings = GroupRole.objects.in_force().filter(group__in=groups).select_related("role__account")
    found: dict[int, set[Grant]] = {}
    for reach in group_reach(list(mappings.prefetch_related("buckets__account").order_by("pk"))):
        if reach.disabled:
            continue
        grant = Grant(reach.bucket.arn, reach.level, reach.prefix)
        for user in groups[reach.mapping.group_id]:
            found.setdefault(user, set()).add(grant)
    return found


def named(people: Mapping[int, Person], access: Mapping[int, Iterable[Grant]]) -> dict[Person, tuple[Grant, ...]]:
    """Return what each of `people` may do."""
    return {person: tuple(access.get(pk, ())) for pk, person in people.items()}
