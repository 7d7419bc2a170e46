"""The documents that runs replaced, and putting one back: what is kept of it, and the one resource of such a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from django.db.models import QuerySet

from roles.errors import Conflict, NotFound, StalePlan
from roles.models import AssumeRoleGrant, AwsAccount, Bucket, BucketGrant, IamRole, ProvisioningRun, ProvisioningStep
from roles.models.choices import RunPurpose, StepAction
from roles.policies.document import PolicyDocument, parse
from roles.policies.equivalence import same_document
from roles.policies.ownership import SID_PREFIX
from roles.provisioning import desired, handed_back, own_policies
from roles.provisioning.as_before import UNDONE
from roles.provisioning.desired import Item, Principals
from roles.provisioning.facts import Facts
from roles.provisioning.managed import attached_in, is_between
from roles.provisioning.plan import is_role, slot_of
from roles.provisioning.resources import (
    Change,
    Desired,
    DesiredAsBefore,
    DesiredDocument,
    DesiredPolicies,
    DesiredRole,
    Place,
    Plan,
    Step,
    is_cut_off,
)
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.arns import MANAGED_POLICY_PREFIX, role_arn

_WRITES = (StepAction.CREATE, StepAction.UPDATE, StepAction.DELETE)
_ROLE_STEPS = (Step.SOURCE_ROLE, Step.TARGET_ROLE, Step.TARGET_TRUST)
# Step 6 is a bucket's policy or, where the resource is a role, what its own policy gives of buckets.
_PART_STEPS = {
    Place.ROLE: (Step.SOURCE_ROLE, Step.TARGET_TRUST),
    Place.INLINE_POLICY: (Step.ASSUME_POLICY, Step.PASS_ROLE_POLICY, Step.BUCKET_POLICY),
    Place.BUCKET_POLICY: (Step.BUCKET_POLICY,),
}
_POLICY_STEPS = (Step.ASSUME_POLICY, Step.PASS_ROLE_POLICY, Step.BUCKET_POLICY)


def step_named(run_id: int, number: int, resource: str) -> ProvisioningStep:
    """Return the step of a run with this number that is about `resource`, an ARN; of several the last that wrote.

    Raises `NotFound`.
    """
    about = ProvisioningStep.objects.filter(run=run_id, step=number, resource=resource).order_by("-pk")
    found = about.filter(action__in=_WRITES).first() or about.first()
    if found is None:
        raise NotFound(f"Run {run_id} has no step {number} about {resource}.", hint="Look at the steps of the run.")
    return found


def check_put_back(step: ProvisioningStep, *, exactly: bool = False) -> None:
    """Raise `Conflict` unless the document that the step's run replaced can be put back, and say why not."""
    if why := _why_never(step) or _why_not_now(step) or (_why_not_exactly(step) if exactly else ""):
        raise Conflict(f"This cannot be put back. {why}", hint="The history keeps the document, to be looked at.")


def is_offered(step: ProvisioningStep, run: ProvisioningRun) -> bool:
    """Return whether to offer it for a step of `run`, as far as the rows themselves show: asks the database nothing."""
    is_asked = handed_back.was_handed_out(step) and Step(str(step.step)) in _PART_STEPS[Place.ROLE]
    is_new_role = _place_of(step) is Place.ROLE and step.before is None and not is_asked
    return not (run.purpose == RunPurpose.DELETE_ROLE or is_new_role or _why_never(step))


def is_shared(step: ProvisioningStep) -> bool:
    """Return whether others may have statements in the document too: in managed policies of ours they have none."""
    return _place_of(step) is not Place.MANAGED_POLICIES


def is_by_owner(step: ProvisioningStep) -> bool:
    """Return whether the document is in an account that the portal may not write to now: its owner puts it back."""
    account = AwsAccount.objects.filter(account_id=step.account_id).first()
    return account is not None and account.access().mode is AccessMode.HANDOFF


def what_goes_back(step: ProvisioningStep) -> dict[str, Any] | None:
    """Return the document as it was before the step's run, as far as it goes back; None: nothing."""
    if not is_by_owner(step):
        return before(step)
    statements = [one for part in _parts(step) for one in part.before]
    return PolicyDocument(tuple(statements)).as_dict() if statements else None


