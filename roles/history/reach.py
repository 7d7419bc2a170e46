"""Who could reach a bucket in some time, who allowed it, and which run set it up in AWS.

Memberships, mappings, assume-role grants and bucket grants are intervals, so what was allowed is read from rows. Three
things are read from events, because their rows are changed in place: how a mapping was narrowed, until when it was
meant to last, and whether a person could sign in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from roles.models import (
    AssumeRoleGrant,
    AuditEvent,
    Bucket,
    BucketGrant,
    GroupRole,
    Membership,
    ProvisioningRun,
    ProvisioningStep,
    Suspension,
    User,
)
from roles.models.choices import AccessLevelChoice, RunStatus, StepAction, StepStatus
from roles.models.intervals import Interval
from roles.permissions import Rule, require
from roles.policies.session import Grant, effective_grants
from roles.values.arns import AccessLevel
from roles.values.spans import Span

BUCKET_POLICY_STEP = 6  # of the procedure; step 7 is about the bucket too, but does not read its policy
CREDENTIALS_LAST = timedelta(hours=1)  # role chaining's limit: what was handed out before may have worked so long


@dataclass(frozen=True, slots=True)
class ReachFilter:
    """What to ask: about a bucket, a person or both, in `during`; at `level`, None for any."""

    during: Span
    bucket: Bucket | None = None
    person: User | None = None
    level: AccessLevel | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person of a group, and when in the time asked about they could get credentials, oldest first.

    `left_at` is set when they could not any more, but had been able to until less than an hour before.
    """

    membership: Membership
    spans: tuple[Span, ...]
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a bucket: a mapping while it was narrowed in one manner, a source, a target, a grant.

    `level` and `prefix` are what the narrowing left of the grant. `narrowed_by` is the event that narrowed it so, None
    for how it was made. `set_up_by` is the first run that had all of it in AWS, None if no run had until the end of the
    time asked about: AWS may have had it all the same, as a run that fails at one thing has done others.
    """

    mapping: GroupRole
    chain: AssumeRoleGrant
    grant: BucketGrant
    level: AccessLevel
    prefix: str
    narrowed_by: AuditEvent | None
    set_up_by: ProvisioningRun | None
    members: tuple[Member, ...]

    @property
    def level_label(self) -> str:
        """The level in words."""
        return str(AccessLevelChoice(self.level).label)


@dataclass(frozen=True, slots=True)
class Reach:
    """What was found. `policy` is the step that last read the bucket's policy before the end of the time, if any did.

    `waiting` are ways that were wished for, but whose mapping had never been set up in AWS: the broker hands out
    nothing for such a one.
    """

    ways: tuple[Way, ...]
    waiting: tuple[Way, ...]
    policy: ProvisioningStep | None


@dataclass(frozen=True, slots=True)
class _Narrowing:
    """How a mapping was narrowed during `span`; the names of buckets, none for all."""

    span: Span
    level: AccessLevel
    prefix: str
    buckets: frozenset[str]
    by: AuditEvent | None


def who_could_reach(user: User, wanted: ReachFilter) -> Reach:
    """Answer `wanted` for `user`, who has to be one who reads the history. A constant number of queries.

    Raises `NotPermitted`.
    """
    require(user, Rule.VIEW_HISTORY)
    # Credentials of an hour before may still have worked.
    looked_at = Span(wanted.during.start - CREDENTIALS_LAST, wanted.during.end)
    ways, waiting = [], []
    for way, is_waiting in _ways(wanted, looked_at):
        if is_waiting:
            waiting.append(way)
        elif way.members:
            ways.append(way)
    return Reach(tuple(ways), tuple(waiting), _policy_read(wanted))


def _ways(wanted: ReachFilter, looked_at: Span) -> Iterator[tuple[Way, bool]]:
    """Yield the ways, each with whether nobody could use it yet because its mapping was never set up."""
    paths = list(_paths(wanted, looked_at))
    mappings = list({mapping.pk: mapping for mapping, _, _ in paths}.values())
    narrowings = _narrowings(mappings, looked_at)
    members = _members({mapping.group_id for mapping in mappings}, wanted, looked_at)
    stopped = _Stopped(Suspension.objects.open_during(looked_at), looked_at)
    runs = _runs({mapping.role_id for mapping in mappings}, looked_at)
    for mapping, chain, grant in paths:
        wished_at = max(mapping.started_at, chain.started_at, grant.started_at)
        proof = next((run for run in runs[mapping.role_id] if run.started_at >= wished_at), None)
        since = next((run.finished_at for run in runs[mapping.role_id] if run.finished_at >= mapping.started_at), None)
        gone = stopped.on_the_way(mapping, chain, grant)
        for one in narrowings[mapping.pk]:
            left = _left(grant, one, wanted.level)
            spans = _while_all(one.span, mapping, chain, grant)
            if left is not None and spans:
                people = tuple(_could(members[mapping.group_id], _usable(spans, since, gone), wanted.during))
                way = Way(mapping, chain, grant, left.level, left.prefix, one.by, proof, people)
                yield way, since is None


def _paths(wanted: ReachFilter, looked_at: Span) -> Iterator[tuple[GroupRole, AssumeRoleGrant, BucketGrant]]:
    mappings, chains, grants = _intervals(wanted, looked_at)
    for mapping in mappings:
        for chain in chains[mapping.role_id]:
            for grant in grants[chain.target_id]:
                yield mapping, chain, grant


def _intervals(
    wanted: ReachFilter, looked_at: Span
) -> tuple[list[GroupRole], Mapping[int, list[AssumeRoleGrant]], Mapping[int, list[BucketGrant]]]:
    """Return the mappings, the assume-role grants by source and the bucket grants by target that were in force."""
    opened = BucketGrant.objects.open_during(looked_at)
    if wanted.bucket is not None:
        opened = opened.filter(bucket=wanted.bucket)
    chained = AssumeRoleGrant.objects.open_during(looked_at).filter(target__in=opened.values("role"))
    mapped = GroupRole.objects.open_during(looked_at).filter(role__in=chained.values("source"))
    if wanted.person is not None:
        mapped = mapped.filter(
            group__in=Membership.objects.open_during(looked_at).filter(user=wanted.person).values("group")
        )
    mappings = list(
        mapped.select_related("group", "role__account", "started_by", "ended_by")
        .prefetch_related("buckets")
        .order_by("group__name", "role__account__name", "role__name", "id")
    )
    chains = _by(
        "source_id",
        chained.filter(source__in={mapping.role_id for mapping in mappings})
        .select_related("source__account", "target__account", "started_by", "ended_by")
        .order_by("target__account__name", "target__name", "id"),
    )
    targets = {chain.target_id for found in chains.values() for chain in found}
    grants = _by(
        "role_id",
        opened.filter(role__in=targets)
        .select_related("bucket__account", "started_by", "ended_by")
        .order_by("bucket__name", "prefix", "id"),
    )
    return mappings, chains, grants


def _by(name: str, rows: Iterable[Any]) -> Mapping[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[getattr(row, name)].append(row)
    return found


def _narrowings(mappings: Sequence[GroupRole], looked_at: Span) -> dict[int, list[_Narrowing]]:
    """Return how each mapping was narrowed in `looked_at`, oldest first: as it is now, before events as they say."""
    changes: dict[str, list[AuditEvent]] = defaultdict(list)
    for event in AuditEvent.objects.filter(
        code="mapping.changed", subject_type="grouprole", subject_id__in=[str(mapping.pk) for mapping in mappings]
    ).order_by("id"):
        changes[event.subject_id].append(event)
    return {mapping.pk: list(_narrowings_of(mapping, changes[str(mapping.pk)], looked_at)) for mapping in mappings}


def _narrowings_of(mapping: GroupRole, changes: Sequence[AuditEvent], looked_at: Span) -> Iterator[_Narrowing]:
    now: dict[str, Any] = {
        "access": mapping.access,
        "prefix": mapping.prefix,
        "buckets": [bucket.name for bucket in mapping.buckets.all()],
        "expires_at": mapping.expires_at.isoformat() if mapping.expires_at else None,
    }
    contents: list[dict[str, Any]] = [*(event.before or now for event in changes), now]
    starts = [mapping.started_at, *(event.occurred_at for event in changes)]
    ends = [*starts[1:], looked_at.end]
    for content, start, end, by in zip(contents, starts, ends, [None, *changes], strict=True):
        expires_at = content["expires_at"]
        until = min(end, datetime.fromisoformat(expires_at)) if expires_at else end
        for span in looked_at.between(start, until):
            yield _Narrowing(span, AccessLevel(content["access"]), content["prefix"], frozenset(content["buckets"]), by)


def _left(grant: BucketGrant, narrowing: _Narrowing, level: AccessLevel | None) -> Grant | None:
    """Return what `narrowing` leaves of a grant, None if nothing, or nothing at the level asked for."""
    if narrowing.buckets and grant.bucket.name not in narrowing.buckets:
        return None
    given = Grant(grant.bucket.arn, AccessLevel(grant.access), grant.prefix)
    left = effective_grants([given], level=narrowing.level, prefix=narrowing.prefix, buckets=())
    if not left or (level is not None and left[0].level.narrowed_to(level) is None):
        return None
    return left[0]


def _while_all(span: Span, *intervals: Interval) -> tuple[Span, ...]:
    spans: tuple[Span, ...] = (span,)
    for row in intervals:
        spans = tuple(part for one in spans for part in one.between(row.started_at, row.ended_at))
    return spans


class _Stopped:
    """When groups and accounts were disabled."""

    def __init__(self, rows: Iterable[Suspension], looked_at: Span) -> None:
        self._groups: dict[int | None, list[Span]] = defaultdict(list)
        self._accounts: dict[int | None, list[Span]] = defaultdict(list)
        for row in rows:
            spans = looked_at.between(row.started_at, row.ended_at)
            (self._groups[row.group_id] if row.group_id else self._accounts[row.account_id]).extend(spans)

    def on_the_way(self, mapping: GroupRole, chain: AssumeRoleGrant, grant: BucketGrant) -> list[Span]:
        """Return when something on a way was disabled."""
        accounts = {mapping.role.account_id, chain.target.account_id, grant.bucket.account_id}
        return [*self._groups[mapping.group_id], *(span for one in accounts for span in self._accounts[one])]


def _runs(role_ids: Iterable[int], looked_at: Span) -> Mapping[int, list[Any]]:
    """Return the runs that had AWS in line before the end of `looked_at`, by source role, first finished first.

    The broker hands out credentials for a mapping once one of them ended after it began, whatever was granted since.
    One that began after something was wished had read it, and so proves that AWS had it.
    """
    rows = ProvisioningRun.objects.reconciling().filter(
        role__in=set(role_ids), status=RunStatus.IN_SYNC, finished_at__lt=looked_at.end, started_at__isnull=False
    )
    return _by("role_id", rows.only("id", "role_id", "started_at", "finished_at").order_by("finished_at"))


def _usable(spans: Iterable[Span], since: datetime | None, gone: Sequence[Span]) -> list[Span]:
    """Return what is left of `spans` from `since` on, None for never, without `gone`."""
    if since is None:
        return []
    ready = [part for span in spans for part in span.between(since, None)]
    return [part for span in ready for part in span.without(gone)]


def _members(
    group_ids: set[int], wanted: ReachFilter, looked_at: Span
) -> Mapping[int, list[tuple[Membership, list[Span]]]]:
    """Return the memberships of each group, by the people's names, with when those could sign in."""
    rows = Membership.objects.open_during(looked_at).filter(group__in=group_ids)
    if wanted.person is not None:
        rows = rows.filter(user=wanted.person)
    memberships = list(rows.select_related("user", "started_by", "ended_by").order_by("user__username", "id"))
    inactive = _inactive({row.user_id for row in memberships}, looked_at)
    found: dict[int, list[tuple[Membership, list[Span]]]] = defaultdict(list)
    for row in memberships:
        spans = [
            part
            for span in looked_at.between(row.started_at, row.ended_at)
            for part in span.without(inactive.get(row.user_id, ()))
        ]
        found[row.group_id].append((row, spans))
    return found


