from __future__ import annotations

import pytest

from roles.errors import Conflict, InputError, NotFound, NotPermitted
from roles.models import User, UserGroup
from roles.operations import save_group as module
from roles.operations.save_group import save_group
from tests.factories import UserGroupFactory
from tests.operations.conftest import event, traces


def test_who_may_not_manage_groups_is_refused(powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        save_group(actor=powerless, group=UserGroup(name="analysts"))
    assert refusal.value.rule == "groups.manage"
    assert not UserGroup.objects.exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [("", "cannot be blank"), ("  ", "cannot be blank"), ("taken ", "already exists"), ("x" * 151, "150")],
)
def test_a_name_that_is_none_is_refused(name: str, says: str, alice: User) -> None:
    UserGroupFactory(name="taken")
    with pytest.raises(InputError, match=says) as refusal:
        save_group(actor=alice, group=UserGroup(name=name))
    assert refusal.value.field == "name"


def test_a_group_that_is_gone_cannot_be_changed(alice: User) -> None:
    with pytest.raises(NotFound):
        save_group(actor=alice, group=UserGroup(id=4711, name="analysts"))


def test_two_people_adding_the_same_group_is_a_conflict(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "validate", lambda _row: UserGroupFactory(name="analysts"))
    with pytest.raises(Conflict):
        save_group(actor=alice, group=UserGroup(name="analysts"))


def test_a_new_group_is_saved_and_recorded(alice: User) -> None:
    group = save_group(actor=alice, group=UserGroup(name=" analysts", description="Quarterly reports"))
    assert UserGroup.objects.get().name == "analysts"
    created = event("group.created")
    assert (created.group_name, created.subject_id) == ("analysts", str(group.pk))
    assert created.after == {"name": "analysts", "description": "Quarterly reports"}


def test_a_group_that_is_renamed_says_what_it_was_called(alice: User) -> None:
    group = UserGroupFactory(name="analysts")
    group.name = "finance"
    save_group(actor=alice, group=group)
    changed = event("group.changed")
    assert (changed.before, changed.after) == (
        {"name": "analysts", "description": ""},
        {"name": "finance", "description": ""},
    )


def test_saving_an_unchanged_group_leaves_no_trace(alice: User) -> None:
    save_group(actor=alice, group=UserGroup.objects.get(pk=UserGroupFactory().pk))
    assert traces() == (0, 0)
