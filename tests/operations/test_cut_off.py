from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.errors import Conflict, InputError, NotPermitted, PolicyTooLarge, StalePlan
from roles.models import CutOff, IamRole, IssuedToken, User
from roles.operations.cut_off import Whose, check_cut_off, cut_off, digest_of
from roles.tokens.events import facts_of
from tests.factories import AssumeRoleGrantFactory, GroupRoleFactory, IamRoleFactory, Procedure, UserFactory
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces


@pytest.fixture
def carol(procedure: Procedure) -> User:
    user: User = UserFactory(username="carol")
    return user


def held(procedure: Procedure, user: User, **given: Any) -> IssuedToken:
    """Return a token of MyRoleB that somebody has."""
    mapping = given.pop("mapping", None) or procedure.map()
    return a_token(user, mapping, **{"target": procedure.role_b, "session_name": user.username, **given})


@pytest.mark.parametrize("what", ["user", "mapping", "role"])
def test_who_may_not_cut_off_is_refused(procedure: Procedure, powerless: User, what: str) -> None:
    token = held(procedure, procedure.bob)
    whose = {
        "user": Whose(user=procedure.bob),
        "mapping": Whose(mapping=token.mapping),
        "role": Whose(role=procedure.role_b),
    }[what]
    for call in (check_cut_off, cut_off):
        with pytest.raises(NotPermitted) as refusal:
            call(actor=powerless, whose=whose)
        assert refusal.value.rule == "credentials.cut_off"
    assert traces() == (0, 0)
    assert not is_forgotten(token)


def test_where_nothing_is_known_to_work_there_is_nothing_to_cut_off(procedure: Procedure, alice: User) -> None:
    held(procedure, procedure.bob)
    IssuedToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Conflict, match="no credentials of bob that still work"):
        cut_off(actor=alice, whose=Whose(user=procedure.bob))
    assert traces() == (0, 0)


def test_a_role_that_is_no_target_is_refused(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match="No source role may assume"):
        cut_off(actor=alice, whose=Whose(role=procedure.role_a), hits_everybody=True)


@pytest.mark.parametrize("given", [{}, {"user": True, "role": True}, {"group": True}])
def test_whose_it_is_has_to_be_said_once(procedure: Procedure, given: dict[str, bool]) -> None:
    rows = {"user": procedure.bob, "role": procedure.role_b, "group": procedure.group}
    with pytest.raises(InputError):
        Whose(**{name: rows[name] for name in given})  # type: ignore[arg-type]


def test_everybody_is_hit_only_if_that_was_said(procedure: Procedure, alice: User) -> None:
    held(procedure, procedure.bob)
    with pytest.raises(InputError) as refusal:
        cut_off(actor=alice, whose=Whose(role=procedure.role_b))
    assert refusal.value.field == "hits_everybody"
    assert traces() == (0, 0)
    (row,), _ = cut_off(actor=alice, whose=Whose(role=procedure.role_b), hits_everybody=True)
    assert (row.names, row.user, row.mapping, row.whom) == ([], None, None, "everybody")


def test_what_has_no_room_is_refused_and_the_role_as_a_whole_is_named_as_the_way_out(
    procedure: Procedure, alice: User
) -> None:
    mapping = procedure.map()
    for number in range(300):
        held(procedure, procedure.bob, mapping=mapping, session_name=f"somebody.{number:03}")
    with pytest.raises(PolicyTooLarge) as refusal:
        cut_off(actor=alice, whose=Whose(mapping=mapping))
    assert "Cut off the role" in refusal.value.hint
    assert traces() == (0, 0)


def test_what_changed_since_it_was_looked_at_is_refused(procedure: Procedure, alice: User, carol: User) -> None:
    token = held(procedure, procedure.bob)
    whose = Whose(mapping=token.mapping)
    seen = digest_of(check_cut_off(actor=alice, whose=whose))
    held(procedure, carol, mapping=token.mapping)
    with pytest.raises(StalePlan):
        cut_off(actor=alice, whose=whose, expected_plan=seen)
    assert traces() == (0, 0)
    seen = digest_of(check_cut_off(actor=alice, whose=whose))
    (row,), _ = cut_off(actor=alice, whose=whose, expected_plan=seen)
    assert row.names == ["bob", "carol"]


