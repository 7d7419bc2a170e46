"""What the owner of an account is asked to put back, where the portal may not write.

Where it may not read either, nobody knows what was there before a run. But of each step the portal knows which
statements of its own it last counted as applied, by use or by somebody's word; those go back, step by step, as one
document. Others' are the owner's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from roles.models import ProvisioningStep
from roles.models.choices import StepAction, StepStatus
from roles.policies.document import Statement, parse
from roles.policies.equivalence import fingerprint
from roles.policies.ownership import (
    ASSUME_SIDS,
    BUCKET_SIDS,
    GRANT_SIDS,
    PASS_ROLE_SIDS,
    ROLE_SIDS,
    TRUST_SIDS,
    own_statements,
)
from roles.provisioning.plan import is_role
from roles.provisioning.resources import Step

_OWNED = {
    Step.SOURCE_ROLE: ROLE_SIDS,
    Step.ASSUME_POLICY: ASSUME_SIDS,
    Step.PASS_ROLE_POLICY: PASS_ROLE_SIDS,
    Step.TARGET_TRUST: TRUST_SIDS,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One step's part of a document: our statements whose Sid begins with `owned`, before a run and after it."""

    step: Step
    owned: str
    before: tuple[Statement, ...]
    after: tuple[Statement, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the run asked for something else than was there, as far as the portal knows."""
        return {fingerprint(one) for one in self.before} != {fingerprint(one) for one in self.after}


def was_handed_out(step: ProvisioningStep) -> bool:
    """Return whether a step asked an account's owner for a document, or to take one away; asks the database nothing."""
    asked = step.action == StepAction.NONE and step.status == StepStatus.NEEDS_OWNER
    return step.before is None and (step.action == StepAction.UPDATE or asked)


def parts_of(step: ProvisioningStep, steps: tuple[Step, ...]) -> tuple[Part, ...]:
    """Return the parts of the document that `steps`, the procedure's, share. Those that its run left alone stay."""
    return tuple(_parts(step, steps))


def _parts(step: ProvisioningStep, steps: tuple[Step, ...]) -> Iterator[Part]:
    for one in steps:
        owned = _OWNED.get(one) or (GRANT_SIDS if is_role(step.resource) else BUCKET_SIDS)
        about = ProvisioningStep.objects.filter(step=int(one.value), resource=step.resource)
        in_run = about.filter(run=step.run_id).order_by("pk")
        first, last = in_run.first(), in_run.last()
        if first is not None and last is not None:
            yield Part(one, owned, _before(first, owned), _after(last, owned))
        elif (newest := about.filter(status=StepStatus.DONE).order_by("-pk").first()) is not None:
            yield Part(one, owned, _after(newest, owned), _after(newest, owned))


def _before(first: ProvisioningStep, owned: str) -> tuple[Statement, ...]:
    """Return what was there before a run's first step of a part: as it was read or, if it was not, was applied."""
    if first.before is not None:
        return tuple(own_statements(parse(first.before), owned=owned))
    if first.action == StepAction.CREATE:
        return ()
    earlier = ProvisioningStep.objects.filter(step=first.step, resource=first.resource, pk__lt=first.pk)
    applied = earlier.filter(status=StepStatus.DONE).exclude(run=first.run_id).order_by("-pk").first()
    return () if applied is None else _after(applied, owned)


def _after(step: ProvisioningStep, owned: str) -> tuple[Statement, ...]:
    return () if step.after is None else tuple(own_statements(parse(step.after), owned=owned))
