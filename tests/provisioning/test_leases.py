"""One writer per document, and nobody waits for the dead longer than a lease."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from roles.errors import LeaseBusy, LeaseLost
from roles.models import ResourceLease
from roles.provisioning import leases
from roles.provisioning.leases import Holding, held
from tests.provisioning.conftest import BUCKET, ROLE_B

pytestmark = pytest.mark.django_db


def taken(*, until: timedelta, resource: str = BUCKET) -> None:
    ResourceLease.objects.create(resource=resource, holder="another", expires_at=timezone.now() + until)


def holder(resource: str = BUCKET) -> str:
    return ResourceLease.objects.get(resource=resource).holder


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between looks, not slept."""
    pauses: list[float] = []
    monkeypatch.setattr(leases.time, "sleep", pauses.append)
    return pauses


def test_a_held_document_is_not_given_to_another(settings: Any, no_sleep: list[float]) -> None:
    settings.XACCT_LEASE_SECONDS = 0.02
    taken(until=timedelta(hours=1))
    with pytest.raises(LeaseBusy, match="all the time"), held(BUCKET):
        raise AssertionError("had it")
    assert holder() == "another"
    assert no_sleep[0] < no_sleep[1] <= leases.POLL_LONGEST_SECONDS


def test_a_free_document_is_held_inside_the_block_only() -> None:
    with held(BUCKET) as lease:
        assert holder() == lease.holder
    assert not ResourceLease.objects.exists()


def test_documents_do_not_hold_each_other_up() -> None:
    taken(until=timedelta(hours=1), resource=ROLE_B)
    with held(BUCKET):
        assert ResourceLease.objects.count() == 2


def test_the_lease_of_a_dead_worker_is_taken_over_once_it_ran_out() -> None:
    taken(until=timedelta(seconds=-1))
    with held(BUCKET) as lease:
        assert holder() == lease.holder != "another"


def test_whoever_waits_is_told_at_each_look_and_gets_it_when_it_is_free(no_sleep: list[float]) -> None:
    taken(until=timedelta(hours=1))
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            ResourceLease.objects.all().delete()

    with held(BUCKET, on_busy=look) as lease:
        assert holder() == lease.holder
    assert len(looks) == 3


@pytest.mark.django_db(transaction=True)
def test_of_many_that_begin_at_once_one_gets_it(settings: Any) -> None:
    settings.XACCT_LEASE_SECONDS = 60
    start, had = threading.Barrier(8), []

    def begin() -> None:
        lease = leases.Lease(BUCKET, uuid4().hex, timezone.now())
        start.wait()
        try:
            had.append(leases._take(lease))
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(had) == [False] * 7 + [True]


def test_a_lease_that_has_just_begun_is_kept_without_asking(settings: Any, django_assert_num_queries: Any) -> None:
    settings.XACCT_LEASE_SECONDS = 60
    with held(BUCKET) as lease:
        with django_assert_num_queries(0):
            lease.keep()
        lease.expires_at -= timedelta(seconds=20)
        ResourceLease.objects.update(expires_at=lease.expires_at)
        with django_assert_num_queries(1):
            lease.keep()
        assert ResourceLease.objects.get().expires_at > timezone.now() + timedelta(seconds=50)


def test_a_lost_lease_is_noticed_and_not_given_back_for_the_other() -> None:
    with pytest.raises(LeaseLost), held(BUCKET) as lease:
        ResourceLease.objects.update(holder="another")
        lease.renew()
    assert holder() == "another"


def test_a_renewed_lease_lasts_a_full_term_again(settings: Any) -> None:
    settings.XACCT_LEASE_SECONDS = 60
    with held(BUCKET) as lease:
        ResourceLease.objects.update(expires_at=timezone.now())
        lease.renew()
        assert ResourceLease.objects.get().expires_at > timezone.now() + timedelta(seconds=50)


def test_a_holding_keeps_one_lease_from_step_to_step_and_never_two() -> None:
    holding = Holding(on_busy=lambda: None)
    assert holding.resource == ""
    first = holding.of(BUCKET)
    assert holding.of(BUCKET) is first
    assert holding.of(ROLE_B).resource == holding.resource == ROLE_B
    assert [lease.resource for lease in ResourceLease.objects.all()] == [ROLE_B]
    holding.let_go()
    assert holding.resource == "" and not ResourceLease.objects.exists()
