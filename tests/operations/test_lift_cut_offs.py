from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from roles import tasks
from roles.errors import GrantEnded, NotPermitted
from roles.models import CutOff, User
from roles.operations.lift_cut_offs import lift_cut_off, lift_cut_offs
from tests.factories import Procedure
from tests.operations.conftest import event, runs, traces


def cut(procedure: Procedure, *, lifts_in: timedelta) -> CutOff:
    now = timezone.now()
    return CutOff.objects.create(
        target=procedure.role_b,
        source=procedure.role_a,
        user=procedure.bob,
        names=["bob"],
        started_at=now - timedelta(hours=1),
        cut_before=now - timedelta(hours=1),
        lifts_at=now + lifts_in,
    )


def test_who_may_not_cut_off_may_not_lift_it(procedure: Procedure, powerless: User) -> None:
    row = cut(procedure, lifts_in=timedelta(minutes=1))
    with pytest.raises(NotPermitted) as refusal:
        lift_cut_off(actor=powerless, cut_off=row)
    assert refusal.value.rule == "credentials.cut_off"
    assert traces() == (0, 0)


def test_it_is_not_lifted_twice(procedure: Procedure, alice: User) -> None:
    row = cut(procedure, lifts_in=timedelta(minutes=1))
    lift_cut_off(actor=alice, cut_off=row)
    with pytest.raises(GrantEnded):
        lift_cut_off(actor=alice, cut_off=row)
    assert runs() == [("cutoff.lifted", "MyRoleA")]


def test_while_one_of_the_credentials_lives_it_stays(procedure: Procedure) -> None:
    cut(procedure, lifts_in=timedelta(seconds=30))
    assert lift_cut_offs() == []
    assert traces() == (0, 0)


def test_when_the_last_has_expired_the_scheduler_lifts_it(procedure: Procedure) -> None:
    row = cut(procedure, lifts_in=timedelta(seconds=-1))
    assert tasks.lift_cut_offs() == [row.pk]
    assert tasks.lift_cut_offs() == []
    row.refresh_from_db()
    assert (row.is_open, row.ended_by) == (False, None)
    lifted = event("cutoff.lifted")
    assert (lifted.actor_name, lifted.resource) == ("worker", str(procedure.role_b.arn))
    assert lifted.details["before_its_time"] is False
    assert runs() == [("cutoff.lifted", "MyRoleA")]


def test_an_admin_can_lift_it_before_its_time(procedure: Procedure, alice: User) -> None:
    row, run = lift_cut_off(actor=alice, cut_off=cut(procedure, lifts_in=timedelta(minutes=30)), reason="wrong person")
    assert (row.is_open, row.ended_by, run.role) == (False, alice, procedure.role_a)
    lifted = event("cutoff.lifted")
    assert (lifted.details["before_its_time"], lifted.details["reason"]) == (True, "wrong person")
