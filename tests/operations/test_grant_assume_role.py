from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from roles.errors import Conflict, InputError, NotFound, NotPermitted, PolicyTooLarge
from roles.models import AssumeRoleGrant, IamRole, User
from roles.operations import grant_assume_role as module
from roles.operations.grant_assume_role import grant_assume_role
from tests.factories import (
    AssumeRoleGrantFactory,
    AwsAccountFactory,
    BucketFactory,
    BucketGrantFactory,
    IamRoleFactory,
    Procedure,
)
from tests.operations.conftest import ended, event, runs


@pytest.fixture
def role_c(procedure: Procedure) -> IamRole:
    """A second target role in Account B."""
    role: IamRole = IamRoleFactory(account=procedure.account_b, name="MyRoleC")
    return role


def test_who_may_not_manage_grants_is_refused(procedure: Procedure, role_c: IamRole, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        grant_assume_role(actor=powerless, source=procedure.role_a, target=role_c)
    assert refusal.value.rule == "grants.manage"
    assert not AssumeRoleGrant.objects.filter(target=role_c).exists()


def test_a_role_is_not_granted_to_itself(procedure: Procedure, alice: User) -> None:
    with pytest.raises(InputError, match="to assume itself") as refusal:
        grant_assume_role(actor=alice, source=procedure.role_a, target=procedure.role_a)
    assert refusal.value.field == "target"


def test_roles_of_two_partitions_are_refused(procedure: Procedure, alice: User) -> None:
    chinese = IamRoleFactory(account=AwsAccountFactory(partition="aws-cn", region="cn-north-1"))
    with pytest.raises(InputError, match="partition 'aws-cn'") as refusal:
        grant_assume_role(actor=alice, source=procedure.role_a, target=chinese)
    assert refusal.value.field == "target"


def test_the_same_grant_is_not_given_twice(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match="already"):
        grant_assume_role(actor=alice, source=procedure.role_a, target=procedure.role_b)
    assert AssumeRoleGrant.objects.count() == 1


def test_two_people_giving_the_same_grant_is_the_same_conflict(
    procedure: Procedure, role_c: IamRole, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "validate", lambda row: AssumeRoleGrantFactory(source=row.source, target=row.target))
    with pytest.raises(Conflict, match="already"):
        grant_assume_role(actor=alice, source=procedure.role_a, target=role_c)


def test_a_target_that_is_gone_is_not_found(procedure: Procedure, alice: User) -> None:
    gone = IamRoleFactory.build(id=4711, account=procedure.account_b)
    with pytest.raises(NotFound):
        grant_assume_role(actor=alice, source=procedure.role_a, target=gone)


def test_a_target_with_more_folders_than_a_narrowed_session_can_name_is_refused(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    procedure.map(access="READ")
    bucket = BucketFactory(account=procedure.account_b)
    for number in range(40):
        BucketGrantFactory(role=role_c, bucket=bucket, prefix=f"{'deep/' * 8}{number}/")
    with pytest.raises(PolicyTooLarge):
        grant_assume_role(actor=alice, source=procedure.role_a, target=role_c)
    assert not AssumeRoleGrant.objects.filter(target=role_c).exists()


def many_folders(role: IamRole, count: int = 40) -> None:
    bucket = BucketFactory(account=role.account)
    for number in range(count):
        BucketGrantFactory(role=role, bucket=bucket, prefix=f"{'deep/' * 8}{number}/")


def test_a_target_role_with_more_folders_than_its_sessions_can_name_does_not_become_a_source(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    mapping = procedure.map()  # not narrowed: until now its sessions needed no session policy
    many_folders(procedure.role_b)
    ended(procedure.bucket_grant)
    with pytest.raises(PolicyTooLarge, match=r"AWS allows 2,048") as refusal:
        grant_assume_role(actor=alice, source=procedure.role_b, target=role_c)
    assert str(mapping) in refusal.value.message
    assert not AssumeRoleGrant.objects.filter(target=role_c).exists()


def test_a_target_role_whose_sessions_can_name_its_folders_becomes_a_source(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    procedure.map()
    many_folders(procedure.role_b, count=5)
    ended(procedure.bucket_grant)
    assert grant_assume_role(actor=alice, source=procedure.role_b, target=role_c).is_open


def test_a_role_that_is_a_source_and_has_many_folders_does_not_become_the_target_of_a_mapping(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    many_folders(role_c)
    procedure.map()
    onward = AssumeRoleGrantFactory(source=role_c)
    with pytest.raises(PolicyTooLarge):
        grant_assume_role(actor=alice, source=procedure.role_a, target=role_c)
    ended(onward)
    assert grant_assume_role(actor=alice, source=procedure.role_a, target=role_c).is_open


def test_a_grant_begins_is_recorded_and_provisions_the_source_in_use(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    procedure.map()
    row = grant_assume_role(actor=alice, source=procedure.role_a, target=role_c, reason="OPS-12")
    assert (row.is_open, row.started_by, row.reason) == (True, alice, "OPS-12")
    added = event("assume_role_grant.added")
    assert (added.resource, added.account_id) == (str(procedure.role_a.arn), "111111111111")
    assert added.after == {"source": str(procedure.role_a.arn), "target": str(role_c.arn)}
    assert runs() == [("assume_role_grant.added", "MyRoleA")]


def test_a_grant_of_a_role_that_nobody_uses_waits_for_its_mapping(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    procedure.map(expires_at=timezone.now())
    grant_assume_role(actor=alice, source=procedure.role_a, target=role_c)
    assert runs() == []
    assert AssumeRoleGrant.objects.open().filter(target=role_c).exists()


def test_the_target_being_in_use_itself_is_no_reason_for_a_run_of_it(
    procedure: Procedure, role_c: IamRole, alice: User
) -> None:
    procedure.map()
    grant_assume_role(actor=alice, source=role_c, target=procedure.role_a)
    assert runs() == []
    assert event("assume_role_grant.added").actor == alice


def test_what_the_portal_runs_as_is_handed_to_nobody(
    procedure: Procedure, role_c: IamRole, alice: User, settings: Any
) -> None:
    settings.XACCT_PORTAL_PRINCIPALS = ["arn:aws:iam::111111111111:user/me", str(role_c.arn)]
    with pytest.raises(InputError, match="The portal itself runs as") as refusal:
        grant_assume_role(actor=alice, source=procedure.role_a, target=role_c)
    assert refusal.value.field == "target"
    settings.XACCT_PORTAL_PRINCIPALS = [str(procedure.role_a.arn)]  # the portal may be the source role itself
    assert grant_assume_role(actor=alice, source=procedure.role_a, target=role_c).is_open
