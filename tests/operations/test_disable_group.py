from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction

from roles.errors import Conflict, InputError, NotFound, NotPermitted
from roles.models import GroupRole, Membership, Suspension, User, UserGroup
from roles.operations.disable_group import disable_group
from roles.permissions import PERMISSION_OF, Rule
from tests.factories import AwsAccountFactory, GroupRoleFactory, MembershipFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces

pytestmark = pytest.mark.django_db


def test_who_may_do_nothing_disables_no_group(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        disable_group(actor=powerless, group=procedure.group, reason="mine now")
    assert not Suspension.objects.exists()


@pytest.mark.parametrize("rule", [Rule.MANAGE_GROUPS, Rule.MAP_ROLES])
def test_the_right_to_one_half_of_it_is_not_enough(procedure: Procedure, charlie: User, rule: Rule) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename=PERMISSION_OF[rule].removeprefix("roles.")))
    with pytest.raises(NotPermitted):
        disable_group(actor=User.objects.get(pk=charlie.pk), group=procedure.group, reason="audit")
    assert not Suspension.objects.exists()


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_reason_has_to_be_given_and_a_short_one(procedure: Procedure, alice: User, reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        disable_group(actor=alice, group=procedure.group, reason=reason)
    assert refusal.value.field == "reason"
    assert traces() == (0, 0)


def test_a_group_that_is_none_is_not_found(alice: User) -> None:
    with pytest.raises(NotFound):
        disable_group(actor=alice, group=UserGroup(pk=987654, name="gone"), reason="audit")


def test_a_group_is_not_disabled_twice(procedure: Procedure, alice: User) -> None:
    first = disable_group(actor=alice, group=procedure.group, reason="audit")
    with pytest.raises(Conflict, match="disabled already: audit"):
        disable_group(actor=alice, group=procedure.group, reason="another")
    assert list(Suspension.objects.all()) == [first]


def test_the_database_takes_one_open_row_of_one_thing_with_a_reason(procedure: Procedure, alice: User) -> None:
    disable_group(actor=alice, group=procedure.group, reason="audit")
    both = {"group": procedure.group, "account": AwsAccountFactory()}
    for wrong in ({"group": procedure.group}, {}, both, {"account": procedure.account_a, "reason": ""}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Suspension.objects.create(**{"reason": "audit", **wrong})


def test_it_is_on_record_with_who_since_when_and_why(procedure: Procedure, alice: User) -> None:
    row = disable_group(actor=alice, group=procedure.group, reason=" audit of 2026 ")
    assert (row.group, row.account, row.started_by, row.is_open) == (procedure.group, None, alice, True)
    told = event("group.disabled")
    assert (told.subject_type, told.subject_name, told.group_name) == ("usergroup", "analysts", "analysts")
    assert (told.after, told.details["reason"]) == ({"disabled": True}, "audit of 2026")


def test_its_tokens_go_and_nobody_elses_and_nothing_else_changes(procedure: Procedure, alice: User) -> None:
    mapping, other = procedure.map(), GroupRoleFactory(role=procedure.role_a)
    MembershipFactory(group=other.group, user=procedure.bob)
    token, elsewhere = a_token(procedure.bob, mapping), a_token(procedure.bob, other)
    disable_group(actor=alice, group=procedure.group, reason="audit")
    assert is_forgotten(token)
    assert not is_forgotten(elsewhere)
    assert set(GroupRole.objects.open()) == {mapping, other}
    assert Membership.objects.open().count() == 2
    assert runs() == []  # AWS stays as it is
