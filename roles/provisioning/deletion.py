"""Deleting a managed role in AWS: what the database must say before, and the resources of such a run in their order.

Level-triggered as every run is: each resource is computed, and the database asked again, while its lease is held. So a
worker that is killed is followed by one that goes on, and a role that is mapped meanwhile stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

from django.db.models import Max, Q

from roles.errors import Blocked
from roles.models import (
    AssumeRoleGrant,
    BucketGrant,
    CutOff,
    DriftFinding,
    GroupRole,
    IamRole,
    ProvisioningRun,
    ProvisioningStep,
)
from roles.models.choices import RoleOwnership, StepAction, StepStatus
from roles.policies.ownership import SID_PREFIX
from roles.provisioning import own_policies
from roles.provisioning.desired import Item, cut_off_item
from roles.provisioning.facts import Facts
from roles.provisioning.resources import (
    Desired,
    DesiredDocument,
    DesiredNoProfile,
    DesiredNoRole,
    Step,
    cut_off_of,
)
from roles.values.accounts import AccessMode

Wish = Callable[[Facts], Desired | None]
_TRUST_STEPS = tuple(int(step.value) for step in (Step.SOURCE_ROLE, Step.TARGET_ROLE, Step.TARGET_TRUST))
_NAMES_SHOWN = 5


def uses_of(role: IamRole) -> list[str]:
    """Return why the database does not let the role be deleted, as sentences; none when it does."""
    arn = str(role.arn)
    return [
        *([] if role.ownership == RoleOwnership.MANAGED else ["It is adopted: the portal deletes only what it made."]),
        *_of_account(role),
        *_told("It is mapped to", _names(GroupRole.objects.open().filter(role=role).select_related("group"), "group")),
        *_told("These grants are open:", _open_grants(role)),
        *(["Credentials are cut off there."] if CutOff.objects.open().filter(target=role).exists() else []),
        *_told("It is still named, as far as the portal knows, in", [*_naming(role, arn), *_drift_naming(arn)]),
    ]


def runs_about(role: IamRole) -> list[ProvisioningRun]:
    """Return the runs under way that may still write or name the role."""
    sources = AssumeRoleGrant.objects.filter(target=role).values("source")
    runs = ProvisioningRun.objects.unfinished().filter(Q(role=role) | Q(role__in=sources))
    return list(runs.select_related("role__account").order_by("pk"))


def items_for(role_id: int) -> tuple[Item, ...]:
    """Return the resources of a run that deletes this role: a look at all of it, what hangs on it, then itself."""
    role = Facts((role_id,)).role(role_id)
    arn, access = str(role.arn), role.account.access()
    step = _step_of(role)

    def item(step: Step, resource: str, wish: Wish, *needs: str) -> Item:
        return Item(step, resource, access, partial(_if_unused, role_id, wish), partial(Facts, (role_id,)), needs)

    look = DesiredNoRole(step, access, role.arn, looks_only=True)
    heading = f"Delete the portal's policy of {role.name}"
    inline = DesiredDocument(Step.ASSUME_POLICY, access, arn, SID_PREFIX, (), heading=heading)
    cut_off = partial(_no_cut_off, role, cut_off_item(role).wish)
    hanging = [
        item(Step.ASSUME_POLICY, role.arn.managed_policies, partial(_no_policies, role_id), arn),
        item(Step.ASSUME_POLICY, arn, _always(inline), arn),
        item(Step.TARGET_TRUST, cut_off_of(arn), cut_off, arn),
    ]
    if ProvisioningStep.objects.filter(resource=role.arn.instance_profile).exists():
        profile = DesiredNoProfile(access, role.arn, _was_made_here(role.arn.instance_profile))
        hanging.append(item(Step.SOURCE_ROLE, role.arn.instance_profile, _always(profile), arn))
    needs = (arn, *(one.resource for one in hanging))
    last = DesiredNoRole(step, access, role.arn)
    return (item(step, arn, _always(look)), *hanging, item(step, arn, _always(last), *needs))


def _always(wish: Desired) -> Wish:
    return lambda _facts: wish


def _if_unused(role_id: int, wish: Wish, facts: Facts) -> Desired | None:
    """Return the wish unless the role is in use again. Raises `Blocked`."""
    role = facts.role(role_id)
    if used := uses_of(role):
        raise Blocked(
            f"{role} is not deleted. {' '.join(used)}",
            hint="Nothing more was deleted. The next run makes good the rest.",
        )
    return wish(facts)


def _no_policies(role_id: int, facts: Facts) -> Desired:
    wish = own_policies.managed_policies(role_id, facts)
    return replace(wish, documents=(), heading=f"Delete the portal's managed policies of {wish.role.name}")


def _no_cut_off(role: IamRole, cut_off: Wish, facts: Facts) -> Desired:
    """Return the wish for the policy that cuts off: nothing, as `uses_of` refuses while a cut-off is in force."""
    wish = cast(DesiredDocument, cut_off(facts))
    return replace(wish, heading=f"Delete the policy that cut off credentials of {role.name}")


def _step_of(role: IamRole) -> Step:
    """Return the procedure's step that the role belongs to: 4 for who only ever was a target."""
    is_source = GroupRole.objects.filter(role=role).exists() or AssumeRoleGrant.objects.filter(source=role).exists()
    was_target = AssumeRoleGrant.objects.filter(target=role).exists()
    return Step.TARGET_ROLE if was_target and not is_source else Step.SOURCE_ROLE


