from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from roles.errors import GrantEnded, NotFound, NotPermitted, PolicyTooLarge
from roles.models import BucketGrant, User
from roles.operations._concerned import require_mappings_fit
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.grant_bucket import grant_bucket
from tests.factories import BucketGrantFactory, GroupRoleFactory, Procedure
from tests.operations.conftest import a_token, ended, event, is_forgotten, runs, traces


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


def folders_under(procedure: Procedure, count: int) -> None:
    for number in range(count):
        BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"{'deep/' * 8}{number}/")


def test_a_grant_that_covers_more_folders_than_a_session_can_name_does_not_end_before_them(
    procedure: Procedure, alice: User
) -> None:
    mapping = procedure.map(access="READ")
    folders_under(procedure, 40)
    with pytest.raises(PolicyTooLarge, match="AWS allows 2,048") as refusal:
        end_bucket_grant(actor=alice, grant=procedure.bucket_grant)
    assert str(mapping) in refusal.value.message and "End some of these first" in refusal.value.hint
    assert BucketGrant.objects.get(pk=procedure.bucket_grant.pk).is_open
    assert traces() == (0, 0)


@pytest.mark.parametrize(("access", "folders"), [("READ", 5), ("READWRITE", 40)])
def test_one_that_leaves_sessions_possible_ends(access: str, folders: int, procedure: Procedure, alice: User) -> None:
    procedure.map(access=access)  # READWRITE narrows nothing: no session policy
    folders_under(procedure, folders)
    assert not end_bucket_grant(actor=alice, grant=procedure.bucket_grant).is_open


def test_looking_at_sessions_costs_the_same_however_many_mappings_there_are(
    procedure: Procedure, django_assert_num_queries: Any
) -> None:
    procedure.map()
    with CaptureQueriesContext(connection) as alone:
        require_mappings_fit(targets=[procedure.role_b.pk])
    for _ in range(5):
        GroupRoleFactory(role=procedure.role_a)
    with django_assert_num_queries(len(alone)):
        require_mappings_fit(targets=[procedure.role_b.pk])


def test_where_a_mapping_has_no_sessions_already_grants_end_one_by_one(procedure: Procedure, alice: User) -> None:
    """Else nobody could mend it."""
    procedure.map(access="READ")
    folders_under(procedure, 40)
    ended(procedure.bucket_grant)
    for grant in BucketGrant.objects.open():
        end_bucket_grant(actor=alice, grant=grant)
    assert not BucketGrant.objects.open().exists()


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
