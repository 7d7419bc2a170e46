"""What the database says now of roles, of buckets, and of whatever their documents depend on.

It is read in a fixed number of queries, table by table as it is needed, for one role as for all there are; documents
are then computed from memory. Facts are of the moment when they are read: who writes takes new ones while the lease is
held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from roles.models import (
    AssumeRoleGrant,
    Bucket,
    BucketGrant,
    CutOff,
    DriftFinding,
    GroupRole,
    IamRole,
    ProvisioningRun,
    ProvisioningStep,
)
from roles.models.choices import RunPurpose, RunStatus, StepAction, StepStatus
from roles.provisioning.resources import Step, is_cut_off

_ROLE_STEPS = (int(Step.SOURCE_ROLE.value), int(Step.TARGET_ROLE.value))
Documents = list[dict[str, Any] | None]
Row = TypeVar("Row")


class Chain(NamedTuple):
    """A source role may, or might, assume a target role. Both by id."""

    source: int
    target: int
    ended_at: datetime | None = None


class Holding(NamedTuple):
    """A role has, or had, a grant on a bucket. Both by id."""

    role: int
    bucket: int
    ended_at: datetime | None


class Finding(NamedTuple):
    """Where drift was found and is not resolved: at a role or at a bucket, by id."""

    role: int | None
    bucket: int | None
    resource: str


class Facts:
    """The facts about these roles and buckets, by id; about all of them where `roles` is None.

    Known of a role is what it may assume and who may assume it; of a bucket, who has grants on it and who may assume
    those. The rows of neighbours are read as they are met, all of a kind at once.
    """

    def __init__(self, roles: Collection[int] | None = None, buckets: Collection[int] = ()) -> None:
        self._is_of_all = roles is None
        self._scope, self._bucket_scope = frozenset(roles or ()), frozenset(buckets)
        self._roles: dict[int, IamRole] = {}
        self._buckets: dict[int, Bucket] = {}
        self._used: set[int] = set()

    @classmethod
    def of_runs(cls, sources: Collection[int]) -> Facts:
        """Return the facts that runs of these source roles need: of what they reach, or ever reached."""
        chained = AssumeRoleGrant.objects.filter(source__in=sources).order_by().values_list("target", flat=True)
        cut = CutOff.objects.filter(source__in=sources).order_by().values_list("target", flat=True)
        roles = {*sources, *chained.union(cut)}
        return cls(roles, {*BucketGrant.objects.filter(role__in=roles).values_list("bucket", flat=True)})

    # --- roles and buckets ---

    def role(self, pk: int) -> IamRole:
        """Return a role with its account. Raises `KeyError` for an id that there is not."""
        if pk not in self._roles:
            self.meet([pk])
        return self._roles[pk]

    def in_use(self, pk: int) -> bool:
        """Return whether a mapping of this source role is in force."""
        self.role(pk)
        return pk in self._used

    def meet(self, ids: Iterable[int]) -> None:
        """Read these roles, as far as they are not known yet, in one query."""
        missing = {pk for pk in ids if pk not in self._roles}
        if not missing:
            return
        mapped = GroupRole.objects.in_force().filter(role=OuterRef("pk"))
        rows = IamRole.objects.select_related("account").annotate(is_mapped=Exists(mapped))
        if self._roles or not self._is_of_all:
            rows = rows.filter(pk__in=missing | (self._scope - self._roles.keys()))
        for row in rows.order_by("pk"):
            self._roles[row.pk] = row
            if row.is_mapped:
                self._used.add(row.pk)

    @property
    def all_roles(self) -> Sequence[IamRole]:
        """All roles there are, by id. Only of facts about all."""
        self.meet([0])
        return tuple(self._roles.values())

    def bucket(self, pk: int) -> Bucket:
        """Return a bucket with its account. Raises `KeyError` for an id that there is not."""
        if pk not in self._buckets:
            self.meet_buckets([pk])
        return self._buckets[pk]

    def meet_buckets(self, ids: Iterable[int]) -> None:
        """Read these buckets, as far as they are not known yet, in one query."""
        missing = {pk for pk in ids if pk not in self._buckets}
        if not missing:
            return
        rows = Bucket.objects.select_related("account")
        if self._buckets or not self._is_of_all:
            rows = rows.filter(pk__in=missing | (self._bucket_scope - self._buckets.keys()))
        self._buckets.update((row.pk, row) for row in rows.order_by("pk"))

    @property
    def all_buckets(self) -> Sequence[Bucket]:
        """All buckets there are, by id. Only of facts about all."""
        self.meet_buckets([0])
        return tuple(self._buckets.values())

    # --- grants ---

    def sources_in_use(self, target: int) -> list[IamRole]:
        """Return the source roles in use that have an open grant to assume `target`, by name."""
        ids = [chain.source for chain in self._chains_to.get(target, ())]
        found = [self._roles[pk] for pk in ids if pk in self._used]
        return sorted(found, key=lambda role: (role.name, role.pk))

    def targets_of(self, source: int) -> list[IamRole]:
        """Return the roles that `source` has an open grant to assume, the oldest grant first."""
        return [self._roles[chain.target] for chain in self._chains_from.get(source, ())]

    def is_chained(self, source: int, target: int) -> bool:
        """Return whether `source` has an open grant to assume `target`."""
        return any(chain.target == target for chain in self._chains_from.get(source, ()))

    def grants_of(self, role: int) -> list[BucketGrant]:
        """Return the role's open bucket grants, the oldest first."""
        return self._grants_of.get(role, [])

    def grants_on(self, bucket: int) -> list[BucketGrant]:
        """Return the open grants on a bucket, the oldest first."""
        return self._grants_on.get(bucket, [])

    def reached_from(self, source: int) -> list[Chain]:
        """Return what `source` may assume or might once."""
        return self._reached.get(source, [])

    def held_by(self, role: int) -> list[Holding]:
        """Return the buckets that the role has, or had, a grant on, the oldest grant first."""
        return self._held.get(role, [])

    @cached_property
    def _chains(self) -> list[Chain]:
        rows = AssumeRoleGrant.objects.open().order_by("started_at", "id")
        if not self._is_of_all:
            # By ids: a subquery beside an "or" would have PostgreSQL read the whole table.
            holders = {grant.role_id for grant in self._grants} if self._bucket_scope else set()
            rows = rows.filter(Q(source__in=self._scope) | Q(target__in=self._scope | holders))
        found = [Chain(*row) for row in rows.values_list("source", "target")]
        self.meet({pk for chain in found for pk in (chain.source, chain.target)} | self._scope)
        return found

    @cached_property
    def _chains_to(self) -> dict[int, list[Chain]]:
        return _by(self._chains, "target")

    @cached_property
    def _chains_from(self) -> dict[int, list[Chain]]:
        return _by(self._chains, "source")

    @cached_property
    def _grants(self) -> list[BucketGrant]:
        rows = BucketGrant.objects.open().order_by("started_at", "id")
        if not self._is_of_all:
            rows = rows.filter(Q(role__in=self._scope) | Q(bucket__in=self._bucket_scope))
        return list(rows)

    @cached_property
    def _grants_of(self) -> dict[int, list[BucketGrant]]:
        return _by(self._grants, "role_id")

    @cached_property
    def _grants_on(self) -> dict[int, list[BucketGrant]]:
        return _by(self._grants, "bucket_id")

    @cached_property
    def _reached(self) -> dict[int, list[Chain]]:
        rows = AssumeRoleGrant.objects.order_by("id")
        if not self._is_of_all:
            rows = rows.filter(source__in=self._scope)
        return _by((Chain(*row) for row in rows.values_list("source", "target", "ended_at")), "source")

    @cached_property
    def _held(self) -> dict[int, list[Holding]]:
        rows = BucketGrant.objects.order_by("id")
        if not self._is_of_all:
            rows = rows.filter(role__in=self._scope)
        return _by((Holding(*row) for row in rows.values_list("role", "bucket", "ended_at")), "role")

    def cut_offs_at(self, target: int) -> list[CutOff]:
        """Return the cut-offs at a target role, ended ones too, in the order in which they were begun."""
        return self._cut_offs_at.get(target, [])

    def cut_offs_by(self, source: int) -> list[CutOff]:
        """Return the cut-offs that runs of a source role see to, ended ones too."""
        return self._cut_offs_by.get(source, [])

    @cached_property
    def _cut_offs_at(self) -> dict[int, list[CutOff]]:
        return _by(self._cut_offs, "target_id")

    @cached_property
    def _cut_offs_by(self) -> dict[int, list[CutOff]]:
        return _by(self._cut_offs, "source_id")

    @cached_property
    def _cut_offs(self) -> list[CutOff]:
        rows = CutOff.objects.order_by("pk")
        if not self._is_of_all:
            rows = rows.filter(Q(source__in=self._scope) | Q(target__in=self._scope))
        return list(rows)

    # --- what runs and comparisons left ---

    def last_in_sync(self, source: int) -> datetime | None:
        """Return when the newest run that brought AWS in line for `source` began; None when there was none."""
        return self._in_sync.get(source)

    @cached_property
    def _in_sync(self) -> dict[int, datetime]:
        runs = ProvisioningRun.objects.reconciling().filter(status=RunStatus.IN_SYNC, started_at__isnull=False)
        if not self._is_of_all:
            runs = runs.filter(role__in=self._scope)
        newest = runs.order_by("role").values("role").annotate(last=Max("pk")).values("last")
        rows = ProvisioningRun.objects.filter(pk__in=newest).values_list("role", "started_at")
        return {role: began for role, began in rows if began is not None}

    def is_seen(self, role: int) -> bool:
        """Return whether a step has created or found the role in AWS, and none deleted it since.

        A document may name it then: AWS refuses one that names nobody.
        """
        arn = str(self.role(role).arn)
        return self._seen.get(arn, 0) > self._deleted.get(arn, 0)

    def is_trusted(self, source: int, target: int) -> bool:
        """Return whether `target` trusts `source` since a run of its own: AWS took its name, so it exists.

        That is how a source role in an account that the portal cannot read is known before its access was proved. One
        that was deleted since does not.
        """
        trusted = self._trusted.get((source, str(self.role(target).arn)), 0)
        return trusted > self._deleted.get(str(self.role(source).arn), 0)

    @cached_property
    def _seen(self) -> dict[str, int]:
        """The newest step that created or found each role, by its ARN. A step about no role leaves no document."""
        return _newest(self._role_steps.filter(after__isnull=False))

    @cached_property
    def _deleted(self) -> dict[str, int]:
        """The newest step that deleted each role, by its ARN."""
        return _newest(self._role_steps.filter(action=StepAction.DELETE))

    @property
    def _role_steps(self) -> QuerySet[ProvisioningStep]:
        steps = ProvisioningStep.objects.filter(step__in=_ROLE_STEPS, status=StepStatus.DONE)
        if self._is_of_all:
            return steps
        near = {pk for chain in self._chains for pk in (chain.source, chain.target)} | self._scope
        return steps.filter(resource__in=[str(self.role(pk).arn) for pk in near])

    @cached_property
    def _trusted(self) -> dict[tuple[int, str], int]:
        """The newest step of a source role's own run that wrote or found a target's trust, by both."""
        steps = ProvisioningStep.objects.filter(
            step=int(Step.TARGET_TRUST.value), status=StepStatus.DONE, run__purpose=RunPurpose.RECONCILE
        )
        if not self._is_of_all:
            steps = steps.filter(resource__in=[str(self.role(pk).arn) for pk in self._scope])
        newest = steps.order_by("run__role", "resource").values("run__role", "resource").annotate(last=Max("pk"))
        return {(role, arn): last for role, arn, last in newest.values_list("run__role", "resource", "last")}

    @cached_property
    def drifted_roles(self) -> frozenset[int]:
        """The roles at which drift was found that is not resolved."""
        return frozenset(one.role for one in self._findings if one.role is not None)

    @cached_property
    def drifted_buckets(self) -> frozenset[int]:
        """The buckets at which drift was found that is not resolved."""
        return frozenset(one.bucket for one in self._findings if one.bucket is not None)

    @cached_property
    def drifted_cut_offs(self) -> frozenset[int]:
        """The roles at whose cut-off drift was found that is not resolved."""
        return frozenset(one.role for one in self._findings if one.role is not None and is_cut_off(one.resource))

    @cached_property
    def _findings(self) -> list[Finding]:
        rows = DriftFinding.objects.open().order_by("pk")
        return [Finding(*row) for row in rows.values_list("role", "bucket", "resource")]

    def left(self, step: Step, resource: str) -> Documents:
        """Return what may be in AWS in a place of a role's own policies.

        That is what the newest step there found and wrote, and what drift found.
        """
        return self._left.get((int(step.value), resource), [])

    @cached_property
    def _left(self) -> dict[tuple[int, str], Documents]:
        inline, managed = Q(step=int(Step.BUCKET_POLICY.value)), Q(step=int(Step.ASSUME_POLICY.value))
        if self._is_of_all:
            inline, managed = inline & Q(resource__contains=":role/"), managed & Q(resource__contains=":policy/")
        else:
            arns = [self.role(pk).arn for pk in self._scope]
            inline &= Q(resource__in=[str(arn) for arn in arns])
            managed &= Q(resource__in=[arn.managed_policies for arn in arns])
        told = Q(before__isnull=False) | Q(after__isnull=False) | Q(status=StepStatus.DONE)
        steps = ProvisioningStep.objects.filter(told, inline | managed).order_by("resource")
        newest = steps.values("resource").annotate(last=Max("pk")).values("last")
        found: dict[tuple[int, str], Documents] = {}
        for row in ProvisioningStep.objects.filter(pk__in=newest):
            # A step that did not end may have written any part of it.
            documents = [row.after] if row.status == StepStatus.DONE else [row.before, row.after]
            found[row.step, row.resource] = documents
        if self.drifted_roles:
            for finding in DriftFinding.objects.open().filter(inline | managed):
                found.setdefault((finding.step, finding.resource), []).extend([finding.before, finding.after])
        return found


def _newest(steps: QuerySet[ProvisioningStep]) -> dict[str, int]:
    """Return the id of the newest of these steps by its resource."""
    return dict(steps.order_by("resource").values("resource").annotate(last=Max("pk")).values_list("resource", "last"))


def _by(rows: Iterable[Row], name: str) -> dict[int, list[Row]]:
    """Return the rows in their order by the id in this column."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(getattr(row, name), []).append(row)
    return found
