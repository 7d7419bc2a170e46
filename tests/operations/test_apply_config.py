from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from roles.context import SystemActor
from roles.errors import InvalidConfig, NotPermitted
from roles.models import (
    AssumeRoleGrant,
    AuditEvent,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    Membership,
    ProvisioningRun,
    User,
    UserGroup,
)
from roles.operations.apply_config import apply_config
from roles.operations.deactivate_user import deactivate_user
from roles.values.arns import AccessLevel
from roles.values.config import (
    AccountEntry,
    AssumeRoleGrantEntry,
    BucketEntry,
    BucketGrantEntry,
    Config,
    GroupEntry,
    MappingEntry,
    RoleEntry,
)
from tests import factories
from tests.factories import Procedure

OPERATOR = SystemActor("command:import_config")
ROLE_A = RoleEntry("roles[0]", "deployment", "MyRoleA")
ROLE_B = RoleEntry("roles[1]", "bucket-owner", "MyRoleB")
GRANT = BucketGrantEntry("bucket_grants[0]", "bucket-owner/MyRoleB", "example-data")
MAPPING = MappingEntry("groups[0].roles[0]", "deployment/MyRoleA")
ANALYSTS = GroupEntry("groups[0]", "analysts", members=("bob",), mappings=(MAPPING,))


def applied(config: Config) -> list[str]:
    return list(apply_config(actor=OPERATOR, config=config).changes)


def open_members(group: UserGroup) -> list[str]:
    return sorted(row.user.username for row in Membership.objects.open().filter(group=group).select_related("user"))


# --- refused ---


def test_person_without_the_right_is_refused(procedure: Procedure, charlie: User) -> None:
    with pytest.raises(NotPermitted):
        apply_config(actor=charlie, config=Config(groups=(ANALYSTS,)))
    assert not GroupRole.objects.exists()


def test_auditor_is_refused_even_a_dry_run(procedure: Procedure, audrey: User) -> None:
    with pytest.raises(NotPermitted):
        apply_config(actor=audrey, config=Config(groups=(ANALYSTS,)), dry_run=True)


def test_one_wrong_entry_keeps_all_others_from_being_applied(procedure: Procedure) -> None:
    wrong = replace(ANALYSTS, members=("bob", "carol"), mappings=(MAPPING, MappingEntry("groups[0].roles[1]", "x/Y")))
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(groups=(wrong,)))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["groups[0].roles[1]"]
    assert open_members(procedure.group) == ["bob"]
    assert not GroupRole.objects.exists()
    assert not AuditEvent.objects.exists()


def test_account_never_takes_the_name_of_another(procedure: Procedure) -> None:
    entry = AccountEntry("accounts[0]", "333333333333", "deployment", "us-east-1", "ambient")
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(accounts=(entry,)))
    assert caught.value.problems[0].startswith("accounts[0].name: ")


def test_partition_of_an_account_never_changes(procedure: Procedure) -> None:
    entry = AccountEntry("accounts[0]", "111111111111", "deployment", "cn-north-1", "ambient", partition="aws-cn")
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(accounts=(entry,)))
    assert caught.value.problems[0].startswith("accounts[0].partition: The partition of an existing AWS account never")


def test_path_of_a_role_never_changes(procedure: Procedure) -> None:
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(roles=(replace(ROLE_A, path="/elsewhere/"),)))
    assert caught.value.problems[0].startswith("roles[0].path: ")


def test_role_whose_name_differs_in_case_only_is_refused(procedure: Procedure) -> None:
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(roles=(replace(ROLE_A, name="myrolea"),)))
    assert caught.value.problems[0].startswith("roles[0].name: deployment has this role as 'MyRoleA'.")


def test_deactivated_person_is_not_made_a_member(procedure: Procedure) -> None:
    deactivate_user(actor=OPERATOR, user=factories.UserFactory(username="dave"))
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(groups=(replace(ANALYSTS, members=("bob", "dave")),)))
    assert caught.value.problems == ("groups[0].members[1]: dave is deactivated. Allowed: an active user.",)


def many_folders(procedure: Procedure) -> tuple[BucketGrantEntry, ...]:
    """Grant more folders than a session can name, beside the whole bucket, and return them as a file lists them."""
    folders = [f"{'deep/' * 8}{number}/" for number in range(40)]
    for folder in folders:
        factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=folder)
    return tuple(replace(GRANT, where=f"bucket_grants[{index}]", prefix=folder) for index, folder in enumerate(folders))