def test_a_person_is_cut_off_until_the_last_of_their_tokens_expires(
    procedure: Procedure, alice: User, carol: User
) -> None:
    token = held(procedure, procedure.bob)
    last = held(procedure, procedure.bob, mapping=token.mapping, evicted_at=timezone.now())
    IssuedToken.objects.filter(pk=last.pk).update(expires_at=timezone.now() + timedelta(minutes=90))
    last.refresh_from_db()
    others = held(procedure, carol, mapping=token.mapping)
    (row,), (run,) = cut_off(actor=alice, whose=Whose(user=procedure.bob), reason="OPS-12 lost laptop")
    assert (row.target, row.source, row.user, row.names) == (procedure.role_b, procedure.role_a, procedure.bob, ["bob"])
    assert timedelta(0) < row.cut_before - row.started_at <= timedelta(seconds=1)
    assert row.cut_before.microsecond == 0
    assert row.lifts_at == last.expires_at
    assert (run.role, run.trigger) == (procedure.role_a, "cutoff.started")
    assert is_forgotten(token)
    assert not is_forgotten(others)
    started = event("cutoff.started")
    assert (started.resource, started.account_id) == (str(procedure.role_b.arn), "222222222222")
    assert started.after is not None and started.after["names"] == ["bob"]
    assert started.details["people"] == ["bob"]
    assert [one["access_key_id"] for one in started.details["tokens"]] == [token.access_key_id, last.access_key_id]
    assert started.details["tokens"][1] == facts_of(last)
    assert event("token.evicted").actor == alice
    assert started.details["reason"] == "OPS-12 lost laptop"


def test_a_person_is_cut_off_at_each_target_by_the_name_that_aws_has_for_them(
    procedure: Procedure, alice: User
) -> None:
    second: IamRole = IamRoleFactory(account=procedure.account_b, name="SecondB")
    other: IamRole = IamRoleFactory(account=procedure.account_a, name="OtherA")
    AssumeRoleGrantFactory(source=other, target=second)
    held(procedure, procedure.bob)
    a_token(procedure.bob, GroupRoleFactory(role=other), target=second, session_name="bob=u7")
    User.objects.filter(pk=procedure.bob.pk).update(username="robert")  # renamed since
    rows, _ = cut_off(actor=alice, whose=Whose(user=procedure.bob))
    assert [(row.target.name, row.names) for row in rows] == [("MyRoleB", ["bob"]), ("SecondB", ["bob=u7"])]
    assert runs() == [("cutoff.started", "MyRoleA"), ("cutoff.started", "OtherA")]


def test_only_what_one_group_gave_is_looked_at_where_a_group_is_named(procedure: Procedure, alice: User) -> None:
    elsewhere: IamRole = IamRoleFactory(account=procedure.account_b, name="SecondB")
    held(procedure, procedure.bob)
    a_token(procedure.bob, GroupRoleFactory(role=procedure.role_a), target=elsewhere, session_name="bob")
    rows, _ = cut_off(actor=alice, whose=Whose(user=procedure.bob, group=procedure.group))
    assert [row.target.name for row in rows] == ["MyRoleB"]


def test_a_mapping_is_cut_off_for_everybody_whom_it_gave_something(
    procedure: Procedure, alice: User, carol: User
) -> None:
    token, elsewhere = held(procedure, procedure.bob), GroupRoleFactory(role=procedure.role_a)
    also_bobs = held(procedure, procedure.bob, mapping=elsewhere)
    carols = held(procedure, carol, mapping=elsewhere)
    (row,), _ = cut_off(actor=alice, whose=Whose(mapping=token.mapping))
    assert (row.names, row.mapping, event("cutoff.started").group_name) == (["bob"], token.mapping, "analysts")
    # AWS tells a person's sessions of one role apart by their beginning alone, so the other one is dead too.
    assert is_forgotten(also_bobs)
    assert not is_forgotten(carols)


@pytest.mark.parametrize(("ownership", "hours"), [("managed", 1), ("adopted", 12)])
def test_everybody_is_cut_off_as_long_as_sessions_that_the_portal_does_not_know_may_last(
    procedure: Procedure, alice: User, ownership: str, hours: int
) -> None:
    procedure.role_b.ownership = ownership
    procedure.role_b.save()
    token = held(procedure, procedure.bob)
    (row,), _ = cut_off(actor=alice, whose=Whose(role=procedure.role_b), hits_everybody=True)
    assert abs(row.lifts_at - timezone.now() - timedelta(hours=hours)) < timedelta(minutes=1)
    assert is_forgotten(token)


def test_a_token_from_before_targets_were_kept_is_cut_off_wherever_it_may_be_of(
    procedure: Procedure, alice: User
) -> None:
    token = a_token(procedure.bob, procedure.map())
    (row,), _ = cut_off(actor=alice, whose=Whose(user=procedure.bob))
    assert (row.target, row.names) == (procedure.role_b, ["bob"])
    assert is_forgotten(token)


def test_access_stays_what_it_was(procedure: Procedure, alice: User) -> None:
    token = held(procedure, procedure.bob)
    cut_off(actor=alice, whose=Whose(user=procedure.bob))
    token.mapping.refresh_from_db()
    assert token.mapping.is_open
    assert CutOff.objects.open().count() == 1
