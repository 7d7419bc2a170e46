"""How fast one account is called: never faster than its rate, whoever calls."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
import redis
from django.core.cache import caches

from roles.aws import pacing
from roles.aws.pacing import AHEAD_SECONDS_MAX, BURST_SECONDS, PAGE_WAIT_SECONDS, Pace
from roles.aws.s3 import list_prefix
from roles.aws.sessions import AccountSession, Purpose
from roles.aws.sts import AssumeRoleRequest, assume_role
from roles.errors import AwsError
from roles.values.credentials import Credentials
from tests.aws.conftest import ACCOUNT, REGION, access

OTHER = "222222222222"
RATE = 10.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def alone(_account_id: str, _slot: int, _seconds: float) -> bool:
    return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts for which calls took a slot, in order, and no waiting."""
    accounts: list[str] = []

    class Counting(Pace):
        def take(self, account_id: str, rate: float) -> float:
            accounts.append(account_id)
            return 0.0

    monkeypatch.setattr(pacing, "_pace", Counting())
    return accounts


# --- slots ---


def test_after_the_burst_each_call_waits_for_its_own_slot(clock: Clock) -> None:
    pace = Pace(claim=alone, clock=clock)
    waits = [pace.take(ACCOUNT, RATE) for _ in range(31)]
    assert waits[:11] == [0.0] * 11
    assert waits[11:] == pytest.approx([n / RATE for n in range(1, 21)])


def test_what_went_unused_can_be_made_up_for_one_second_only(clock: Clock) -> None:
    pace = Pace(claim=alone, clock=clock)
    pace.take(ACCOUNT, RATE)
    clock.now += 3600
    assert [pace.take(ACCOUNT, RATE) for _ in range(12)].count(0.0) == 11


def test_an_account_does_not_wait_for_another(clock: Clock) -> None:
    pace = Pace(claim=alone, clock=clock)
    for _ in range(50):
        pace.take(ACCOUNT, RATE)
    assert pace.take(OTHER, RATE) == 0.0


def test_in_no_span_leave_more_calls_than_the_bucket_allows(clock: Clock) -> None:
    pace, left = Pace(claim=alone, clock=clock), []
    for call in range(400):
        left.append(clock.now + pace.take(ACCOUNT, RATE))
        clock.now += 2.0 if call % 97 == 0 else 0.01
    for first, last in itertools.combinations(range(len(left)), 2):
        assert last - first + 1 <= (left[last] - left[first] + BURST_SECONDS) * RATE + 1 + 1e-6


def test_processes_that_share_their_claims_keep_the_rate_together(clock: Clock) -> None:
    claimed: set[tuple[str, int]] = set()

    def claim(account_id: str, slot: int, _seconds: float) -> bool:
        free = (account_id, slot) not in claimed
        claimed.add((account_id, slot))
        return free

    one, other = Pace(claim=claim, clock=clock), Pace(claim=claim, clock=clock)
    waits = sorted(pace.take(ACCOUNT, RATE) for _ in range(20) for pace in (one, other))
    assert waits[11:] == pytest.approx([n / RATE for n in range(1, 30)])


def test_a_clock_that_is_set_back_stops_nobody(clock: Clock) -> None:
    pace = Pace(claim=alone, clock=clock)
    pace.take(ACCOUNT, RATE)
    clock.now -= 10 * AHEAD_SECONDS_MAX
    assert pace.take(ACCOUNT, RATE) == 0.0


# --- claims ---


def test_in_redis_a_slot_is_had_once(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = caches["shared"]
    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
    monkeypatch.setattr(pacing, "caches", {"shared": shared})
    assert pacing.claim_in_cache(ACCOUNT, 1, 0.5)
    assert not pacing.claim_in_cache(ACCOUNT, 1, 0.5)
    assert pacing.claim_in_cache(OTHER, 1, 0.5)


def test_without_redis_each_process_claims_for_itself(settings: Any) -> None:
    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": "django.core.cache.backends.db.DatabaseCache"}}
    assert pacing.claim_in_cache(ACCOUNT, 1, 0.5)
    assert pacing.claim_in_cache(ACCOUNT, 1, 0.5)


def test_a_redis_that_is_away_stops_nobody(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def add(self, *_args: Any) -> bool:
            raise redis.ConnectionError("down")

    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
    monkeypatch.setattr(pacing, "caches", {"shared": Away()})
    assert pacing.claim_in_cache(ACCOUNT, 1, 0.5)


# --- calls ---


@pytest.mark.usefixtures("aws")
def test_threads_together_keep_the_rate_of_an_account(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.XACCT_ACCOUNT_CALLS_PER_SECOND = 40.0
    monkeypatch.setattr(pacing, "_pace", Pace(claim=alone))
    left: list[float] = []

    def call() -> None:
        session = AccountSession(access())
        session.iam.meta.events.register("before-send", lambda **_: left.append(time.monotonic()))
        for _ in range(15):
            session.iam.list_roles()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 120
    # 40 at once, 80 more at 40 a second.
    assert max(left) - min(left) >= 1.9


@pytest.mark.usefixtures("at_home")
def test_every_try_of_a_call_is_counted(taken: list[str]) -> None:
    session = AccountSession(access())
    client, tries = session.iam, []
    client.meta.events.register("before-send", lambda **_: tries.append(1))
    client.meta.events.register("before-send", _busy)
    with pytest.raises(client.exceptions.ClientError):
        client.list_roles()
    assert len(tries) > 1
    assert taken == [ACCOUNT] * len(tries)


def _busy(**_event: Any) -> Any:
    from botocore.awsrequest import AWSResponse  # noqa: PLC0415

    class Raw:
        def stream(self, **_: Any) -> Any:
            yield b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"

    return AWSResponse("https://iam.amazonaws.com", 400, {}, Raw())


def test_a_page_waits_little_and_workers_make_up_for_it(
    aws: None, monkeypatch: pytest.MonkeyPatch, settings: Any, clock: Clock
) -> None:
    settings.XACCT_ACCOUNT_CALLS_PER_SECOND = 1.0
    slept: list[float] = []
    monkeypatch.setattr(pacing, "_pace", Pace(claim=alone, clock=clock))
    monkeypatch.setattr(pacing.time, "sleep", slept.append)
    page, worker = AccountSession(access(), is_page=True), AccountSession(access())
    for _ in range(5):
        page.iam.list_roles()
    worker.iam.list_roles()
    assert slept == [PAGE_WAIT_SECONDS] * 3 + [4.0]


@pytest.mark.usefixtures("aws")
def test_checks_of_an_access_count_for_the_account_they_are_about(taken: list[str], credentials: Credentials) -> None:
    request = AssumeRoleRequest(f"arn:aws:iam::{OTHER}:role/MyRoleB", "xacct-verify")
    assume_role(request, region=REGION, purpose=Purpose.PROVISIONING, using=credentials)
    with pytest.raises(AwsError):
        list_prefix(credentials, "example-data", region=REGION, account_id=OTHER, prefix="")
    assert taken == [OTHER, OTHER]


@pytest.mark.usefixtures("aws")
def test_a_member_who_waits_for_a_token_is_not_held_up(taken: list[str], credentials: Credentials) -> None:
    request = AssumeRoleRequest(f"arn:aws:iam::{OTHER}:role/MyRoleB", "bob")
    assert assume_role(request, region=REGION, using=credentials)
    assert taken == []
