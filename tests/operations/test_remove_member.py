from __future__ import annotations

import pytest

from roles.errors import GrantEnded, NotFound, NotPermitted
from roles.models import Membership, User
from roles.operations.remove_member import remove_member
from tests.factories import GroupRoleFactory, MembershipFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs


def test_who_may_not_manage_groups_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        remove_member(actor=powerless, group=procedure.group, user=procedure.bob)
    assert refusal.value.rule == "groups.manage"
    assert Membership.objects.get().is_open


def test_who_never_was_a_member_is_not_found(procedure: Procedure, alice: User, charlie: User) -> None:
    with pytest.raises(NotFound, match="charlie is not a member"):
        remove_member(actor=alice, group=procedure.group, user=charlie)


def test_a_membership_does_not_end_twice(procedure: Procedure, alice: User) -> None:
    ended = remove_member(actor=alice, group=procedure.group, user=procedure.bob)
    with pytest.raises(GrantEnded):
        remove_member(actor=alice, group=procedure.group, user=procedure.bob)
    assert Membership.objects.get().ended_at == ended.ended_at


def test_a_membership_ends_with_who_and_why_in_the_history(procedure: Procedure, alice: User) -> None:
    row = remove_member(actor=alice, group=procedure.group, user=procedure.bob, reason="left the team")
    assert (row.is_open, row.ended_by) == (False, alice)
    removed = event("member.removed")
    assert (removed.before, removed.after) == ({"group": "analysts", "user": "bob"}, None)
    assert (removed.group_name, removed.details["reason"]) == ("analysts", "left the team")


def test_the_persons_tokens_for_the_group_go_and_no_others(procedure: Procedure, alice: User, charlie: User) -> None:
    mapping, elsewhere = procedure.map(), GroupRoleFactory(role=procedure.role_a)
    MembershipFactory(group=procedure.group, user=charlie)
    token, others = a_token(procedure.bob, mapping), [a_token(charlie, mapping), a_token(procedure.bob, elsewhere)]
    remove_member(actor=alice, group=procedure.group, user=procedure.bob)
    assert is_forgotten(token)
    assert not any(is_forgotten(other) for other in others)
    assert runs() == []
