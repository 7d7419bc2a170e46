"""The worker is killed at every AWS call of a run over three accounts, and the next one brings it to the same end:
where access is given, and where it is taken away.

Real: the processes and their SIGKILL, the database (a file, or PostgreSQL), the strict AWS over HTTP with signatures.
Not waited for: the end of the dead worker's claim and leases, which is moved into the past; `test_worker_killed` waits.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from roles.aws.sandbox import SandboxServer
from roles.models import AssumeRoleGrant, AuditEvent, GroupRole, ProvisioningRun, ProvisioningStep, ResourceLease
from roles.models.choices import MappingState, RunPurpose, RunStatus, StepStatus
from tests import factories
from tests.sandbox.conftest import portal_settings, reset_sandbox
from tests.sandbox.proxy import Proxy
from tests.services.worker import Server, serving
from tests.strict_aws.estate import Estate, Rows, theirs
from tests.strict_aws.http_front import HttpFront, over_sandbox

pytestmark = [pytest.mark.services, pytest.mark.sandbox, pytest.mark.django_db(transaction=True)]

OWNERS = {"222222222222": "example-data", "333333333333": "other-data"}
KILLED = -signal.SIGKILL


class Stage:
    """AWS, the database and a worker, all of which can be put back to where they were."""

    def __init__(self, front: HttpFront, proxy: Proxy, server: Server, credentials_file: Path) -> None:
        self.front, self.proxy, self.server, self.credentials_file = front, proxy, server, credentials_file
        self.estate = Estate(front.endpoint_url, OWNERS)
        self.rows = Rows(OWNERS)
        self.mapping: GroupRole = factories.GroupRoleFactory(role=self.rows.source("MyRoleA", *self.rows.targets))

    def put_back(self) -> None:
        """Empty AWS, and forget that there ever was a run."""
        reset_sandbox(SandboxServer(self.front.port))
        self.estate.build(self.credentials_file)
        ProvisioningStep.objects.all().delete()
        ProvisioningRun.objects.all().delete()
        self.map()

    def map(self) -> None:
        """Let the mapping begin, as the operation does."""
        self._change(ended_at=None, state=MappingState.QUEUED, provisioned_at=None)

    def unmap(self) -> None:
        """Let the mapping end, as the operation does."""
        self._change(ended_at=timezone.now(), state=MappingState.REMOVING)

    def _change(self, **fields: object) -> None:
        GroupRole.objects.update(**fields)
        self.mapping.refresh_from_db()

    def run(self) -> ProvisioningRun:
        found: ProvisioningRun = factories.ProvisioningRunFactory(role=self.mapping.role, mapping=self.mapping)
        return found

    def retire(self) -> ProvisioningRun:
        """Provision, end the mapping and its grants, clean up, and return a queued run that deletes the source role."""
        self.put_back()
        AssumeRoleGrant.objects.update(ended_at=None)
        assert self.work(self.run()) == 0
        now = timezone.now()
        GroupRole.objects.update(ended_at=now, state=MappingState.REMOVING)
        AssumeRoleGrant.objects.update(ended_at=now)
        assert self.work(self.run()) == 0
        order = {"purpose": RunPurpose.DELETE_ROLE, "trigger": "role.deletion_queued"}
        found: ProvisioningRun = factories.ProvisioningRunFactory(role=self.mapping.role, **order)
        return found

    def work(self, run: ProvisioningRun, *, kill_at: int = 0) -> int:
        """Let a worker have the run and return how it ended; `kill_at`: as AWS has done that call of it."""
        self.proxy.log.clear()
        known, worker = threading.Event(), 0

        def strike(count: int) -> None:
            if count == kill_at:
                assert known.wait(10)
                os.kill(worker, signal.SIGKILL)

        self.proxy.before_answer = strike
        worker = self.server.begin(run.pk)
        known.set()
        return self.server.end()

    def restart(self, run: ProvisioningRun) -> int:
        past = timezone.now() - timedelta(seconds=1)
        ProvisioningRun.objects.filter(pk=run.pk).update(claimed_until=past)
        ResourceLease.objects.update(expires_at=past)
        return self.work(run)


@pytest.fixture
def stage(sandbox_server: SandboxServer, database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """Three accounts on the strict AWS, and a server of workers that reach it through a proxy."""
    credentials = tmp_path / "credentials"
    with HttpFront(over_sandbox(sandbox_server.port, remembers=True)) as front, Proxy(front.port) as proxy:
        environment = {
            **portal_settings(proxy.endpoint_url),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "DJANGO_SETTINGS_MODULE": "xacct_portal.settings",
            "DATABASE_URL": database_url,
            "XACCT_PROPAGATION_SECONDS": "20",
        }
        with serving(environment, tmp_path / "workers.log") as server:
            yield Stage(front, proxy, server, credentials)


def assert_truthful(run: ProvisioningRun, undisturbed: list[str]) -> None:
    """The history says once that it is done, what was changed, which step was interrupted, and leaves none open."""
    run.refresh_from_db()
    assert (run.status, run.attempts, run.error) == (RunStatus.IN_SYNC, 2, "")
    interrupted = list(run.steps.exclude(status=StepStatus.DONE))
    assert [(step.attempt, step.error_code) for step in interrupted] in ([], [(1, "run.interrupted")])
    events = AuditEvent.objects.filter(subject_type="provisioningrun", subject_id=str(run.pk))
    assert [event.code for event in events] == ["run.succeeded"]
    assert events[0].details["changed"] == undisturbed


def changed_by(run: ProvisioningRun) -> list[str]:
    found: list[str] = AuditEvent.objects.get(code="run.succeeded", subject_id=str(run.pk)).details["changed"]
    return found


class Undisturbed:
    """What a run did that nobody killed: its calls, its writes, what AWS had at its end, and what its history says."""

    def __init__(self, stage: Stage) -> None:
        run = stage.run()
        assert stage.work(run) == 0
        self.calls, self.writes = stage.proxy.log.names, stage.proxy.log.writes
        self.state, self.changed = stage.estate.state(), changed_by(run)

    def assert_kill_is_made_good(self, stage: Stage, number: int) -> None:
        """Kill the worker at that call of the same run once more: the next one ends where this one did."""
        run = stage.run()
        assert stage.work(run, kill_at=number) == KILLED
        assert stage.proxy.log.names == self.calls[:number]
        done = stage.proxy.log.writes
        assert stage.restart(run) == 0
        assert (number, stage.estate.state()) == (number, self.state)
        assert sorted(done + stage.proxy.log.writes) == sorted(self.writes)  # nothing was written twice
        assert_truthful(run, self.changed)
        stage.mapping.refresh_from_db()


def test_a_worker_killed_at_any_call_is_followed_by_one_that_ends_where_it_would_have(stage: Stage) -> None:
    stage.put_back()
    undisturbed = Undisturbed(stage)
    assert undisturbed.calls.count("CreateRole") == 3 and undisturbed.calls.count("PutBucketPolicy") == 2
    for number in range(1, len(undisturbed.calls) + 1):
        stage.put_back()
        undisturbed.assert_kill_is_made_good(stage, number)
        assert stage.mapping.state == MappingState.IN_SYNC


def test_a_worker_killed_at_any_call_of_a_removal_is_followed_by_one_that_takes_all_of_it_away(stage: Stage) -> None:
    stage.put_back()
    given = Undisturbed(stage).state
    stage.unmap()
    undisturbed = Undisturbed(stage)
    assert_nothing_is_left(undisturbed.state)
    assert undisturbed.calls.count("PutBucketPolicy") == 2 and "DeleteRolePolicy" in undisturbed.calls
    for number in range(1, len(undisturbed.calls) + 1):
        stage.map()
        assert stage.work(stage.run()) == 0
        assert stage.estate.state() == given
        stage.unmap()
        undisturbed.assert_kill_is_made_good(stage, number)
        assert stage.mapping.state == MappingState.REMOVED


def assert_nothing_is_left(state: dict[str, Any]) -> None:
    """Nobody can assume the target roles, the source role may do nothing, and the buckets are as before the portal."""
    for account_id, bucket in OWNERS.items():
        trust, policies = state[f"arn:aws:iam::{account_id}:role/MyRoleB"]
        assert ([one["Sid"] for one in trust["Statement"]], policies) == (["XacctTrustNobody"], {})
        assert [one["Sid"] for one in state[f"arn:aws:s3:::{bucket}"]] == [theirs(account_id, bucket)["Sid"]]
    assert state["arn:aws:iam::111111111111:role/MyRoleA"][1] == {}


def test_a_worker_killed_at_any_call_of_a_deletion_is_followed_by_one_that_deletes_the_rest(stage: Stage) -> None:
    run = stage.retire()
    assert stage.work(run) == 0
    calls, writes = stage.proxy.log.names, stage.proxy.log.writes
    wished = stage.estate.state()
    assert not [resource for resource in wished if resource.endswith("/MyRoleA")]
    assert [name for name in calls if name.startswith(("Delete", "Remove"))] == [
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile",
        "DeleteRole",
    ]
    for number in range(1, len(calls) + 1):
        run = stage.retire()
        assert stage.work(run, kill_at=number) == KILLED
        done = stage.proxy.log.writes
        assert stage.restart(run) == 0
        assert (number, stage.estate.state()) == (number, wished)
        # Taking the role out and deleting the profile are one step, which is done again as a whole.
        again = done + stage.proxy.log.writes
        assert set(again) == set(writes) and again.count("DeleteRole") == 1
        run.refresh_from_db()
        assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
