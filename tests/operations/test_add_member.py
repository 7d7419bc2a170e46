from __future__ import annotations

import pytest

from roles.context import SystemActor
from roles.errors import Conflict, InputError, NotFound, NotPermitted
from roles.models import Membership, User, UserGroup
from roles.operations import add_member as module
from roles.operations.add_member import add_member
from roles.operations.remove_member import remove_member
from tests.factories import MembershipFactory, Procedure
from tests.operations.conftest import event, traces


def is_member(user: User) -> bool:
    return Membership.objects.open().filter(user=user).exists()


def test_who_may_not_manage_groups_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        add_member(actor=powerless, group=procedure.group, user=powerless)
    assert refusal.value.rule == "groups.manage"
    assert not is_member(powerless)


def test_a_deactivated_user_cannot_be_added(procedure: Procedure, alice: User, charlie: User) -> None:
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    with pytest.raises(InputError, match="deactivated") as refusal:
        add_member(actor=alice, group=procedure.group, user=charlie)
    assert refusal.value.field == "user"
    assert not is_member(charlie)


def test_a_member_is_not_added_twice(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match="already"):
        add_member(actor=alice, group=procedure.group, user=procedure.bob)
    assert traces() == (0, 0)


def test_two_people_adding_the_same_member_is_the_same_conflict(
    procedure: Procedure, alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "validate", lambda row: MembershipFactory(group=row.group, user=row.user))
    with pytest.raises(Conflict, match="charlie is a member of analysts already"):
        add_member(actor=alice, group=procedure.group, user=charlie)


def test_a_reason_that_is_too_long_is_refused_at_its_field(procedure: Procedure, alice: User, charlie: User) -> None:
    with pytest.raises(InputError, match="500") as refusal:
        add_member(actor=alice, group=procedure.group, user=charlie, reason="x" * 501)
    assert refusal.value.field == "reason"


def test_nobody_is_added_to_a_group_that_is_gone(alice: User, charlie: User) -> None:
    with pytest.raises(NotFound):
        add_member(actor=alice, group=UserGroup(id=4711, name="gone"), user=charlie)


def test_a_user_becomes_a_member_and_it_is_recorded(procedure: Procedure, alice: User, charlie: User) -> None:
    row = add_member(actor=alice, group=procedure.group, user=charlie, reason="OPS-12")
    assert is_member(charlie)
    assert (row.started_by, row.reason) == (alice, "OPS-12")
    added = event("member.added")
    assert (added.group_name, added.details["reason"]) == ("analysts", "OPS-12")
    assert (added.before, added.after) == (None, {"group": "analysts", "user": "charlie"})


def test_somebody_who_left_can_come_back_as_a_new_interval(procedure: Procedure, alice: User) -> None:
    remove_member(actor=alice, group=procedure.group, user=procedure.bob)
    add_member(actor=SystemActor("command"), group=procedure.group, user=procedure.bob)
    assert [row.is_open for row in Membership.objects.filter(user=procedure.bob).order_by("pk")] == [False, True]
