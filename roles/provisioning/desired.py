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

from roles.models import Bucket, BucketGrant, IamRole
from roles.models.choices import RoleOwnership
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
from roles.provisioning.facts import Facts
from roles.provisioning.plan import digest_of
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
from roles.values.accounts import AccountAccess
from roles.values.arns import AccessLevel, RoleArn

W = TypeVar("W", bound=Desired)
# Who the portal is in AWS, as principals for the trust of a source role; asked only when a trust is computed.
Principals = Callable[[], tuple[str, ...]]
# A grant's end is stamped before its transaction commits, and by another machine's clock than the run's start: a run
# that began after the stamp may not have seen it. Looking back further costs reads, never a wrong write.
CLEANED_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Item:
    """One resource of a run. `wish` computes what must be from facts, `about` reads those it needs.

    `wish` returns None when the thing to verify is not wished any more. `needs` are the ARNs that must be in order
    before: an item is skipped when one of them failed. Where nothing is given, but only taken out, nothing is needed.
    `check` raises a `PortalError` when what would be written may not be.
    """

    step: Step
    resource: str
    access: AccountAccess
    wish: Callable[[Facts], Desired | None]
    about: Callable[[], Facts]
    needs: tuple[str, ...] = ()
    check: Callable[[Change], None] = lambda _change: None

    def compute(self) -> Desired | None:
        """Return what must be by the database as it is now: call it while the lease is held."""
        return self.wish(self.about())


def in_use(role: IamRole) -> bool:
    """Return whether a mapping of this source role is in force."""
    return Facts([role.pk]).in_use(role.pk)


def sources_in_use(target: IamRole) -> list[IamRole]:
    """Return the source roles in use that have an open grant to assume `target`, by name."""
    return Facts([target.pk]).sources_in_use(target.pk)


def digest_for(*roles: IamRole) -> str:
    """Return the digest of what is wished for these source roles now, each by itself. Asks the database only."""
    facts = Facts.of_runs([role.pk for role in roles])
    if len(roles) == 1:
        return digest_of(wishes_for(roles[0], tuple, facts=facts))
    each = sorted((str(role.arn), digest_of(wishes_for(role, tuple, facts=facts))) for role in {*roles})
    return hashlib.sha256(json.dumps(each).encode()).hexdigest()


def wishes_for(
    role: IamRole, principals: Principals, *, beside: Collection[int] = (), facts: Facts | None = None
) -> tuple[Desired, ...]:
    """Return all wishes of a run of `role`, in the procedure's order.

    `beside` are the ids of source roles whose own runs come with this one: they are taken to exist by then. `facts` as
    in `places_for`.
    """
    known = facts or Facts.of_runs([role.pk])
    computed = (item.wish(known) for item in items_for(role, principals, beside=beside, facts=known))
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


def items_for(
    role: IamRole, principals: Principals, *, beside: Collection[int] = (), facts: Facts | None = None
) -> tuple[Item, ...]:
    """Return the resources of a run of `role` in the procedure's order: 1, 2, 3, all of 4, all of 5, of 6, of 7.

    What cuts off credentials comes before all of that: it needs nothing else, and is in a hurry.
    """
    known = facts or Facts.of_runs([role.pk])
    return (*places_for(role, principals, beside=beside, facts=known), *_access_items(role.pk, known))


def places_for(
    role: IamRole, principals: Principals, *, beside: Collection[int] = (), facts: Facts | None = None
) -> tuple[Item, ...]:
    """Return what a run of `role` may write: what cuts off, and its items up to step 6.

    `facts` are those about the role's run, or about everything; without them they are read now.
    """
    known = facts or Facts.of_runs([role.pk])
    source = known.role(role.pk)
    arn, targets, used = str(source.arn), _targets(source.pk, known), known.in_use(source.pk)
    sources = frozenset({source.pk, *beside})
    items = _source_items(source, principals, known)
    items += [_item(Step.TARGET_ROLE, one, _target_role) for one in targets]
    items += [
        _item(Step.TARGET_TRUST, one, partial(_trust, sources), *((arn, str(one.arn)) if used else ()))
        for one in targets
    ]
    own = own_policies.with_own_grants(targets, known)
    # What moves between a bucket's policy and a role's own is in its new place before it leaves the old one.
    items += [one for target in targets if own.get(target.pk) for one in _own_items(target, used, known)]
    items += [
        Item(
            Step.BUCKET_POLICY,
            str(bucket.arn),
            bucket.account.access(),
            partial(_bucket_policy, bucket.pk, sources),
            partial(Facts, (), (bucket.pk,)),
            holders if used else (),
        )
        for bucket, holders in _buckets(targets, known, since=_looks_back_to(source.pk, known))
    ]
    items += [one for target in targets if own.get(target.pk) is False for one in _own_items(target, used, known)]
    return (*map(cut_off_item, _with_cut_offs(source, targets, known)), *items)


def cut_off_item(target: IamRole) -> Item:
    """Return the policy of a target role that cuts off credentials. It needs no other thing to be in order."""
    return replace(_item(Step.TARGET_TRUST, target, _cut_off), resource=cut_off_of(target.arn))


