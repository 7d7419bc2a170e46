from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from roles.admin.connect_form import ConnectForm
from roles.errors import Conflict, InputError, NotPermitted
from roles.models import (
    AssumeRoleGrant,
    AuditEvent,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    User,
    UserGroup,
)
from roles.operations.connect_bucket import connect_bucket
from roles.permissions import PERMISSION_OF, Rule
from tests.factories import AwsAccountFactory, IamRoleFactory, Procedure, UserGroupFactory
from tests.operations.conftest import event, runs, traces

TYPED: dict[str, Any] = {
    "source_account_id": "111111111111",
    "source_role": "MyRoleA",
    "source_access_mode": "ambient",
    "source_provisioner_role_arn": "",
    "source_external_id": "",
    "target_account_id": "222222222222",
    "target_role": "MyRoleB",
    "target_access_mode": "assume-role",
    "target_provisioner_role_arn": "arn:aws:iam::222222222222:role/xacct-provisioner",
    "target_external_id": "example-external-id",
    "attribution": True,
    "bucket": "example-data",
    "region": "us-east-1",
    "prefix": "",
    "access": "READWRITE",
    "group": None,
    "new_group": "analysts",
    "reason": "OPS-12",
}


def nothing_was_made() -> bool:
    rows = (AwsAccount, IamRole, Bucket, AssumeRoleGrant, BucketGrant, UserGroup, GroupRole)
    return traces() == (0, 0) and not any(model._default_manager.exists() for model in rows)


def test_the_form_has_exactly_what_the_operation_takes(db: None) -> None:
    assert set(ConnectForm().fields) == set(TYPED)


def test_who_may_do_nothing_is_refused(powerless: User) -> None:
    with pytest.raises(NotPermitted):
        connect_bucket(actor=powerless, **TYPED)
    assert nothing_was_made()


@pytest.mark.parametrize(
    "missing",
    [
        Rule.MANAGE_ACCOUNTS,
        Rule.MANAGE_ROLES,
        Rule.MANAGE_BUCKETS,
        Rule.MANAGE_GRANTS,
        Rule.MANAGE_GROUPS,
        Rule.MAP_ROLES,
    ],
)
def test_every_part_needs_its_own_permission(missing: Rule, charlie: User) -> None:
    codes = {code.partition(".")[2] for rule, code in PERMISSION_OF.items() if rule is not missing}
    charlie.user_permissions.set(Permission.objects.filter(codename__in=codes))
    with pytest.raises(NotPermitted) as refusal:
        connect_bucket(actor=charlie, **TYPED)
    assert refusal.value.rule == missing.value
    assert nothing_was_made()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"source_account_id": "1234"}, "source_account_id"),
        ({"target_account_id": "2222"}, "target_account_id"),
        ({"source_role": "My Role"}, "source_role"),
        ({"target_role": "My Role"}, "target_role"),
        ({"target_provisioner_role_arn": ""}, "target_provisioner_role_arn"),
        ({"target_external_id": "x"}, "target_external_id"),
        ({"bucket": "Example_Data"}, "bucket"),
        ({"region": "somewhere"}, "region"),
        ({"prefix": "/team"}, "prefix"),
        ({"access": "ADMIN"}, "access"),
        ({"new_group": ""}, "new_group"),
        ({"reason": "x" * 501}, "reason"),
        ({"target_account_id": "111111111111", "target_role": "myrolea"}, "target_role"),
    ],
)
def test_what_cannot_be_right_is_refused_at_the_forms_field_and_nothing_is_made(
    given: dict[str, str], field: str, alice: User
) -> None:
    with pytest.raises(InputError) as refusal:
        connect_bucket(actor=alice, **{**TYPED, **given})
    assert refusal.value.field == field
    assert nothing_was_made()


def test_a_bucket_of_another_account_is_a_conflict(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match=r"example-data is in bucket-owner \(222222222222\)"):
        connect_bucket(
            actor=alice,
            **{
                **TYPED,
                "target_account_id": "333333333333",
                "target_access_mode": "ambient",
                "target_provisioner_role_arn": "",
            },
        )
    assert not AwsAccount.objects.filter(account_id="333333333333").exists()


def test_a_bucket_of_another_region_is_a_conflict(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match="is in us-east-1, not in eu-west-1"):
        connect_bucket(actor=alice, **{**TYPED, "region": "eu-west-1"})


def test_an_account_of_another_partition_is_a_conflict(alice: User) -> None:
    AwsAccountFactory(account_id="111111111111", partition="aws-cn", region="cn-north-1")
    with pytest.raises(Conflict, match="partition 'aws-cn'"):
        connect_bucket(actor=alice, **TYPED)
    assert traces() == (0, 0)


def test_another_level_than_the_role_has_there_is_a_conflict(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match="has 'Read and write' on example-data/ already"):
        connect_bucket(actor=alice, **{**TYPED, "access": "READ", "new_group": "marketing"})
    assert not UserGroup.objects.filter(name="marketing").exists()


def test_a_group_of_that_name_is_chosen_not_named_again(procedure: Procedure, alice: User) -> None:
    with pytest.raises(InputError, match="already exists") as refusal:
        connect_bucket(actor=alice, **TYPED)
    assert refusal.value.field == "new_group"