def _inactive(user_ids: Iterable[int], looked_at: Span) -> dict[int, list[Span]]:
    """Return when people could not sign in, as events say; somebody without one is taken for active."""
    since: dict[str, datetime] = {}
    found: dict[int, list[Span]] = defaultdict(list)
    rows = AuditEvent.objects.filter(
        code__in=("user.deactivated", "user.changed"), subject_type="user", subject_id__in=map(str, user_ids)
    )
    for event in rows.only("subject_id", "occurred_at", "before", "after").order_by("id"):
        was, is_now = ((one or {}).get("is_active", True) for one in (event.before, event.after))
        if was and not is_now:
            since[event.subject_id] = event.occurred_at
        elif is_now and not was and event.subject_id in since:
            found[int(event.subject_id)] += looked_at.between(since.pop(event.subject_id), event.occurred_at)
    for subject_id, start in since.items():
        found[int(subject_id)] += looked_at.between(start, None)
    return found


def _could(
    members: Iterable[tuple[Membership, list[Span]]], open_spans: Sequence[Span], during: Span
) -> Iterator[Member]:
    for membership, active in members:
        spans = [part for one in open_spans for other in active for part in one.cut_to(other)]
        inside = tuple(part for span in sorted(spans) for part in span.cut_to(during))
        if inside:
            yield Member(membership, inside)
        elif spans:
            yield Member(membership, (), left_at=max(span.end for span in spans))


def _policy_read(wanted: ReachFilter) -> ProvisioningStep | None:
    if wanted.bucket is None:
        return None
    rows = ProvisioningStep.objects.filter(
        Q(before__isnull=False) | Q(action=StepAction.CREATE),  # others asked an owner, who reads it alone
        resource=str(wanted.bucket.arn),
        step=BUCKET_POLICY_STEP,
        status=StepStatus.DONE,
        started_at__lt=wanted.during.end,
    )
    return rows.select_related("run").order_by("-id").first()
