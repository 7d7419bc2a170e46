"""Whom a change of grants, roles or accounts concerns: runs to queue, tokens to forget, sessions that must fit."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from roles.errors import PolicyTooLarge
from roles.models import AssumeRoleGrant, Bucket, BucketGrant, GroupRole, IamRole
from roles.models.choices import RoleOwnership
from roles.policies.session import Grant, effective_grants, session_policy
from roles.provisioning import desired, outbox
from roles.tokens import revocation
from roles.values.arns import AccessLevel

Way = tuple[GroupRole, int]  # a mapping, and the id of a target role that it reaches


@dataclass(frozen=True, slots=True)
class Narrowing:
    """How a mapping cuts what its role's grants give. No `buckets` means all of them."""

    level: AccessLevel
    prefix: str
    buckets: Collection[Bucket]

    @classmethod
    def of(cls, mapping: GroupRole) -> Narrowing:
        """Return the narrowing of a stored mapping; its buckets' accounts should be loaded."""
        return cls(AccessLevel(mapping.access), mapping.prefix, tuple(mapping.buckets.all()))

    @property
    def narrows(self) -> bool:
        """Whether it cuts anything; sessions of a mapping that does not need no session policy."""
        return bool(self.level is not AccessLevel.READWRITE or self.prefix or self.buckets)

    def cut(self, rows: Iterable[BucketGrant]) -> tuple[Grant, ...]:
        """Return what is left of these grants, whose bucket and account are loaded."""
        grants = [
            Grant(row.bucket.arn, AccessLevel(row.access), row.prefix, row.bucket.kms_key_arn, row.multipart_cleanup)
            for row in rows
        ]
        buckets = {bucket.arn for bucket in self.buckets}
        return effective_grants(grants, level=self.level, prefix=self.prefix, buckets=buckets)


def reach_of(source: IamRole) -> dict[int, list[BucketGrant]]:
    """Return the open grants that `source` reaches, by the id of the target role. One query."""
    targets = AssumeRoleGrant.objects.open().filter(source=source).values("target")
    found: dict[int, list[BucketGrant]] = {}
    for row in (
        BucketGrant.objects.open().filter(role__in=targets).select_related("role", "bucket__account").order_by("pk")
    ):
        found.setdefault(row.role_id, []).append(row)
    return found


def require_sessions_fit(narrowing: Narrowing, reach: Iterable[Sequence[BucketGrant]]) -> None:
    """Raise `PolicyTooLarge` if a session through one of the target roles would need a policy that STS refuses.

    `reach` has the grants of each target role, with the role: a session is with one of them.
    """
    found = [rows for rows in reach if rows]
    bounded = set() if narrowing.narrows else _always_bounded([rows[0].role for rows in found])
    for rows in found:
        _require_session_fits(narrowing, rows, bounded)


def _require_session_fits(narrowing: Narrowing, rows: Sequence[BucketGrant], bounded: Container[int]) -> None:
    if narrowing.narrows or rows[0].role_id in bounded:
        session_policy(narrowing.cut(rows))


def _always_bounded(targets: Collection[IamRole]) -> set[int]:
    """Return the ids of those whose sessions always carry a session policy. One query.

    They may do more in AWS than their bucket grants say: `tokens.scope.UsableTarget` has which.
    """
    sources = AssumeRoleGrant.objects.maybe_in_aws().filter(source__in=[role.pk for role in targets])
    adopted = {role.pk for role in targets if role.ownership == RoleOwnership.ADOPTED}
    return adopted | set(sources.values_list("source", flat=True))


def require_mappings_fit(*, targets: Iterable[int], besides: Container[Way] = (), hint: str = "") -> None:
    """Raise `PolicyTooLarge` if a mapping that reaches one of these target roles can no longer have sessions there.

    It names the mappings, and says `hint` if given. Those of `besides`, which could have none before, do not count.
    """
    found = {way: error for way, error in without_sessions(targets).items() if way not in besides}
    if found:
        error = next(iter(found.values()))
        names = sorted({str(mapping) for mapping, _ in found})
        error.message = f"{error.message} Nobody could get credentials through {', '.join(names)}."
        error.hint = hint or error.hint
        raise error


def without_sessions(targets: Iterable[int]) -> dict[Way, PolicyTooLarge]:
    """Return the mappings that can have no session with one of these target roles, by mapping and target, with why."""
    found: dict[Way, PolicyTooLarge] = {}
    for target in targets:
        rows = list(BucketGrant.objects.open().filter(role=target).select_related("role", "bucket__account"))
        bounded = _always_bounded([row.role for row in rows[:1]])
        for mapping in mappings_reaching(target) if rows else ():
            try:
                _require_session_fits(Narrowing.of(mapping), rows, bounded)
            except PolicyTooLarge as error:
                found[mapping, target] = error
    return found


def mappings_reaching(target: int) -> list[GroupRole]:
    """Return the mappings in force whose role may assume the target role with that id."""
    sources = AssumeRoleGrant.objects.open().filter(target=target).values("source")
    rows = GroupRole.objects.in_force().filter(role__in=sources).prefetch_related("buckets__account")
    return list(rows.order_by("pk"))


def queue_runs(roles: Iterable[IamRole], *, actor: Any, trigger: str) -> None:
    """Queue one run for each of these source roles."""
    for role in sorted({*roles}, key=lambda role: role.pk):
        outbox.queue_run(actor=actor, role=role, trigger=trigger)


def sources_concerned(roles: Iterable[IamRole]) -> list[IamRole]:
    """Return the source roles in use to which any of `roles` matters: as themselves, or as a target."""
    found: list[IamRole] = []
    for role in roles:
        found += [role] if desired.in_use(role) else []
        found += desired.sources_in_use(role)
    return found


def forget_mappings(mappings: Iterable[GroupRole], *, actor: Any) -> None:
    """Take the tokens of these mappings out of the cache: what they may do shrinks."""
    for mapping in mappings:
        revocation.forget_mapping(mapping, actor=actor)
