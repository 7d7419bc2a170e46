"""What AWS has, for comparing: an account's roles read all at once, a bucket's policy once, and nothing twice.

Accounts are read side by side, in threads of their own. There only AWS is asked, never the database. What is in one
account is read by one thread, so that its calls follow each other at the account's rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import TypeGuard, TypeVar

from roles.aws import s3
from roles.aws.inventory import AccountInventory, account_inventory
from roles.errors import PortalError
from roles.policies.document import PolicyDocument
from roles.policies.limits import MANAGED_POLICIES_MAX, measure_inline_policies
from roles.provisioning.absence import OWN_INLINE_POLICIES
from roles.provisioning.managed import numbers_in
from roles.provisioning.observed import Accounts, bucket_of
from roles.provisioning.plan import inline_policy_of, slot_of
from roles.provisioning.resources import (
    Desired,
    DesiredDocument,
    DesiredPolicies,
    DesiredProfile,
    Observed,
    ObservedPolicies,
    ObservedProfile,
    ObservedRole,
    Place,
    Seen,
    State,
    holder_of,
)
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.arns import RoleArn, role_arn

T = TypeVar("T")
READER = "drift-reader"  # what the threads' names begin with


class Snapshot:
    """What AWS has. What could not be read is remembered as that, and never becomes "there is nothing"."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self._inventories: dict[str, AccountInventory | PortalError] = {}
        self._policies: dict[str, PolicyDocument | PortalError | None] = {}

    def read(self, wishes: Iterable[Desired], *, readers: int) -> None:
        """Read all that the wishes are about, of up to `readers` accounts at once.

        What cannot be read is remembered, and raised by `observe`. Anything else that goes wrong is raised at the end.
        """
        of_account: dict[str, list[Desired]] = {}
        for wish in wishes:
            of_account.setdefault(wish.access.account_id, []).append(wish)
        with ThreadPoolExecutor(readers, thread_name_prefix=READER) as pool:
            tasks = [pool.submit(copy_context().run, self._read, of_one) for of_one in of_account.values()]
        for task in tasks:
            task.result()

    def _read(self, wishes: Sequence[Desired]) -> None:
        for wish in wishes:
            with suppress(PortalError):
                if _is_about_bucket(wish):
                    self._bucket_policy(wish)
                else:
                    self._inventory(wish.access)

    def observe(self, wish: Desired) -> Observed:
        """Return what AWS has in the place that `wish` is about. Raises a `PortalError` when it cannot be read."""
        found = self._state(wish)
        return Seen(found) if wish.access.mode is AccessMode.HANDOFF else found

    def _state(self, wish: Desired) -> State:
        place, resource = slot_of(wish)
        if _is_about_bucket(wish):
            return self._bucket_policy(wish)
        inventory = self._inventory(wish.access)
        if isinstance(wish, DesiredProfile):
            roles = inventory.profile(wish.role)
            return None if roles is None else ObservedProfile(roles)
        if isinstance(wish, DesiredPolicies):
            return _policies_of(inventory, wish)
        if place is Place.INLINE_POLICY:
            return _inline_policy(inventory, *inline_policy_of(resource))
        return _role(inventory, role_arn(resource))

    def others_in(self, wish: DesiredDocument) -> int:
        """Return how many characters others have in inline policies of the role. Asks nothing that was not read."""
        role = self._inventory(wish.access).role(role_arn(holder_of(wish.resource)))
        names = [name for name in (role.inline_policies if role else ()) if name not in OWN_INLINE_POLICIES]
        documents = [role.inline_policy(name) for name in names] if role else []
        return measure_inline_policies(*(one for one in documents if one is not None))

    def _inventory(self, access: AccountAccess) -> AccountInventory:
        return once(self._inventories, access.account_id, lambda: account_inventory(self._accounts.session(access)))

    def _bucket_policy(self, wish: DesiredDocument) -> PolicyDocument | None:
        def read() -> PolicyDocument | None:
            return s3.get_bucket_policy(self._accounts.session(wish.access), bucket_of(wish), region=wish.region)

        return once(self._policies, wish.resource, read)


def _is_about_bucket(wish: Desired) -> TypeGuard[DesiredDocument]:
    return isinstance(wish, DesiredDocument) and slot_of(wish)[0] is Place.BUCKET_POLICY


def _inline_policy(inventory: AccountInventory, role: RoleArn, name: str) -> PolicyDocument | None:
    found = inventory.role(role)
    return None if found is None else found.inline_policy(name)


def _role(inventory: AccountInventory, role: RoleArn) -> ObservedRole | None:
    found = inventory.role(role)
    return None if found is None else ObservedRole(found.trust, found.tags, found.arn, found.boundary)


def _policies_of(inventory: AccountInventory, wish: DesiredPolicies) -> ObservedPolicies:
    """Return what stands in our places. The details of an account have no tags of policies: our path must do."""
    role = inventory.role(wish.role)
    attached = numbers_in(wish.role, role.attached if role else ())
    found = {}
    for number in range(1, max(len(wish.documents), wish.known, MANAGED_POLICIES_MAX, *attached) + 1):
        document = inventory.managed_policy(wish.role.managed_policy(number))
        if document is not None:
            found[number] = document
    return ObservedPolicies(found, attached, others=(len(role.attached) if role else 0) - len(attached))


def once(known: dict[str, T | PortalError], key: str, read: Callable[[], T]) -> T:
    """Return what `read` gives, read once for each key; raise again what it raised."""
    if key not in known:
        try:
            known[key] = read()
        except PortalError as error:
            known[key] = error
    found = known[key]
    if isinstance(found, PortalError):
        raise found
    return found
