"""What must exist in AWS, from the database as it is now.

A source role is in use while a mapping of it is in force. Only then do statements of ours name it or what it reaches;
after the last mapping has ended, the same wishes ask for empty statements, and that is how everything is taken out.

A run is about one source role. Documents that several runs share (a target's trust policy, a bucket policy) are wished
for as a whole; another run's role is named in them only once a step has seen it in AWS, since AWS refuses a document
that names a role which does not exist yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db.models import Q

from roles.models import (
    AssumeRoleGrant,
    Bucket,
    BucketGrant,
    CutOff,
    DriftFinding,
    GroupRole,
    IamRole,
    ProvisioningRun,
)
from roles.models.choices import RoleOwnership, RunStatus
from roles.policies.builders import (
    bucket_statements,
    pass_role_statements,
    source_role_trust_statements,
    trust_statements,
)
from roles.policies.cut_off import Cut, cut_off_statements
from roles.policies.document import Statement
from roles.policies.ownership import BUCKET_SIDS, CUT_OFF_SIDS, PASS_ROLE_SIDS, TRUST_SIDS
from roles.provisioning import own_policies
from roles.provisioning.plan import digest_of
from roles.provisioning.reach import in_use, role_of, sources_in_use
from roles.provisioning.resources import (
    Change,
    Desired,
    DesiredAccess,
    DesiredAsBefore,
    DesiredDocument,
    DesiredProfile,
    DesiredRole,
    Step,
    cut_off_of,
)
from roles.provisioning.seen import named_by_its_own_run, seen_in_aws
from roles.values.accounts import AccountAccess
from roles.values.arns import AccessLevel, RoleArn

__all__ = [
    "CLEANED_AFTER",
    "Item",
    "Principals",
    "asks_who_the_portal_is",
    "cut_off_item",
    "digest_for",
    "in_use",
    "items_for",
    "places_for",
    "sources_in_use",
    "wishes_for",
    "with_principals",
]

W = TypeVar("W", bound=Desired)
# Who the portal is in AWS, as principals for the trust of a source role; asked only when a trust is computed.
Principals = Callable[[], tuple[str, ...]]
# A grant's end is stamped before its transaction commits, and by another machine's clock than the run's start: a run
# that began after the stamp may not have seen it. Looking back further costs reads, never a wrong write.
CLEANED_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Item:
    """One resource of a run. `compute` asks the database anew each time, so call it while the lease is held.

    It returns None when the thing to verify is not wished any more. `needs` are the ARNs that must be in order before:
    an item is skipped when one of them failed. Where nothing is given, but only taken out, nothing is needed.
    `check` raises a `PortalError` when what would be written may not be.
    """

    step: Step
    resource: str
    access: AccountAccess
    compute: Callable[[], Desired | None]
    needs: tuple[str, ...] = ()
    check: Callable[[Change], None] = lambda _change: None


def digest_for(*roles: IamRole) -> str:
    """Return the digest of what is wished for these source roles now, each by itself. Asks the database only."""
    if len(roles) == 1:
        return digest_of(wishes_for(roles[0], tuple))
    each = sorted((str(role.arn), digest_of(wishes_for(role, tuple))) for role in {*roles})
    return hashlib.sha256(json.dumps(each).encode()).hexdigest()


def wishes_for(role: IamRole, principals: Principals, *, beside: Collection[int] = ()) -> tuple[Desired, ...]:
    """Return all wishes of a run of `role`, in the procedure's order.

    `beside` are the ids of source roles whose own runs come with this one: they are taken to exist by then.
    """
    computed = (item.compute() for item in items_for(role, principals, beside=beside))
    return tuple(wish for wish in computed if wish is not None)


def with_principals(wishes: Iterable[Desired], principals: Principals) -> tuple[Desired, ...]:
    """Return wishes that were computed without knowing who the portal is, now that it can be asked."""
    return tuple(_with_principals(wish, principals) for wish in wishes)


def asks_who_the_portal_is(wish: Desired) -> bool:
    """Return whether the portal itself is part of what is wished for: AWS knows who that is."""
    if isinstance(wish, DesiredAsBefore):
        return any(map(asks_who_the_portal_is, wish.wished))
    return isinstance(wish, DesiredRole) and wish.trust is not None and wish.wanted


def _with_principals(wish: Desired, principals: Principals) -> Desired:
    if isinstance(wish, DesiredAsBefore):
        return replace(wish, wished=tuple(_with_trust(one, principals) for one in wish.wished))
    return _with_trust(wish, principals)


def _with_trust(wish: W, principals: Principals) -> W:
    if isinstance(wish, DesiredRole) and wish.trust is not None:
        return replace(wish, trust=_source_trust(wish.role, wish.wanted, principals))
    return wish


def items_for(role: IamRole, principals: Principals, *, beside: Collection[int] = ()) -> tuple[Item, ...]:
    """Return the resources of a run of `role` in the procedure's order: 1, 2, 3, all of 4, all of 5, of 6, of 7.

    What cuts off credentials comes before all of that: it needs nothing else, and is in a hurry.
    """
    return (*places_for(role, principals, beside=beside), *_access_items(role))


def places_for(role: IamRole, principals: Principals, *, beside: Collection[int] = ()) -> tuple[Item, ...]:
    """Return what a run of `role` may write: what cuts off, and its items up to step 6."""
    source = role_of(role.pk)
    arn, targets, used = str(source.arn), _targets(source), in_use(source)
    sources = frozenset({source.pk, *beside})

    def item(step: Step, of: IamRole, compute: Callable[[], Desired], *needs: str) -> Item:
        return Item(step, str(of.arn), of.account.access(), compute, needs if used else ())

    items = [
        item(Step.SOURCE_ROLE, source, partial(_source_role, source.pk, principals)),
        replace(
            item(Step.SOURCE_ROLE, source, partial(_profile, source.pk), arn), resource=source.arn.instance_profile
        ),
        item(Step.ASSUME_POLICY, source, partial(own_policies.assume_policy, source.pk), arn),
        item(Step.PASS_ROLE_POLICY, source, partial(_pass_role_policy, source.pk), arn),
        *_spilled_items(source, (arn,) if used else ()),
    ]
    items += [item(Step.TARGET_ROLE, one, partial(_target_role, one.pk)) for one in targets]
    items += [item(Step.TARGET_TRUST, one, partial(_trust, one.pk, sources), arn, str(one.arn)) for one in targets]
    own = own_policies.with_own_grants(targets)
    # What moves between a bucket's policy and a role's own is in its new place before it leaves the old one.
    items += [one for target in targets if own.get(target.pk) for one in _own_items(target, used)]
    items += [
        Item(
            Step.BUCKET_POLICY,
            str(bucket.arn),
            bucket.account.access(),
            partial(_bucket_policy, bucket.pk, sources),
            holders if used else (),
        )
        for bucket, holders in _buckets(targets, since=_last_in_sync(source))
    ]
    items += [one for target in targets if own.get(target.pk) is False for one in _own_items(target, used)]
    return (*map(cut_off_item, _with_cut_offs(source, targets)), *items)


def cut_off_item(target: IamRole) -> Item:
    """Return the policy of a target role that cuts off credentials. It needs no other thing to be in order."""
    return Item(Step.TARGET_TRUST, cut_off_of(target.arn), target.account.access(), partial(_cut_off, target.pk))


def _own_items(target: IamRole, used: bool) -> list[Item]:
    """Return what a target role's own policies give of buckets and their keys."""
    arn, access = str(target.arn), target.account.access()
    needs = (arn,) if used else ()
    grants = Item(Step.BUCKET_POLICY, arn, access, partial(own_policies.own_grants, target.pk), needs)
    return [grants, *_spilled_items(target, needs)]