def before(step: ProvisioningStep) -> dict[str, Any] | None:
    """Return the document in the step's place as AWS had it before the step's run first wrote it; None: nothing.

    Of managed policies all of the role's, by name.
    """
    steps = _ROLE_STEPS if _place_of(step) is Place.ROLE else _POLICY_STEPS
    numbers = [int(one.value) for one in steps]
    about = ProvisioningStep.objects.filter(run=step.run_id, resource=step.resource, step__in=numbers)
    first = about.filter(action__in=_WRITES).order_by("pk").first() or step
    found: dict[str, Any] | None = first.before
    return found


def items_for(run: ProvisioningRun, principals: Principals) -> tuple[Item, ...]:
    """Return the one resource of a run that puts a document back; of one that its owner puts back, each step's part."""
    step = run.puts_back
    if step is None:
        return ()
    if is_by_owner(step) and is_shared(step):
        return tuple(_owners_item(part, step, run, principals) for part in _parts(step))

    def wish(_facts: Facts) -> Desired:
        return _wish(step, run, principals)  # reads those of each source role that it looks at

    return (Item(Step(str(step.step)), step.resource, _access(step), wish, Facts, check=partial(_as_seen, run)),)


def _as_seen(run: ProvisioningRun, change: Change) -> None:
    """Raise `StalePlan` when what would be written is not on top of what AWS had when it was confirmed.

    Managed policies take several calls. What an earlier try of this run left half done is as good as what was seen.
    """
    if change.writes and not (_is_seen(run, change) or _is_half_done(run, change)):
        raise StalePlan(
            "AWS has something else there than when this was confirmed, so nothing was written.",
            hint="Look at the new plan, and confirm that.",
        )


def _is_seen(run: ProvisioningRun, change: Change) -> bool:
    return Plan((change,), "").seen == run.plan_seen


def _is_half_done(run: ProvisioningRun, change: Change) -> bool:
    if slot_of(change.desired)[0] is not Place.MANAGED_POLICIES:
        return False
    first = run.steps.filter(resource=change.resource, action__in=_WRITES).order_by("pk").first()
    if first is None or not _is_seen(run, replace(change, before=first.before)):
        return False
    return is_between(first.before, change.before, change.after)


def _owners_item(part: handed_back.Part, step: ProvisioningStep, run: ProvisioningRun, principals: Principals) -> Item:
    def wish(_facts: Facts) -> Desired:
        check_put_back(step)
        place, bucket = _place_of(step), _bucket(step)
        kept = PolicyDocument(part.before) if part.before else None
        wished = tuple(one for one in _wished(step, place, run, bucket, principals) if one.step is part.step)
        region = bucket.region if bucket else ""
        return DesiredAsBefore(
            part.step, _access(step), step.resource, place, kept, False, wished, region=region, owned=part.owned
        )

    return Item(part.step, step.resource, _access(step), wish, Facts)


def _parts(step: ProvisioningStep) -> tuple[handed_back.Part, ...]:
    return handed_back.parts_of(step, _PART_STEPS[_place_of(step)])


def _why_never(step: ProvisioningStep) -> str:
    if step.action not in _WRITES and not handed_back.was_handed_out(step):
        return "The step changed nothing."
    if is_cut_off(step.resource):
        return "Cutting off begins, and is lifted, on pages of its own."
    if _place_of(step) is Place.NONE:
        return "Only trust policies, roles' own policies and bucket policies can be."
    return ""


def _why_not_now(step: ProvisioningStep) -> str:
    if step.run.purpose == RunPurpose.DELETE_ROLE:
        return "The role was to be deleted. Once it is mapped again, a run makes it anew."
    if not AwsAccount.objects.filter(account_id=step.account_id).exists():
        return f"The portal does not know account {step.account_id} any more."
    return _why_not_by_owner(step) if is_by_owner(step) else _why_not_here(step)


def _why_not_here(step: ProvisioningStep) -> str:
    if handed_back.was_handed_out(step):
        return f"Account {step.account_id} was its owner's to change then: the portal does not know what was there."
    if _place_of(step) is Place.ROLE and before(step) is None:
        return "There was no role before: the run made it."
    if not is_shared(step) and not _holders(step).exists():
        return "The portal has no role of that name any more."
    return ""


def _why_not_by_owner(step: ProvisioningStep) -> str:
    if not is_shared(step):
        return (
            f"Account {step.account_id} is its owner's to change, and managed policies are not put back there. "
            "The step shows them: have the owner make, or delete, them by hand."
        )
    if not any(part.is_changed for part in _parts(step)):
        return "As far as the portal knows, the run asked the owner for nothing else than was there."
    return ""