def test_what_would_leave_a_mapping_without_sessions_is_refused(procedure: Procedure) -> None:
    procedure.map(access="READ")
    with pytest.raises(InvalidConfig) as caught:
        applied(Config(roles=(ROLE_B,), bucket_grants=many_folders(procedure)))
    [problem] = caught.value.problems
    assert problem.startswith("bucket_grants: The session policy for")
    assert "deployment/MyRoleA for analysts" in problem
    assert BucketGrant.objects.get(pk=procedure.bucket_grant.pk).is_open


# --- allowed ---


def test_portal_admin_may_apply_and_is_named_in_the_history(procedure: Procedure, alice: User) -> None:
    apply_config(actor=alice, config=Config(groups=(ANALYSTS,)))
    assert [(event.code, event.actor_name) for event in AuditEvent.objects.all()] == [("mapping.added", "alice")]


def test_members_become_exactly_the_listed_ones(procedure: Procedure) -> None:
    carol = factories.UserFactory(username="carol")
    said = applied(Config(groups=(GroupEntry("groups[0]", "analysts", members=("carol", "dave")),)))
    assert said == [
        "removed member bob from analysts",
        "added member carol to analysts",
        "created user dave (without a password)",
        "added member dave to analysts",
    ]
    assert open_members(procedure.group) == ["carol", "dave"]
    assert Membership.objects.get(user=procedure.bob).ended_at is not None
    assert Membership.objects.get(user=carol).is_open


def test_mappings_become_exactly_the_listed_ones(procedure: Procedure) -> None:
    mapping = procedure.map()
    assert applied(Config(groups=(replace(ANALYSTS, mappings=()),))) == [
        "unmapped role deployment/MyRoleA from analysts"
    ]
    mapping.refresh_from_db()
    assert not mapping.is_open
    run = ProvisioningRun.objects.get()
    assert (run.mapping, run.trigger) == (mapping, "mapping.removed")


def test_narrowing_of_a_mapping_is_changed_in_place(procedure: Procedure) -> None:
    mapping = procedure.map()
    narrow = replace(MAPPING, access=AccessLevel.READ, prefix="team/", buckets=("example-data",))
    said = applied(Config(groups=(replace(ANALYSTS, mappings=(narrow,)),)))
    assert said == ["changed mapping of deployment/MyRoleA to analysts: access, prefix, buckets"]
    mapping.refresh_from_db()
    assert (mapping.is_open, mapping.access, mapping.prefix) == (True, "READ", "team/")
    assert list(mapping.buckets.all()) == [procedure.bucket]


