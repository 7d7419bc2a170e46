"""Which roles a step has seen in AWS, so that a document may name them: AWS refuses one that names nobody."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, Max, OuterRef

from roles.models import IamRole, ProvisioningStep
from roles.models.choices import RunPurpose, StepAction, StepStatus
from roles.provisioning.resources import Step

_ROLE_STEPS = (int(Step.SOURCE_ROLE.value), int(Step.TARGET_ROLE.value))


def seen_in_aws(roles: Iterable[IamRole]) -> set[str]:
    """Return the ARNs of those roles that a step has created or found, and none deleted since.

    A step about no role leaves no document.
    """
    done = ProvisioningStep.objects.filter(step__in=_ROLE_STEPS, status=StepStatus.DONE)
    deleted = done.filter(resource=OuterRef("resource"), action=StepAction.DELETE, pk__gt=OuterRef("pk"))
    found = done.filter(resource__in=[str(role.arn) for role in roles], after__isnull=False)
    return set(found.exclude(Exists(deleted)).values_list("resource", flat=True).distinct())


def named_by_its_own_run(sources: Iterable[IamRole], target: IamRole) -> set[int]:
    """Return the source roles that `target` trusts since a run of their own: AWS took their name, so they exist.

    That is how a source role in an account that the portal cannot read is known before its access was proved. One that
    was deleted since does not.
    """
    by_id = {role.pk: str(role.arn) for role in sources}
    done = ProvisioningStep.objects.filter(status=StepStatus.DONE)
    deleted = done.filter(resource__in=by_id.values(), step__in=_ROLE_STEPS, action=StepAction.DELETE)
    gone = dict(
        deleted.order_by("resource").values("resource").annotate(last=Max("pk")).values_list("resource", "last")
    )
    named = done.filter(
        run__role__in=list(by_id),
        run__purpose=RunPurpose.RECONCILE,
        step=int(Step.TARGET_TRUST.value),
        resource=str(target.arn),
    )
    newest = named.order_by("run__role").values("run__role").annotate(last=Max("pk")).values_list("run__role", "last")
    return {role for role, last in newest if last > gone.get(by_id[role], 0)}
