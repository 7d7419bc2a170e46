"""One maker at a time, for threads and for processes, on every kind of cache."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from roles.errors import TokenUnavailable
from roles.tokens import cache, single_flight
from roles.tokens.cache import cache as backend
from roles.tokens.single_flight import one_at_a_time
from tests.tokens.conftest import REDIS_URL, cache_settings

THREADED = ("locmem", *(("redis",) if REDIS_URL else ()))
SHARED = ("database", *(("redis",) if REDIS_URL else ()))


@pytest.fixture(params=THREADED)
def threaded_cache(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.CACHES = cache_settings(request.param)
    backend.clear()


def ask(key: str, make: Any) -> Any:
    return one_at_a_time(cache.lock_on(key), find=lambda: backend.get(key), make=make)


@pytest.mark.usefixtures("threaded_cache")
def test_a_waiter_gives_up_with_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_flight, "WAIT_SECONDS", 0.1)
    assert cache.lock_on("k").take()
    with pytest.raises(TokenUnavailable) as refused:
        ask("k", lambda: "never made")
    assert "still fetching" in refused.value.message


@pytest.mark.usefixtures("threaded_cache")
def test_a_failure_goes_to_its_own_caller_and_frees_the_lock() -> None:
    def refuse() -> str:
        raise ValueError("AWS says no")

    with pytest.raises(ValueError, match="AWS says no"):
        ask("k", refuse)
    assert ask("k", lambda: "made") == "made"


@pytest.mark.usefixtures("threaded_cache")
def test_what_is_there_is_not_made_again() -> None:
    backend.set("k", "found")
    assert ask("k", lambda: pytest.fail("made again")) == "found"


@pytest.mark.usefixtures("threaded_cache")
def test_thirty_two_threads_make_it_once() -> None:
    made: list[int] = []
    start = threading.Barrier(32)

    def make() -> str:
        made.append(1)
        time.sleep(0.1)
        backend.set("k", "value")
        return "value"

    def run(_number: int) -> str:
        start.wait()
        return str(ask("k", make))

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(run, range(32)))
    assert answers == ["value"] * 32
    assert len(made) == 1


@pytest.mark.usefixtures("threaded_cache")
def test_two_keys_do_not_wait_for_each_other() -> None:
    assert cache.lock_on("one").take()
    assert ask("other", lambda: "made") == "made"


@pytest.mark.usefixtures("threaded_cache")
def test_a_holder_that_died_delays_others_no_longer_than_its_lock_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LOCK_SECONDS", 1)
    assert cache.lock_on("k").take()  # and never released
    before = time.monotonic()
    assert ask("k", lambda: "made") == "made"
    assert time.monotonic() - before < 2.5


@pytest.mark.usefixtures("threaded_cache")
def test_somebody_elses_lock_is_not_released() -> None:
    late, holder = cache.lock_on("k"), cache.lock_on("k")
    assert late.take()
    backend.delete("k:lock")  # it lived too long
    assert holder.take()
    late.release()
    assert not cache.lock_on("k").take()
    holder.release()
    assert cache.lock_on("k").take()


def test_what_the_holder_before_made_is_taken(settings: Any) -> None:
    class Slow:
        """A lock that is ours only after somebody else has made it."""

        def take(self) -> bool:
            made.append("by somebody else")
            return True

        def release(self) -> None:
            made.append("released")

    made: list[str] = []
    found = one_at_a_time(Slow(), find=lambda: made[0] if made else None, make=lambda: pytest.fail("made again"))
    assert found == "by somebody else"
    assert made[-1] == "released"


def test_a_lock_that_cannot_be_released_does_not_lose_what_was_made() -> None:
    class Stuck:
        def take(self) -> bool:
            return True

        def release(self) -> None:
            raise TokenUnavailable("The cache went away.")

    assert one_at_a_time(Stuck(), find=lambda: None, make=lambda: "made") == "made"


class Processes:
    """Four web processes that share a database and a cache, with sixteen threads each."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TEST_")},
            "DATABASE_URL": f"sqlite:///{folder / 'race.sqlite3'}",
            "CACHE_URL": "dbcache://xacct_cache" if kind == "database" else f"{REDIS_URL}/13",
            "XACCT_DATA_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "xacct_portal.settings",
            "PYTHONWARNINGS": "ignore",
        }
        self.session_keys = self.answer_of(self.start("prepare")).split()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.tokens.race", *arguments]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @staticmethod
    def answer_of(process: subprocess.Popen[str]) -> str:
        said, complained = process.communicate(timeout=120)
        assert process.returncode == 0, complained
        return said.strip()

    def race(self, *session_keys: str, call_seconds: float = 0.3, lock_seconds: int = cache.LOCK_SECONDS) -> list[str]:
        """Let all ask at the same moment; return the access key ids that they got."""
        calls, go = self.folder / "calls", self.folder / "go"
        for left_over in (calls, go):
            left_over.unlink(missing_ok=True)
        racers = [
            self.start("race", str(calls), str(go), str(call_seconds), str(lock_seconds), *session_keys)
            for _ in range(4)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        go.touch()
        return [key_id for racer in racers for key_id in self.answer_of(racer).split()]

    def asked_for(self) -> dict[str, int]:
        """Return how often AWS was asked for each role in the last race."""
        return Counter((self.folder / "calls").read_text().split())


@pytest.mark.parametrize("kind", SHARED)
def test_sixty_four_first_requests_from_four_processes_ask_aws_once_a_session(kind: str, tmp_path: Path) -> None:
    processes = Processes(kind, tmp_path)
    first, second, third = processes.session_keys
    key_ids = processes.race(first)
    assert len(key_ids) == 64
    assert len(set(key_ids)) == 1
    assert processes.asked_for() == {"MyRoleA": 1, "MyRoleB": 1}
    key_ids = processes.race(second, third)
    assert sorted(Counter(key_ids).values()) == [32, 32]
    assert processes.asked_for() == {"MyRoleA": 2, "MyRoleB": 2}


@pytest.mark.parametrize("kind", SHARED)
def test_an_sts_that_takes_longer_than_a_lock_lasts_is_still_asked_once(kind: str, tmp_path: Path) -> None:
    processes = Processes(kind, tmp_path)
    first, _, _ = processes.session_keys
    # Two calls, of which each ends within three quarters of the lock's time, as those of the real STS do. A database as
    # cache cuts off the fraction of the second in which a lock ends.
    key_ids = processes.race(first, call_seconds=2.5, lock_seconds=4)
    assert len(key_ids) == 64 and len(set(key_ids)) == 1
    assert processes.asked_for() == {"MyRoleA": 1, "MyRoleB": 1}


@pytest.mark.usefixtures("threaded_cache")
def test_a_lock_that_is_not_kept_frees_itself_and_is_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LOCK_SECONDS", 1)
    lost, kept, taker = (cache.lock_on("k") for _ in range(3))
    assert lost.take()
    time.sleep(1.2)
    assert kept.take()
    lost.keep()
    for _ in range(4):
        time.sleep(0.5)
        kept.keep()
        assert not taker.take()
    time.sleep(1.2)
    lost.keep()
    kept.keep()
    assert taker.take()
