"""Compare AWS with the database: all accounts, in bulk. Reads; what is done about it is not decided here.

The calls grow with accounts and buckets, never with roles: one stream of pages for each account's roles, one read for
each bucket's policy. Several accounts are read at once. The wishes are those of the runs and the planner is theirs, so
that what is found is exactly what a run would write.

A role that a run is changing, or is about to, is left out until the run has ended. A source role that no run has
brought in order since it is mapped has not drifted: its runs say what is wrong. Nor has what waits for the owner of
a handoff account. Every role and bucket that nothing is wished for must hold nothing of ours. What could not be read is
said; it is never taken for empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby

from django.conf import settings
from django.db.models import Max, Min, OuterRef, Subquery
from django.utils import timezone

from roles.errors import PortalError
from roles.models import AwsAccount, Bucket, GroupRole, IamRole, ProvisioningRun
from roles.models.choices import FINAL_RUN_STATUSES, RoleOwnership, RunStatus
from roles.policies.ownership import ASSUME_SIDS, BUCKET_SIDS, GRANT_SIDS, PASS_ROLE_SIDS, TRUST_SIDS
from roles.provisioning import desired
from roles.provisioning.desired import Item
from roles.provisioning.differences import Difference, differences_of
from roles.provisioning.facts import Facts
from roles.provisioning.observed import portal_principals
from roles.provisioning.plan import Slot, plan_of, slot_of
from roles.provisioning.resources import Desired, DesiredDocument, DesiredPolicies, DesiredRole, Step, holder_of
from roles.provisioning.snapshot import Snapshot, once
from roles.values.accounts import AccessMode

SETTLED = (RunStatus.IN_SYNC, RunStatus.NEEDS_OWNER)
Key = tuple[str, Step]  # a resource's ARN and the step whose part of it is meant


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that was not compared, and why."""

    account_id: str
    resource: str
    why: str


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What a comparison found. `compared` says of what it speaks: of nothing else is anything known.

    `others` are the characters that others have in inline policies of adopted roles, by the role's ARN.
    `handoff` are the handoff accounts that the portal may not read, `unread` what it should have been able to read, and
    `under_way` how many parts were left out because a run is about them.
    """

    began: datetime
    differences: tuple[Difference, ...] = ()
    compared: frozenset[tuple[str, int]] = frozenset()
    unread: tuple[Unread, ...] = ()
    handoff: tuple[str, ...] = ()
    under_way: int = 0
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether everything that the portal may read was read and is as wished."""
        return not self.differences and not self.unread


@dataclass
class _Found:
    """What is gathered on the way."""

    differences: list[Difference] = field(default_factory=list)
    compared: set[tuple[str, int]] = field(default_factory=set)
    unread: list[Unread] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)

    def not_read(self, account_id: str, resource: str, error: PortalError) -> None:
        """Note what could not be read and why; a role once, whatever of it was to be compared."""
        one = Unread(account_id, holder_of(resource), error.message)
        if one not in self.unread:
            self.unread.append(one)


def compare(account: AwsAccount | None = None) -> DriftReport:
    """Return how AWS differs from what the database wishes, in all accounts or in one. Changes nothing."""
    began = timezone.now()
    world = _World(Facts())
    items, busy = _items(world)
    in_scope = [item for item in items if account is None or item.access.account_id == account.account_id]
    handoff = {item.access.account_id for item in in_scope if not item.access.is_readable}
    found, snapshot = _Found(), Snapshot()
    wishes = [
        pair for item in in_scope if item.access.account_id not in handoff if (pair := _wish(item, world.facts, found))
    ]
    snapshot.read((wish for _, wish in wishes), readers=settings.XACCT_DRIFT_READERS)
    for _, group in groupby(sorted(wishes, key=_order), key=lambda pair: slot_of(pair[1])):
        _compare_slot([wish for _, wish in group], snapshot, found)
    # A run may have come between: what was read before it and what is wished after it are not the same moment.
    came = _busy(since=began)
    late = {(resource, int(step)) for resource, step in _World(Facts.of_runs(came)).keys_of(came)}
    return DriftReport(
        began,
        tuple(one for one in found.differences if (one.resource, one.step) not in late),
        frozenset(found.compared - late),
        tuple(found.unread),
        tuple(sorted(handoff)),
        busy,
        found.others,
    )


def _order(pair: tuple[Item, Desired]) -> tuple[Slot, Step]:
    return slot_of(pair[1]), pair[1].step


def _wish(item: Item, facts: Facts, found: _Found) -> tuple[Item, Desired] | None:
    try:
        wish = item.wish(facts)
    except PortalError as error:
        found.not_read(item.access.account_id, item.resource, error)
        return None
    return None if wish is None else (item, wish)


def _compare_slot(wishes: list[Desired], snapshot: Snapshot, found: _Found) -> None:
    """Compare one thing in AWS with everything that is wished of it."""
    first = wishes[0]
    try:
        plan = plan_of(wishes, {slot_of(first): snapshot.observe(first)})
        if isinstance(first, DesiredDocument) and first.others is not None:
            with suppress(PortalError):  # what others have there and cannot be read is no concern of ours
                found.others[first.resource] = snapshot.others_in(first)
    except PortalError as error:
        resource = str(first.role) if isinstance(first, DesiredPolicies) else first.resource
        found.not_read(first.access.account_id, resource, error)
        return
    found.differences += differences_of(plan.changes)
    found.compared.update((wish.resource, int(wish.step.value)) for wish in wishes)


