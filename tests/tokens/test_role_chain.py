"""What AWS is asked for: who it is for, how long, how much, and by which identity."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from roles.errors import AwsAccessDenied, AwsLimitExceeded
from roles.models import GroupRole, IamRole, User
from roles.tokens import role_chain, scope
from roles.tokens.cache import CachedToken
from roles.tokens.role_chain import assume
from tests import factories
from tests.tokens.conftest import FakeSts, in_sync


def token_of(user: User, mapping: GroupRole) -> CachedToken:
    usable = scope.mapping_for(user, mapping.pk)
    return assume(user, usable.mapping, usable.targets[0])


# --- who it is for ---


def test_names_are_left_out_where_the_target_does_not_want_them(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    IamRole.objects.filter(name="MyRoleB").update(attribution=False)
    assert not token_of(procedure.bob, mapping).attributed
    [request] = aws_sts.assumed("MyRoleB")
    assert (request.source_identity, request.tags, request.session_name) == ("", None, "bob")


def test_names_that_the_targets_trust_refuses_are_left_out_and_that_is_said(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    aws_sts.refuse_names = True
    token = token_of(procedure.bob, mapping)
    assert not token.attributed
    assert token.session_name == "bob"
    named, plain = aws_sts.assumed("MyRoleB")
    assert named.tags and not plain.tags and not plain.source_identity


def test_tags_that_leave_the_policy_too_little_room_are_left_out(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    IamRole.objects.filter(name="MyRoleA").update(path="/team/")
    aws_sts.portal = "arn:aws:sts::111111111111:assumed-role/MyRoleA/i-0123456789"
    aws_sts.failures = [AwsLimitExceeded("x", aws_code="PackedPolicyTooLarge")]
    assert not token_of(procedure.bob, mapping).attributed


def test_a_target_that_trusts_nobody_is_refused_after_both_tries(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    aws_sts.denied.add(str(procedure.role_b.arn))
    with pytest.raises(AwsAccessDenied):
        token_of(procedure.bob, mapping)
    assert len(aws_sts.assumed("MyRoleB")) == 2


def test_the_target_is_told_user_group_and_mapping(procedure: factories.Procedure, aws_sts: FakeSts) -> None:
    procedure.group.name = "R&D <analysts>"
    procedure.group.save()
    mapping = in_sync(procedure)
    assert token_of(procedure.bob, mapping).attributed
    [request] = aws_sts.assumed("MyRoleB")
    assert request.tags == {"user": "bob", "group": "R_D _analysts_", "mapping": str(mapping.pk)}
    assert request.source_identity == request.session_name == "bob"


def test_the_source_is_told_the_sessions_name_alone(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    token_of(procedure.bob, mapping)
    [request] = aws_sts.assumed("MyRoleA")
    assert (request.session_name, request.source_identity, request.tags, request.policy) == ("bob", "", None, "")


# --- by which identity ---


@pytest.mark.parametrize(
    "portal",
    [
        "arn:aws:iam::111111111111:user/MyRoleA",
        "arn:aws:sts::111111111111:assumed-role/AnotherRole/MyRoleA",
        "arn:aws:sts::222222222222:assumed-role/MyRoleA/i-0123",
        "arn:aws-cn:sts::111111111111:assumed-role/MyRoleA/i-0123",
    ],
)
def test_whoever_is_not_role_a_assumes_it_first(
    portal: str, mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    aws_sts.portal = portal
    token_of(procedure.bob, mapping)
    assert len(aws_sts.assumed("MyRoleA")) == 1


@pytest.mark.parametrize("path", ["/", "/team/"])
def test_a_portal_that_runs_as_role_a_assumes_role_b_at_once(
    path: str, mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    IamRole.objects.filter(name="MyRoleA").update(path=path)
    aws_sts.portal = "arn:aws:sts::111111111111:assumed-role/MyRoleA/i-0123456789"
    assert token_of(procedure.bob, mapping).attributed
    assert aws_sts.assumed("MyRoleA") == []
    assert aws_sts.callers == [aws_sts.portal]


def test_base_credentials_that_expired_in_the_last_call_are_read_again(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(role_chain.time, "sleep", pauses.append)
    aws_sts.portal = "arn:aws:sts::111111111111:assumed-role/MyRoleA/i-0123456789"
    aws_sts.failures = [AwsAccessDenied("x", aws_code="ExpiredTokenException")]
    assert token_of(procedure.bob, mapping).attributed
    assert len(pauses) == 1


# --- how much, how long ---


def test_a_mapping_that_does_not_narrow_sends_no_policy(
    mapping: GroupRole, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    token_of(procedure.bob, mapping)
    assert aws_sts.assumed("MyRoleB")[0].policy == ""


def test_a_narrowing_is_sent_as_session_policy_also_in_the_fall_back(
    procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    aws_sts.refuse_names = True
    token_of(procedure.bob, in_sync(procedure, access="READ", prefix="team/"))
    named, plain = aws_sts.assumed("MyRoleB")
    assert named.policy == plain.policy
    document = json.loads(plain.policy)
    assert "s3:GetObject" in str(document) and "team/*" in str(document)
    assert "s3:PutObject" not in str(document)


@pytest.mark.parametrize(("left", "seconds"), [(None, 3600), (24 * 3600, 3600), (2700, 2700), (600, 1800)])
def test_a_token_lives_an_hour_but_not_much_longer_than_its_mapping(
    left: int | None, seconds: int, procedure: factories.Procedure, aws_sts: FakeSts
) -> None:
    expires_at = None if left is None else timezone.now() + timedelta(seconds=left + 5)
    token_of(procedure.bob, in_sync(procedure, expires_at=expires_at))
    source, target = aws_sts.requests
    assert source.seconds == 900
    assert abs(target.seconds - seconds) <= 5
