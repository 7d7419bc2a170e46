"""The next token is fetched in advance: by one request, while the others go on with the one they have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.utils import timezone

from roles import context
from roles.errors import AwsAccessDenied, AwsThrottled, CacheDown, SessionEnded
from roles.models import GroupRole, IssuedToken
from roles.models.choices import Outcome
from roles.tokens import cache, issuing, renewing
from roles.tokens.background import Background
from roles.tokens.broker import Token
from roles.tokens.cache import CachedToken
from tests import factories
from tests.tokens.conftest import FakeSts, ask, cache_settings, in_sync, last, signed_in

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
EARLY, DUE, LATE = timedelta(minutes=34), timedelta(minutes=36), timedelta(minutes=41)


class Day:
    """A day on which Bob works, with a clock to turn."""

    def __init__(self, clock: Any, rows: factories.Procedure, mapping: GroupRole) -> None:
        self.clock, self.rows, self.mapping = clock, rows, mapping
        self.session = signed_in(rows.bob).session

    def ask(self) -> Token:
        return ask(self.rows.bob, self.mapping, self.session)


@pytest.fixture
def day(settings: Any, db: None) -> Iterator[Day]:
    settings.CACHES = cache_settings("locmem")
    with time_machine.travel(NOON, tick=False) as clock:
        rows = factories.Procedure()
        yield Day(clock, rows, in_sync(rows))


def test_a_token_with_time_left_stays(day: Day, aws_sts: FakeSts) -> None:
    first = day.ask()
    day.clock.shift(EARLY)
    assert day.ask() == first
    assert len(aws_sts.assumed("MyRoleB")) == 1


def test_when_it_is_due_the_one_who_asks_keeps_it_and_all_after_get_the_next(day: Day, aws_sts: FakeSts) -> None:
    first = day.ask()
    day.clock.shift(DUE)
    assert day.ask() == first
    second = day.ask()
    assert second.credentials.expires_at - timezone.now() == timedelta(hours=1)
    assert {day.ask().credentials.access_key_id for _ in range(5)} == {second.credentials.access_key_id}
    assert len(aws_sts.assumed("MyRoleB")) == 2
    assert last("token.issued").details["replaces"] == [first.credentials.access_key_id]
    replaced, current = IssuedToken.objects.order_by("pk")
    assert replaced.evicted_at is not None and current.evicted_at is None


def test_one_that_could_not_be_kept_leaves_the_old_one_on_record_as_what_lies_there(
    day: Day, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = day.ask()
    day.clock.shift(DUE)

    def down(*_: Any, **__: Any) -> None:
        raise CacheDown("The cache does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(cache, "put", down)
        day.ask()
    old, new = IssuedToken.objects.order_by("pk")
    assert (old.access_key_id, old.evicted_at) == (first.credentials.access_key_id, None)
    assert new.evicted_at is not None
    assert day.ask() == first


def test_while_it_is_fetched_the_others_go_on_with_the_old_one(day: Day, aws_sts: FakeSts) -> None:
    first = day.ask()
    day.clock.shift(DUE)
    others: list[Token] = []
    aws_sts.while_b_is_asked = lambda: others.append(day.ask())
    assert day.ask() == first
    assert others == [first]
    assert len(aws_sts.assumed("MyRoleB")) == 2


def test_what_another_request_has_just_fetched_is_taken(
    day: Day, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = day.ask()
    day.clock.shift(DUE)
    day.ask()
    new = day.ask()
    found: list[CachedToken] = [CachedToken(old.credentials, "bob", attributed=True)]
    real = cache.get
    monkeypatch.setattr(cache, "get", lambda key: found.pop() if found else real(key))
    assert day.ask() == old
    assert day.ask() == new
    assert len(aws_sts.assumed("MyRoleB")) == 2


def test_when_aws_refuses_the_old_one_goes_on_and_admins_see_why(day: Day, aws_sts: FakeSts) -> None:
    first = day.ask()
    day.clock.shift(DUE)
    aws_sts.failures = [AwsThrottled("x", aws_code="Throttling")]
    assert day.ask() == first
    event = last("token.refused")
    assert (event.outcome, event.details["aws_code"]) == (Outcome.FAILED, "Throttling")
    held = event.details["holds"]
    assert (held["access_key_id"], held["scope"]) == (first.credentials.access_key_id, event.details["scope"])
    asked = len(aws_sts.requests)
    assert day.ask() == first
    assert len(aws_sts.requests) == asked  # not every request tries again
    day.clock.shift(timedelta(seconds=cache.LOCK_SECONDS + 1))
    assert day.ask() == first
    assert day.ask() != first


def test_in_its_last_minutes_a_refusal_is_a_refusal(day: Day, aws_sts: FakeSts) -> None:
    first = day.ask()
    aws_sts.denied.add(first.target)
    day.clock.shift(LATE)
    with pytest.raises(AwsAccessDenied):
        day.ask()


def test_a_session_that_ends_while_the_next_is_fetched_gets_no_next(day: Day, aws_sts: FakeSts) -> None:
    first = day.ask()
    day.clock.shift(DUE)
    aws_sts.while_b_is_asked = lambda: Session.objects.all().delete()
    assert day.ask() == first
    assert not IssuedToken.objects.cached().exists()
    assert last("token.refused").details["error_code"] == "token.session_ended"
    with pytest.raises(SessionEnded):
        day.ask()


def test_a_lock_that_cannot_be_freed_does_not_lose_the_next_token(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    first = day.ask()
    day.clock.shift(DUE)

    def stuck(_lock: Any) -> None:
        raise CacheDown("The cache went away.")

    monkeypatch.setattr(cache.CacheLock, "release", stuck)
    assert day.ask() == first
    assert day.ask() != first


def test_a_cache_that_goes_down_when_it_is_due_costs_nobody_the_good_one(
    day: Day, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = day.ask()
    day.clock.shift(DUE)

    def gone(_lock: Any) -> None:
        raise CacheDown("The cache went away.")

    monkeypatch.setattr(cache.CacheLock, "take", gone)
    assert day.ask() == first
    assert len(aws_sts.assumed("MyRoleB")) == 1


def test_without_a_free_thread_the_next_request_tries(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    first = day.ask()
    day.clock.shift(DUE)
    free = renewing.background
    monkeypatch.setattr(renewing, "background", Background(0))
    assert [day.ask(), day.ask()] == [first, first]
    monkeypatch.setattr(renewing, "background", free)
    assert day.ask() == first
    assert day.ask() != first


def test_what_nobody_expected_goes_to_the_log_and_not_to_the_request(
    day: Day, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: Any) -> None:
        raise ValueError("a bug")

    first = day.ask()
    day.clock.shift(DUE)
    monkeypatch.setattr(issuing, "issue", broken)
    assert day.ask() == first
    assert "Work in the background failed." in caplog.text


# --- in a thread ---


@pytest.mark.django_db(transaction=True)
def test_with_a_slow_sts_the_request_that_finds_it_due_gets_the_old_one_at_once_and_later_ones_the_new(
    procedure: factories.Procedure, settings: Any, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = cache_settings("locmem")
    background = Background(1)
    monkeypatch.setattr(renewing, "background", background)
    aws_answers, threads = threading.Event(), []

    def slow() -> None:
        threads.append(threading.current_thread())
        assert aws_answers.wait(10)

    mapping = in_sync(procedure)
    session = signed_in(procedure.bob).session
    aws_sts.lifetime = timedelta(minutes=24)  # due from the start
    first = ask(procedure.bob, mapping, session)
    aws_sts.lifetime = timedelta(hours=1)
    aws_sts.while_b_is_asked = slow
    where = context.RequestContext(address="203.0.113.7", user_agent="a tool")
    with context.use(where):
        assert [ask(procedure.bob, mapping, session) for _ in range(3)] == [first] * 3
    until = time.monotonic() + 10
    while not threads and time.monotonic() < until:
        time.sleep(0.01)
    (thread,) = threads  # one, whatever the number of requests
    assert thread is not threading.current_thread() and thread.daemon
    assert ask(procedure.bob, mapping, session) == first  # AWS has not answered
    aws_answers.set()
    thread.join(10)
    assert ask(procedure.bob, mapping, session).credentials.expires_at > first.credentials.expires_at
    assert len(aws_sts.assumed("MyRoleB")) == 2
    issued = last("token.issued")
    assert (issued.request_id, issued.address, issued.user_agent) == (where.request_id, "203.0.113.7", "a tool")
    assert background.start(lambda: None)  # the place is free again
