"""The broker is down while admins save: nothing is lost, the pages say so, and it catches up by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from roles.models import GroupRole, ProvisioningRun, User
from roles.models.choices import MappingState, RunStatus
from roles.operations.map_role_to_group import map_role_to_group
from roles.provisioning import outbox, runner
from tests import factories
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db

SAID = "Queued, workers unreachable"


class Broker:
    """Takes messages, unless it is down."""

    def __init__(self) -> None:
        self.is_down = True
        self.messages: list[int] = []

    def send_task(self, _name: str, args: list[int]) -> None:
        if self.is_down:
            raise OperationalError("Connection refused")
        self.messages += args


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A broker that is down."""
    found = Broker()
    monkeypatch.setattr(current_app, "send_task", found.send_task)
    yield found


def page(alice: User, name: str, row: Any) -> str:
    client = Client()
    client.force_login(alice)
    return client.get(reverse(name, args=[row.pk])).content.decode()


def shown(alice: User, mapping: GroupRole) -> list[bool]:
    """Return whether the run's, the mapping's and the group's page say that no worker can be reached."""
    run = ProvisioningRun.objects.get(mapping=mapping)
    places = (("run", run), ("admin:roles_grouprole_change", mapping), ("admin:roles_usergroup_change", mapping.group))
    return [SAID in page(alice, name, row) for name, row in places]


def test_what_admins_save_while_the_broker_is_down_is_done_once_it_is_back(
    aws: WatchedAws,
    procedure: factories.Procedure,
    alice: User,
    broker: Broker,
    django_capture_on_commit_callbacks: Any,
) -> None:
    groups = [procedure.group, *factories.UserGroupFactory.create_batch(4)]
    with django_capture_on_commit_callbacks(execute=True):
        saved = [map_role_to_group(actor=alice, group=group, role=procedure.role_a) for group in groups]
    assert ProvisioningRun.objects.filter(status=RunStatus.QUEUED).count() == len(saved)
    assert shown(alice, saved[0]) == [True, True, True]

    ProvisioningRun.objects.update(queued_at=timezone.now() - timedelta(minutes=1))
    assert outbox.resend_runs() == []
    broker.is_down = False
    assert outbox.resend_runs() == broker.messages
    assert shown(alice, saved[0])[1:] == [False, False]  # it is with the workers; until one takes it, the run says so
    for run_id in broker.messages:
        runner.reconcile(run_id)
    assert set(GroupRole.objects.values_list("state", flat=True)) == {MappingState.IN_SYNC}
    assert shown(alice, saved[0]) == [False, False, False]
