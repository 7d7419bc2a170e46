"""Target roles that are source roles too: nobody goes on from one to a third role."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from roles.models import AssumeRoleGrant, GroupRole
from roles.models.choices import RunPurpose, RunStatus
from roles.tokens import scope
from tests import factories


def test_sessions_with_a_role_that_may_assume_others_are_always_cut_to_its_grants(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    onward: AssumeRoleGrant = factories.AssumeRoleGrantFactory(source=procedure.role_b)
    target = scope.mapping_for(procedure.bob, mapping.pk).targets[0]
    policy = scope.session_policy_of(target)
    assert target.is_bounded and "arn:aws:s3:::example-data" in policy and "sts:" not in policy
    ended = timezone.now()
    AssumeRoleGrant.objects.filter(pk=onward.pk).update(ended_at=ended)

    def policy_after(began: datetime, **run: Any) -> str:
        """The session policy after another run of the target as a source role."""
        factories.ProvisioningRunFactory(
            **{"role": procedure.role_b, "status": RunStatus.IN_SYNC, "started_at": began, **run}
        )
        return scope.session_policy_of(scope.mapping_for(procedure.bob, mapping.pk).targets[0])

    # AWS may have it until a run that knew of the end has found it gone.
    assert policy_after(ended - timedelta(seconds=1)) != ""
    assert policy_after(ended, status=RunStatus.FAILED) != ""
    assert policy_after(ended, purpose=RunPurpose.DELETE_ROLE) != ""
    assert policy_after(ended, role=procedure.role_a) != ""
    assert {onward} == set(AssumeRoleGrant.objects.maybe_in_aws().filter(source=procedure.role_b))
    assert policy_after(ended) == ""
    assert not AssumeRoleGrant.objects.maybe_in_aws().filter(source=procedure.role_b).exists()


def test_what_others_may_assume_does_not_bound_a_target(mapping: GroupRole, procedure: factories.Procedure) -> None:
    factories.AssumeRoleGrantFactory(target=procedure.role_b)
    neighbour = factories.AssumeRoleGrantFactory(source=procedure.role_a).target
    factories.BucketGrantFactory(role=neighbour)
    factories.AssumeRoleGrantFactory(source=neighbour)
    found = scope.mapping_for(procedure.bob, mapping.pk).targets
    assert {target.role: target.is_bounded for target in found} == {procedure.role_b: False, neighbour: True}
