"""Reads of the admin's own pages. Each costs a constant number of queries, however many rows there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, Value, When
from django.shortcuts import get_object_or_404
from django.utils import timezone

from roles.models import (
    AssumeRoleGrant,
    AwsAccount,
    Bucket,
    CutOff,
    DriftFinding,
    GroupRole,
    IamRole,
    Membership,
    ProvisioningRun,
    Suspension,
    User,
    UserGroup,
)
from roles.models.choices import FINAL_RUN_STATUSES, MappingState, RunStatus
from roles.models.runs import RunQuerySet

QUEUED_TOO_LONG = timedelta(minutes=2)
ATTENTION_STATES = (MappingState.FAILED, MappingState.NEEDS_OWNER, MappingState.DRIFTED)

ATTENTION_FIRST = Case(When(ended_at=None, state__in=ATTENTION_STATES, then=Value(0)), default=Value(1))


def open_mappings(group: UserGroup) -> list[GroupRole]:
    """Return the group's open mappings with their roles, accounts and buckets; what needs attention comes first."""
    rows = (
        GroupRole.objects.open()
        .filter(group=group)
        .select_related("role__account", "group")
        .prefetch_related("buckets__account")
        .order_by("role__account__name", "role__name")
    )
    return sorted(rows, key=lambda mapping: mapping.state not in ATTENTION_STATES)


def open_members(group: UserGroup) -> QuerySet[Membership]:
    """Return the group's open memberships by name."""
    rows: QuerySet[Membership] = (
        Membership.objects.open().filter(group=group).select_related("user").order_by("user__username")
    )
    return rows


def affected_people(group: UserGroup) -> list[User]:
    """Return the active members of a group: whom a change of its mappings concerns."""
    return list(
        User.objects.filter(is_active=True, memberships__group=group, memberships__ended_at__isnull=True)
        .order_by("username")
        .distinct()
    )


def recent_runs(*, group: UserGroup | None = None, role: IamRole | None = None) -> RunQuerySet:
    """Return the newest runs, of a group's mappings or of a role if given."""
    runs = ProvisioningRun.objects.select_related("role__account", "mapping__group").order_by("-id")
    if group is not None:
        runs = runs.filter(mapping__group=group)
    return runs if role is None else runs.filter(role=role)


def newest_run(mapping: GroupRole) -> ProvisioningRun | None:
    """Return the newest run that concerns a mapping: of its role, since the mapping began."""
    return recent_runs(role=mapping.role).reconciling().filter(queued_at__gte=mapping.started_at).first()


@dataclass(frozen=True, slots=True)
class Attention:
    """What the overview shows first."""

    mappings: list[GroupRole]
    failed_runs: list[ProvisioningRun]
    waiting_runs: list[ProvisioningRun]
    expiring: list[GroupRole]

    def __bool__(self) -> bool:
        return bool(self.mappings or self.failed_runs or self.waiting_runs or self.expiring)


def needs_attention(now: datetime | None = None, *, limit: int = 10) -> Attention:
    """Return mappings in trouble, failed runs nobody retried, runs that no worker takes, and access about to expire."""
    at = now or timezone.now()
    mappings = GroupRole.objects.select_related("group", "role__account")
    runs = recent_runs()
    newest = ProvisioningRun.objects.filter(role=OuterRef("role")).order_by("-id").values("id")[:1]
    shown_as_mapping = Q(mapping__ended_at__isnull=True, mapping__state__in=ATTENTION_STATES)
    return Attention(
        mappings=list(mappings.open().filter(state__in=ATTENTION_STATES)[:limit]),
        failed_runs=list(runs.filter(status=RunStatus.FAILED, id=Subquery(newest)).exclude(shown_as_mapping)[:limit]),
        waiting_runs=list(
            runs.exclude(status__in=FINAL_RUN_STATUSES).filter(queued_at__lt=at - QUEUED_TOO_LONG)[:limit]
        ),
        expiring=list(
            mappings.in_force(at).filter(expires_at__lt=at + timedelta(days=7)).order_by("expires_at")[:limit]
        ),
    )


def open_drift(place: IamRole | Bucket | None = None, *, limit: int = 10) -> list[DriftFinding]:
    """Return the newest open findings of drift, at a role or a bucket if given. One query."""
    found = DriftFinding.objects.open().order_by("-id")
    if place is not None:
        found = found.filter(role=place) if isinstance(place, IamRole) else found.filter(bucket=place)
    return list(found[:limit])


def open_cut_offs(*, user: User | None = None, target: IamRole | None = None, limit: int = 10) -> list[CutOff]:
    """Return the newest open cut-offs that were asked for a person, or are at a target role. One query."""
    rows = CutOff.objects.open().select_related("target__account").order_by("-id")
    return list((rows.filter(user=user) if user is not None else rows.filter(target=target))[:limit])


def counts() -> dict[str, int]:
    """Return how many there are of what people enter. These tables are small; long ones are not counted."""
    return {
        "groups": UserGroup.objects.count(),
        "mappings": GroupRole.objects.in_force().count(),
        "in_sync": GroupRole.objects.in_force().filter(state=MappingState.IN_SYNC).count(),
        "accounts": AwsAccount.objects.count(),
        "roles": IamRole.objects.count(),
        "buckets": Bucket.objects.count(),
        "users": User.objects.filter(is_active=True).count(),
    }


def with_group_counts(groups: QuerySet[UserGroup]) -> QuerySet[UserGroup]:
    """Add `why_disabled`, `member_count`, `mapping_count` and `attention_count` to groups, in the same query."""
    open_mapping = Q(mappings__ended_at__isnull=True, mappings__isnull=False)
    return groups.annotate(
        why_disabled=why_disabled("group"),
        member_count=Count("memberships", filter=Q(memberships__ended_at__isnull=True), distinct=True),
        mapping_count=Count("mappings", filter=open_mapping, distinct=True),
        attention_count=Count("mappings", filter=open_mapping & Q(mappings__state__in=ATTENTION_STATES), distinct=True),
    )


def why_disabled(of: str, pk: str = "pk") -> Subquery:
    """Return the reason for which the `group` or the `account` whose id is in `pk` is disabled now, else NULL."""
    return Subquery(Suspension.objects.open().filter(**{of: OuterRef(pk)}).values("reason")[:1])


def people_reaching(role_ids: Sequence[int]) -> list[User]:
    """Return the active members of all groups that have a mapping of one of these source roles in force."""
    groups = GroupRole.objects.in_force().filter(role__in=role_ids).values("group")
    members = Membership.objects.open().filter(group__in=groups).values("user")
    return list(User.objects.filter(is_active=True, pk__in=members).order_by("username"))


def people_through(role_ids: Sequence[int]) -> list[User]:
    """Return whom these roles serve: as source roles, or as targets of the roles that may assume them."""
    sources = AssumeRoleGrant.objects.open().filter(target__in=role_ids).values_list("source_id", flat=True)
    return people_reaching([*sources, *role_ids])


def membership_or_404(group: UserGroup, membership_id: int) -> Membership:
    """Return an open membership of this group, or raise Http404."""
    found: Membership = get_object_or_404(open_members(group), pk=membership_id)
    return found
