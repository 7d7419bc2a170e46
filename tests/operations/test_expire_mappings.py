from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from roles import tasks
from roles.errors import GrantEnded
from roles.models import GroupRole, ProvisioningRun, User
from roles.operations import expire_mappings as module
from roles.operations.expire_mappings import expire_mappings
from roles.operations.unmap_role import unmap_role
from tests.factories import GroupRoleFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, traces

PAST, FUTURE = timedelta(seconds=-1), timedelta(hours=1)


def test_a_mapping_whose_time_is_not_over_or_that_has_no_end_stays(procedure: Procedure) -> None:
    procedure.map(expires_at=timezone.now() + FUTURE)
    GroupRoleFactory(role=procedure.role_a)
    assert expire_mappings() == []
    assert GroupRole.objects.open().count() == 2
    assert traces() == (0, 0)


def test_an_expired_mapping_cannot_be_removed_by_a_person_afterwards(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(expires_at=timezone.now() + PAST)
    expire_mappings()
    with pytest.raises(GrantEnded):
        unmap_role(actor=alice, mapping=mapping)
    assert ProvisioningRun.objects.count() == 1


def test_a_mapping_that_a_person_ended_before_it_expired_is_left_alone(procedure: Procedure, alice: User) -> None:
    ended = procedure.map(expires_at=timezone.now() + FUTURE)
    unmap_role(actor=alice, mapping=ended)
    GroupRole.objects.update(expires_at=timezone.now() + PAST)
    assert expire_mappings() == []


@pytest.mark.parametrize("meanwhile", [{"ended_at": FUTURE}, {"expires_at": FUTURE}, {"expires_at": None}])
def test_what_a_person_did_between_looking_and_locking_counts(
    meanwhile: dict[str, timedelta | None], procedure: Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = procedure.map(expires_at=timezone.now() + PAST)
    lock = module.locked_mapping

    def lock_late(row: GroupRole) -> GroupRole:
        values = {name: delta and timezone.now() + delta for name, delta in meanwhile.items()}
        GroupRole.objects.filter(pk=row.pk).update(**values)
        return lock(row)

    monkeypatch.setattr(module, "locked_mapping", lock_late)
    assert expire_mappings() == []
    mapping.refresh_from_db()
    assert mapping.state == "queued"
    assert traces() == (0, 0)


def test_an_expired_mapping_ends_as_if_removed_by_the_worker(procedure: Procedure) -> None:
    mapping = procedure.map(state="in_sync", expires_at=timezone.now() + PAST)
    token = a_token(procedure.bob, mapping)
    assert expire_mappings() == [mapping]
    mapping.refresh_from_db()
    assert (mapping.is_open, mapping.ended_by, mapping.state) == (False, None, "removing")
    assert is_forgotten(token)
    expired, run = event("mapping.expired"), ProvisioningRun.objects.get()
    assert (expired.actor_name, expired.group_name, expired.after) == ("worker", "analysts", None)
    assert (run.trigger, run.mapping, run.requested_by_name) == ("mapping.expired", mapping, "worker")


def test_each_expired_mapping_ends_and_a_second_time_there_is_nothing_to_do(procedure: Procedure) -> None:
    mappings = [procedure.map(expires_at=timezone.now() + 2 * PAST)]
    mappings.append(GroupRoleFactory(role=procedure.role_a, expires_at=timezone.now() + PAST))
    assert expire_mappings() == mappings
    assert expire_mappings() == []


def test_the_task_says_which_mappings_it_ended(procedure: Procedure) -> None:
    mapping = procedure.map(expires_at=timezone.now() + PAST)
    assert tasks.expire_mappings() == [mapping.pk]
    assert event("mapping.expired").request_id == ProvisioningRun.objects.get().request_id