def _spilled_items(role: IamRole, needs: tuple[str, ...]) -> list[Item]:
    """Return what a role's own policy has no room for, if anything."""
    if not own_policies.is_spilled(role):
        return []
    compute = partial(own_policies.managed_policies, role.pk)
    return [Item(Step.ASSUME_POLICY, role.arn.managed_policies, role.account.access(), compute, needs)]


def _last_in_sync(role: IamRole) -> datetime | None:
    """Return the moment before which every end of a grant is out of AWS already; None when no run was ever in sync."""
    runs = ProvisioningRun.objects.reconciling().filter(role=role, status=RunStatus.IN_SYNC, started_at__isnull=False)
    began = runs.order_by("-id").values_list("started_at", flat=True).first()
    return None if began is None else began - CLEANED_AFTER


def _to_look_at(since: datetime | None, drifted: Q) -> Q:
    """Return which grants a run looks at: open, ended since then, or where drift was found however long ago it ended.

    All of them when `since` is None.
    """
    return Q() if since is None else Q(ended_at__isnull=True) | Q(ended_at__gte=since) | drifted


def _targets(source: IamRole) -> list[IamRole]:
    at_roles, at_buckets = DriftFinding.objects.open().of_roles(), DriftFinding.objects.open().of_buckets()
    holders = BucketGrant.objects.filter(bucket__in=at_buckets.values("bucket")).values("role")
    drifted = Q(target__in=at_roles.values("role")) | Q(target__in=holders)
    grants = AssumeRoleGrant.objects.filter(_to_look_at(_last_in_sync(source), drifted), source=source)
    return list(
        IamRole.objects.filter(pk__in=grants.values("target"))
        .select_related("account")
        .order_by("account__name", "name")
    )