def test_a_mapping_that_does_not_let_the_group_reach_the_bucket_is_a_conflict(alice: User) -> None:
    world = Procedure(prefix="team/")
    world.map(prefix="team/")
    with pytest.raises(Conflict, match="narrowed so that it does not reach example-data/other/"):
        connect_bucket(actor=alice, **{**TYPED, "prefix": "other", "group": world.group, "new_group": ""})
    assert BucketGrant.objects.count() == 1


def test_everything_that_is_missing_is_made_and_provisioned_by_one_run(alice: User) -> None:
    mapping = connect_bucket(actor=alice, **{**TYPED, "prefix": "team/raw", "access": "READ"})
    owner = AwsAccount.objects.get(account_id="222222222222")
    assert (owner.name, owner.access_mode, owner.external_id) == (
        "account-222222222222",
        "assume-role",
        "example-external-id",
    )
    assert [str(role) for role in IamRole.objects.all()] == [
        "account-111111111111/MyRoleA",
        "account-222222222222/MyRoleB",
    ]
    grant = BucketGrant.objects.get()
    assert (grant.bucket.name, grant.access, grant.prefix, grant.reason) == (
        "example-data",
        "READ",
        "team/raw/",
        "OPS-12",
    )
    assert str(AssumeRoleGrant.objects.get()) == "account-111111111111/MyRoleA → account-222222222222/MyRoleB"
    assert (mapping.group.name, mapping.role.name, mapping.access, mapping.reason) == (
        "analysts",
        "MyRoleA",
        "READWRITE",
        "OPS-12",
    )
    assert runs() == [("mapping.added", "MyRoleA")]


def test_each_part_has_its_event(alice: User) -> None:
    connect_bucket(actor=alice, **TYPED)
    codes = AuditEvent.objects.order_by("pk").values_list("code", flat=True)
    assert sorted(codes) == [
        "account.created",
        "account.created",
        "assume_role_grant.added",
        "bucket.created",
        "bucket_grant.added",
        "group.created",
        "mapping.added",
        "role.created",
        "role.created",
    ]


def test_the_regions_partition_is_the_new_accounts(alice: User) -> None:
    typed = {**TYPED, "region": "cn-north-1", "target_access_mode": "handoff", "target_provisioner_role_arn": ""}
    mapping = connect_bucket(actor=alice, **typed)
    assert str(mapping.role.arn) == "arn:aws-cn:iam::111111111111:role/MyRoleA"
    assert str(Bucket.objects.get().arn) == "arn:aws-cn:s3:::example-data"


def test_what_exists_is_used_and_what_is_stored_of_an_account_counts(procedure: Procedure, alice: User) -> None:
    typed = {**TYPED, "target_access_mode": "handoff", "source_role": "myrolea", "new_group": "marketing"}
    mapping = connect_bucket(actor=alice, **typed)
    assert mapping.role == procedure.role_a
    assert AwsAccount.objects.get(account_id="222222222222").access_mode == "assume-role"
    codes = AuditEvent.objects.order_by("pk").values_list("code", flat=True)
    assert [*codes] == ["group.created", "mapping.added"]


def test_a_second_time_nothing_is_left_to_do(alice: User) -> None:
    first = connect_bucket(actor=alice, **TYPED)
    before = traces()
    assert connect_bucket(actor=alice, **{**TYPED, "group": first.group, "new_group": ""}) == first
    assert traces() == before


def test_another_bucket_for_a_mapped_role_is_granted_and_provisioned(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map()
    typed = {**TYPED, "bucket": "more-data", "group": procedure.group, "new_group": ""}
    assert connect_bucket(actor=alice, **typed) == mapping
    assert BucketGrant.objects.open().filter(bucket__name="more-data", role=procedure.role_b).exists()
    assert runs() == [("bucket_grant.added", "MyRoleA")]


def test_attribution_of_a_target_that_exists_becomes_what_the_documents_showed(
    procedure: Procedure, alice: User
) -> None:
    connect_bucket(actor=alice, **{**TYPED, "attribution": False, "new_group": "marketing"})
    assert not IamRole.objects.get(name="MyRoleB").attribution
    assert IamRole.objects.get(name="MyRoleA").attribution
    assert event("role.changed").resource == str(procedure.role_b.arn)


def test_a_source_role_under_a_path_is_found_by_its_name(alice: User) -> None:
    account = AwsAccountFactory(account_id="111111111111")
    role = IamRoleFactory(account=account, name="MyRoleA", path="/team/")
    group = UserGroupFactory()
    mapping = connect_bucket(actor=alice, **{**TYPED, "group": group, "new_group": ""})
    assert mapping.role == role


def test_the_page_connects_a_bucket(alice: User, client: Any) -> None:
    client.force_login(alice)
    typed = {name: value for name, value in TYPED.items() if value is not None} | {"attribution": "on"}
    address = reverse("admin:connect_bucket")
    shown = re.search(r'name="expected_plan" value="(\w+)"', client.post(address, typed).content.decode())
    assert shown is not None
    response = client.post(address, {**typed, "step": "confirm", "expected_plan": shown[1]})
    mapping = GroupRole.objects.get()
    assert response["Location"] == reverse("admin:roles_grouprole_change", args=[mapping.pk])
    assert event("mapping.added").request_id == response["X-Request-ID"]
