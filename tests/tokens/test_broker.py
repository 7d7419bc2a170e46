"""The token of this session for this mapping: fetched once from role B by way of role A, then reused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from roles.errors import (
    AwsAccessDenied,
)
from roles.models import GroupRole, IamRole, IssuedToken, User
from roles.tokens import cache, revocation
from roles.tokens.cache import cache as backend
from tests import factories
from tests.tokens.conftest import SECRET_MARK, FakeSts, ask, cache_settings, last, signed_in


def test_the_token_is_of_role_b_by_way_of_role_a(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    token = ask(procedure.bob, mapping, target_id=procedure.role_b.pk)
    assert [request.role_arn for request in aws_sts.requests] == [token.source, token.target]
    assert token.source == "arn:aws:iam::111111111111:role/MyRoleA"
    assert token.target == "arn:aws:iam::222222222222:role/MyRoleB"
    assert aws_sts.callers == [aws_sts.portal, "ASIAFAKE00000001"]
    assert token.credentials.access_key_id == "ASIAFAKE00000002"
    assert (token.mapping, token.region, token.session_name, token.attributed) == (mapping, "us-east-1", "bob", True)
    assert [str(grant.bucket) for grant in token.grants] == ["example-data"]


def test_it_is_fetched_once_a_session_and_then_reused(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, each_cache: str
) -> None:
    browser = signed_in(procedure.bob)
    tokens = {ask(procedure.bob, mapping, browser.session).credentials.access_key_id for _ in range(5)}
    assert len(tokens) == 1
    assert len(aws_sts.requests) == 2
    assert IssuedToken.objects.count() == 1


def test_two_sessions_have_separate_tokens(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    one, other = ask(procedure.bob, mapping), ask(procedure.bob, mapping)
    assert one.credentials != other.credentials
    assert len(aws_sts.assumed("MyRoleB")) == 2
    assert IssuedToken.objects.values("session_hash").distinct().count() == 2


def test_two_people_in_one_browser_session_never_share(mapping: GroupRole, procedure: factories.Procedure) -> None:
    carol = factories.MembershipFactory(group=procedure.group, user__username="carol").user
    session = signed_in(procedure.bob).session
    one, other = ask(procedure.bob, mapping, session), ask(carol, mapping, session)
    assert (one.session_name, other.session_name) == ("bob", "carol")
    assert one.credentials != other.credentials


def test_each_target_has_its_own_token(mapping: GroupRole, procedure: factories.Procedure) -> None:
    second: IamRole = factories.IamRoleFactory(account=procedure.account_b, name="Second")
    factories.AssumeRoleGrantFactory(source=procedure.role_a, target=second)
    factories.BucketGrantFactory(role=second, bucket=procedure.bucket)
    session = signed_in(procedure.bob).session
    assert ask(procedure.bob, mapping, session).target.endswith("/MyRoleB")
    assert ask(procedure.bob, mapping, session, second.pk).target.endswith("/Second")


def test_a_session_without_a_namespace_gets_one_that_stays(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    browser = signed_in(procedure.bob)
    session = browser.session
    del session[cache.NAMESPACE_KEY]
    session.save()
    ask(procedure.bob, mapping, browser.session)
    assert cache.namespace_in(browser.session)
    ask(procedure.bob, mapping, browser.session)
    assert len(aws_sts.assumed("MyRoleB")) == 1


def test_after_a_change_the_session_gets_a_token_with_the_new_permissions(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    session = signed_in(procedure.bob).session
    ask(procedure.bob, mapping, session)
    assert aws_sts.assumed("MyRoleB")[-1].policy == ""
    GroupRole.objects.update(access="READ", prefix="team/")
    narrow = ask(procedure.bob, mapping, session)
    assert "team/*" in aws_sts.assumed("MyRoleB")[-1].policy
    assert [grant.prefix for grant in narrow.grants] == ["team/"]


def test_a_flushed_cache_costs_one_more_call_and_nothing_else(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, each_cache: str
) -> None:
    session = signed_in(procedure.bob).session
    ask(procedure.bob, mapping, session)
    backend.clear()
    assert ask(procedure.bob, mapping, session).credentials.access_key_id == "ASIAFAKE00000004"


def test_a_warm_request_costs_one_query_and_no_call(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, settings: Any
) -> None:
    settings.CACHES = cache_settings("locmem")
    session = signed_in(procedure.bob).session
    for _ in range(2):  # the first time that it comes from the cache is told
        ask(procedure.bob, mapping, session)
    with CaptureQueriesContext(connection) as queries:
        ask(procedure.bob, mapping, session)
    assert len(queries) == 1
    assert len(aws_sts.requests) == 2


# --- on record ---


def test_each_token_is_in_the_history_with_all_but_its_secrets(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    token = ask(procedure.bob, mapping)
    event, row = last("token.issued"), IssuedToken.objects.get()
    assert (event.actor, event.group_name, event.account_id) == (procedure.bob, "analysts", "222222222222")
    assert event.resource == token.target
    assert row.scope["digest"]
    assert event.details == {
        "user": "bob",
        "session": row.session_hash,
        "session_name": "bob",
        "mapping": mapping.pk,
        "source": token.source,
        "target": token.target,
        "access_key_id": token.credentials.access_key_id,
        "expires_at": token.credentials.expires_at.isoformat(),
        "scope": row.scope["digest"],
        "grants": ["READWRITE example-data/"],
        "attributed": True,
        "purpose": "portal",
        "replaces": [],
        "cached": True,
    }
    assert (row.user, row.mapping, row.access_key_id) == (procedure.bob, mapping, token.credentials.access_key_id)
    assert row.expires_at == token.credentials.expires_at


def test_a_name_that_aws_does_not_take_is_mapped_and_history_maps_it_back(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    User.objects.filter(pk=procedure.bob.pk).update(username="Боб Смит")
    bob = User.objects.get(pk=procedure.bob.pk)
    token = ask(bob, mapping)
    assert token.session_name == f"_=u{bob.pk}"
    assert aws_sts.assumed("MyRoleB")[0].source_identity == token.session_name
    event = last("token.issued")
    assert (event.actor_name, event.details["session_name"]) == ("Боб Смит", token.session_name)


def test_no_secret_reaches_the_database_the_log_or_a_repr(
    mapping: GroupRole,
    procedure: factories.Procedure,
    each_cache: str,
    caplog: pytest.LogCaptureFixture,
    aws_sts: FakeSts,
) -> None:
    caplog.set_level("DEBUG")
    browser = signed_in(procedure.bob)
    token = ask(procedure.bob, mapping, browser.session)
    revocation.forget_session(browser.session)
    aws_sts.denied.add(token.target)
    with pytest.raises(AwsAccessDenied) as refused:
        ask(procedure.bob, mapping, browser.session)
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            rows += cursor.fetchall()
    shown = (repr(rows), caplog.text, repr(token), str(token), repr(refused.value), str(refused.value))
    assert token.credentials.access_key_id in shown[0]
    assert [text for text in shown if SECRET_MARK in text] == []
