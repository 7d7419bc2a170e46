"""The roles and buckets that a provisioner role is limited to."""

from __future__ import annotations

import pytest
from django.utils import timezone

from roles.models import GroupRole
from roles.provisioning.scope import provisioner_scope
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_A, ROLE_B

pytestmark = pytest.mark.django_db


def test_nothing_of_other_accounts_is_in_it(procedure: factories.Procedure) -> None:
    scope = provisioner_scope(procedure.account_b)
    assert (scope.sources, scope.targets) == ((), (ROLE_B,))
    assert [str(bucket) for bucket in scope.buckets] == [BUCKET]
    assert provisioner_scope(procedure.account_a).buckets == ()


def test_a_role_that_nothing_is_granted_to_yet_is_a_target(procedure: factories.Procedure) -> None:
    factories.IamRoleFactory(account=procedure.account_b, name="New")
    assert provisioner_scope(procedure.account_b).targets == (ROLE_B, ROLE_B.replace("MyRoleB", "New"))


def test_a_source_role_stays_one_after_its_last_mapping(procedure: factories.Procedure) -> None:
    procedure.map()
    GroupRole.objects.update(ended_at=timezone.now())
    procedure.assume_grant.ended_at = timezone.now()
    procedure.assume_grant.save()
    scope = provisioner_scope(procedure.account_a)
    assert (scope.sources, scope.targets) == ((ROLE_A,), ())


def test_a_role_may_be_both(procedure: factories.Procedure) -> None:
    factories.AssumeRoleGrantFactory(source=procedure.role_b, target=factories.IamRoleFactory())
    scope = provisioner_scope(procedure.account_b)
    assert (scope.sources, scope.targets) == ((ROLE_B,), (ROLE_B,))
