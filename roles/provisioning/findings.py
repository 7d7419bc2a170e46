"""Remember what a comparison found, whom it concerns, and when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from roles.history.recorder import record
from roles.models import AssumeRoleGrant, Bucket, BucketGrant, DriftFinding, GroupRole, IamRole, ProvisioningRun
from roles.models.choices import DriftKind, DriftResolution, MappingState, StepStatus
from roles.models.drift import DriftQuerySet
from roles.provisioning.differences import Difference
from roles.provisioning.resources import Step, holder_of
from roles.values.arns import MANAGED_POLICY_PREFIX

_AT_A_SOURCE = tuple(int(step.value) for step in (Step.SOURCE_ROLE, Step.ASSUME_POLICY, Step.PASS_ROLE_POLICY))
# What a role's own policies have is a target's part too: what they give of buckets.
_AT_A_TARGET = tuple(
    int(step.value) for step in (Step.TARGET_ROLE, Step.TARGET_TRUST, Step.BUCKET_POLICY, Step.ASSUME_POLICY)
)
# What no run mends and no mapping waits for. Others' statements keep nobody from what a mapping gives; they keep the
# portal from writing. A boundary is set when a role is created, and what it refuses shows when access is verified.
_HARMLESS = (DriftKind.FOREIGN_STALE, DriftKind.BOUNDARY)
ASKED_FOR = timedelta(hours=1)


def newest_without_a_name(differences: Sequence[Difference]) -> list[int]:
    """Return the indexes of the differences to ask about, newest first: those of which nobody said who made them.

    CloudTrail may have a call only minutes later, so what is open is asked about again for `ASKED_FOR`.
    """
    known = {(row.resource, row.step): row for row in DriftFinding.objects.open()}
    lately = timezone.now() - ASKED_FOR
    found: list[tuple[datetime, int]] = []
    for index, one in enumerate(differences):
        row = known.get((one.resource, one.step))
        if row is None or not _is_same(row, one):
            found.append((timezone.now(), index))
        elif not row.done_by and row.found_at > lately:
            found.append((row.found_at, index))
    return [index for _, index in sorted(found, reverse=True)]


def remember(differences: Iterable[Difference], *, compared: frozenset[tuple[str, int]], actor: Any) -> None:
    """Open a finding for each difference, or note that it is still there; resolve what was compared and is not found.

    `compared` are resources and steps: findings about anything else stay as they are. Mappings that a finding concerns
    become drifted, and in sync again when none does.
    """
    with transaction.atomic():
        known = {(row.resource, row.step): row for row in DriftFinding.objects.open().select_for_update()}
        for one in differences:
            _found(one, known.pop((one.resource, one.step), None), actor)
        gone = [row for key, row in known.items() if key in compared]
        for row in gone:
            resolve(row, DriftResolution.GONE, actor=actor)
        tell_mappings()


def settle(run: ProvisioningRun, *, actor: Any) -> None:
    """Resolve the findings that a run has just repaired: its step about the same thing read it back as wished."""
    done = run.steps.filter(attempt=run.attempts, status=StepStatus.DONE).values("resource", "step")
    healed = {(step["resource"], step["step"]) for step in done}
    rows = DriftFinding.objects.open().exclude(kind__in=_HARMLESS).filter(resource__in=[one for one, _ in healed])
    if not rows.exists():
        return
    with transaction.atomic():
        for row in rows.select_for_update():
            if (row.resource, row.step) in healed:
                resolve(row, DriftResolution.REPAIRED, actor=actor, run=run.pk)
        tell_mappings()


def resolve(row: DriftFinding, resolution: DriftResolution, *, actor: Any, **details: Any) -> None:
    """End an open finding that is locked, with its event."""
    row.resolved_at, row.resolution = timezone.now(), resolution
    row.save(update_fields=["resolved_at", "resolution"])
    code = "drift.accepted" if resolution == DriftResolution.ACCEPTED else "drift.resolved"
    _record(code, row, actor=actor, resolution=str(resolution), **details)


def tell_mappings() -> None:
    """Make the mappings drifted that an open finding concerns, and in sync those that none does any more."""
    concerned = sources_of(DriftFinding.objects.open().exclude(kind__in=_HARMLESS))
    mappings = GroupRole.objects.in_force()
    mappings.filter(state=MappingState.IN_SYNC, role__in=concerned).update(state=MappingState.DRIFTED)
    mappings.filter(state=MappingState.DRIFTED).exclude(role__in=concerned).update(state=MappingState.IN_SYNC)


def sources_of(findings: DriftQuerySet, *, ever: bool = False) -> list[int]:
    """Return the ids of the source roles that these findings concern: through open grants, or through any that was.

    A constant number of queries, however many findings there are.
    """
    chains = AssumeRoleGrant.objects.all() if ever else AssumeRoleGrant.objects.open()
    grants = BucketGrant.objects.all() if ever else BucketGrant.objects.open()
    at_roles, at_buckets = findings.of_roles(), findings.of_buckets()
    targets = at_roles.filter(step__in=_AT_A_TARGET).values("role")
    holders = grants.filter(bucket__in=at_buckets.values("bucket")).values("role")
    through = chains.filter(Q(target__in=targets) | Q(target__in=holders)).values_list("source", flat=True)
    itself = at_roles.filter(step__in=_AT_A_SOURCE).values_list("role", flat=True)
    return sorted({*through, *itself})


def _found(one: Difference, row: DriftFinding | None, actor: Any) -> None:
    now = timezone.now()
    is_same = row is not None and _is_same(row, one)
    fields = {
        "kind": DriftKind(one.kind.value),
        "title": one.title[:200],
        "before": one.before,
        "after": one.after,
        "foreign_statements": one.foreign_statements,
        "note": one.note,
        "last_seen_at": now,
    }
    if one.done_by or not is_same:
        fields["done_by"] = one.done_by[:300]
    if row is None:
        place = _place(one)
        row = DriftFinding(account_id=one.account_id, resource=one.resource, step=one.step, found_at=now, **place)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    if not is_same:
        _record("drift.found", row, actor=actor, before=row.before, after=row.after)


def _is_same(row: DriftFinding, one: Difference) -> bool:
    return (row.kind, row.before, row.after) == (one.kind, one.before, one.after)


def _place(one: Difference) -> dict[str, Any]:
    """Return the row of the role or bucket that the difference is at."""
    name = holder_of(one.resource).rpartition(":")[2]
    if one.resource.startswith("arn:") and one.resource.split(":")[2] == "s3":
        return {"bucket": Bucket.objects.get(name=name)}
    role_name = name.rpartition("/")[2]
    if name.startswith("policy/"):
        role_name = role_name.removeprefix(MANAGED_POLICY_PREFIX)
    return {"role": IamRole.objects.get(account__account_id=one.account_id, name=role_name)}


def _record(code: str, row: DriftFinding, *, actor: Any, **more: Any) -> None:
    record(
        code,
        actor=actor,
        subject=row,
        account_id=row.account_id,
        resource=row.resource,
        kind=row.kind,
        step=row.step,
        done_by=row.done_by or "unknown",
        **more,
    )
