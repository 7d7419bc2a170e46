"""What an account's owner has to do, one item for each thing that AWS stores as a whole. Pure.

Several steps of a plan may change the same document; here they are one item, so that it is read and written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from roles.errors import PolicyTooLarge
from roles.policies.document import PolicyDocument, Statement, parse
from roles.policies.limits import (
    INLINE_POLICIES_MAX_CHARACTERS,
    check_bucket_policy,
    check_inline_policies,
    check_trust_policy,
    inline_room,
)
from roles.policies.ownership import ROLE_SIDS, merged, merged_trust
from roles.provisioning.managed import highest_in
from roles.provisioning.plan import Slot, inline_policy_of, is_role, slot_of
from roles.provisioning.resources import (
    INLINE_POLICY_NAME,
    STEP_TITLES,
    Change,
    Desired,
    DesiredAccess,
    DesiredAsBefore,
    DesiredDocument,
    DesiredPolicies,
    DesiredProfile,
    DesiredRole,
    Place,
    Step,
    is_cut_off,
)
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.arns import MANAGED_TAGS, BucketArn, RoleArn, role_arn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """Our statements in a document that others may write to as well.

    Every statement whose Sid begins with one of `owned` is ours; all others stay. `known` says whether `current` is
    what AWS has (None: nothing); else nobody has read it.
    """

    owned: tuple[str, ...]
    statements: tuple[Statement, ...]
    known: bool = False
    current: PolicyDocument | None = None

    def merged(self) -> PolicyDocument:
        """Return the document with our statements as they must be and, if it is known, those of others."""
        document = self.current or PolicyDocument()
        for prefix in self.owned:
            document = merged(document, self._under(prefix), owned=prefix)
        return document

    def merged_trust(self) -> PolicyDocument:
        """Return what `merged` does for a trust policy, which is never empty."""
        document = self.current
        for prefix in self.owned or (ROLE_SIDS,):
            document = merged_trust(document, self._under(prefix), owned=prefix)
        return document or PolicyDocument()

    def _under(self, prefix: str) -> list[Statement]:
        return [statement for statement in self.statements if statement.sid.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class RoleItem:
    """A role and its trust policy.

    `create`: make it when it is missing; `required`: it must be there; neither: only take out of it. `exists` is None
    where nobody has looked. `tags` mark a role that the portal made; a role without them is not taken over unasked.
    `trust` is None when the trust policy stays as it is. `boundary`: the ARN of the policy that limits it once made.
    """

    heading: str
    role: RoleArn
    create: bool
    required: bool
    exists: bool | None
    trust: Share | None
    tags: Mapping[str, str] = field(default_factory=dict)
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class ProfileItem:
    """The instance profile of the role's name, with the role in it."""

    heading: str
    role: RoleArn
    exists: bool | None


@dataclass(frozen=True, slots=True)
class InlineItem:
    """An inline policy of a role."""

    heading: str
    role: RoleArn
    policy_name: str
    share: Share


@dataclass(frozen=True, slots=True)
class BucketItem:
    """A bucket's policy. `region` is the bucket's."""

    heading: str
    bucket: BucketArn
    region: str
    share: Share


@dataclass(frozen=True, slots=True)
class ManagedItem:
    """The customer managed policies of ours on a role: the n-th of `documents` is `role.managed_policy(n)`, attached.

    Those that come after, up to number `known`, have to be detached and deleted where they are there.
    """

    heading: str
    role: RoleArn
    documents: tuple[PolicyDocument, ...]
    known: int
    tags: Mapping[str, str] = field(default_factory=lambda: MANAGED_TAGS)

    @property
    def wished(self) -> tuple[tuple[str, PolicyDocument], ...]:
        """The ARN and the document of each policy that has to be there."""
        return tuple((self.role.managed_policy(number), one) for number, one in enumerate(self.documents, start=1))

    @property
    def left(self) -> tuple[str, ...]:
        """The ARNs of the policies that have to go."""
        return tuple(self.role.managed_policy(number) for number in range(len(self.documents) + 1, self.known + 1))


Item = RoleItem | ProfileItem | InlineItem | BucketItem | ManagedItem


@dataclass(frozen=True, slots=True)
class Work:
    """All that the owner of `account` has to do, in order, and in words what must not or cannot be done."""

    account: AccountAccess
    items: tuple[Item, ...]
    refused: tuple[str, ...] = ()


def work_for(changes: Iterable[Change], account: AccountAccess) -> Work:
    """Return what `changes` mean for `account`; changes of other accounts, and verifying, are left out."""
    slots: dict[Slot, list[Change]] = {}
    for change in changes:
        if change.desired.access.account_id == account.account_id and not isinstance(change.desired, DesiredAccess):
            slots.setdefault(slot_of(change.desired), []).append(change)
    items: list[Item] = []
    refused: list[str] = []
    for (place, _), about in slots.items():
        blocked = [f"{change.title}: {change.blocked} {change.hint}".strip() for change in about if change.blocked]
        refused.extend(blocked)
        item = None if blocked or not _is_open(about) else _item(place, about)
        too_large = "" if item is None else too_large_of(item, account)
        if too_large:
            refused.append(too_large)
        elif item is not None:
            items.append(item)
    # A role has to be there before policies are attached to it, and what they give is in its new place by then.
    items.sort(key=lambda item: isinstance(item, ManagedItem))
    return Work(account, tuple(items), tuple(refused))


