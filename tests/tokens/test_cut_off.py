"""No token that AWS refuses is handed out: neither a cached one nor one that is made while somebody is cut off."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from roles.errors import TokenUnavailable
from roles.models import CutOff, GroupRole, IssuedToken, User
from roles.operations.cut_off import Whose, cut_off
from tests import factories
from tests.tokens.conftest import FakeSts, ask, signed_in


@pytest.fixture
def carol(procedure: factories.Procedure) -> User:
    user: User = factories.UserFactory(username="carol")
    factories.MembershipFactory(group=procedure.group, user=user)
    return user


def later() -> time_machine.travel:
    """Let the second be over in which somebody was cut off."""
    return time_machine.travel(timezone.now() + timedelta(seconds=2), tick=True)


def test_a_token_says_whose_session_of_which_role_it_is(mapping: GroupRole, procedure: factories.Procedure) -> None:
    ask(procedure.bob, mapping)
    row = IssuedToken.objects.get()
    assert (row.target, row.session_name) == (procedure.role_b, "bob")


def test_a_cached_token_is_not_handed_out_after_its_user_was_cut_off(
    each_cache: str, mapping: GroupRole, procedure: factories.Procedure, alice: User, carol: User
) -> None:
    bobs, carols = signed_in(procedure.bob).session, signed_in(carol).session
    before, others = ask(procedure.bob, mapping, bobs), ask(carol, mapping, carols)
    cut_off(actor=alice, whose=Whose(user=procedure.bob))
    with later():
        after = ask(procedure.bob, mapping, bobs)
    assert after.credentials.access_key_id != before.credentials.access_key_id
    assert ask(carol, mapping, carols).credentials.access_key_id == others.credentials.access_key_id


def test_in_the_second_of_the_cut_off_nothing_is_handed_out(
    mapping: GroupRole, procedure: factories.Procedure, alice: User, carol: User
) -> None:
    session = signed_in(procedure.bob).session
    ask(procedure.bob, mapping, session)
    soon = timezone.now() + timedelta(seconds=1)
    with time_machine.travel(soon.replace(microsecond=100_000), tick=False):
        cut_off(actor=alice, whose=Whose(user=procedure.bob))
        with pytest.raises(TokenUnavailable, match="cut off at this moment"):
            ask(procedure.bob, mapping, session)
        assert ask(carol, mapping).credentials.access_key_id
    assert not IssuedToken.objects.cached().filter(user=procedure.bob).exists()


def test_a_token_that_aws_makes_while_its_user_is_cut_off_is_taken_back(
    mapping: GroupRole, procedure: factories.Procedure, alice: User, aws_sts: FakeSts
) -> None:
    session = signed_in(procedure.bob).session
    ask(procedure.bob, mapping)  # another browser's, so that there is something to cut off
    aws_sts.while_b_is_asked = lambda: cut_off(actor=alice, whose=Whose(user=procedure.bob))
    with pytest.raises(TokenUnavailable, match="cut off at this moment"):
        ask(procedure.bob, mapping, session)
    aws_sts.while_b_is_asked = None
    assert not IssuedToken.objects.cached().exists()
    with later():
        assert ask(procedure.bob, mapping, session).credentials.access_key_id


def test_a_lifted_cut_off_holds_nobody_up(mapping: GroupRole, procedure: factories.Procedure, alice: User) -> None:
    ask(procedure.bob, mapping)
    cut_off(actor=alice, whose=Whose(role=procedure.role_b), hits_everybody=True)
    CutOff.objects.update(ended_at=timezone.now())
    assert ask(procedure.bob, mapping).credentials.access_key_id
