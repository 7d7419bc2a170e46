from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission

from roles.context import SystemActor
from roles.errors import Conflict, InputError, NotFound, NotPermitted
from roles.models import User
from roles.operations import save_user as module
from roles.operations.save_user import save_user
from roles.permissions import AUDITORS, PORTAL_ADMINS, USERS
from tests.factories import PASSWORD, UserFactory, portal_admin
from tests.operations.conftest import event, traces


def group(name: str) -> Group:
    return Group.objects.get(name=name)


def stored(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_who_may_not_manage_users_is_refused(powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        save_user(actor=powerless, user=User(username="dora"))
    assert refusal.value.rule == "users.manage"
    assert not User.objects.filter(username="dora").exists()


def test_nobody_makes_themselves_an_admin(charlie: User) -> None:
    charlie.user_permissions.set(Permission.objects.filter(codename="change_usergroup"))
    charlie.is_staff = True
    with pytest.raises(NotPermitted):
        save_user(actor=charlie, user=charlie, groups=[group(PORTAL_ADMINS)])
    assert not charlie.groups.exists()
    assert not stored(charlie).is_staff


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"username": ""}, "username", "cannot be blank"),
        ({"username": "d o r a"}, "username", "valid username"),
        ({"username": "alice"}, "username", "already exists"),
        ({"email": "nowhere"}, "email", "valid email"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "not a time zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone", "not a time zone"),
        ({"is_superuser": True}, "is_superuser", "superuser"),
        ({"is_active": False}, "is_active", "cannot be deactivated by saving"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_field(
    given: dict[str, Any], field: str, says: str, alice: User
) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        save_user(actor=alice, user=User(**{"username": "dora", **given}))
    assert refusal.value.field == field
    assert not User.objects.filter(username="dora").exists()


def test_saving_does_not_deactivate_because_that_also_has_to_sign_out(alice: User, charlie: User) -> None:
    charlie.is_active = False
    with pytest.raises(InputError, match="cannot be deactivated by saving"):
        save_user(actor=alice, user=charlie)
    assert stored(charlie).is_active


@pytest.mark.parametrize(("is_staff", "keeps"), [(True, ()), (True, (AUDITORS,)), (False, (PORTAL_ADMINS,))])
def test_the_last_active_portal_admin_stays_one(is_staff: bool, keeps: tuple[str, ...], alice: User) -> None:
    portal_admin("gone")
    User.objects.filter(username="gone").update(is_active=False)
    alice.is_staff = is_staff
    with pytest.raises(Conflict, match="last active portal admin"):
        save_user(actor=alice, user=alice, groups=[group(name) for name in keeps])
    assert stored(alice).is_staff
    assert stored(alice).groups.get().name == PORTAL_ADMINS


def test_the_command_line_does_not_demote_the_last_portal_admin_either(alice: User) -> None:
    with pytest.raises(Conflict):
        save_user(actor=SystemActor("command"), user=alice, groups=())


def test_a_user_that_is_gone_cannot_be_changed(alice: User) -> None:
    with pytest.raises(NotFound):
        save_user(actor=alice, user=User(id=4711, username="dora", password="!"))


def test_two_people_adding_the_same_user_is_a_conflict(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "validate", lambda _row: UserFactory(username="dora"))
    with pytest.raises(Conflict):
        save_user(actor=alice, user=User(username="dora"))


def test_one_of_two_portal_admins_may_be_demoted(alice: User) -> None:
    other = portal_admin("adam")
    save_user(actor=alice, user=other, groups=[group(USERS)])
    changed = event("user.changed")
    assert changed.before is not None and changed.before["groups"] == [PORTAL_ADMINS]
    assert changed.after is not None and changed.after["groups"] == [USERS]
    assert [row.name for row in other.groups.all()] == [USERS]


def test_a_new_user_is_saved_with_password_and_permission_groups_but_no_secret_is_recorded(alice: User) -> None:
    dora = User(username="dora", is_staff=True)
    dora.set_password(PASSWORD)
    save_user(actor=alice, user=dora, groups=[group(AUDITORS)])
    assert stored(dora).check_password(PASSWORD)
    assert stored(dora).has_perm("roles.view_auditevent")
    created = event("user.created")
    assert created.after is not None and created.after["groups"] == [AUDITORS]
    assert "password" not in created.after


def test_a_new_user_without_a_password_has_none_that_works(alice: User) -> None:
    dora = save_user(actor=alice, user=User(username="dora"))
    assert not stored(dora).has_usable_password()


def test_saving_leaves_the_password_and_superuser_of_a_user_that_exists_alone(alice: User, charlie: User) -> None:
    charlie.first_name, charlie.is_superuser = "Charlie", True
    charlie.set_password("something else entirely")
    save_user(actor=alice, user=charlie)
    assert (stored(charlie).first_name, stored(charlie).is_superuser) == ("Charlie", False)
    assert stored(charlie).check_password(PASSWORD)


def test_a_deactivated_user_can_be_made_active_again(alice: User, charlie: User) -> None:
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    save_user(actor=alice, user=charlie)
    changed = event("user.changed")
    assert changed.before is not None and changed.before["is_active"] is False
    assert stored(charlie).is_active


def test_saving_an_unchanged_user_leaves_no_trace(alice: User, audrey: User) -> None:
    save_user(actor=alice, user=stored(audrey), groups=[group(AUDITORS)])
    assert traces() == (0, 0)


def helpdesk(*more: str) -> User:
    """Return somebody who may manage people, and nothing else unless named."""
    person: User = UserFactory(username="helen", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "add_user", *more]))
    return User.objects.get(pk=person.pk)


def test_who_manages_people_gives_nobody_more_than_they_have(charlie: User) -> None:
    helen = helpdesk()
    for user in (helen, charlie, User(username="dora")):
        with pytest.raises(NotPermitted, match="rights that helen does not have") as refusal:
            save_user(actor=helen, user=user, groups=[group(PORTAL_ADMINS)])
        assert "roles.change_grouprole" in refusal.value.hint
    assert not group(PORTAL_ADMINS).user_set.exists()
    assert save_user(actor=helen, user=charlie, groups=[group(USERS)]).groups.get().name == USERS


def test_who_manages_people_does_not_change_somebody_who_may_more(alice: User, charlie: User) -> None:
    helen = helpdesk()
    alice.username = "not-alice"
    with pytest.raises(NotPermitted):
        save_user(actor=helen, user=alice, groups=[])
    assert stored(alice).groups.get().name == PORTAL_ADMINS
    charlie.first_name = "Charlie"
    assert save_user(actor=helen, user=charlie).first_name == "Charlie"


def test_only_a_superuser_changes_a_superuser(alice: User) -> None:
    root: User = UserFactory(username="root", is_staff=True, is_superuser=True)
    root.first_name = "Changed"
    with pytest.raises(NotPermitted) as refusal:
        save_user(actor=alice, user=root)
    assert refusal.value.hint == "Ask a superuser."
    assert stored(root).first_name == ""
    assert save_user(actor=stored(root), user=root).first_name == "Changed"