def _item(step: Step, of: IamRole, wish: Callable[[int, Facts], Desired], *needs: str) -> Item:
    return Item(step, str(of.arn), of.account.access(), partial(wish, of.pk), partial(Facts, (of.pk,)), needs)


def _source_items(source: IamRole, principals: Principals, facts: Facts) -> list[Item]:
    """Return steps 1 to 3, with what the role's inline policy has no room for."""
    needs = (str(source.arn),) if facts.in_use(source.pk) else ()
    return [
        _item(Step.SOURCE_ROLE, source, partial(_source_role, principals)),
        replace(_item(Step.SOURCE_ROLE, source, _profile, *needs), resource=source.arn.instance_profile),
        _item(Step.ASSUME_POLICY, source, own_policies.assume_policy, *needs),
        _item(Step.PASS_ROLE_POLICY, source, _pass_role_policy, *needs),
        *_spilled_items(source, needs, facts),
    ]


def _own_items(target: IamRole, used: bool, facts: Facts) -> list[Item]:
    """Return what a target role's own policies give of buckets and their keys."""
    needs = (str(target.arn),) if used else ()
    grants = _item(Step.BUCKET_POLICY, target, own_policies.own_grants, *needs)
    return [grants, *_spilled_items(target, needs, facts)]


def _spilled_items(role: IamRole, needs: tuple[str, ...], facts: Facts) -> list[Item]:
    """Return what a role's own policy has no room for, if anything."""
    if not own_policies.is_spilled(role.pk, facts):
        return []
    item = _item(Step.ASSUME_POLICY, role, own_policies.managed_policies, *needs)
    return [replace(item, resource=role.arn.managed_policies)]


def _looks_back_to(source: int, facts: Facts) -> datetime | None:
    """Return the moment before which every end of a grant is out of AWS already; None when no run was ever in sync."""
    began = facts.last_in_sync(source)
    return None if began is None else began - CLEANED_AFTER


def _is_looked_at(ended_at: datetime | None, since: datetime | None) -> bool:
    """Return whether a run looks at a grant: an open one, one that ended since then, or any when `since` is None."""
    return since is None or ended_at is None or ended_at >= since


def _targets(source: int, facts: Facts) -> list[IamRole]:
    """Return the target roles that a run looks at: also where drift was found, however long ago the grant ended."""
    since = _looks_back_to(source, facts)
    found = {
        chain.target
        for chain in facts.reached_from(source)
        if _is_looked_at(chain.ended_at, since) or _is_drifted(chain.target, facts)
    }
    return _by_name(found, facts)


def _is_drifted(target: int, facts: Facts) -> bool:
    """Return whether drift was found at a target role, or at a bucket that it has, or had, a grant on."""
    return target in facts.drifted_roles or any(one.bucket in facts.drifted_buckets for one in facts.held_by(target))


def _by_name(ids: Iterable[int], facts: Facts) -> list[IamRole]:
    known = {*ids}
    facts.meet(known)
    return sorted((facts.role(pk) for pk in known), key=lambda role: (role.account.name, role.name))


def _with_cut_offs(source: IamRole, targets: Iterable[IamRole], facts: Facts) -> list[IamRole]:
    """Return the target roles that have, or had until lately, a cut-off that a run of `source` sees to.

    That is one of its own, whether its mappings and grants are still there or not, or one at a role that it looks at.
    """
    since, reached = _looks_back_to(source.pk, facts), {target.pk for target in targets}
    drifted = facts.drifted_cut_offs
    rows = facts.cut_offs_by(source.pk) + [row for pk in reached for row in facts.cut_offs_at(pk)]
    found = {row.target_id for row in rows if _is_looked_at(row.ended_at, since) or row.target_id in drifted}
    return _by_name(found | (reached & drifted), facts)


def _buckets(
    targets: Iterable[IamRole], facts: Facts, *, since: datetime | None
) -> list[tuple[Bucket, tuple[str, ...]]]:
    """Return the buckets that any of `targets` has, or had until lately, a grant on, with the ARNs of those targets."""
    found: dict[int, dict[int, str]] = {}
    for target in targets:
        for one in facts.held_by(target.pk):
            if _is_looked_at(one.ended_at, since) or one.bucket in facts.drifted_buckets:
                found.setdefault(one.bucket, {}).setdefault(target.pk, str(target.arn))
    facts.meet_buckets(found)
    pairs = ((facts.bucket(pk), tuple(holders.values())) for pk, holders in found.items())
    return sorted(pairs, key=lambda pair: pair[0].name)


def _source_role(principals: Principals, role_id: int, facts: Facts) -> DesiredRole:
    role, wanted = facts.role(role_id), facts.in_use(role_id)
    trust = _source_trust(role.arn, wanted, principals)
    managed = role.ownership == RoleOwnership.MANAGED
    return DesiredRole(
        Step.SOURCE_ROLE, role.account.access(), role.arn, wanted, managed, trust, role.permissions_boundary
    )


