"""How long a run leaves AWS alone between its attempts, and for what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.errors import (
    AwsAccessDenied,
    AwsConflict,
    AwsError,
    AwsPropagating,
    AwsThrottled,
    AwsUnreachable,
    Blocked,
    LeaseBusy,
    LeaseLost,
    PortalError,
)
from roles.models.choices import RunStatus
from roles.provisioning import postponing, runner
from tests import factories
from tests.provisioning.conftest import queued
from tests.strict_aws.watched import WatchedAws, throttled

LONGEST = [30, 60, 120, 240, 480, 900, 900, 900, 900, 900, 900]  # after the first attempt, the second and so on
BUSY = [AwsThrottled("x"), AwsUnreachable("x"), AwsConflict("x", aws_code="OperationAborted")]
LEASES = [LeaseBusy("x"), LeaseLost("x")]


@pytest.mark.parametrize(
    "error",
    [
        AwsAccessDenied("x"),
        AwsPropagating("x"),
        AwsError("x"),
        AwsConflict("x", aws_code="EntityAlreadyExists"),
        Blocked("x"),
    ],
)
def test_what_time_alone_does_not_mend_is_not_postponed(error: PortalError) -> None:
    assert not postponing.is_worth_it(error)


@pytest.mark.parametrize("error", [*BUSY, *LEASES])
def test_what_time_alone_may_mend_is_postponed(error: PortalError) -> None:
    assert postponing.is_worth_it(error)


class Loaded:
    """Chance that always throws one end of what it is asked for."""

    def __init__(self, *, high: bool) -> None:
        self._high = high

    def uniform(self, low: float, high: float) -> float:
        return high if self._high else low


def pauses(error: PortalError) -> list[float]:
    return [postponing.pause(error, attempts).total_seconds() for attempts in range(1, runner.ATTEMPTS_MAX)]


@pytest.mark.parametrize("error", BUSY)
def test_pauses_double_up_to_a_bound_and_half_of_each_is_chance(
    error: PortalError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "_random", Loaded(high=True))
    assert pauses(error) == LONGEST
    assert sum(LONGEST) < timedelta(hours=2).total_seconds()
    monkeypatch.setattr(postponing, "_random", Loaded(high=False))
    assert pauses(error) == [seconds / 2 for seconds in LONGEST]


@pytest.mark.parametrize("error", LEASES)
def test_a_lease_that_others_hold_is_asked_for_again_soon_however_often(
    error: PortalError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "_random", Loaded(high=True))
    assert set(pauses(error)) == {30}


def test_many_runs_that_fail_together_do_not_come_back_together() -> None:
    found = [postponing.pause(throttled(), 3).total_seconds() for _ in range(200)]
    assert 60 <= min(found) < 75 and 105 < max(found) <= 120
    assert len(set(found)) > 100


@pytest.mark.django_db
@pytest.mark.parametrize("attempts", [1, 4, 9])
def test_a_run_comes_back_after_the_pause_of_its_attempt(
    aws: WatchedAws, procedure: factories.Procedure, attempts: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.XACCT_PROPAGATION_SECONDS = 1
    monkeypatch.setattr(postponing, "_random", Loaded(high=True))
    aws.fail_always["put_bucket_policy"] = throttled()
    run, before = queued(procedure.map(), attempts=attempts - 1), timezone.now()
    done = runner.reconcile(run.pk)
    assert done is not None and done.claimed_until is not None
    assert done.status == RunStatus.WAITING
    pause = timedelta(seconds=LONGEST[attempts - 1])
    assert before + pause <= done.claimed_until <= timezone.now() + pause
