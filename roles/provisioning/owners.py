"""What a run leaves to the owners of accounts that the portal may not write to, and when that counts as done.

Where the owner lets the portal read, reading says what is done, also that something is gone. Otherwise the portal
cannot look into such an account. Using an access proves that what it takes is there; it does not prove that something
is gone. So an access proves a document that only grew; a document that lost something counts as applied once an admin,
having asked the owner, retries the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from roles.models import ProvisioningRun
from roles.policies.document import parse
from roles.policies.equivalence import fingerprint
from roles.policies.ownership import ROLE_SIDS, own_statements
from roles.provisioning import recording
from roles.provisioning.plan import change_for
from roles.provisioning.recording import OWNER_PROVES, OWNER_SEEN, OWNER_TELLS, StepRecord
from roles.provisioning.resources import (
    Change,
    Desired,
    DesiredAsBefore,
    DesiredDocument,
    DesiredPolicies,
    DesiredProfile,
    Observed,
    Seen,
    Step,
)

RETRIED = "run.retried"  # the trigger of a run that an admin asked for after one that needed the owner

_Parts = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Owed:
    """A step that waits for the account's owner. `is_provable`: using an access through `anchor` is enough."""

    step: StepRecord
    anchor: str
    is_provable: bool


class OwnersPart:
    """The steps of one attempt that an owner has to do. `used` are the ARNs that the run's accesses go through."""

    def __init__(self, run: ProvisioningRun) -> None:
        self.used: set[str] = set()
        self._run = run
        self._owed: list[_Owed] = []
        self._proved: set[str] = set()

    @property
    def is_pending(self) -> bool:
        """Whether an owner has something to do that is not known to be done."""
        return bool(self._owed)

    def concerns(self, arns: Iterable[str]) -> bool:
        """Return whether an owner has something to do about any of these."""
        return not {owed.anchor for owed in self._owed}.isdisjoint(arns)

    def hand_out(self, step: StepRecord, wish: Desired, current: Observed) -> None:
        """Record the document for the owner, or that there is nothing to do. `current` is what was read there."""
        change, after = change_for(wish, current)
        step.planned(change)
        if isinstance(after, Seen):
            self._compared(step, wish, change)
            return
        wanted = _parts(wish, change.after)
        before, is_settled = self._history(step, wish, wanted)
        anchor = _anchor(step, wish)
        is_used = bool(wanted) and anchor in self.used
        if is_settled and not is_used:
            step.done()
            return
        is_provable = is_used and (is_settled or before <= wanted)
        step.needs_owner(hint=OWNER_PROVES if is_provable else OWNER_TELLS)
        self._owed.append(_Owed(step, anchor, is_provable))

    def _compared(self, step: StepRecord, wish: Desired, change: Change) -> None:
        """Record what reading says: it is as it must be, or the owner has yet to do it. Using it proves no other."""
        if not change.writes:
            step.done()
            return
        step.needs_owner(hint=OWNER_SEEN)
        self._owed.append(_Owed(step, _anchor(step, wish), is_provable=False))

    def proved(self, arns: Iterable[str]) -> None:
        """Note that an access which goes through these was used."""
        self._proved.update(arns)

    def settle(self) -> bool:
        """Mark what was proved as done, and return whether nothing is left for an owner."""
        left = []
        for owed in self._owed:
            if owed.is_provable and owed.anchor in self._proved:
                owed.step.done()
            else:
                left.append(owed)
        self._owed = left
        return not left

    def _history(self, step: StepRecord, wish: Desired, wanted: _Parts) -> tuple[_Parts, bool]:
        """Return what the owner may have applied, and whether that is known to be what is wanted now, or confirmed."""
        if not wanted and (isinstance(wish, DesiredProfile) or wish.step is Step.TARGET_ROLE):
            return wanted, True  # a role or profile that nobody needs any more stays, as everywhere
        told, applied = (
            None if row is None else _parts(wish, row.after) for row in recording.handed_out(self._run, step.row)
        )
        if told is None:
            return frozenset(), not wanted
        # What was asked for since may have been applied too, and nobody said so.
        is_last_word = told == wanted and (applied == wanted or self._run.trigger == RETRIED)
        return (applied or frozenset()) | told, is_last_word


def _anchor(step: StepRecord, wish: Desired) -> str:
    """Return the ARN whose use proves the step. A profile comes with its role: nobody can prove it from outside."""
    if isinstance(wish, DesiredPolicies):
        return str(wish.role)
    return step.row.resource.replace(":instance-profile/", ":role/")


def _parts(wish: Desired, document: dict[str, Any] | None) -> _Parts:
    """Return what of ours is in a document that an owner has to apply, in a form that compares by meaning."""
    if document is None:
        return frozenset()
    if isinstance(wish, DesiredProfile) or wish.step is Step.TARGET_ROLE:
        return frozenset({wish.resource})
    if isinstance(wish, DesiredPolicies):
        statements = (statement for policy in document.values() for statement in parse(policy).statements)
        return frozenset(map(fingerprint, statements))
    owned = wish.owned if isinstance(wish, DesiredDocument | DesiredAsBefore) else ROLE_SIDS
    return frozenset(map(fingerprint, own_statements(parse(document), owned=owned)))
