"""What a role's own policies say beyond the procedure's step 3, and how that is spread over the policies IAM allows.

A role has one inline policy of ours. What does not fit there goes on in customer managed policies of ours. The order is
that in which grants were made, so a new grant comes last and moves nothing, and one that ends lets the later ones move
up: written in this order, each is in its new place before it leaves the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from roles.policies import limits, sids
from roles.policies.builders import (
    GET_BUCKET_LOCATION,
    LIST_BUCKET,
    LIST_UPLOADS,
    OBJECT_ACTIONS,
    UPLOAD_ACTIONS,
    assume_statements,
    listing_condition,
)
from roles.policies.document import PolicyDocument, Statement
from roles.policies.session import KEY_ACTIONS, Grant
from roles.values.arns import AccessLevel, BucketArn, RoleArn

Target = tuple[RoleArn, bool]  # a role to assume, and whether sessions there carry who they are for


@dataclass(frozen=True, slots=True)
class OwnGrant:
    """A bucket grant as far as the role's own policy has to do with it.

    `placed`: the policy gives the access, not the bucket's. What the bucket's key needs is in it either way.
    """

    grant: Grant
    placed: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What the role's own policies say: step 2's and the grants' statements inline, and the documents that spill."""

    assume: tuple[Statement, ...] = ()
    grants: tuple[Statement, ...] = ()
    spilled: tuple[PolicyDocument, ...] = ()


def grant_statements(grants: Iterable[OwnGrant]) -> tuple[Statement, ...]:
    """Return what a role's own policy has to allow for these grants, pooled into as few statements as possible."""
    wanted = list(grants)
    placed = [own.grant for own in wanted if own.placed]
    return (*_bucket_level(placed), *_object_level(placed), *_key_level(own.grant for own in wanted))


def identity_of(
    *,
    fixed: Sequence[Statement] = (),
    targets: Iterable[Target] = (),
    grants: Iterable[OwnGrant] = (),
    others: int = 0,
) -> Identity:
    """Spread `targets` and `grants`, in this order, over the inline policy, where `fixed` is too, and managed ones.

    `others` is how many characters others have in inline policies of the role.
    """
    room = limits.inline_room(others=others)
    units: list[Target | OwnGrant] = [*targets, *grants]
    inline, rest = _split(units, lambda part: _fits([*fixed, *_said(part)], room))
    spilled = []
    while rest:
        part, left = _split(rest, lambda part: _fits(_said(part), limits.MANAGED_POLICY_MAX_CHARACTERS))
        # One that fits nowhere stands alone, so that the plan can say how large it is.
        part, rest = (part, left) if part else (rest[:1], rest[1:])
        spilled.append(PolicyDocument(tuple(_said(part))))
    return Identity(assume_statements(_targets(inline)), grant_statements(_grants(inline)), tuple(spilled))


Units = list[Target | OwnGrant]


def _split(units: Units, fits: Callable[[Units], bool]) -> tuple[Units, Units]:
    """Return as many of the first units as fit, and the rest."""
    if fits(units):
        return units, []
    low, high = 0, len(units)  # so many fit; so many do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(units[:middle]) else (low, middle)
    return units[:low], units[low:]


def _fits(statements: Iterable[Statement], limit: int) -> bool:
    return limits.measure_inline_policies(PolicyDocument(tuple(statements))) <= limit


def _said(units: Units) -> tuple[Statement, ...]:
    return (*assume_statements(_targets(units)), *grant_statements(_grants(units)))


def _targets(units: Units) -> list[Target]:
    return [unit for unit in units if not isinstance(unit, OwnGrant)]


def _grants(units: Units) -> list[OwnGrant]:
    return [unit for unit in units if isinstance(unit, OwnGrant)]


def _bucket_level(grants: Sequence[Grant]) -> list[Statement]:
    """Return what is about buckets themselves. A grant on a whole bucket lists all of it."""
    reading = [grant for grant in grants if grant.level.reads]
    whole = {grant.bucket for grant in reading if not grant.prefix}
    folders: dict[BucketArn, set[str]] = {}
    for grant in reading:
        if grant.bucket not in whole:
            folders.setdefault(grant.bucket, set()).add(grant.prefix)
    found = _allow(sids.GRANT_LOCATION, GET_BUCKET_LOCATION, (str(grant.bucket) for grant in grants))
    found += _allow(sids.GRANT_LIST, LIST_BUCKET, map(str, whole))
    for bucket in sorted(folders):
        condition = listing_condition(sorted(folders[bucket]))
        found += _allow(sids.listing_sid(bucket), LIST_BUCKET, [str(bucket)], Condition=condition)
    found += _allow(sids.GRANT_UPLOADS_LIST, LIST_UPLOADS, (str(grant.bucket) for grant in grants if grant.uploads))
    return found


def _object_level(grants: Sequence[Grant]) -> list[Statement]:
    found: list[Statement] = []
    for level, actions in OBJECT_ACTIONS.items():
        places = (grant.bucket.objects(grant.prefix) for grant in grants if grant.level is level)
        found += _allow(f"{sids.GRANT_OBJECTS}{_WORDS[level]}", [*actions], places)
    cleaned = (grant.bucket.objects(grant.prefix) for grant in grants if grant.uploads)
    return [*found, *_allow(sids.GRANT_UPLOADS, [*UPLOAD_ACTIONS], cleaned)]


def _key_level(grants: Iterable[Grant]) -> list[Statement]:
    """Return what is about the buckets' keys. What writing needs of a key is more than what reading does."""
    keyed = [grant for grant in grants if grant.kms_key]
    writing = {grant.kms_key for grant in keyed if grant.level.writes}
    reading = {grant.kms_key for grant in keyed} - writing
    return [
        *_allow(f"{sids.GRANT_KEYS}Read", [*KEY_ACTIONS[AccessLevel.READ]], reading),
        *_allow(f"{sids.GRANT_KEYS}Write", [*KEY_ACTIONS[AccessLevel.WRITE]], writing),
    ]


_WORDS = {AccessLevel.READ: "Read", AccessLevel.WRITE: "Write", AccessLevel.READWRITE: "ReadWrite"}


def _allow(sid: str, action: str | list[str], resources: Iterable[str], **more: Any) -> list[Statement]:
    places = sorted(set(resources))
    return [Statement({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": places, **more})] if places else []
