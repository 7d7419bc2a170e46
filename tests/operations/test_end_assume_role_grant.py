from __future__ import annotations

import pytest

from roles.errors import GrantEnded, NotFound, NotPermitted
from roles.models import AssumeRoleGrant, User
from roles.operations.end_assume_role_grant import end_assume_role_grant
from tests.factories import GroupRoleFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs


def test_who_may_not_manage_grants_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        end_assume_role_grant(actor=powerless, grant=procedure.assume_grant)
    assert refusal.value.rule == "grants.manage"
    assert AssumeRoleGrant.objects.get().is_open


def test_a_grant_does_not_end_twice(procedure: Procedure, alice: User) -> None:
    end_assume_role_grant(actor=alice, grant=procedure.assume_grant)
    with pytest.raises(GrantEnded):
        end_assume_role_grant(actor=alice, grant=procedure.assume_grant)
    assert event("assume_role_grant.ended").actor == alice


def test_a_grant_that_never_was_is_not_found(procedure: Procedure, alice: User) -> None:
    with pytest.raises(NotFound):
        end_assume_role_grant(
            actor=alice, grant=AssumeRoleGrant(id=4711, source=procedure.role_a, target=procedure.role_b)
        )


def test_a_grant_ends_tokens_go_and_a_run_takes_it_out_of_aws(procedure: Procedure, alice: User, charlie: User) -> None:
    token = a_token(procedure.bob, procedure.map())
    other = a_token(charlie, GroupRoleFactory(group=procedure.group))
    row = end_assume_role_grant(actor=alice, grant=procedure.assume_grant, reason="over")
    assert (row.is_open, row.ended_by) == (False, alice)
    assert is_forgotten(token)
    assert not is_forgotten(other)
    assert runs() == [("assume_role_grant.ended", "MyRoleA")]
    ended = event("assume_role_grant.ended")
    assert ended.before == {"source": str(procedure.role_a.arn), "target": str(procedure.role_b.arn)}
    assert (ended.after, ended.details["reason"]) == (None, "over")


def test_a_grant_of_a_role_that_nobody_uses_ends_without_a_run(procedure: Procedure, alice: User) -> None:
    end_assume_role_grant(actor=alice, grant=procedure.assume_grant)
    assert runs() == []
    assert not AssumeRoleGrant.objects.get().is_open