def _why_not_exactly(step: ProvisioningStep) -> str:
    if is_by_owner(step):
        return "Statements of others in an account that the portal may not write to are its owner's business."
    return ""


def _place_of(step: ProvisioningStep) -> Place:
    number = Step(str(step.step))
    if ":instance-profile/" in step.resource or number is Step.VERIFY:
        return Place.NONE
    if ":policy/" in step.resource:
        return Place.MANAGED_POLICIES
    if number in _ROLE_STEPS:
        return Place.ROLE
    return Place.INLINE_POLICY if is_role(step.resource) else Place.BUCKET_POLICY


def _access(step: ProvisioningStep) -> AccountAccess:
    return AwsAccount.objects.get(account_id=step.account_id).access()


def _wish(step: ProvisioningStep, run: ProvisioningRun, principals: Principals) -> Desired:
    check_put_back(step)
    place, kept = _place_of(step), before(step)
    if place is Place.MANAGED_POLICIES:
        return _policies(step, attached_in(kept))
    bucket = _bucket(step)
    wished = tuple(_wished(step, place, run, bucket, principals))
    nothing = DesiredDocument(Step(str(step.step)), _access(step), step.resource, SID_PREFIX, ())
    return DesiredAsBefore(
        Step(str(step.step)),
        _access(step),
        step.resource,
        place,
        None if kept is None else parse(kept),
        run.exactly,
        wished or (nothing,),
        region=bucket.region if bucket else "",
    )


def _policies(step: ProvisioningStep, documents: tuple[PolicyDocument, ...]) -> DesiredPolicies:
    """Return the wish that a role's managed policies are these: they are the portal's as a whole."""
    role = _holders(step).get()
    now = own_policies.managed_policies(role.pk, Facts((role.pk,)))
    notes = [] if _same(now.documents, documents) else [UNDONE]
    inline = ProvisioningStep.objects.filter(run=step.run_id, resource=str(role.arn), action__in=_WRITES)
    if inline.filter(step__in=[int(one.value) for one in _POLICY_STEPS]).exists():
        notes.append(f"Run {step.run_id} changed the inline policy of {role.name} too. That is put back on its own.")
    heading = f"Put back the managed policies of {role.name}"
    return replace(now, documents=documents, heading=heading, is_order=True, notes=tuple(notes))


def _same(these: tuple[PolicyDocument, ...], those: tuple[PolicyDocument, ...]) -> bool:
    return len(these) == len(those) and all(map(same_document, these, those))


def _holders(step: ProvisioningStep) -> QuerySet[IamRole]:
    """Return the role that the step's managed policies are for."""
    name = step.resource.rpartition("/")[2].removeprefix(MANAGED_POLICY_PREFIX)
    return IamRole.objects.filter(account__account_id=step.account_id, name=name).select_related("account")


def _bucket(step: ProvisioningStep) -> Bucket | None:
    """Return the bucket of a bucket policy's step."""
    if is_role(step.resource):
        return None
    return Bucket.objects.select_related("account").get(name=step.resource.rpartition(":")[2])


def _wished(
    step: ProvisioningStep, place: Place, run: ProvisioningRun, bucket: Bucket | None, principals: Principals
) -> Iterator[DesiredRole | DesiredDocument]:
    """Yield what is wished for the document now: by the run's own source role, or the first that reaches the place."""
    for source in _sources(step, run, bucket):
        facts = Facts.of_runs([source.pk])
        items = desired.places_for(source, principals, facts=facts)
        wishes = [item.wish(facts) for item in items if item.resource == step.resource]
        found = [one for one in wishes if isinstance(one, DesiredRole | DesiredDocument) and slot_of(one)[0] is place]
        yield from found
        if found:
            return


def _sources(step: ProvisioningStep, run: ProvisioningRun, bucket: Bucket | None) -> list[IamRole]:
    chains = AssumeRoleGrant.objects.open()
    if bucket is not None:
        through = chains.filter(target__in=BucketGrant.objects.open().filter(bucket=bucket).values("role"))
    else:
        arn = role_arn(step.resource)
        through = chains.filter(target__account__account_id=arn.account, target__name=arn.name)
    others = IamRole.objects.filter(pk__in=through.values("source")).exclude(pk=run.role_id).order_by("pk")
    return [run.role, *others.select_related("account")]
