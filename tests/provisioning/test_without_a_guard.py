"""The tests of the tests: with a guard of the engine taken away, what the guard is for is lost, and the loss is seen.

Each is one order of events in which two come to the same document, told step by step, so that it is the same each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from roles.models import BucketGrant
from roles.models.choices import RunStatus
from roles.provisioning import desired, leases, runner
from roles.provisioning.plan import slot_of
from tests import factories
from tests.provisioning.conftest import ROLE_B, reconciled, sids
from tests.provisioning.drifting import with_policy
from tests.strict_aws.watched import THEIRS, WatchedAws

pytestmark = pytest.mark.django_db

both = pytest.mark.parametrize("is_guarded", [True, False])
LATER = {**THEIRS, "Sid": "PartnerReadsToo"}


@pytest.fixture
def other(procedure: factories.Procedure) -> Any:
    """Another group's source role that reaches the same target and bucket."""
    role = factories.IamRoleFactory(account=procedure.account_a, name="OtherA")
    factories.AssumeRoleGrantFactory(source=role, target=procedure.role_b)
    return factories.GroupRoleFactory(role=role)


@pytest.fixture
def later(procedure: factories.Procedure) -> BucketGrant:
    """A grant that nobody has made yet: it is open once its `ended_at` is taken away."""
    grant: BucketGrant = factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="later/")
    set_open(grant, is_open=False)
    return grant


def set_open(grant: BucketGrant, *, is_open: bool) -> None:
    BucketGrant.objects.filter(pk=grant.pk).update(ended_at=None if is_open else timezone.now())


def statements_of(aws: WatchedAws) -> int:
    return len(sids(aws.bucket_policies["example-data"]))


@both
def test_without_the_lease_a_statement_of_another_run_is_lost(
    aws: WatchedAws,
    procedure: factories.Procedure,
    other: Any,
    later: BucketGrant,
    *,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    is_guarded: bool,
) -> None:
    """The first has read the bucket's policy and stalls; another run writes; the first writes what it had in mind."""
    settings.XACCT_LEASE_SECONDS = 0.1

    def meanwhile() -> None:
        set_open(later, is_open=True)
        assert reconciled(other).status == RunStatus.IN_SYNC
        assert statements_of(aws) == 6

    if not is_guarded:
        monkeypatch.setattr(leases, "_take", lambda _lease: True)
        monkeypatch.setattr(leases.Lease, "renew", lambda _lease: None)
    aws.once("put_bucket_policy", meanwhile)
    first = reconciled(procedure.map())
    assert first.status == (RunStatus.WAITING if is_guarded else RunStatus.IN_SYNC)
    if is_guarded:
        runner.reconcile(again_now(first))
    assert (statements_of(aws) == 6) is is_guarded
    names = aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"]
    assert names == [str(procedure.role_a.arn), str(other.role.arn)]


def again_now(run: Any) -> int:
    """Let a postponed run's time come, and return its number."""
    type(run).objects.filter(pk=run.pk).update(claimed_until=None)
    number: int = run.pk
    return number


@both
def test_without_reading_again_a_statement_of_others_is_lost(
    aws: WatchedAws,
    procedure: factories.Procedure,
    later: BucketGrant,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_guarded: bool,
) -> None:
    """A partner adds a statement between two runs; the second run knows the document from the first."""
    mapping, real = procedure.map(), runner.observe
    known: dict[object, Any] = {}

    def remembering(wish: Any, accounts: Any) -> Any:
        slot = slot_of(wish)
        if slot not in known:
            known[slot] = real(wish, accounts)
        return known[slot]

    assert reconciled(mapping).status == RunStatus.IN_SYNC
    for wish in desired.wishes_for(procedure.role_a, tuple):
        known[slot_of(wish)] = real(wish, runner.Accounts())
    with_policy(aws, lambda found: [*found, LATER])
    set_open(later, is_open=True)
    if not is_guarded:
        monkeypatch.setattr(runner, "observe", remembering)
        monkeypatch.setattr(runner._Attempt, "_read_back", lambda _self, _wish: None)
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    found = sids(aws.bucket_policies["example-data"])
    assert THEIRS["Sid"] in found
    assert (LATER["Sid"] in found) is is_guarded


@both
def test_a_wish_from_the_beginning_of_the_run_brings_back_what_was_ended_meanwhile(
    aws: WatchedAws,
    procedure: factories.Procedure,
    other: Any,
    later: BucketGrant,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_guarded: bool,
) -> None:
    """A grant ends, and another run takes it out, before this run comes to the bucket."""
    set_open(later, is_open=True)
    assert reconciled(other).status == RunStatus.IN_SYNC
    real = desired.items_for

    def early(*args: Any) -> Any:
        return [with_wish_of_now(item) for item in real(*args)]

    def end() -> None:
        set_open(later, is_open=False)
        monkeypatch.setattr(desired, "items_for", real)
        assert reconciled(other).status == RunStatus.IN_SYNC
        assert statements_of(aws) == 3

    if not is_guarded:
        monkeypatch.setattr(desired, "items_for", early)
    aws.once("create_role", end)
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC
    assert (statements_of(aws) == 3) is is_guarded


def with_wish_of_now(item: desired.Item) -> desired.Item:
    """Return the item with what it wishes now, whenever it is asked."""
    wish = item.compute()
    return replace(item, wish=lambda _facts: wish)
