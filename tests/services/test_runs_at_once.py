"""Many runs at once, in threads with connections of their own: no statement is lost, whoever comes first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from roles.models import GroupRole, ProvisioningRun, ProvisioningStep, ResourceLease
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning import desired, runner
from tests import factories
from tests.provisioning.conftest import ROLE_B, queued, sids, unmap
from tests.strict_aws.watched import THEIRS, Call, WatchedAws

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

WORKERS = 4


@pytest.fixture
def slow_aws(database_url: str, settings: Any) -> Iterator[WatchedAws]:
    """An AWS that takes its time, so that runs overlap between reading and writing."""
    settings.XACCT_PROPAGATION_SECONDS = 20
    with WatchedAws(THEIRS) as world:
        world.before_call = _take_time
        yield world


def _take_time(_call: Call) -> None:
    time.sleep(0.01)


def reconcile_at_once(runs: list[ProvisioningRun]) -> None:
    """Let some workers take each run once."""

    def work(run_id: int) -> None:
        try:
            runner.reconcile(run_id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, [run.pk for run in runs]))


def mappings_of(procedure: factories.Procedure, count: int) -> list[GroupRole]:
    """Return mappings of source roles that all reach the procedure's target and bucket."""
    found = []
    for number in range(count):
        role = factories.IamRoleFactory(account=procedure.account_a, name=f"Source{number}")
        factories.AssumeRoleGrantFactory(source=role, target=procedure.role_b)
        found.append(factories.GroupRoleFactory(role=role))
    return found


def assert_aws_is_what_is_wished(aws: WatchedAws, procedure: factories.Procedure, mapped: list[GroupRole]) -> None:
    wished = sorted(str(role.arn) for role in desired.sources_in_use(procedure.role_b))
    assert wished == sorted(str(mapping.role.arn) for mapping in mapped)
    assert aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"] == wished
    policy = aws.bucket_policies["example-data"]
    assert policy["Statement"][0] == THEIRS
    assert len(sids(policy)) == len(set(sids(policy))) == 3


def assert_all_ended_well(runs: list[ProvisioningRun]) -> None:
    for run in runs:
        run.refresh_from_db()
    assert {(run.status, run.error) for run in runs} == {(RunStatus.IN_SYNC, "")}
    assert set(ProvisioningStep.objects.values_list("status", flat=True)) == {StepStatus.DONE}
    assert not ResourceLease.objects.exists()


def test_runs_that_share_a_target_and_a_bucket_lose_nothing_of_each_other(slow_aws: WatchedAws) -> None:
    procedure = factories.Procedure()
    mapped = mappings_of(procedure, 6)
    runs = [queued(mapping) for mapping in mapped]
    reconcile_at_once(runs)
    assert_all_ended_well(runs)
    assert_aws_is_what_is_wished(slow_aws, procedure, mapped)
    assert slow_aws.writes.count("create_role") == 7


def test_adding_and_removing_at_once_ends_in_what_the_database_wishes(slow_aws: WatchedAws) -> None:
    procedure = factories.Procedure()
    mapped = mappings_of(procedure, 6)
    reconcile_at_once([queued(mapping) for mapping in mapped[:3]])
    for mapping in mapped[:2]:
        unmap(mapping)
    runs = [queued(mapping) for mapping in [mapped[3], mapped[0], mapped[4], mapped[1], mapped[5], mapped[2]]]
    reconcile_at_once(runs)
    assert_all_ended_well(runs)
    assert_aws_is_what_is_wished(slow_aws, procedure, mapped[2:])
    states = {mapping.pk: mapping.state for mapping in GroupRole.objects.all()}
    assert [states[mapping.pk] for mapping in mapped] == [MappingState.REMOVED] * 2 + [MappingState.IN_SYNC] * 4


def test_one_run_offered_to_all_workers_is_done_by_one(slow_aws: WatchedAws) -> None:
    run = queued(factories.Procedure().map())
    reconcile_at_once([run] * WORKERS)
    assert_all_ended_well([run])
    assert run.attempts == 1
    assert run.steps.count() == 8
