from __future__ import annotations

import pytest

from roles.errors import GrantEnded, NotFound, NotPermitted
from roles.models import BucketGrant, User
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.grant_bucket import grant_bucket
from tests.factories import GroupRoleFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs


def test_who_may_not_manage_grants_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        end_bucket_grant(actor=powerless, grant=procedure.bucket_grant)
    assert refusal.value.rule == "grants.manage"
    assert BucketGrant.objects.get().is_open


def test_a_grant_does_not_end_twice(procedure: Procedure, alice: User) -> None:
    end_bucket_grant(actor=alice, grant=procedure.bucket_grant)
    with pytest.raises(GrantEnded):
        end_bucket_grant(actor=alice, grant=procedure.bucket_grant)
    assert event("bucket_grant.ended").actor == alice


def test_a_grant_that_never_was_is_not_found(procedure: Procedure, alice: User) -> None:
    with pytest.raises(NotFound):
        end_bucket_grant(actor=alice, grant=BucketGrant(id=4711, role=procedure.role_b, bucket=procedure.bucket))


def test_a_grant_ends_tokens_go_and_a_run_takes_it_out_of_aws(procedure: Procedure, alice: User, charlie: User) -> None:
    token = a_token(procedure.bob, procedure.map())
    other = a_token(charlie, GroupRoleFactory(group=procedure.group))
    row = end_bucket_grant(actor=alice, grant=procedure.bucket_grant, reason="over")
    assert (row.is_open, row.ended_by) == (False, alice)
    assert is_forgotten(token)
    assert not is_forgotten(other)
    assert runs() == [("bucket_grant.ended", "MyRoleA")]
    ended = event("bucket_grant.ended")
    assert ended.before is not None and ended.before["access"] == "READWRITE"
    assert (ended.after, ended.details["reason"]) == (None, "over")


def test_a_level_is_changed_by_ending_a_grant_and_giving_another(procedure: Procedure, alice: User) -> None:
    end_bucket_grant(actor=alice, grant=procedure.bucket_grant)
    grant_bucket(actor=alice, role=procedure.role_b, bucket=procedure.bucket, access="READ")
    assert [row.access for row in BucketGrant.objects.open()] == ["READ"]
    assert runs() == []
