from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from roles.errors import Conflict, NotPermitted, StalePlan
from roles.models import GroupRole, Membership, User, UserGroup
from roles.operations.end_group import end_group
from roles.permissions import PERMISSION_OF, Rule
from tests.factories import GroupRoleFactory, Procedure, UserGroupFactory
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces

pytestmark = pytest.mark.django_db


def test_who_may_do_nothing_ends_no_group(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        end_group(actor=powerless, group=procedure.group)


@pytest.mark.parametrize("rule", [Rule.MANAGE_GROUPS, Rule.MAP_ROLES])
def test_the_right_to_one_half_of_it_is_not_enough(procedure: Procedure, charlie: User, rule: Rule) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename=PERMISSION_OF[rule].removeprefix("roles.")))
    with pytest.raises(NotPermitted):
        end_group(actor=User.objects.get(pk=charlie.pk), group=procedure.group)
    assert Membership.objects.open().exists()


def test_an_empty_group_has_nothing_to_end(alice: User) -> None:
    with pytest.raises(Conflict, match="no members and no mapped roles"):
        end_group(actor=alice, group=UserGroupFactory())
    assert traces() == (0, 0)


def test_another_plan_than_the_one_that_was_seen_is_refused(procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(StalePlan):
        end_group(actor=alice, group=procedure.group, expected_plan="e" * 64)
    assert GroupRole.objects.open().exists() and Membership.objects.open().exists()
    assert traces() == (0, 0)


def test_mappings_and_memberships_end_and_the_group_stays(procedure: Procedure, alice: User) -> None:
    mapping, other = procedure.map(), GroupRoleFactory(role=procedure.role_a)
    token = a_token(procedure.bob, mapping)
    end_group(actor=alice, group=procedure.group, reason="project over")
    assert list(GroupRole.objects.open()) == [other]
    assert not Membership.objects.open().filter(group=procedure.group).exists()
    assert UserGroup.objects.filter(name="analysts").exists()
    assert is_forgotten(token)
    assert runs() == [("mapping.removed", "MyRoleA")]
    ended = event("group.ended")
    assert ended.before == {"roles": [str(procedure.role_a.arn)], "members": ["bob"]}
    assert (ended.group_name, ended.details["reason"]) == ("analysts", "project over")
