"""The procedure's world with Bob's mapping in sync, an STS in memory, and the caches that tokens may lie in."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from roles.aws import sts
from roles.aws.sts import AssumeRoleRequest
from roles.errors import AwsAccessDenied, AwsError
from roles.models import AuditEvent, GroupRole, IssuedToken, User
from roles.models.choices import MappingState, Outcome
from roles.tokens import broker, issuing, role_chain
from roles.tokens.broker import Token
from roles.tokens.cache import cache as backend
from roles.values.credentials import Credentials
from tests import factories
from xacct_portal.cache_config import caches_config

SECRET_MARK = "SECRET-OF-THE-FAKE"
REDIS_URL = os.environ.get("TEST_REDIS_URL", "")
BACKENDS = ("locmem", "database", *(("redis",) if REDIS_URL else ()))


def cache_settings(backend: str) -> dict[str, Any]:
    """Return `CACHES` for one of `BACKENDS`."""
    known = {
        "locmem": ("locmem.LocMemCache", "tokens-tests"),
        "database": ("db.DatabaseCache", "tokens_tests_cache"),
        "redis": ("redis.RedisCache", f"{REDIS_URL}/13"),
        "down": ("redis.RedisCache", "redis://127.0.0.1:1/0"),
    }
    name, location = known[backend]
    return caches_config({"BACKEND": f"django.core.cache.backends.{name}", "LOCATION": location})


@dataclass
class FakeSts:
    """STS with the rules that matter: who may assume what, and whose trust allows names. Keeps what was asked."""

    portal: str = "arn:aws:iam::111111111111:user/xacct-tokens"
    lifetime: timedelta = timedelta(hours=1)
    denied: set[str] = field(default_factory=set)
    refuse_names: bool = False
    failures: list[AwsError] = field(default_factory=list)
    while_b_is_asked: Callable[[], object] | None = None
    requests: list[AssumeRoleRequest] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def assume_role(
        self, request: AssumeRoleRequest, *, region: str, purpose: Any = None, using: Credentials | None = None
    ) -> Credentials:
        self.requests.append(request)
        self.callers.append(using.access_key_id if using else self.portal)
        if self.while_b_is_asked and request.role_arn.endswith("/MyRoleB"):
            self.while_b_is_asked()
        if self.failures:
            raise self.failures.pop(0)
        if request.role_arn in self.denied:
            raise self.refusal(request, "not authorized to perform: sts:AssumeRole")
        if self.refuse_names and (request.source_identity or request.tags):
            raise self.refusal(request, "not authorized to perform: sts:TagSession")
        number = next(self._numbers)
        ends = datetime.now(UTC) + min(self.lifetime, timedelta(seconds=request.seconds))
        return Credentials(f"ASIAFAKE{number:08}", f"{SECRET_MARK}-key-{number}", f"{SECRET_MARK}-token-{number}", ends)

    def assumed(self, name: str) -> list[AssumeRoleRequest]:
        """The requests for the role of that name."""
        return [request for request in self.requests if request.role_arn.endswith(f"/{name}")]

    @staticmethod
    def refusal(request: AssumeRoleRequest, says: str) -> AwsAccessDenied:
        return AwsAccessDenied(
            "x",
            service="sts",
            operation="AssumeRole",
            account=request.role_arn.split(":")[4],
            arn=request.role_arn,
            aws_code="AccessDenied",
            aws_message=says,
            request_id="11111111-2222",
        )


class FakeCaller:
    """GetCallerIdentity, kept as long as the real one keeps it."""

    def __init__(self, fake: FakeSts) -> None:
        self.fake = fake
        self.times_forgotten = 0

    def __call__(self, **_where: Any) -> str:
        return self.fake.portal

    def cache_clear(self) -> None:
        self.times_forgotten += 1


@pytest.fixture(autouse=True)
def aws_sts(monkeypatch: pytest.MonkeyPatch) -> FakeSts:
    """STS in memory."""
    fake = FakeSts()
    monkeypatch.setattr(sts, "assume_role", fake.assume_role)
    monkeypatch.setattr(sts, "caller_arn", FakeCaller(fake))
    monkeypatch.setattr(role_chain, "REFRESH_PAUSE_SECONDS", 0.0)
    issuing.uncached.clear()
    return fake


@pytest.fixture(params=BACKENDS)
def each_cache(request: pytest.FixtureRequest, settings: Any, db: None) -> str:
    """Run the test on each kind of cache that a site may have."""
    backend: str = request.param
    settings.CACHES = cache_settings(backend)
    if backend == "database":
        call_command("createcachetable", verbosity=0)
    return backend


@pytest.fixture
def mapping(procedure: factories.Procedure) -> GroupRole:
    """MyRoleA in Bob's group, in sync."""
    return in_sync(procedure)


def in_sync(procedure: factories.Procedure, **narrowing: Any) -> GroupRole:
    """Map MyRoleA to Bob's group as if it had been provisioned."""
    return procedure.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now(), **narrowing)


def signed_in(user: User) -> Client:
    """Return a browser of `user`, in a session of its own."""
    client = Client()
    client.force_login(user)
    return client


def ask(user: User, mapping: GroupRole, session: Any = None, target_id: int | None = None) -> Token:
    return broker.get_token(
        actor=user, session=session or signed_in(user).session, mapping_id=mapping.pk, target_id=target_id
    )


def last(code: str) -> AuditEvent:
    event = AuditEvent.objects.filter(code=code).first()
    assert event is not None, f"no event {code}"
    return event


class Desk:
    """A browser of somebody, with a token in its session."""

    def __init__(self, user: User, mapping: GroupRole) -> None:
        self.user, self.mapping = user, mapping
        self.browser = signed_in(user)
        self.session = self.browser.session
        before = set(IssuedToken.objects.values_list("pk", flat=True))
        self.token = self.ask()
        self.row = IssuedToken.objects.exclude(pk__in=before).get()

    def ask(self) -> Token:
        return broker.get_token(actor=self.user, session=self.session, mapping_id=self.mapping.pk)

    @property
    def is_cached(self) -> bool:
        """Whether the cache holds it; the record must say the same."""
        in_cache = backend.get(self.row.cache_key) is not None
        on_record = IssuedToken.objects.cached().filter(pk=self.row.pk).exists()
        assert in_cache == on_record
        return in_cache


@pytest.fixture
def desk(each_cache: str, procedure: factories.Procedure, mapping: GroupRole) -> Desk:
    """Bob's browser, with a token."""
    found = Desk(procedure.bob, mapping)
    assert found.is_cached
    return found


@pytest.fixture
def bystander(desk: Desk, procedure: factories.Procedure, mapping: GroupRole) -> Desk:
    """Carol's browser, with a token for the same mapping."""
    carol = factories.MembershipFactory(group=procedure.group, user__username="carol").user
    return Desk(carol, mapping)


def evictions() -> list[str]:
    """The access key ids on record as evicted, in order."""
    events = AuditEvent.objects.filter(code="token.evicted", outcome=Outcome.OK).order_by("pk")
    return [token["access_key_id"] for event in events for token in event.details["tokens"]]
