"""Redis is down: people get tokens straight from STS, up to a limit, and plain words after that; never an error page.

A port where nobody listens, and one where somebody listens and never answers.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from roles.errors import AwsThrottled, CacheDown, NotFound, SessionEnded
from roles.models import AuditEvent, GroupRole, IssuedToken, Membership, User
from roles.models.choices import Outcome
from roles.tokens import cache, issuing
from roles.tokens.cache import cache as backend
from tests import factories
from tests.tokens.conftest import SECRET_MARK, FakeSts, ask, cache_settings, last, signed_in
from xacct_portal import cache_config


@pytest.fixture
def down(settings: Any) -> None:
    """From here on nobody answers for the cache."""
    settings.CACHES = cache_settings("down")


@pytest.fixture
def silent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From here on somebody takes connections for the cache and never answers."""
    monkeypatch.setattr(cache_config, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        settings.CACHES = cache_config.caches_config(
            {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": address}
        )
        yield


@pytest.mark.usefixtures("down")
def test_a_stranger_gets_no_token_either(mapping: GroupRole, charlie: User, aws_sts: FakeSts) -> None:
    with pytest.raises(NotFound):
        ask(charlie, mapping)
    assert aws_sts.requests == []


@pytest.mark.usefixtures("down")
def test_after_the_limit_there_is_a_plain_refusal_and_aws_is_not_asked(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing.uncached, "limit", 2)
    session = signed_in(procedure.bob).session
    for _ in range(2):
        assert ask(procedure.bob, mapping, session).credentials
    calls = len(aws_sts.requests)
    with pytest.raises(CacheDown) as refused:
        ask(procedure.bob, mapping, session)
    assert "cache" in refused.value.message and "Try again in a minute" in refused.value.hint
    assert len(aws_sts.requests) == calls
    event = last("token.refused")
    assert (event.outcome, event.details["error_code"]) == (Outcome.FAILED, "token.cache_down")


@pytest.mark.usefixtures("down")
def test_a_page_past_the_limit_says_try_again_and_is_no_error_page(
    mapping: GroupRole, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing.uncached, "limit", 0)
    refused = signed_in(procedure.bob).post(reverse("credentials", args=[mapping.pk]))
    assert refused.status_code == 503
    assert "Try again in a minute" in refused.content.decode()


@pytest.mark.usefixtures("down")
def test_a_token_comes_straight_from_sts_for_whoever_asks_and_is_kept_nowhere(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    carol = factories.MembershipFactory(group=procedure.group, user__username="carol").user
    session = signed_in(procedure.bob).session
    one, again, hers = ask(procedure.bob, mapping, session), ask(procedure.bob, mapping, session), ask(carol, mapping)
    assert [one.session_name, again.session_name, hers.session_name] == ["bob", "bob", "carol"]
    assert len({token.credentials.access_key_id for token in (one, again, hers)}) == 3
    assert len(aws_sts.assumed("MyRoleB")) == 3
    assert IssuedToken.objects.count() == 3
    assert not IssuedToken.objects.cached().exists()
    assert last("token.issued").details["cached"] is False


@pytest.mark.usefixtures("down")
def test_what_ends_while_aws_is_asked_is_not_handed_out_without_a_cache_either(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    aws_sts.while_b_is_asked = lambda: Membership.objects.all().update(ended_at=procedure.group.created_at)
    session = signed_in(procedure.bob).session
    Membership.objects.update(started_at=procedure.group.created_at)
    with pytest.raises(NotFound):
        ask(procedure.bob, mapping, session)
    assert AuditEvent.objects.filter(code="token.evicted").exists()


@pytest.mark.usefixtures("down")
def test_nobody_is_kept_from_signing_in_looking_or_signing_out(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    browser = Client()
    signing_in = browser.post(reverse("login"), {"username": "bob", "password": factories.PASSWORD})
    assert signing_in.status_code == 302 and SESSION_KEY in browser.session
    assert "example-data" in browser.get(reverse("my_access")).content.decode()
    given = browser.post(reverse("credentials", args=[mapping.pk]))
    assert given.status_code == 200 and SECRET_MARK in given.content.decode()
    assert browser.post(reverse("logout")).status_code == 302
    assert SESSION_KEY not in browser.session


def test_with_the_cache_down_a_logout_still_works_and_the_token_stays_marked(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any
) -> None:
    browser = signed_in(procedure.bob)
    session = browser.session
    ask(procedure.bob, mapping, session)
    settings.CACHES = cache_settings("down")
    assert browser.post(reverse("logout")).status_code == 302
    assert IssuedToken.objects.cached().count() == 1
    assert AuditEvent.objects.filter(code="token.evicted", outcome=Outcome.FAILED).exists()
    with pytest.raises(SessionEnded):
        ask(procedure.bob, mapping, session)


def test_when_the_cache_is_back_all_is_as_before(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any, aws_sts: FakeSts
) -> None:
    session = signed_in(procedure.bob).session
    before = settings.CACHES
    first = ask(procedure.bob, mapping, session)
    settings.CACHES = cache_settings("down")
    assert ask(procedure.bob, mapping, session) != first
    settings.CACHES = before
    assert ask(procedure.bob, mapping, session) == first
    assert len(aws_sts.assumed("MyRoleB")) == 2


def test_a_cache_that_goes_down_while_aws_is_asked_still_hands_the_token_out(
    mapping: GroupRole, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: Any, **_more: Any) -> None:
        raise CacheDown("The cache does not answer.")

    monkeypatch.setattr(cache, "put", gone)
    token = ask(procedure.bob, mapping)
    row = IssuedToken.objects.get()
    assert (row.access_key_id, row.evicted_at is None) == (token.credentials.access_key_id, False)
    assert backend.get(row.cache_key) is None


def test_a_cache_that_never_answers_costs_a_short_wait(
    mapping: GroupRole, procedure: factories.Procedure, silent: None
) -> None:
    before = time.monotonic()
    assert ask(procedure.bob, mapping).credentials
    assert time.monotonic() - before < 2


@pytest.mark.usefixtures("down")
def test_trouble_with_aws_is_told_as_such(mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts) -> None:
    aws_sts.failures = [AwsThrottled("x", aws_code="Throttling")]
    with pytest.raises(AwsThrottled) as refused:
        ask(procedure.bob, mapping)
    assert "fewer requests" in refused.value.message
