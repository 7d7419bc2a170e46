"""No token unless the database says so at this moment, and a plain word when AWS or the cache does not give one."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from roles.errors import (
    AwsAccessDenied,
    AwsError,
    AwsThrottled,
    AwsUnreachable,
    NotEntitled,
    NotFound,
    PolicyTooLarge,
    SessionEnded,
    TokenUnavailable,
)
from roles.models import AuditEvent, BucketGrant, GroupRole, IssuedToken, Membership, User
from roles.models.choices import MappingState, Outcome
from roles.tokens import broker, cache, role_chain
from roles.tokens.cache import cache as backend
from tests import factories
from tests.tokens.conftest import FakeSts, ask, in_sync, last, signed_in

# --- refused ---


def test_a_stranger_is_refused_before_aws_is_asked_and_it_is_on_record(
    mapping: GroupRole, charlie: User, aws_sts: FakeSts
) -> None:
    with pytest.raises(NotFound):
        ask(charlie, mapping)
    assert aws_sts.requests == []
    event = last("token.refused")
    assert (event.actor, event.outcome, event.details["error_code"]) == (charlie, Outcome.DENIED, "not_found")


def test_a_mapping_that_does_not_exist_is_refused(procedure: factories.Procedure) -> None:
    with pytest.raises(NotFound):
        broker.get_token(actor=procedure.bob, session=signed_in(procedure.bob).session, mapping_id=987654)
    assert last("token.refused").subject_id == ""


def test_a_mapping_not_provisioned_is_refused_and_left_to_the_surface_to_record(
    procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    with pytest.raises(NotEntitled):
        ask(procedure.bob, procedure.map(state=MappingState.APPLYING))
    assert aws_sts.requests == []
    assert not AuditEvent.objects.filter(code__startswith="token").exists()


def test_a_target_of_another_mapping_is_refused(mapping: GroupRole, procedure: factories.Procedure) -> None:
    with pytest.raises(NotFound):
        ask(procedure.bob, mapping, target_id=procedure.role_a.pk)


def test_a_cached_token_is_refused_once_the_database_says_no(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    session = signed_in(procedure.bob).session
    ask(procedure.bob, mapping, session)
    Membership.objects.update(ended_at=timezone.now())  # and nobody evicted anything
    with pytest.raises(NotFound):
        ask(procedure.bob, mapping, session)


def test_a_session_that_is_gone_gets_nothing(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    session = signed_in(procedure.bob).session
    assert cache.namespace_in(session)
    Session.objects.all().delete()
    with pytest.raises(SessionEnded):
        ask(procedure.bob, mapping, session)
    assert aws_sts.requests == []
    assert last("token.refused").details["error_code"] == "token.session_ended"


def test_a_deleted_session_without_a_namespace_gets_none(mapping: GroupRole, procedure: factories.Procedure) -> None:
    session = signed_in(procedure.bob).session
    del session[cache.NAMESPACE_KEY]
    Session.objects.all().delete()
    with pytest.raises(SessionEnded):
        ask(procedure.bob, mapping, session)


def test_an_expired_session_gets_nothing(mapping: GroupRole, procedure: factories.Procedure) -> None:
    session = signed_in(procedure.bob).session
    assert cache.namespace_in(session)
    Session.objects.update(expire_date=timezone.now())
    with pytest.raises(SessionEnded):
        ask(procedure.bob, mapping, session)


def test_a_narrowing_that_no_session_policy_holds_is_refused_before_aws_is_asked(
    procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    for number in range(40):
        factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"a-longer-name-{number}/")
    BucketGrant.objects.filter(prefix="").update(ended_at=timezone.now())
    with pytest.raises(PolicyTooLarge):
        ask(procedure.bob, in_sync(procedure, access="READ"))
    assert aws_sts.requests == []
    assert last("token.refused").outcome == Outcome.FAILED


# --- what changes while AWS is asked ---


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda: Membership.objects.update(ended_at=timezone.now()), NotFound),
        (lambda: User.objects.filter(username="bob").update(is_active=False), NotFound),
        (lambda: GroupRole.objects.update(expires_at=timezone.now()), NotEntitled),
        (lambda: GroupRole.objects.update(access="READ"), TokenUnavailable),
        (lambda: Session.objects.all().delete(), SessionEnded),
    ],
    ids=["left the group", "deactivated", "expired", "narrowed", "signed out"],
)
def test_what_ends_while_aws_is_asked_is_neither_handed_out_nor_kept(
    change: Any,
    error: type[Exception],
    mapping: GroupRole,
    procedure: factories.Procedure,
    aws_sts: FakeSts,
) -> None:
    session = signed_in(procedure.bob).session
    aws_sts.while_b_is_asked = change
    with pytest.raises(error):
        ask(procedure.bob, mapping, session)
    row = IssuedToken.objects.get()
    assert row.evicted_at is not None
    assert backend.get(row.cache_key) is None
    assert last("token.evicted").details["tokens"] == [{"user": "bob", "access_key_id": row.access_key_id}]


# --- AWS says no ---


@pytest.mark.parametrize("role", ["MyRoleA", "MyRoleB"])
def test_a_refusal_by_aws_says_which_role_and_what_to_do(
    role: str, mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    account = {"MyRoleA": "111111111111", "MyRoleB": "222222222222"}[role]
    aws_sts.denied.add(f"arn:aws:iam::{account}:role/{role}")
    with pytest.raises(AwsAccessDenied) as refused:
        ask(procedure.bob, mapping)
    assert role in refused.value.message and account in refused.value.message
    assert "trust policy" in refused.value.hint
    assert refused.value.request_id
    event = last("token.refused")
    assert (event.outcome, event.subject_id, event.account_id) == (Outcome.DENIED, str(mapping.pk), account)
    assert event.details["aws_code"] == "AccessDenied"
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (AwsThrottled("x", aws_code="Throttling"), "fewer requests"),
        (AwsUnreachable("x"), "did not answer"),
        (AwsAccessDenied("x"), "own AWS credentials"),
        (AwsError("AWS did something odd.", hint="See its code.", aws_code="Odd"), "something odd"),
    ],
)
def test_each_other_trouble_has_its_own_plain_words(
    failure: Any, says: str, mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    aws_sts.failures = [failure]
    with pytest.raises(type(failure)) as refused:
        ask(procedure.bob, mapping)
    assert says in refused.value.message and refused.value.hint
    assert ask(procedure.bob, mapping).credentials


def test_expired_credentials_of_the_portal_are_read_again_once(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr(role_chain.sts, "forget_identity", lambda: forgotten.append(True))
    aws_sts.failures = [AwsAccessDenied("x", aws_code="ExpiredToken") for _ in range(2)]
    with pytest.raises(AwsAccessDenied) as refused:
        ask(procedure.bob, mapping)
    assert "expired" in refused.value.message and "not about your access" in refused.value.hint
    assert len(forgotten) == 1
    aws_sts.failures = [AwsAccessDenied("x", aws_code="ExpiredToken")]
    assert ask(procedure.bob, mapping).attributed
    assert len(forgotten) == 2


def test_a_session_store_of_nobody_is_refused(mapping: GroupRole, charlie: User) -> None:
    with pytest.raises(NotFound):
        ask(charlie, mapping, SessionStore())
