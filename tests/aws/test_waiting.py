"""Patience has an end, and only for what may pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from roles.aws import waiting
from roles.aws.waiting import LONGEST_DELAY_SECONDS, patiently
from roles.errors import (
    AwsAccessDenied,
    AwsConflict,
    AwsError,
    AwsLimitExceeded,
    AwsNotFound,
    AwsPropagating,
    AwsThrottled,
    AwsUnreachable,
    PortalError,
)


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def failing(*errors: PortalError) -> Callable[[], str]:
    """Return a call that raises each of `errors` once, then answers."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


@pytest.mark.parametrize("kind", [AwsError, AwsAccessDenied, AwsNotFound, AwsLimitExceeded])
def test_what_will_not_pass_is_raised_at_once(kind: type[AwsError], clock: Clock) -> None:
    with pytest.raises(kind):
        patiently(failing(kind("no")), until=200, sleep=clock.sleep)
    assert clock.slept == []


def test_an_error_that_is_not_awss_is_raised_at_once(clock: Clock) -> None:
    with pytest.raises(PortalError):
        patiently(failing(PortalError("no")), until=200, sleep=clock.sleep)
    assert clock.slept == []


@pytest.mark.parametrize("kind", [AwsConflict, AwsPropagating, AwsThrottled, AwsUnreachable])
def test_what_may_pass_is_tried_again(kind: type[AwsError], clock: Clock) -> None:
    assert patiently(failing(kind("a"), kind("b")), until=200, sleep=clock.sleep) == "done"
    assert len(clock.slept) == 2


def test_a_denial_just_after_a_change_of_ours_is_waited_out_only_when_asked_for(clock: Clock) -> None:
    with pytest.raises(AwsAccessDenied):
        patiently(failing(AwsAccessDenied("no")), until=200, sleep=clock.sleep, also=(AwsNotFound,))
    answer = patiently(failing(AwsAccessDenied("no")), until=200, sleep=clock.sleep, also=(AwsAccessDenied,))
    assert answer == "done"


def test_at_the_deadline_the_last_error_is_raised_and_not_one_moment_later(clock: Clock) -> None:
    errors = [AwsPropagating(f"attempt {number}") for number in range(10_000)]
    with pytest.raises(AwsPropagating, match="attempt") as raised:
        patiently(failing(*errors), until=130, sleep=clock.sleep)
    assert clock.now == pytest.approx(130)
    assert raised.value is errors[len(clock.slept)]


def test_past_the_deadline_there_is_one_attempt(clock: Clock) -> None:
    assert patiently(failing(), until=50, sleep=clock.sleep) == "done"
    with pytest.raises(AwsThrottled):
        patiently(failing(AwsThrottled("no")), until=50, sleep=clock.sleep)
    assert clock.slept == []


def test_delays_grow_up_to_the_longest_and_are_jittered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr(waiting, "_random", SimpleNamespace(uniform=uniform))
    patiently(failing(*[AwsThrottled("no")] * 8), until=1000, sleep=clock.sleep)
    assert asked == [(0, ceiling) for ceiling in (0.25, 0.5, 1, 2, 4, 8, 8, 8)]
    assert max(clock.slept) == LONGEST_DELAY_SECONDS


def test_each_wait_is_announced_with_its_reason(clock: Clock) -> None:
    told: list[tuple[AwsError, float]] = []
    errors = [AwsPropagating("first"), AwsConflict("second")]
    patiently(failing(*errors), until=200, sleep=clock.sleep, on_wait=lambda error, delay: told.append((error, delay)))
    assert [error for error, _ in told] == errors
    assert [delay for _, delay in told] == clock.slept