# --- what to compare ---


class _World:
    """What the database says, and what a run of each source role would look at by that."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._principals: dict[str, tuple[str, ...] | PortalError] = {}

    def items_of(self, role_id: int) -> dict[Key, Item]:
        """Return what a run of this source role may write."""
        role = self.facts.role(role_id)
        region = role.account.region
        principals = partial(once, self._principals, region, partial(portal_principals, region))
        return {(item.resource, item.step): item for item in desired.places_for(role, principals, facts=self.facts)}

    def keys_of_owners(self, role_ids: Iterable[int]) -> set[Key]:
        """Return what runs of these source roles leave to the owners of handoff accounts."""
        items = ((key, item) for pk in role_ids for key, item in self.items_of(pk).items())
        return {key for key, item in items if item.access.mode is AccessMode.HANDOFF}

    def keys_of(self, role_ids: Iterable[int]) -> set[Key]:
        """Return what runs of these source roles would look at."""
        return {key for pk in role_ids for key in self.items_of(pk)}


def _items(world: _World) -> tuple[list[Item], int]:
    """Return one item for each part of each resource, and how many were left out because a run is about them."""
    in_force = GroupRole.objects.in_force().values("role").order_by("role").annotate(since=Min("started_at"))
    mapped: dict[int, datetime] = {row["role"]: row["since"] for row in in_force}
    settled, busy = _settled(mapped), _busy()
    items: dict[Key, Item] = {}
    for pk in settled:
        if pk not in busy:
            # What several runs share is wished for as a whole by each: the first, which is in sync, speaks for all.
            for key, one in world.items_of(pk).items():
                items.setdefault(key, one)
    unsettled = world.keys_of(set(mapped).difference(settled, busy))
    under_way = world.keys_of(busy) | world.keys_of_owners(_waiting())
    rows: list[IamRole | Bucket] = [*world.facts.all_roles, *world.facts.all_buckets]
    for row in rows:
        for key, one in _nothing(row).items():
            if key not in unsettled:
                items.setdefault(key, one)
    return [one for key, one in items.items() if key not in under_way], len(under_way)


def _settled(mapped: Mapping[int, datetime]) -> list[int]:
    """Return the ids of the roles that a run has brought in order since they are mapped, or ever if they are not.

    Those whose newest run is in sync come first.
    """
    reconciling = ProvisioningRun.objects.reconciling()
    of_role = reconciling.filter(role=OuterRef("role"), status__in=FINAL_RUN_STATUSES).order_by("-pk")
    runs = reconciling.filter(status__in=SETTLED).values("role").order_by("role")
    rows = runs.annotate(last=Max("queued_at"), newest=Subquery(of_role.values("status")[:1]))
    settled = [row for row in rows if row["role"] not in mapped or row["last"] >= mapped[row["role"]]]
    return [row["role"] for row in sorted(settled, key=lambda row: row["newest"] != RunStatus.IN_SYNC)]


def _waiting() -> set[int]:
    """Return the ids of the roles whose newest run waits for an owner."""
    newest = ProvisioningRun.objects.reconciling().values("role").order_by("role").annotate(newest=Max("pk"))
    waiting = ProvisioningRun.objects.filter(pk__in=newest.values("newest"), status=RunStatus.NEEDS_OWNER)
    return set(waiting.values_list("role", flat=True))


def _busy(since: datetime | None = None) -> set[int]:
    """Return the ids of the roles that a run is about now, or was about at some time since then."""
    runs = ProvisioningRun.objects.unfinished()
    if since is not None:
        runs = runs | ProvisioningRun.objects.filter(finished_at__gte=since)
    return set(runs.values_list("role", flat=True))


def _nothing(row: IamRole | Bucket) -> dict[Key, Item]:
    """Return that nothing of ours is wished for in the places that a role or a bucket has for it."""
    access = row.account.access()
    if isinstance(row, Bucket):
        places = [(Step.BUCKET_POLICY, BUCKET_SIDS, row.region)]
    else:
        steps = (Step.ASSUME_POLICY, Step.PASS_ROLE_POLICY, Step.TARGET_TRUST, Step.BUCKET_POLICY)
        places = [
            (step, owned, "")
            for step, owned in zip(steps, (ASSUME_SIDS, PASS_ROLE_SIDS, TRUST_SIDS, GRANT_SIDS), strict=True)
        ]
    wishes: list[Desired] = [
        DesiredDocument(step, access, str(row.arn), owned, (), region=region) for step, owned, region in places
    ]
    if isinstance(row, IamRole):
        managed = row.ownership == RoleOwnership.MANAGED
        wishes.append(DesiredRole(Step.SOURCE_ROLE, access, row.arn, wanted=False, managed=managed, trust=()))
        wishes.append(DesiredPolicies(access, row.arn, ()))
    items = [Item(wish.step, wish.resource, access, partial(_same, wish), Facts) for wish in wishes]
    if isinstance(row, IamRole):
        items.append(desired.cut_off_item(row))  # there may be one whoever uses the role, and if nobody does
    return {(item.resource, item.step): item for item in items}


def _same(wish: Desired, _facts: Facts) -> Desired:
    return wish
