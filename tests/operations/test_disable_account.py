from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission

from roles.errors import Conflict, InputError, NotPermitted
from roles.models import AwsAccount, Suspension, User
from roles.operations.disable_account import disable_account
from roles.permissions import PERMISSION_OF, Rule
from tests.factories import (
    AssumeRoleGrantFactory,
    AwsAccountFactory,
    BucketFactory,
    BucketGrantFactory,
    GroupRoleFactory,
    Procedure,
)
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces

pytestmark = pytest.mark.django_db


def test_who_may_do_nothing_disables_no_account(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        disable_account(actor=powerless, account=procedure.account_b, reason="mine now")
    assert not Suspension.objects.exists()


@pytest.mark.parametrize("rule", [Rule.MANAGE_ACCOUNTS, Rule.MAP_ROLES])
def test_the_right_to_one_half_of_it_is_not_enough(procedure: Procedure, charlie: User, rule: Rule) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename=PERMISSION_OF[rule].removeprefix("roles.")))
    with pytest.raises(NotPermitted):
        disable_account(actor=User.objects.get(pk=charlie.pk), account=procedure.account_b, reason="audit")
    assert not Suspension.objects.exists()


def test_a_reason_has_to_be_given(procedure: Procedure, alice: User) -> None:
    with pytest.raises(InputError):
        disable_account(actor=alice, account=procedure.account_b, reason=" ")
    assert traces() == (0, 0)


def test_an_account_is_not_disabled_twice(procedure: Procedure, alice: User) -> None:
    disable_account(actor=alice, account=procedure.account_b, reason="audit")
    with pytest.raises(Conflict, match="disabled already: audit"):
        disable_account(actor=alice, account=procedure.account_b, reason="another")


def test_it_is_on_record_and_aws_stays_as_it_is(procedure: Procedure, alice: User) -> None:
    procedure.map()
    row = disable_account(actor=alice, account=procedure.account_b, reason="audit")
    assert (row.group, row.account, row.started_by, row.is_open) == (None, procedure.account_b, alice, True)
    told = event("account.disabled")
    assert (told.subject_type, told.account_id, told.details["reason"]) == ("awsaccount", "222222222222", "audit")
    assert runs() == []


def source(world: Procedure) -> AwsAccount:
    return world.account_a


def target(world: Procedure) -> AwsAccount:
    return world.account_b


def bucket(world: Procedure) -> AwsAccount:
    found: AwsAccount = AwsAccountFactory(name="third")
    BucketGrantFactory(role=world.role_b, bucket=BucketFactory(account=found))
    return found


@pytest.mark.parametrize("account_of", [source, target, bucket])
def test_tokens_of_what_leads_through_it_go_and_no_others(procedure: Procedure, alice: User, account_of: Any) -> None:
    elsewhere = AssumeRoleGrantFactory()
    BucketGrantFactory(role=elsewhere.target)
    other = GroupRoleFactory(group=procedure.group, role=elsewhere.source)
    token, stays = a_token(procedure.bob, procedure.map()), a_token(procedure.bob, other)
    disable_account(actor=alice, account=account_of(procedure), reason="audit")
    assert is_forgotten(token)
    assert not is_forgotten(stays)