def _source_trust(role: RoleArn, wanted: bool, principals: Principals) -> tuple[Statement, ...]:
    others = [principal for principal in (principals() if wanted else ()) if principal != str(role)]
    return source_role_trust_statements(role.partition, services=wanted, portal_principals=others)


def _profile(role_id: int, facts: Facts) -> DesiredProfile:
    role = facts.role(role_id)
    # An adopted role's profile is its owner's business, as the role is.
    wanted = role.ownership == RoleOwnership.MANAGED and facts.in_use(role_id)
    return DesiredProfile(role.account.access(), role.arn, wanted)


def _pass_role_policy(role_id: int, facts: Facts) -> DesiredDocument:
    role = facts.role(role_id)
    statements = pass_role_statements(role.arn) if facts.in_use(role_id) else ()
    place = (Step.PASS_ROLE_POLICY, role.account.access(), str(role.arn))
    return DesiredDocument(*place, PASS_ROLE_SIDS, statements, others=own_policies.others_in(role))


def _target_role(role_id: int, facts: Facts) -> DesiredRole:
    wanted = bool(facts.sources_in_use(role_id))
    role = facts.role(role_id)
    managed = role.ownership == RoleOwnership.MANAGED
    return DesiredRole(
        Step.TARGET_ROLE, role.account.access(), role.arn, wanted, managed, None, role.permissions_boundary
    )


def _trust(own: frozenset[int], target_id: int, facts: Facts) -> DesiredDocument:
    """Return the trust of a target. `own` are the source roles whose runs these are: they are taken to exist."""
    sources, target = facts.sources_in_use(target_id), facts.role(target_id)
    named = [
        one.arn for one in sources if one.pk in own or facts.is_seen(one.pk) or facts.is_trusted(one.pk, target_id)
    ]
    statements = trust_statements(named, attribution=target.attribution)
    return DesiredDocument(Step.TARGET_TRUST, target.account.access(), str(target.arn), TRUST_SIDS, statements)


def _cut_off(target_id: int, facts: Facts) -> DesiredDocument:
    target = facts.role(target_id)
    cuts = [Cut(row.cut_before, tuple(row.names)) for row in facts.cut_offs_at(target_id) if row.is_open]
    statements = cut_off_statements(cuts, attribution=target.attribution)
    return DesiredDocument(Step.TARGET_TRUST, target.account.access(), cut_off_of(target.arn), CUT_OFF_SIDS, statements)


def _bucket_policy(bucket_id: int, sources: frozenset[int], facts: Facts) -> DesiredDocument:
    bucket = facts.bucket(bucket_id)
    placed_here = [] if bucket.grants_in_identity_policy else facts.grants_on(bucket_id)
    statements = [
        statement
        for grant in placed_here
        if _is_named(grant.role_id, sources, facts)
        for statement in bucket_statements(
            facts.role(grant.role_id).arn,
            bucket.arn,
            AccessLevel(grant.access),
            grant.prefix,
            uploads=grant.multipart_cleanup,
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


def _is_named(holder: int, sources: frozenset[int], facts: Facts) -> bool:
    """Return whether a bucket's policy names this target role: it is used, and a run of `sources` or a step saw it."""
    used = {source.pk for source in facts.sources_in_use(holder)}
    return bool(used) and (not used.isdisjoint(sources) or facts.is_seen(holder))


def _access_items(source_id: int, facts: Facts) -> list[Item]:
    """Return what a run verifies: each bucket grant behind each open chain, while the source role is in use."""
    if not facts.in_use(source_id):
        return []
    source, targets = facts.role(source_id), facts.targets_of(source_id)
    grants = [grant for target in targets for grant in facts.grants_of(target.pk)]
    facts.meet_buckets(grant.bucket_id for grant in grants)
    grants.sort(key=lambda grant: (facts.bucket(grant.bucket_id).name, grant.prefix, grant.pk))
    return [_access_item(grant, source, facts) for grant in grants]


def _access_item(grant: BucketGrant, source: IamRole, facts: Facts) -> Item:
    target, bucket = facts.role(grant.role_id), facts.bucket(grant.bucket_id)
    return Item(
        Step.VERIFY,
        str(bucket.arn),
        target.account.access(),
        partial(_access, grant.pk, source.pk, target.pk),
        partial(Facts, (source.pk, target.pk)),
        (str(source.arn), str(target.arn), str(bucket.arn)),
    )


def _access(grant_id: int, source_id: int, target_id: int, facts: Facts) -> DesiredAccess | None:
    """Return what to verify of a bucket grant, or None when it, the chain to it or the last mapping has ended."""
    grant = next((one for one in facts.grants_of(target_id) if one.pk == grant_id), None)
    if grant is None or not facts.is_chained(source_id, target_id) or not facts.in_use(source_id):
        return None
    source, target, bucket = facts.role(source_id), facts.role(target_id), facts.bucket(grant.bucket_id)
    return DesiredAccess(
        access=target.account.access(),
        source_access=source.account.access(),
        source=source.arn,
        target=target.arn,
        bucket=bucket.arn,
        region=bucket.region,
        prefix=grant.prefix,
        reads=AccessLevel(grant.access).reads,
    )
