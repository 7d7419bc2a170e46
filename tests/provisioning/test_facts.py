"""Documents are computed from the same facts, read for one role or for all there are, in as many queries."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from roles.models import (
    AssumeRoleGrant,
    CutOff,
    DriftFinding,
    ProvisioningRun,
    ProvisioningStep,
)
from roles.models.choices import RunStatus
from roles.provisioning import desired, drift
from roles.provisioning.facts import Facts
from tests import factories
from tests.provisioning.conftest import reconciled
from tests.provisioning.drifting import in_sync, read_in_bulk
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db

KEY = "arn:aws:kms:us-east-1:222222222222:key/1"
NOW = timezone.now()
ENDS = (None, None, None, NOW - timedelta(minutes=5), NOW - timedelta(days=3))


def world(seed: int) -> list[Any]:
    """Make a world in which anything may be shared, ended, spilled, drifted or cut off; return its source roles."""
    chance = random.Random(seed)
    accounts = factories.AwsAccountFactory.create_batch(3)
    sources = [factories.IamRoleFactory(account=chance.choice(accounts)) for _ in range(5)]
    targets = [
        *(
            factories.IamRoleFactory(account=chance.choice(accounts), attribution=chance.random() < 0.5)
            for _ in range(5)
        ),
        sources[0],
    ]
    buckets = [
        factories.BucketFactory(
            account=chance.choice(accounts),
            grants_in_identity_policy=chance.random() < 0.3,
            kms_key_arn=KEY if chance.random() < 0.3 else "",
        )
        for _ in range(4)
    ]
    for source in sources:
        for target in chance.sample(targets, 3):
            if source != target:
                ended = chance.choice(ENDS)
                factories.AssumeRoleGrantFactory(
                    source=source, target=target, started_at=_started(chance), ended_at=ended
                )
        expires = chance.choice([None, None, NOW - timedelta(days=1), NOW + timedelta(days=1)])
        mapped = {"started_at": _started(chance), "ended_at": chance.choice(ENDS), "expires_at": expires}
        factories.GroupRoleFactory(role=source, **mapped)
    for target in targets:
        for bucket in chance.sample(buckets, 2):
            for prefix in chance.sample(["", "raw/", "team/a/"], 2):
                ended = chance.choice(ENDS)
                factories.BucketGrantFactory(
                    role=target,
                    bucket=bucket,
                    prefix=prefix,
                    started_at=_started(chance),
                    ended_at=ended,
                    access=chance.choice(["READ", "WRITE", "READWRITE"]),
                )
    _history(chance, sources, targets, buckets)
    return sources


def _started(chance: random.Random) -> Any:
    return NOW - timedelta(days=chance.randint(4, 40), seconds=chance.randint(0, 1000))


def _history(chance: random.Random, sources: list[Any], targets: list[Any], buckets: list[Any]) -> None:
    """Leave what runs, comparisons and cut-offs leave."""
    for source in chance.sample(sources, 3):
        run = factories.ProvisioningRunFactory(
            role=source,
            status=RunStatus.IN_SYNC,
            started_at=NOW - timedelta(days=chance.randint(0, 5)),
            purpose=chance.choice(["reconcile", "reconcile", "delete_role"]),
        )
        for number, role in enumerate(chance.sample([*sources, *targets], 6)):
            step, resource = chance.choice(
                [(1, role.arn), (4, role.arn), (5, role.arn), (6, role.arn), (2, role.arn.managed_policies)]
            )
            documents = {f"xacct-{role.name}-{chance.randint(1, 3)}": {}}
            ProvisioningStep.objects.create(
                run=run,
                sequence=number,
                step=step,
                resource=str(resource),
                status=chance.choice(["done", "done", "failed"]),
                action=chance.choice(["none", "none", "delete"]),
                before=chance.choice([None, documents]),
                after=chance.choice([None, documents]),
            )
    for target in chance.sample(targets[:-1], 2):
        for ended in chance.sample(ENDS, 2):
            CutOff.objects.create(
                target=target,
                source=chance.choice(sources[1:]),
                names=chance.choice([[], ["bob"]]),
                started_at=NOW - timedelta(days=4),
                ended_at=ended,
                cut_before=NOW,
                lifts_at=NOW,
            )
    drifted, bucket = chance.choice(targets), chance.choice(buckets)
    resource = str(drifted.arn) + chance.choice(["", "/xacct-cut-off"])
    DriftFinding.objects.create(role=drifted, resource=resource, step=5, kind="changed", title="x")
    DriftFinding.objects.create(bucket=bucket, resource=str(bucket.arn), step=6, kind="changed", title="x")


def by_itself(role: Any) -> list[tuple[Any, ...]]:
    """Return a run's items and what each wishes, read as a worker does: each one anew."""
    return [(item.step, item.resource, item.needs, item.compute()) for item in desired.items_for(role, tuple)]


