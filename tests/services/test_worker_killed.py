"""A worker that dies with SIGKILL between steps 4 and 5, on a real broker: the run completes without a person."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import transaction

from roles import context
from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET_ACCOUNT, foreign_statement
from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.policies.document import parse
from roles.provisioning import outbox
from tests import factories
from tests.sandbox.conftest import portal_settings
from tests.sandbox.proxy import CallLog, Proxy
from tests.sandbox.test_procedure import bucket_policy

pytestmark = [pytest.mark.services, pytest.mark.sandbox, pytest.mark.django_db(transaction=True)]

CLAIM_SECONDS = 3
PATIENCE_SECONDS = 90.0
ADMIN = context.SystemActor("command:test")
Worker = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start_worker(aws: CallLog, proxy: Proxy, database_url: str, tmp_path: Path, settings: Any) -> Iterator[Worker]:
    """Start Celery workers on the configured broker; none is left at the end."""
    settings.XACCT_RUN_CLAIM_SECONDS = CLAIM_SECONDS
    current_app.control.purge()  # messages of other tests are about runs that are not in this database
    environment = {
        **os.environ,
        **portal_settings(proxy.endpoint_url),
        "DJANGO_SETTINGS_MODULE": "xacct_portal.settings",
        "DATABASE_URL": database_url,
        "XACCT_RUN_CLAIM_SECONDS": str(CLAIM_SECONDS),
        "XACCT_LEASE_SECONDS": str(CLAIM_SECONDS),
        "XACCT_PROPAGATION_SECONDS": "30",
    }
    command = [sys.executable, "-m", "celery", "-A", "xacct_portal", "worker", "--pool", "solo", "--without-mingle"]
    running: list[subprocess.Popen[bytes]] = []
    log = (tmp_path / "worker.log").open("wb")

    def start() -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
    log.close()


def until_done(run: ProvisioningRun) -> ProvisioningRun:
    """Sweep as Celery beat does, until the run is final."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        outbox.resend_runs()
        run.refresh_from_db()
        if run.is_final:
            return run
        time.sleep(0.5)
    raise AssertionError(f"{run} is still '{run.status}': {run.progress}")


def queued(mapping: GroupRole) -> ProvisioningRun:
    with transaction.atomic():
        return outbox.queue_run(actor=ADMIN, role=mapping.role, trigger="mapping.added", mapping=mapping)


def test_a_worker_killed_between_steps_4_and_5_is_replaced_without_a_person(
    start_worker: Worker, proxy: Proxy, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = factories.Procedure().map()
    proxy.hold("UpdateAssumeRolePolicy")
    first = start_worker()
    run = queued(mapping)
    assert proxy.held.wait(PATIENCE_SECONDS), "the worker never came to step 5"
    first.send_signal(signal.SIGKILL)
    first.wait()
    run.refresh_from_db()
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.APPLYING, MappingState.APPLYING)
    proxy.release()  # the dead worker's last call reaches AWS after all
    start_worker()
    assert until_done(run).error == ""
    assert (run.status, run.attempts) == (RunStatus.IN_SYNC, 2)
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    _nothing_is_doubled(sandbox_server)
    _history_is_truthful(run)


def _nothing_is_doubled(server: sandbox.SandboxServer) -> None:
    policy = bucket_policy(server)
    assert policy[0] == foreign_statement()
    assert len(policy) == len({statement["Sid"] for statement in policy}) == 3
    iam = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=server.endpoint_url)
    trust = parse(iam.get_role(RoleName="MyRoleB")["Role"]["AssumeRolePolicyDocument"])
    assert [statement.sid for statement in trust.statements] == ["XacctTrust", "XacctTrustAttribution"]


def _history_is_truthful(run: ProvisioningRun) -> None:
    steps = run.steps.order_by("attempt", "sequence")
    assert list(steps.filter(attempt=1).values_list("step", "status")) == [
        *((number, StepStatus.DONE) for number in (1, 1, 2, 3, 4)),
        (5, StepStatus.FAILED),
    ]
    assert steps.get(attempt=1, step=5).error_code == "run.interrupted"
    assert [step.status for step in steps.filter(attempt=2)] == [StepStatus.DONE] * 8
    assert not steps.filter(attempt=2, action="create").exists()


def test_a_message_that_was_lost_is_sent_again(start_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = factories.Procedure().map()
    run = queued(mapping)
    current_app.control.purge()
    monkeypatch.setattr(outbox, "RESEND_AFTER", outbox.RESEND_AFTER * 0)
    monkeypatch.setattr(outbox, "RESEND_TAKEN_AFTER", outbox.RESEND_TAKEN_AFTER * 0)
    start_worker()
    assert until_done(run).status == RunStatus.IN_SYNC