def too_large_of(item: Item, account: AccountAccess) -> str:
    """Return why AWS would refuse the item's document in `account` for its size, or an empty text."""
    try:
        if isinstance(item, RoleItem) and item.trust is not None:
            check_trust_policy(item.trust.merged_trust(), owner=str(item.role), limit=account.trust_characters)
        elif isinstance(item, InlineItem):
            limit = inline_room() if item.policy_name == INLINE_POLICY_NAME else INLINE_POLICIES_MAX_CHARACTERS
            check_inline_policies(item.share.merged(), owner=str(item.role), limit=limit)
        elif isinstance(item, BucketItem):
            check_bucket_policy(item.share.merged(), owner=str(item.bucket))
    except PolicyTooLarge as error:
        return str(error)
    return ""


def _is_known(change: Change) -> bool:
    return change.before is not None or change.desired.access.mode is not AccessMode.HANDOFF


def _is_open(about: Sequence[Change]) -> bool:
    """Return whether there is something to do: a write, or, where nobody can read, whatever is wished or taken out."""
    if _is_known(about[0]):
        return any(change.writes for change in about)
    return any(_asks_for_something(change.desired) for change in about)


def _asks_for_something(wish: Desired) -> bool:
    if isinstance(wish, DesiredRole):
        return wish.wanted or wish.trust is not None
    if isinstance(wish, DesiredPolicies):
        return bool(wish.documents) or wish.known > 0
    return isinstance(wish, DesiredDocument | DesiredAsBefore) or (isinstance(wish, DesiredProfile) and wish.wanted)


def _item(place: Place, about: Sequence[Change]) -> Item | None:
    if place is Place.ROLE:
        return _role_item(about)
    first, heading = about[0].desired, _heading(about)
    if isinstance(first, DesiredProfile):
        return ProfileItem(heading, first.role, _exists(about[0])) if first.wanted else None
    if isinstance(first, DesiredPolicies):
        known = max(first.known, highest_in(about[0].before))
        return ManagedItem(heading, first.role, first.documents, known)
    if place is Place.INLINE_POLICY:
        return InlineItem(heading, *inline_policy_of(first.resource), _share(about))
    if isinstance(first, DesiredDocument | DesiredAsBefore):
        bucket = BucketArn(first.access.partition, first.resource.rpartition(":::")[2])
        return BucketItem(heading, bucket, first.region, _share(about))
    return None


def _role_item(about: Sequence[Change]) -> RoleItem:
    wish = next((change.desired for change in about if isinstance(change.desired, DesiredRole)), None)
    share, managed = _share(about), wish is not None and wish.managed
    wanted = wish.wanted if wish is not None else bool(share.statements)
    exists = _exists(about[0])
    return RoleItem(
        _heading(about),
        role_arn(about[0].resource),
        create=wanted and managed,
        required=wanted and not managed,
        exists=True if wanted and not managed else exists,
        trust=share if share.owned else None,
        tags=MANAGED_TAGS if managed and wanted else {},
        boundary=wish.boundary if wish is not None and managed and wanted else "",
    )


def _exists(change: Change) -> bool | None:
    return change.before is not None if _is_known(change) else None


def _heading(about: Sequence[Change]) -> str:
    if is_cut_off(about[0].resource) or isinstance(about[0].desired, DesiredAsBefore):
        return about[0].title
    return "; ".join(dict.fromkeys(f"Step {change.step}: {_title(change)}" for change in about))


def _title(change: Change) -> str:
    if isinstance(change.desired, DesiredPolicies):
        return change.title
    if change.step is Step.BUCKET_POLICY and is_role(change.resource):
        return "Give access to buckets in the role's own policy"
    return STEP_TITLES[change.step]


def _share(about: Sequence[Change]) -> Share:
    """Return our part of one document, put together from all the wishes about it."""
    parts = [_part(change.desired) for change in about]
    known, before = _is_known(about[0]), about[0].before
    return Share(
        owned=tuple(dict.fromkeys(owned for owned, _ in parts if owned)),
        statements=tuple(statement for _, statements in parts for statement in statements),
        known=known,
        current=parse(before) if known and before is not None else None,
    )


def _part(wish: Desired) -> tuple[str, tuple[Statement, ...]]:
    """Return one wish's Sid prefix and statements; an empty prefix where the wish is about no document."""
    if isinstance(wish, DesiredDocument):
        return wish.owned, wish.statements
    if isinstance(wish, DesiredAsBefore):
        return wish.owned, wish.kept.statements if wish.kept else ()
    if isinstance(wish, DesiredRole) and wish.trust is not None:
        return ROLE_SIDS, wish.trust
    return "", ()