def _with_cut_offs(source: IamRole, targets: Iterable[IamRole]) -> list[IamRole]:
    """Return the target roles that have, or had until lately, a cut-off that a run of `source` sees to.

    That is one of its own, whether its mappings and grants are still there or not, or one at a role that it looks at.
    """
    drifted = DriftFinding.objects.open().filter(resource__contains=cut_off_of("")).values("role")
    reached = [target.pk for target in targets]
    rows = CutOff.objects.filter(Q(source=source) | Q(target__in=reached))
    rows = rows.filter(_to_look_at(_last_in_sync(source), Q(target__in=drifted)))
    found = IamRole.objects.filter(Q(pk__in=rows.values("target")) | Q(pk__in=reached) & Q(pk__in=drifted))
    return list(found.select_related("account").order_by("account__name", "name"))


def _buckets(targets: Iterable[IamRole], *, since: datetime | None) -> list[tuple[Bucket, tuple[str, ...]]]:
    """Return the buckets that any of `targets` has, or had until lately, a grant on, with the ARNs of those targets."""
    arns = {target.pk: str(target.arn) for target in targets}
    drifted = Q(bucket__in=DriftFinding.objects.open().of_buckets().values("bucket"))
    grants = BucketGrant.objects.filter(_to_look_at(since, drifted), role__in=list(arns))
    found: dict[Bucket, list[str]] = {}
    for grant in grants.select_related("bucket__account").order_by("bucket__name", "id"):
        found.setdefault(grant.bucket, []).append(arns[grant.role_id])
    return [(bucket, tuple(dict.fromkeys(holders))) for bucket, holders in found.items()]


def _source_role(role_id: int, principals: Principals) -> DesiredRole:
    role = role_of(role_id)
    wanted = in_use(role)
    trust = _source_trust(role.arn, wanted, principals)
    managed = role.ownership == RoleOwnership.MANAGED
    return DesiredRole(
        Step.SOURCE_ROLE, role.account.access(), role.arn, wanted, managed, trust, role.permissions_boundary
    )


def _source_trust(role: RoleArn, wanted: bool, principals: Principals) -> tuple[Statement, ...]:
    others = [principal for principal in (principals() if wanted else ()) if principal != str(role)]
    return source_role_trust_statements(role.partition, services=wanted, portal_principals=others)


def _profile(role_id: int) -> DesiredProfile:
    role = role_of(role_id)
    # An adopted role's profile is its owner's business, as the role is.
    wanted = role.ownership == RoleOwnership.MANAGED and in_use(role)
    return DesiredProfile(role.account.access(), role.arn, wanted)


def _pass_role_policy(role_id: int) -> DesiredDocument:
    role = role_of(role_id)
    statements = pass_role_statements(role.arn) if in_use(role) else ()
    return DesiredDocument(Step.PASS_ROLE_POLICY, role.account.access(), str(role.arn), PASS_ROLE_SIDS, statements)