def test_mapping_that_has_expired_begins_anew_with_another_time(procedure: Procedure) -> None:
    now = timezone.now()
    old = procedure.map(started_at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    until = now + timedelta(days=1)
    applied(Config(groups=(replace(ANALYSTS, mappings=(replace(MAPPING, expires_at=until),)),)))
    old.refresh_from_db()
    assert not old.is_open
    assert GroupRole.objects.open().get().expires_at == until


def test_mapping_whose_time_is_over_in_the_file_is_left_out_and_said(procedure: Procedure) -> None:
    past = replace(MAPPING, expires_at=timezone.now() - timedelta(days=1))
    report = apply_config(actor=OPERATOR, config=Config(groups=(replace(ANALYSTS, mappings=(past,)),)))
    assert report.changes == ()
    assert report.notes[0].startswith("left out role deployment/MyRoleA for analysts: expired ")
    assert not GroupRole.objects.exists()


def test_grants_of_a_listed_role_become_exactly_the_listed_ones(procedure: Procedure) -> None:
    assert applied(Config(roles=(ROLE_A, ROLE_B))) == [
        "ended assume-role grant deployment/MyRoleA → bucket-owner/MyRoleB",
        "ended bucket grant bucket-owner/MyRoleB READWRITE example-data/",
    ]
    assert not AssumeRoleGrant.objects.open().exists()
    assert not BucketGrant.objects.open().exists()


def test_grant_with_another_level_ends_and_begins_anew(procedure: Procedure) -> None:
    said = applied(Config(bucket_grants=(replace(GRANT, access=AccessLevel.READ),)))
    assert said == [
        "ended bucket grant bucket-owner/MyRoleB READWRITE example-data/",
        "created bucket grant bucket-owner/MyRoleB READ example-data/",
    ]
    procedure.bucket_grant.refresh_from_db()
    assert not procedure.bucket_grant.is_open
    assert BucketGrant.objects.open().get().access == "READ"


@pytest.mark.parametrize(
    ("whole", "mapping"),
    [
        ((replace(GRANT, access=AccessLevel.READ),), replace(MAPPING, access=AccessLevel.READ)),
        ((), MAPPING),
        ((), replace(MAPPING, access=AccessLevel.READ, prefix="deep/" * 8 + "1/")),
    ],
    ids=["another level", "mapping widened", "mapping narrowed"],
)
def test_sessions_have_to_be_possible_when_all_is_applied_and_not_in_between(
    whole: tuple[BucketGrantEntry, ...], mapping: MappingEntry, procedure: Procedure
) -> None:
    row = procedure.map(access="READ")
    listed = (*whole, *many_folders(procedure))
    group = replace(ANALYSTS, mappings=(mapping,))
    applied(Config(roles=(ROLE_B,), bucket_grants=listed, groups=(group,)))
    row.refresh_from_db()
    assert (row.is_open, row.access, row.prefix) == (True, mapping.access, mapping.prefix)
    assert BucketGrant.objects.open().count() == len(listed)


def test_what_the_file_does_not_list_is_left_alone(procedure: Procedure) -> None:
    mapping = procedure.map()
    other = factories.IamRoleFactory(account=procedure.account_b, name="Other")
    config = Config(
        bucket_grants=(BucketGrantEntry("bucket_grants[0]", "bucket-owner/Other", "example-data", prefix="raw/"),),
        groups=(GroupEntry("groups[0]", "marketing"),),
    )
    assert applied(config) == [
        "created bucket grant bucket-owner/Other READWRITE example-data/raw/",
        "created group marketing",
    ]
    mapping.refresh_from_db()
    assert mapping.is_open
    assert open_members(procedure.group) == ["bob"]
    assert BucketGrant.objects.open().filter(role=procedure.role_b).exists()
    assert AssumeRoleGrant.objects.open().exists()
    assert BucketGrant.objects.open().filter(role=other).exists()


def test_listed_things_are_changed_to_what_the_file_says(procedure: Procedure) -> None:
    config = Config(
        accounts=(AccountEntry("accounts[0]", "222222222222", "bucket-owner", "eu-west-1", "handoff"),),
        roles=(replace(ROLE_B, attribution=False),),
        buckets=(BucketEntry("buckets[0]", "bucket-owner", "example-data", region="eu-central-1"),),
        assume_role_grants=(
            AssumeRoleGrantEntry("assume_role_grants[0]", "deployment/MyRoleA", "bucket-owner/MyRoleB"),
        ),
        bucket_grants=(GRANT,),
        groups=(replace(ANALYSTS, description="Read the data.", mappings=()),),
    )
    said = applied(config)
    assert [line.partition(":")[0] for line in said] == [
        "changed account bucket-owner",
        "changed role bucket-owner/MyRoleB",
        "changed bucket example-data",
        "changed group analysts",
    ]
    account = AwsAccount.objects.get(account_id="222222222222")
    assert (account.region, account.access_mode, account.provisioner_role_arn) == ("eu-west-1", "handoff", "")
    assert IamRole.objects.get(name="MyRoleB").attribution is False
    assert Bucket.objects.get().region == "eu-central-1"
    assert applied(config) == []


def test_account_is_renamed_and_found_under_its_new_name(procedure: Procedure) -> None:
    config = Config(
        accounts=(AccountEntry("accounts[0]", "111111111111", "apps", "us-east-1", "ambient"),),
        groups=(replace(ANALYSTS, mappings=(replace(MAPPING, role="apps/MyRoleA"),)),),
    )
    assert applied(config) == [
        "changed account apps: name deployment → apps",
        "mapped role apps/MyRoleA to analysts",
    ]
    assert applied(config) == []


def test_dry_run_reports_and_rolls_back(procedure: Procedure) -> None:
    report = apply_config(actor=OPERATOR, config=Config(groups=(ANALYSTS,)), dry_run=True)
    assert report.changes == ("mapped role deployment/MyRoleA to analysts",)
    assert not GroupRole.objects.exists()
    assert not ProvisioningRun.objects.exists()
    assert not AuditEvent.objects.exists()