def among_all(role: Any, facts: Facts) -> list[tuple[Any, ...]]:
    """Return the same from facts about everything."""
    items = desired.items_for(role, tuple, facts=facts)
    return [(item.step, item.resource, item.needs, item.wish(facts)) for item in items]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_wished_of_a_role_is_the_same_by_itself_and_among_all(seed: int) -> None:
    sources, facts = world(seed), Facts()
    alone = {role.pk: by_itself(role) for role in sources}
    assert any(wish for items in alone.values() for *_, wish in items)
    assert {role.pk: among_all(role, facts) for role in sources} == alone
    together = Facts.of_runs([role.pk for role in sources])
    assert {role.pk: among_all(role, together) for role in sources} == alone


def test_a_wish_is_computed_from_the_database_as_it_is_then(procedure: factories.Procedure) -> None:
    procedure.map()
    (item,) = [one for one in desired.items_for(procedure.role_a, tuple) if one.resource == str(procedure.role_b.arn)][
        :1
    ]
    assert item.compute().wanted  # type: ignore[union-attr]
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    assert not item.compute().wanted  # type: ignore[union-attr]


@pytest.mark.parametrize(("purpose", "counts"), [("reconcile", True), ("delete_role", False)])
def test_what_an_order_did_does_not_count_as_bringing_in_line(
    purpose: str, counts: bool, procedure: factories.Procedure
) -> None:
    source, target = procedure.role_a, procedure.role_b
    run = factories.ProvisioningRunFactory(
        role=source, purpose=purpose, status=RunStatus.IN_SYNC, started_at=timezone.now()
    )
    ProvisioningStep.objects.create(
        run=run, sequence=1, step=5, resource=str(target.arn), status="done", action="update", after={}
    )
    facts = Facts.of_runs([source.pk])
    assert (facts.last_in_sync(source.pk) is not None) is counts
    assert facts.is_trusted(source.pk, target.pk) is counts


# --- how many queries ---


def queries(call: Any) -> int:
    with CaptureQueriesContext(
        connection,
    ) as found:
        call()
    return len(found)


def grow(procedure: factories.Procedure, number: int) -> None:
    """Add source roles with a target, a bucket and a mapping of their own, in sync as far as the database knows."""
    for _ in range(number):
        source = factories.IamRoleFactory(account=procedure.account_a)
        target = factories.IamRoleFactory(account=procedure.account_b)
        factories.AssumeRoleGrantFactory(source=source, target=target)
        factories.AssumeRoleGrantFactory(source=source, target=procedure.role_b)
        factories.BucketGrantFactory(role=target)
        factories.BucketGrantFactory(role=target, bucket=procedure.bucket)
        factories.GroupRoleFactory(role=source)
        factories.ProvisioningRunFactory(role=source, status=RunStatus.IN_SYNC, started_at=timezone.now())


def test_the_queries_of_a_comparison_do_not_grow_with_roles_and_buckets(
    procedure: factories.Procedure, aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_bulk(monkeypatch)
    in_sync(procedure)
    grow(procedure, 2)
    few = queries(drift.compare)
    grow(procedure, 25)
    assert len(drift.compare().compared) > 250
    assert queries(drift.compare) == few <= 25


def test_the_queries_of_a_plan_do_not_grow_with_neighbours(procedure: factories.Procedure) -> None:
    procedure.map()
    grow(procedure, 2)
    few = queries(lambda: desired.wishes_for(procedure.role_a, tuple))
    grow(procedure, 25)
    assert queries(lambda: desired.wishes_for(procedure.role_a, tuple)) == few <= 20


def test_a_run_asks_the_database_in_bounds(procedure: factories.Procedure, aws: WatchedAws) -> None:
    mapping = procedure.map()
    assert queries(lambda: reconciled(mapping)) <= 130
    assert queries(lambda: reconciled(mapping)) <= 100  # nothing to write
    assert ProvisioningRun.objects.filter(status=RunStatus.IN_SYNC).count() == 2