def _target_role(role_id: int) -> DesiredRole:
    role = role_of(role_id)
    managed = role.ownership == RoleOwnership.MANAGED
    wanted = bool(sources_in_use(role))
    return DesiredRole(
        Step.TARGET_ROLE, role.account.access(), role.arn, wanted, managed, None, role.permissions_boundary
    )


def _trust(target_id: int, own: frozenset[int]) -> DesiredDocument:
    target = role_of(target_id)
    sources = sources_in_use(target)
    seen, taken = seen_in_aws(sources), own | named_by_its_own_run(sources, target)
    named = [one.arn for one in sources if one.pk in taken or str(one.arn) in seen]
    statements = trust_statements(named, attribution=target.attribution)
    return DesiredDocument(Step.TARGET_TRUST, target.account.access(), str(target.arn), TRUST_SIDS, statements)


def _cut_off(target_id: int) -> DesiredDocument:
    target = role_of(target_id)
    rows = CutOff.objects.open().filter(target=target).order_by("pk")
    statements = cut_off_statements(
        [Cut(row.cut_before, tuple(row.names)) for row in rows], attribution=target.attribution
    )
    return DesiredDocument(Step.TARGET_TRUST, target.account.access(), cut_off_of(target.arn), CUT_OFF_SIDS, statements)


def _bucket_policy(bucket_id: int, sources: frozenset[int]) -> DesiredDocument:
    bucket = Bucket.objects.select_related("account").get(pk=bucket_id)
    chains = AssumeRoleGrant.objects.open().filter(source__in=GroupRole.objects.in_force().values("role"))
    own = set(chains.filter(source__in=sources).values_list("target", flat=True))
    grants = list(
        BucketGrant.objects.open()
        .filter(bucket=bucket, role__in=chains.values("target"))
        .select_related("role__account")
        .order_by("started_at", "id")
    )
    seen = seen_in_aws(grant.role for grant in grants)
    statements = [
        statement
        for grant in grants
        if not bucket.grants_in_identity_policy and (grant.role_id in own or str(grant.role.arn) in seen)
        for statement in bucket_statements(
            grant.role.arn, bucket.arn, AccessLevel(grant.access), grant.prefix, uploads=grant.multipart_cleanup
        )
    ]
    return DesiredDocument(
        Step.BUCKET_POLICY,
        bucket.account.access(),
        str(bucket.arn),
        BUCKET_SIDS,
        tuple(statements),
        region=bucket.region,
    )


def _access_items(source: IamRole) -> list[Item]:
    """Return what a run verifies: each bucket grant behind each open chain, while the source role is in use."""
    if not in_use(source):
        return []
    chains = AssumeRoleGrant.objects.open().filter(source=source)
    grants = BucketGrant.objects.open().filter(role__in=chains.values("target"))
    return [
        Item(
            Step.VERIFY,
            str(grant.bucket.arn),
            grant.role.account.access(),
            partial(_access, grant.pk, source.pk),
            (str(source.arn), str(grant.role.arn), str(grant.bucket.arn)),
        )
        for grant in grants.select_related("role__account", "bucket__account").order_by("bucket__name", "prefix", "id")
    ]


def _access(grant_id: int, source_id: int) -> DesiredAccess | None:
    """Return what to verify of a bucket grant, or None when it, the chain to it or the last mapping has ended."""
    grants = BucketGrant.objects.open().select_related("role__account", "bucket__account")
    grant, source = grants.filter(pk=grant_id).first(), role_of(source_id)
    if grant is None or not in_use(source):
        return None
    if not AssumeRoleGrant.objects.open().filter(source=source, target=grant.role_id).exists():
        return None
    return DesiredAccess(
        access=grant.role.account.access(),
        source_access=source.account.access(),
        source=source.arn,
        target=grant.role.arn,
        bucket=grant.bucket.arn,
        region=grant.bucket.region,
        prefix=grant.prefix,
        reads=AccessLevel(grant.access).reads,
    )
