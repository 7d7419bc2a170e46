from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from roles.errors import Conflict, NotPermitted, StalePlan
from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, IamRole, User
from roles.operations.retire_account import retire_account
from roles.permissions import PERMISSION_OF, Rule
from tests.factories import AwsAccountFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces

pytestmark = pytest.mark.django_db


def test_who_may_do_nothing_retires_nothing(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        retire_account(actor=powerless, account=procedure.account_b)


def test_the_right_to_a_part_of_it_is_not_enough(procedure: Procedure, charlie: User) -> None:
    charlie.user_permissions.add(
        Permission.objects.get(codename=PERMISSION_OF[Rule.MANAGE_ACCOUNTS].removeprefix("roles."))
    )
    with pytest.raises(NotPermitted):
        retire_account(actor=User.objects.get(pk=charlie.pk), account=procedure.account_b)
    assert BucketGrant.objects.open().exists()


def test_where_nothing_is_open_there_is_nothing_to_end(alice: User) -> None:
    with pytest.raises(Conflict, match="Nothing goes through"):
        retire_account(actor=alice, account=AwsAccountFactory())
    assert traces() == (0, 0)


def test_another_plan_than_the_one_that_was_seen_is_refused(procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(StalePlan):
        retire_account(actor=alice, account=procedure.account_b, expected_plan="e" * 64)
    assert traces() == (0, 0)


def test_all_that_goes_through_it_ends_and_its_row_stays(procedure: Procedure, alice: User) -> None:
    token = a_token(procedure.bob, procedure.map())
    retire_account(actor=alice, account=procedure.account_b, reason="audit")
    assert not AssumeRoleGrant.objects.open().exists() and not BucketGrant.objects.open().exists()
    assert GroupRole.objects.open().exists()
    assert IamRole.objects.filter(pk=procedure.role_b.pk).exists()
    assert is_forgotten(token)
    assert runs() == [("assume_role_grant.ended", "MyRoleA")]
    retired = event("account.retired")
    assert retired.before is not None
    assert (retired.before["groups"], len(retired.before["bucket_grants"])) == ([], 1)
    assert retired.details["reason"] == "audit"


def test_a_source_roles_mappings_end(procedure: Procedure, alice: User) -> None:
    procedure.map()
    retire_account(actor=alice, account=procedure.account_a)
    assert not GroupRole.objects.open().exists()
    assert BucketGrant.objects.open().exists()
    assert runs() == [("mapping.removed", "MyRoleA")]
