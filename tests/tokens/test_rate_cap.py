"""At most so many a minute."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from roles.tokens import rate_cap
from roles.tokens.rate_cap import RateCap


def test_one_too_many_is_refused_until_a_minute_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(rate_cap.time, "monotonic", lambda: now)
    cap = RateCap(2)
    assert [cap.take() for _ in range(3)] == [True, True, False]
    now += 59
    assert not cap.take()
    now += 1
    assert [cap.take() for _ in range(3)] == [True, True, False]


def test_threads_share_it() -> None:
    cap = RateCap(10)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: cap.take(), range(200))) == 10


def test_what_was_counted_can_be_forgotten() -> None:
    cap = RateCap(1)
    assert cap.take()
    cap.clear()
    assert cap.take()
