"""Whose credentials a cut-off hits, where, and until when: for a person, a mapping, or a target role as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from roles.errors import Conflict, InputError
from roles.models import AssumeRoleGrant, CutOff, GroupRole, IamRole, IssuedToken, User, UserGroup
from roles.models.choices import RoleOwnership
from roles.policies.cut_off import Cut, check_cut_off, cut_off_statements
from roles.tokens import events
from roles.values.session_names import session_name

# How long sessions may last that the portal knows nothing of (IAM User Guide, "Update the maximum session duration"):
# of a role that the portal made, IAM's default; of any other, the most that its owner can have set.
LONGEST_OF_MANAGED = timedelta(hours=1)
LONGEST_OF_ADOPTED = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Whose:
    """What is to be cut off: what a person has (through one group if given), a mapping gave, or a target role gave."""

    user: User | None = None
    group: UserGroup | None = None
    mapping: GroupRole | None = None
    role: IamRole | None = None

    def __post_init__(self) -> None:
        given = [one for one in (self.user, self.mapping, self.role) if one is not None]
        if len(given) != 1 or (self.group is not None and self.user is None):
            raise InputError("Say whose credentials are to be cut off.", allowed="a person, a mapping or a role")

    @property
    def subject(self) -> User | GroupRole | IamRole:
        """The row that it is about."""
        found = self.user or self.mapping or self.role
        if found is None:
            raise ValueError("Nothing is to be cut off.")
        return found

    @property
    def tokens(self) -> Q:
        """Which tokens on record are asked for."""
        if self.user is not None:
            return Q(user=self.user, mapping__group=self.group) if self.group else Q(user=self.user)
        return Q(mapping=self.mapping) if self.mapping else Q()


@dataclass(slots=True)
class Cutting:
    """What is cut off at one target role. Without `names` it is everybody who uses the role."""

    target: IamRole
    source: IamRole
    names: tuple[str, ...] = ()
    people: list[User] = field(default_factory=list)
    tokens: list[IssuedToken] = field(default_factory=list)
    lifts_at: datetime = field(default_factory=timezone.now)

    def row(self, whose: Whose, moment: datetime, **given: Any) -> CutOff:
        """Return the row of this, not saved."""
        # AWS knows the second in which a session began. Whatever began in this one is cut off with the rest.
        before = moment.replace(microsecond=0) + timedelta(seconds=1)
        return CutOff(
            target=self.target,
            source=self.source,
            user=whose.user,
            mapping=whose.mapping,
            names=list(self.names),
            cut_before=before,
            lifts_at=max(self.lifts_at, before),
            started_at=moment,
            **given,
        )

    @property
    def cached(self) -> Q:
        """Which tokens the portal must not hand out again: all that AWS refuses from now on."""
        here = Q(target=self.target) | Q(target=None, mapping__role__in=_sources_of(self.target).values("source"))
        return here & Q(user__in=self.people) if self.names else here


def cuttings(whose: Whose) -> list[Cutting]:
    """Return what there is to cut off, by target role. Raises `Conflict` when there is nothing."""
    found = [_of_role(whose.role)] if whose.role is not None else _of_people(whose)
    if not found:
        raise Conflict(
            f"The portal knows of no credentials of {whose.subject} that still work.",
            hint="There is nothing to cut off. To cut off what did not come from the portal, cut off the target role.",
        )
    return found


def check_room(found: Iterable[Cutting], moment: datetime) -> None:
    """Raise `PolicyTooLarge` if a target role's policy would have no room for it, beside what is cut off already."""
    for one in found:
        rows = CutOff.objects.open().filter(target=one.target)
        cuts = [*(Cut(row.cut_before, tuple(row.names)) for row in rows), Cut(moment, one.names)]
        statements = cut_off_statements(cuts, attribution=one.target.attribution)
        check_cut_off(statements, owner=str(one.target.arn))


def digest_of(found: Sequence[Cutting]) -> str:
    """Return 64 hex digits that are equal when the same people are cut off at the same roles."""
    what = sorted([str(one.target.arn), *one.names] for one in found)
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _of_people(whose: Whose) -> list[Cutting]:
    """Return where the people concerned have credentials. What was given them through others goes with it."""
    found: dict[tuple[int, int], Cutting] = {}
    for token in IssuedToken.objects.live().filter(whose.tokens).select_related(*events.RELATED).order_by("pk"):
        for target in [token.target] if token.target is not None else _targets_of(token.mapping.role):
            one = found.setdefault((target.pk, token.mapping.role_id), Cutting(target, token.mapping.role))
            name = token.session_name or session_name(token.user.get_username(), token.user_id)
            one.names = tuple(sorted({*one.names, name}))
            one.people += [] if token.user in one.people else [token.user]
            one.tokens.append(token)
            one.lifts_at = max(one.lifts_at, token.expires_at)
    return _one_a_target(found.values())


def _one_a_target(found: Iterable[Cutting]) -> list[Cutting]:
    """Return the same with one cutting a target role: several source roles may have led there."""
    merged: dict[int, Cutting] = {}
    for one in found:
        first = merged.setdefault(one.target.pk, one)
        if first is not one:
            first.names = tuple(sorted({*first.names, *one.names}))
            first.people += [person for person in one.people if person not in first.people]
            first.tokens += one.tokens
            first.lifts_at = max(first.lifts_at, one.lifts_at)
    return list(merged.values())


def _of_role(target: IamRole) -> Cutting:
    chains = _sources_of(target).select_related("source__account").order_by("ended_at", "-pk")
    mapped = GroupRole.objects.in_force().values("role")
    open_chains = chains.filter(ended_at=None)
    chain = open_chains.filter(source__in=mapped).first() or open_chains.first() or chains.first()
    if chain is None:
        raise Conflict(f"No source role may assume {target}, or ever might.", hint="Cut off a target role.")
    one = Cutting(target, chain.source)
    one.tokens = list(IssuedToken.objects.live().filter(one.cached).select_related(*events.RELATED))
    one.people = sorted({token.user for token in one.tokens}, key=lambda person: person.get_username())
    is_managed = target.ownership == RoleOwnership.MANAGED
    longest = timezone.now() + (LONGEST_OF_MANAGED if is_managed else LONGEST_OF_ADOPTED)
    one.lifts_at = max([longest, *(token.expires_at for token in one.tokens)])
    return one


def _sources_of(target: IamRole) -> Any:
    return AssumeRoleGrant.objects.filter(target=target)


def _targets_of(source: IamRole) -> list[IamRole]:
    """Return the targets that a token of before targets were kept with it may be of."""
    grants = AssumeRoleGrant.objects.filter(source=source).values("target")
    return list(IamRole.objects.filter(pk__in=grants).select_related("account"))
