"""Fifty changes at once on one bucket and one role, four worker processes on a real broker: AWS ends as wished.

With embedded services, fewer: SQLite takes one writer at a time, and what is to be shown here is many.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connection, connections

from roles import context
from roles.aws import sts
from roles.aws.sandbox import SandboxServer
from roles.models import BucketGrant, GroupRole, IamRole, ProvisioningRun, ResourceLease
from roles.models.choices import MappingState, RunStatus
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.grant_bucket import grant_bucket
from roles.operations.map_role_to_group import map_role_to_group
from roles.operations.unmap_role import unmap_role
from roles.policies.sids import BUCKET_OBJECTS, bucket_sid
from roles.provisioning import desired, outbox, preview
from tests import factories
from tests.sandbox.conftest import portal_settings, reset_sandbox
from tests.sandbox.proxy import Proxy
from tests.services.worker import serving
from tests.strict_aws.estate import Estate, Rows, theirs
from tests.strict_aws.http_front import HttpFront, over_sandbox

pytestmark = [pytest.mark.services, pytest.mark.sandbox, pytest.mark.django_db(transaction=True)]

WORKERS = 4
ADMINS = 10
PATIENCE_SECONDS = 300.0
LEASE_SECONDS = 5
SLACK_SECONDS = 5  # for a slow machine to read and write; far less than the default lease of a minute
OWNER, BUCKET = "222222222222", "example-data"
ADMIN = context.SystemActor("command:test")
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def proxy(sandbox_server: SandboxServer) -> Iterator[Proxy]:
    """The strict AWS, behind a proxy that can hold a call back."""
    reset_sandbox(sandbox_server)
    with HttpFront(over_sandbox(sandbox_server.port, remembers=True)) as front, Proxy(front.port) as running:
        yield running


@pytest.fixture
def estate(proxy: Proxy, tmp_path: Path) -> Estate:
    """The two accounts of the procedure."""
    made = Estate(proxy.endpoint_url)
    made.build(tmp_path / "credentials")
    return made


@pytest.fixture
def environment(estate: Estate, database_url: str, tmp_path: Path) -> dict[str, str]:
    """What a worker has to know."""
    return {
        **portal_settings(estate.endpoint_url),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "DJANGO_SETTINGS_MODULE": "xacct_portal.settings",
        "DATABASE_URL": database_url,
        "XACCT_RUN_CLAIM_SECONDS": "20",
        "XACCT_LEASE_SECONDS": str(LEASE_SECONDS),
        "XACCT_PROPAGATION_SECONDS": "60",
    }


@pytest.fixture
def _here(estate: Estate, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process too is a portal of these accounts, to plan."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name, value in portal_settings(estate.endpoint_url).items():
        setattr(settings, name, value)
    sts.forget_identity()
    yield
    sts.forget_identity()


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start Celery workers on the configured broker; none is left at the end."""
    current_app.control.purge()
    command = [sys.executable, "-m", "celery", "-A", "xacct_portal", "worker", "--pool", "solo", "--without-mingle"]
    running: list[subprocess.Popen[bytes]] = []
    log = (tmp_path / "workers.log").open("wb")

    def begin() -> subprocess.Popen[bytes]:
        named = [*command, "--hostname", f"worker{len(running)}@%h"]
        running.append(subprocess.Popen(named, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()
    log.close()


def until(is_so: Callable[[], bool], *, pause: float = 0.5) -> None:
    """Sweep as Celery beat does, until it is so."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < ends, list(ProvisioningRun.objects.unfinished().values("pk", "status", "progress"))
        outbox.resend_runs()
        time.sleep(pause)


def all_ended() -> bool:
    return not ProvisioningRun.objects.unfinished().exists()


def at_once(changes: list[Callable[[], object]]) -> None:
    """Let admins make all changes, each with a connection of their own; whatever one of them raises is raised."""

    def make(change: Callable[[], object]) -> None:
        try:
            change()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(ADMINS) as pool:
        list(pool.map(make, changes))


class World:
    """Two source roles in use, one target, one bucket; changes that add as much as they take, with a third source."""

    def __init__(self, estate: Estate, *, mappings: int, grants: int) -> None:
        rows = Rows(estate.owners)
        (self.target,), (self.bucket,) = rows.targets, rows.buckets
        self.sources = [rows.source(f"Source{number}", self.target) for number in range(3)]
        self.grants = grants
        self.foreign = estate.bucket_policy(BUCKET)
        assert [statement["Sid"] for statement in self.foreign] == [theirs(OWNER, BUCKET)["Sid"]]
        mapped = [factories.GroupRoleFactory(role=self.sources[number % 2]) for number in range(mappings)]
        granted = [
            factories.BucketGrantFactory(role=self.target, bucket=self.bucket, prefix=f"old-{number}/")
            for number in range(grants)
        ]
        for mapping in mapped[:2]:
            factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
        self.changes: list[Callable[[], object]] = [
            *(partial(unmap_role, actor=ADMIN, mapping=mapping) for mapping in mapped),
            *(partial(end_bucket_grant, actor=ADMIN, grant=grant) for grant in granted),
            *(self.mapping(self.sources[1 + number % 2]) for number in range(mappings)),
            *(self.grant(f"new-{number}/") for number in range(grants)),
        ]

    def mapping(self, role: IamRole) -> Callable[[], GroupRole]:
        return partial(map_role_to_group, actor=ADMIN, group=factories.UserGroupFactory(), role=role)

    def grant(self, prefix: str) -> Callable[[], BucketGrant]:
        return partial(grant_bucket, actor=ADMIN, role=self.target, bucket=self.bucket, prefix=prefix)

    def assert_is_what_aws_has(self, estate: Estate) -> None:
        wished = sorted(str(role.arn) for role in desired.sources_in_use(self.target))
        assert wished == [str(role.arn) for role in self.sources[1:]]
        trust, _ = estate.state()[str(self.target.arn)]
        assert [sorted(statement["Principal"]["AWS"]) for statement in trust["Statement"]] == [wished] * 2
        policy = estate.bucket_policy(BUCKET)
        sids = [statement["Sid"] for statement in policy]
        assert (policy[:1], len(sids)) == (self.foreign, len(set(sids)))
        assert [preview.plan_now(source).writes for source in self.sources] == [0] * len(self.sources)
        folders = ["", *(f"new-{number}/" for number in range(self.grants))]
        assert set(BucketGrant.objects.open().values_list("prefix", flat=True)) == set(folders)
        expected = {bucket_sid(BUCKET_OBJECTS, self.target.arn, folder) for folder in folders}
        assert {sid for sid in sids if sid.startswith(BUCKET_OBJECTS)} == expected


def assert_all_ended_well() -> None:
    ended = Counter(ProvisioningRun.objects.values_list("status", "error"))
    assert ended.keys() == {(RunStatus.IN_SYNC, "")}, ended
    mappings = GroupRole.objects.filter(ended_at__isnull=True), GroupRole.objects.filter(ended_at__isnull=False)
    states = [set(rows.values_list("state", flat=True)) for rows in mappings]
    assert states == [{MappingState.IN_SYNC}, {MappingState.REMOVED}]
    assert not ResourceLease.objects.exists()


@pytest.mark.usefixtures("_here")
def test_changes_at_once_end_in_what_the_database_wishes(start: Start, estate: Estate) -> None:
    few = connection.vendor == "sqlite"
    world = World(estate, mappings=4 if few else 19, grants=2 if few else 6)
    for _ in range(WORKERS):
        start()
    until(all_ended)
    assert len(world.changes) == (12 if few else 50)
    at_once([change for number in range(4) for change in world.changes[number::4]])
    until(all_ended)
    assert_all_ended_well()
    world.assert_is_what_aws_has(estate)


def test_a_worker_that_dies_with_a_lease_delays_others_no_longer_than_the_lease(
    environment: dict[str, str], estate: Estate, proxy: Proxy, tmp_path: Path
) -> None:
    rows = Rows(estate.owners)
    runs = [
        factories.ProvisioningRunFactory(role=role, mapping=factories.GroupRoleFactory(role=role))
        for role in (rows.source(name, rows.targets[0]) for name in ("First", "Second"))
    ]
    with serving(environment, tmp_path / "workers.log") as server:
        proxy.hold("PutBucketPolicy")
        worker = server.begin(runs[0].pk)
        assert proxy.held.wait(PATIENCE_SECONDS)
        os.kill(worker, signal.SIGKILL)
        assert server.end() == -signal.SIGKILL
        assert ResourceLease.objects.get().resource == str(rows.buckets[0].arn)
        proxy.release()
        server.begin(runs[1].pk)
        assert server.end() == 0
    runs[1].refresh_from_db()
    assert (runs[1].status, runs[1].error) == (RunStatus.IN_SYNC, "")
    assert runs[1].steps.get(step=6).duration_ms < (LEASE_SECONDS + SLACK_SECONDS) * 1000
