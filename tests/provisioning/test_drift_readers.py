"""A comparison reads several accounts at once: how many, by whom, and what becomes of those that cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from roles import context
from roles.aws import pacing
from roles.aws.inventory import AccountInventory
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied, AwsUnreachable
from roles.models import AwsAccount
from roles.policies.document import PolicyDocument, Statement
from roles.provisioning import drift, snapshot
from tests import factories
from tests.commands.test_scan_drift import aws as moto_aws

__all__ = ["moto_aws"]
pytestmark = pytest.mark.django_db
LATE_SECONDS = 5.0  # how long an answer waits at most for others to be asked for


class LateAws:
    """Accounts whose answers come only when enough others are being read, or nobody else comes any more.

    `together` is that many. `peak` is how many accounts were read at once, `peak_of_one` how many calls of one account.
    """

    def __init__(self, together: int) -> None:
        self.together = together
        self.peak = self.peak_of_one = 0
        self.read: list[str] = []
        self.threads: set[str] = set()
        self.connections: list[object] = []
        self.requests: set[str] = set()
        self.broken: dict[str, Exception] = {}
        self._now: list[str] = []
        self._met = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def _asked(self, account: str) -> Iterator[None]:
        with self._lock:
            self.read.append(account)
            self._now.append(account)
            self.threads.add(threading.current_thread().name)
            self.connections += connections.all(initialized_only=True)
            self.requests.add(context.current().request_id)
            self.peak = max(self.peak, len(set(self._now)))
            self.peak_of_one = max(self.peak_of_one, self._now.count(account))
            if len(set(self._now)) >= self.together:
                self._met.set()
        self._met.wait(LATE_SECONDS)
        try:
            if account in self.broken:
                raise self.broken[account]
            yield
        finally:
            with self._lock:
                self._now.remove(account)

    def inventory(self, session: AccountSession) -> AccountInventory:
        with self._asked(str(session.access.account_id)):
            return AccountInventory(session.access.account_id, {}, {})

    def bucket_policy(self, session: AccountSession, bucket: str, *, region: str) -> PolicyDocument | None:
        with self._asked(str(session.access.account_id)):
            return _ours(bucket)


def _ours(bucket: str) -> PolicyDocument:
    """Return a policy with a statement of ours that nobody wishes for."""
    body = {"Sid": "XacctBucketOld", "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}"}
    return PolicyDocument((Statement({**body, "Principal": {"AWS": "arn:aws:iam::111111111111:role/Old"}}),))


Late = Callable[..., LateAws]


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch, settings: Any, db: None) -> Late:
    """Make a late AWS of so many accounts with a role and two buckets each, read by so many at once."""

    def made(*, accounts: int, readers: int, together: int) -> LateAws:
        settings.XACCT_DRIFT_READERS = readers
        settings.XACCT_PORTAL_PRINCIPALS = ["arn:aws:iam::111111111111:role/portal"]
        for number in range(1, accounts + 1):
            account = factories.AwsAccountFactory(account_id=str(number) * 12, name=f"account-{number}")
            factories.IamRoleFactory(account=account, name=f"Role{number}")
            for name in ("a", "b"):
                factories.BucketFactory(account=account, name=f"data-{number}-{name}")
        aws = LateAws(together)
        monkeypatch.setattr(snapshot, "account_inventory", aws.inventory)
        monkeypatch.setattr(snapshot.s3, "get_bucket_policy", aws.bucket_policy)
        return aws

    return made


def test_no_more_accounts_are_read_at_once_than_the_setting_says(late: Late) -> None:
    aws = late(accounts=6, readers=2, together=2)
    assert drift.compare().unread == ()
    assert (aws.peak, len(aws.threads)) == (2, 2)


def test_one_after_the_other_where_the_setting_says_one(late: Late) -> None:
    aws = late(accounts=3, readers=1, together=1)
    drift.compare()
    assert (aws.peak, len(set(aws.read))) == (1, 3)


def test_accounts_that_answer_late_are_waited_for_together(late: Late) -> None:
    aws = late(accounts=4, readers=8, together=4)
    assert len(drift.compare().differences) == 8
    assert aws.peak == 4


def test_the_calls_in_one_account_follow_each_other(late: Late) -> None:
    aws = late(accounts=3, readers=8, together=3)
    drift.compare()
    assert aws.peak_of_one == 1
    assert sorted(aws.read) == sorted(3 * [str(number) * 12 for number in (1, 2, 3)])


def test_who_reads_asks_only_aws_and_knows_the_request(late: Late) -> None:
    aws = late(accounts=3, readers=3, together=3)
    with context.use(context.RequestContext(request_id="r" * 32)):
        drift.compare()
    assert all(name.startswith(snapshot.READER) for name in aws.threads)
    assert aws.connections == []
    assert aws.requests == {"r" * 32}


def test_an_account_that_cannot_be_read_stops_no_other(late: Late) -> None:
    aws = late(accounts=4, readers=4, together=4)
    aws.broken = {"2" * 12: AwsAccessDenied("no"), "3" * 12: AwsUnreachable("late")}
    report = drift.compare()
    assert {one.account_id for one in report.differences} == {"1" * 12, "4" * 12}
    assert {(one.account_id, one.why) for one in report.unread} == {("2" * 12, "no"), ("3" * 12, "late")}
    assert not {resource for resource, _ in report.compared if "::222222222222:" in resource or "data-3" in resource}


def test_what_cannot_be_read_is_asked_for_once(late: Late) -> None:
    aws = late(accounts=2, readers=2, together=2)
    aws.broken = {"2" * 12: AwsAccessDenied("no")}
    drift.compare()
    assert aws.read.count("2" * 12) == 3  # its roles, and each of its two buckets


def test_a_mistake_of_ours_is_not_taken_for_an_account_that_cannot_be_read(late: Late) -> None:
    aws = late(accounts=3, readers=3, together=3)
    aws.broken = {"2" * 12: ZeroDivisionError()}
    with pytest.raises(ZeroDivisionError):
        drift.compare()


def test_the_findings_come_in_the_same_order_however_they_are_read(late: Late, settings: Any) -> None:
    late(accounts=5, readers=1, together=1)
    one_by_one = drift.compare().differences
    settings.XACCT_DRIFT_READERS = 5
    for _ in range(3):
        assert drift.compare().differences == one_by_one
    assert [one.resource for one in one_by_one] == sorted(one.resource for one in one_by_one)
    assert len(one_by_one) == 10


def test_handoff_accounts_are_not_read(late: Late) -> None:
    aws = late(accounts=2, readers=2, together=1)
    AwsAccount.objects.filter(account_id="2" * 12).update(access_mode="handoff")
    assert drift.compare().handoff == ("2" * 12,)
    assert set(aws.read) == {"1" * 12}


def test_every_call_counts_for_its_accounts_rate(moto_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, str]] = []

    def take(account_id: str, rate: float) -> float:
        taken.append((str(account_id), threading.current_thread().name))
        return 0.0

    monkeypatch.setattr(pacing._pace, "take", take)
    assert drift.compare().is_clean
    assert {account for account, _ in taken} == {"111111111111", "222222222222"}
    assert all(name.startswith(snapshot.READER) for _, name in taken)
