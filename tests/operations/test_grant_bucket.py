from __future__ import annotations

from typing import Any

import pytest

from roles.errors import Conflict, InputError, NotFound, NotPermitted, PolicyTooLarge
from roles.models import BucketGrant, User
from roles.operations import grant_bucket as module
from roles.operations.grant_bucket import grant_bucket
from tests.factories import (
    AssumeRoleGrantFactory,
    BucketFactory,
    BucketGrantFactory,
    GroupRoleFactory,
    IamRoleFactory,
    Procedure,
)
from tests.operations.conftest import event, runs


def wish(procedure: Procedure, **given: Any) -> dict[str, Any]:
    return {"role": procedure.role_b, "bucket": procedure.bucket, "access": "READ", "prefix": "team/", **given}


def test_who_may_not_manage_grants_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        grant_bucket(actor=powerless, **wish(procedure))
    assert refusal.value.rule == "grants.manage"
    assert BucketGrant.objects.count() == 1


def test_a_role_of_another_account_is_refused_and_told_why(procedure: Procedure, alice: User) -> None:
    with pytest.raises(InputError, match="not in the account of the bucket") as refusal:
        grant_bucket(actor=alice, **wish(procedure, role=procedure.role_a))
    assert refusal.value.field == "role"
    assert "step 6 is enough only for roles of the bucket's own account" in refusal.value.hint


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"access": "ADMIN"}, "access", "not an access level"),
        ({"prefix": "/team"}, "prefix", "not a usable prefix"),
        ({"prefix": "team/${aws:username}"}, "prefix", "not a usable prefix"),
        ({"reason": "x" * 501}, "reason", "500"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_field(
    given: dict[str, str], field: str, says: str, procedure: Procedure, alice: User
) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        grant_bucket(actor=alice, **wish(procedure, **given))
    assert refusal.value.field == field


@pytest.mark.parametrize("spelled", ["team/", "team", " team/ "])
def test_the_same_folder_is_not_granted_twice_however_it_is_spelled(
    spelled: str, procedure: Procedure, alice: User
) -> None:
    grant_bucket(actor=alice, **wish(procedure))
    with pytest.raises(Conflict, match="MyRoleB has a grant on example-data/team/ already"):
        grant_bucket(actor=alice, **wish(procedure, access="READWRITE", prefix=spelled))


def test_two_people_giving_the_same_grant_is_the_same_conflict(
    procedure: Procedure, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "validate", lambda row: BucketGrantFactory(role=row.role, bucket=row.bucket, prefix=row.prefix)
    )
    with pytest.raises(Conflict, match="already"):
        grant_bucket(actor=alice, **wish(procedure))


def test_a_bucket_that_is_gone_is_not_found(procedure: Procedure, alice: User) -> None:
    gone = BucketFactory.build(id=4711, account=procedure.account_b)
    with pytest.raises(NotFound):
        grant_bucket(actor=alice, **wish(procedure, bucket=gone))


def test_one_folder_more_than_a_narrowed_mappings_sessions_can_name_is_refused(alice: User) -> None:
    procedure = Procedure(prefix="a/")
    procedure.map(access="READ")
    granted = 0
    with pytest.raises(PolicyTooLarge):
        for number in range(100):
            grant_bucket(actor=alice, **wish(procedure, prefix=f"folder-{number}/"))
            granted += 1
    assert 5 < granted == BucketGrant.objects.count() - 1


def test_a_grant_begins_as_a_folder_and_is_recorded(procedure: Procedure, alice: User) -> None:
    row = grant_bucket(actor=alice, **wish(procedure, prefix="team/raw", reason="OPS-12"))
    assert (row.prefix, row.access, row.started_by, row.reason) == ("team/raw/", "READ", alice, "OPS-12")
    added = event("bucket_grant.added")
    assert (added.resource, added.account_id) == ("arn:aws:s3:::example-data", "222222222222")
    assert added.after == {
        "role": str(procedure.role_b.arn),
        "bucket": "example-data",
        "access": "READ",
        "prefix": "team/raw/",
        "multipart_cleanup": False,
    }
    assert runs() == []


def test_every_source_role_in_use_that_may_assume_the_role_gets_one_run(procedure: Procedure, alice: User) -> None:
    procedure.map()
    other, idle = (IamRoleFactory(account=procedure.account_a, name=name) for name in ("Other", "Idle"))
    for source in (other, idle):
        AssumeRoleGrantFactory(source=source, target=procedure.role_b)
    GroupRoleFactory(role=other)
    GroupRoleFactory(role=other)
    grant_bucket(actor=alice, **wish(procedure))
    assert runs() == [("bucket_grant.added", "MyRoleA"), ("bucket_grant.added", "Other")]


def test_who_only_reads_cleans_no_uploads_up(procedure: Procedure, alice: User) -> None:
    with pytest.raises(InputError, match="no uploads") as refusal:
        grant_bucket(actor=alice, **wish(procedure, multipart_cleanup=True))
    assert refusal.value.field == "multipart_cleanup"
    assert BucketGrant.objects.count() == 1


def test_cleaning_up_uploads_is_granted_and_told(procedure: Procedure, alice: User) -> None:
    row = grant_bucket(actor=alice, **wish(procedure, access="WRITE", multipart_cleanup=True))
    assert row.multipart_cleanup
    added = event("bucket_grant.added")
    assert added.after is not None and added.after["multipart_cleanup"] is True
