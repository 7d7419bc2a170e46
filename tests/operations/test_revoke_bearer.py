from __future__ import annotations

import pytest

from roles.errors import Conflict, NotFound, NotPermitted
from roles.models import AuditEvent, ToolBearer, User
from roles.operations.revoke_bearer import revoke_bearer
from tests.factories import Procedure


@pytest.fixture
def bearer(procedure: Procedure) -> ToolBearer:
    return ToolBearer.objects.create(
        user=procedure.bob,
        mapping=procedure.map(state="in_sync"),
        target=procedure.role_b,
        purpose="container",
        token_hash="a" * 64,
        session_hash="b" * 64,
    )


@pytest.mark.parametrize("who", ["charlie", "audrey"])
def test_who_may_not_revoke_others_bearers_is_refused(
    who: str, bearer: ToolBearer, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(NotPermitted) as refusal:
        revoke_bearer(actor=request.getfixturevalue(who), bearer=bearer)
    assert refusal.value.rule == "bearers.revoke"
    bearer.refresh_from_db()
    assert bearer.revoked_at is None


def test_its_own_user_may_not_once_deactivated(bearer: ToolBearer) -> None:
    bearer.user.is_active = False
    with pytest.raises(NotPermitted):
        revoke_bearer(actor=bearer.user, bearer=bearer)


def test_one_that_was_revoked_already_is_a_conflict_and_one_that_never_was_is_not_found(
    bearer: ToolBearer, alice: User
) -> None:
    revoke_bearer(actor=alice, bearer=bearer)
    with pytest.raises(Conflict):
        revoke_bearer(actor=alice, bearer=bearer)
    with pytest.raises(NotFound):
        revoke_bearer(actor=alice, bearer=ToolBearer(pk=4711, user=bearer.user))
    assert AuditEvent.objects.filter(code="bearer.revoked").count() == 1


@pytest.mark.parametrize("who", ["bob", "alice"])
def test_its_user_and_an_admin_may_revoke_it(who: str, bearer: ToolBearer, alice: User) -> None:
    actor = alice if who == "alice" else bearer.user
    assert revoke_bearer(actor=actor, bearer=bearer, reason="A lost laptop").revoked_at is not None
    event = AuditEvent.objects.get(code="bearer.revoked")
    assert (event.actor, event.subject_id, event.group_name) == (actor, str(bearer.pk), "analysts")
    assert event.details["reason"] == "A lost laptop"