def _was_made_here(profile: str) -> bool:
    """Return whether the newest thing that a run did to the existence of this instance profile was to make it."""
    about = ProvisioningStep.objects.filter(resource=profile)
    gone = Q(action=StepAction.DELETE, status=StepStatus.DONE)
    newest = about.filter(Q(action=StepAction.CREATE) | gone).order_by("-pk").first()
    if newest is None or newest.action != StepAction.CREATE:
        return False
    # A worker that was killed after the call did not hear of it; the next one of the same run found it there.
    return about.filter(run=newest.run_id, status=StepStatus.DONE, pk__gte=newest.pk).exists()


# --- what the database knows ---


def _of_account(role: IamRole) -> Iterator[str]:
    if role.account.access().mode is AccessMode.HANDOFF:
        yield f"The portal may not write to account {role.account.account_id}: its owner deletes the role."


def _told(what: str, names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - _NAMES_SHOWN} more" if len(found) > _NAMES_SHOWN else ""
    return [f"{what} {', '.join(found[:_NAMES_SHOWN])}{more}."] if found else []


def _names(rows: Iterable[Any], field: str) -> list[str]:
    return [str(getattr(row, field)) for row in rows]


def _open_grants(role: IamRole) -> list[str]:
    chains = AssumeRoleGrant.objects.open().filter(Q(source=role) | Q(target=role))
    grants = BucketGrant.objects.open().filter(role=role)
    return [
        *map(str, chains.select_related("source__account", "target__account")),
        *map(str, grants.select_related("role__account", "bucket")),
    ]


def _naming(role: IamRole, arn: str) -> Iterator[str]:
    """Yield the trust and bucket policies that named the role when a run last saw or wrote them.

    Looked at are those that a grant, open or ended, ever put it in: as the source in its targets' trust, and as the
    target in its buckets' policies.
    """
    targets = IamRole.objects.filter(grants_as_target__source=role).select_related("account").distinct()
    yield from _that_name(arn, [str(target.arn) for target in targets], _TRUST_STEPS)
    buckets = BucketGrant.objects.filter(role=role).select_related("bucket__account")
    yield from _that_name(arn, {str(grant.bucket.arn) for grant in buckets}, (int(Step.BUCKET_POLICY.value),))


def _that_name(arn: str, resources: Iterable[str], steps: tuple[int, ...]) -> Iterator[str]:
    told = Q(before__isnull=False) | Q(after__isnull=False) | Q(status=StepStatus.DONE)
    about = ProvisioningStep.objects.filter(told, resource__in=list(resources), step__in=steps)
    newest = about.order_by("resource").values("resource").annotate(last=Max("pk")).values("last")
    for row in ProvisioningStep.objects.filter(pk__in=newest).order_by("resource"):
        # A step that did not end may have written all or nothing.
        documents = [row.after] if row.status == StepStatus.DONE else [row.before, row.after]
        if any(map(partial(_names_it, arn), documents)):
            yield f"{row.resource} (run {row.run_id})"


def _drift_naming(arn: str) -> Iterator[str]:
    for finding in DriftFinding.objects.open():
        if not finding.resource.startswith((arn, cut_off_of(arn))) and _names_it(arn, finding.before):
            yield f"{finding.resource} (drift)"


def _names_it(arn: str, document: dict[str, Any] | None) -> bool:
    return json.dumps(arn) in json.dumps(document)
