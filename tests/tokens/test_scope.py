"""What a user may have now. Nothing unless the database gives it at this moment."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from roles.errors import NotEntitled, NotFound, PolicyTooLarge
from roles.models import AssumeRoleGrant, Bucket, BucketGrant, GroupRole, IamRole, Membership, Suspension, User
from roles.models.choices import MappingState
from roles.tokens import scope
from roles.values.arns import AccessLevel
from tests import factories
from tests.tokens.conftest import in_sync


def refusal_of(user: User, mapping: GroupRole) -> NotEntitled:
    with pytest.raises(NotEntitled) as refused:
        scope.mapping_for(user, mapping.pk)
    assert scope.usable_mappings(user) == []
    return refused.value


# --- nothing of others ---


def test_a_stranger_does_not_learn_that_the_mapping_exists(mapping: GroupRole, charlie: User) -> None:
    with pytest.raises(NotFound) as refused:
        scope.mapping_for(charlie, mapping.pk)
    with pytest.raises(NotFound) as missing:
        scope.mapping_for(charlie, 987654)
    assert refused.value.message == missing.value.message
    assert scope.usable_mappings(charlie) == []


def test_a_member_of_another_group_is_refused(mapping: GroupRole, charlie: User) -> None:
    factories.MembershipFactory(user=charlie)
    with pytest.raises(NotFound):
        scope.mapping_for(charlie, mapping.pk)


def test_somebody_who_left_the_group_is_refused(mapping: GroupRole, procedure: factories.Procedure) -> None:
    Membership.objects.update(ended_at=timezone.now())
    with pytest.raises(NotFound):
        scope.mapping_for(procedure.bob, mapping.pk)
    assert scope.usable_mappings(procedure.bob) == []


def test_a_deactivated_user_is_refused_even_by_an_object_that_says_active(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    User.objects.filter(pk=procedure.bob.pk).update(is_active=False)
    assert procedure.bob.is_active
    with pytest.raises(NotFound):
        scope.mapping_for(procedure.bob, mapping.pk)
    assert scope.usable_mappings(procedure.bob) == []


def test_an_ended_mapping_is_refused(mapping: GroupRole, procedure: factories.Procedure) -> None:
    GroupRole.objects.update(ended_at=timezone.now())
    with pytest.raises(NotFound):
        scope.mapping_for(procedure.bob, mapping.pk)


# --- theirs, but not now ---


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        (MappingState.QUEUED, "worker"),
        (MappingState.APPLYING, "being set up"),
        (MappingState.WAITING, "everywhere"),
        (MappingState.NEEDS_OWNER, "owner"),
        (MappingState.FAILED, "failed"),
        (MappingState.DRIFTED, "admin"),
    ],
)
def test_what_was_never_provisioned_is_refused_with_what_it_waits_for(
    state: MappingState, hint: str, procedure: factories.Procedure
) -> None:
    refused = refusal_of(procedure.bob, procedure.map(state=state))
    assert "not set up" in refused.message
    assert hint in refused.hint


@pytest.mark.parametrize("state", [MappingState.REMOVING, MappingState.REMOVED])
def test_what_is_being_removed_is_refused(state: MappingState, procedure: factories.Procedure) -> None:
    leaving = procedure.map(state=state, provisioned_at=timezone.now())
    assert "being taken" in refusal_of(procedure.bob, leaving).message


def test_an_expired_mapping_is_refused_and_says_since_when(procedure: factories.Procedure) -> None:
    ended = timezone.now() - timedelta(seconds=1)
    refused = refusal_of(procedure.bob, in_sync(procedure, expires_at=ended))
    assert f"{ended:%Y-%m-%d}" in refused.message
    assert refused.rule and refused.subject


def test_a_mapping_without_any_target_reaches_nothing(mapping: GroupRole, procedure: factories.Procedure) -> None:
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    assert "does not open any bucket" in refusal_of(procedure.bob, mapping).message


def test_a_target_without_any_bucket_reaches_nothing(mapping: GroupRole, procedure: factories.Procedure) -> None:
    BucketGrant.objects.update(ended_at=timezone.now())
    assert "does not open any bucket" in refusal_of(procedure.bob, mapping).message


@pytest.mark.parametrize(
    ("granted", "narrowed"),
    [
        ({"prefix": "team/"}, {"prefix": "team-secret/"}),
        ({"access": "READ"}, {"access": "WRITE"}),
    ],
)
def test_a_narrowing_that_leaves_nothing_reaches_nothing(
    granted: dict[str, Any], narrowed: dict[str, Any], db: None
) -> None:
    world = factories.Procedure(**granted)
    assert "does not open any bucket" in refusal_of(world.bob, in_sync(world, **narrowed)).message


def test_naming_only_a_bucket_that_the_role_does_not_open_leaves_nothing(procedure: factories.Procedure) -> None:
    named = in_sync(procedure)
    named.buckets.add(factories.BucketFactory(account=procedure.account_b))
    assert "does not open any bucket" in refusal_of(procedure.bob, named).message


def test_an_unknown_target_is_not_found(mapping: GroupRole, procedure: factories.Procedure) -> None:
    usable = scope.mapping_for(procedure.bob, mapping.pk)
    with pytest.raises(NotFound):
        usable.target(procedure.role_a.pk)
    assert usable.target(procedure.role_b.pk).role == procedure.role_b


# --- disabled ---


def disabled(**subject: Any) -> Suspension:
    return Suspension.objects.create(reason="audit", **subject)


@pytest.mark.parametrize("subject", ["group", "account_a", "account_b"])
def test_a_disabled_group_or_account_is_refused_and_says_why(
    subject: str, mapping: GroupRole, procedure: factories.Procedure
) -> None:
    row = getattr(procedure, subject)
    kind = "group" if subject == "group" else "account"
    open_one = disabled(**{kind: row})
    refused = refusal_of(procedure.bob, mapping)
    words = "user group" if subject == "group" else "AWS account"
    assert refused.message == f"The {words} {row} is disabled by an admin: audit."
    assert (refused.rule, refused.subject) == ("token.not_disabled", mapping)
    Suspension.objects.filter(pk=open_one.pk).update(ended_at=timezone.now())
    assert scope.mapping_for(procedure.bob, mapping.pk).targets


def test_what_another_group_or_account_is_disabled_for_does_not_count(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    before = scope.mapping_for(procedure.bob, mapping.pk)
    disabled(group=factories.UserGroupFactory())
    disabled(account=factories.AwsAccountFactory())
    assert scope.mapping_for(procedure.bob, mapping.pk) == before


def test_a_stranger_does_not_learn_that_a_group_is_disabled(
    mapping: GroupRole, procedure: factories.Procedure, charlie: User
) -> None:
    disabled(group=procedure.group)
    with pytest.raises(NotFound):
        scope.mapping_for(charlie, mapping.pk)


def test_a_target_in_a_disabled_account_is_refused_and_its_neighbour_goes_on(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    chain = factories.AssumeRoleGrantFactory(source=procedure.role_a)
    factories.BucketGrantFactory(role=chain.target)
    disabled(account=procedure.account_b)
    usable = scope.mapping_for(procedure.bob, mapping.pk)
    assert [target.role for target in usable.targets] == [chain.target]
    assert usable.target(None).role == chain.target
    with pytest.raises(NotEntitled, match=r"bucket-owner .* is disabled by an admin: audit"):
        usable.target(procedure.role_b.pk)


def test_a_bucket_in_a_disabled_account_is_cut_out_of_the_session(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    other: Bucket = factories.BucketFactory(name="third-data")
    factories.BucketGrantFactory(role=procedure.role_b, bucket=other)
    assert scope.session_policy_of(scope.mapping_for(procedure.bob, mapping.pk).target(None)) == ""
    disabled(account=other.account)
    target = scope.mapping_for(procedure.bob, mapping.pk).target(None)
    assert [grant.bucket for grant in target.grants] == [procedure.bucket]
    policy = scope.session_policy_of(target)
    assert "example-data" in policy and "third-data" not in policy


# --- usable ---


def test_a_mapping_in_sync_is_usable_with_its_targets_and_grants(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    usable = scope.mapping_for(procedure.bob, mapping.pk)
    assert usable.mapping == mapping
    [target] = usable.targets
    assert target.role == procedure.role_b
    assert target.grants == (scope.EffectiveGrant(procedure.bucket, AccessLevel.READWRITE, ""),)
    assert scope.usable_mappings(procedure.bob) == [usable]


@pytest.mark.parametrize("state", [MappingState.APPLYING, MappingState.FAILED, MappingState.DRIFTED])
def test_what_was_provisioned_once_stays_usable_while_it_is_applied_again(
    state: MappingState, procedure: factories.Procedure
) -> None:
    again = procedure.map(state=state, provisioned_at=timezone.now())
    assert scope.mapping_for(procedure.bob, again.pk).mapping == again


def test_grants_are_cut_to_the_narrowing(procedure: factories.Procedure) -> None:
    other: Bucket = factories.BucketFactory(account=procedure.account_b, name="other-data")
    factories.BucketGrantFactory(role=procedure.role_b, bucket=other)
    narrow = in_sync(procedure, access="READ", prefix="team/")
    narrow.buckets.add(procedure.bucket)
    [target] = scope.mapping_for(procedure.bob, narrow.pk).targets
    assert target.grants == (scope.EffectiveGrant(procedure.bucket, AccessLevel.READ, "team/"),)


def test_ended_grants_do_not_count_beside_open_ones(mapping: GroupRole, procedure: factories.Procedure) -> None:
    ended = factories.BucketGrantFactory(role=procedure.role_b, bucket=factories.BucketFactory(name="ended-data"))
    BucketGrant.objects.filter(pk=ended.pk).update(ended_at=timezone.now())
    [target] = scope.mapping_for(procedure.bob, mapping.pk).targets
    assert [grant.bucket.name for grant in target.grants] == ["example-data"]


def test_a_target_that_opens_nothing_is_left_out_beside_one_that_does(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    factories.AssumeRoleGrantFactory(source=procedure.role_a)
    ended = factories.AssumeRoleGrantFactory(source=procedure.role_a)
    factories.BucketGrantFactory(role=ended.target)
    AssumeRoleGrant.objects.filter(pk=ended.pk).update(ended_at=timezone.now())
    assert [target.role for target in scope.mapping_for(procedure.bob, mapping.pk).targets] == [procedure.role_b]


def test_targets_come_by_name_and_the_first_is_taken_when_none_is_named(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    first: IamRole = factories.IamRoleFactory(account=procedure.account_b, name="AnotherRole")
    factories.AssumeRoleGrantFactory(source=procedure.role_a, target=first)
    factories.BucketGrantFactory(role=first, bucket=procedure.bucket)
    usable = scope.mapping_for(procedure.bob, mapping.pk)
    assert [target.role.name for target in usable.targets] == ["AnotherRole", "MyRoleB"]
    assert usable.target(None).role == first


def test_sessions_with_a_role_that_others_made_are_always_cut_to_its_grants(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    assert scope.session_policy_of(scope.mapping_for(procedure.bob, mapping.pk).targets[0]) == ""
    procedure.role_b.ownership = "adopted"
    procedure.role_b.save()
    policy = scope.session_policy_of(scope.mapping_for(procedure.bob, mapping.pk).targets[0])
    assert "arn:aws:s3:::example-data" in policy and "iam:" not in policy


def test_the_region_is_the_buckets_own_if_they_share_one(mapping: GroupRole, procedure: factories.Procedure) -> None:
    Bucket.objects.update(region="eu-central-1")
    assert scope.mapping_for(procedure.bob, mapping.pk).targets[0].region == "eu-central-1"
    other = factories.BucketFactory(account=procedure.account_b, region="eu-west-1")
    factories.BucketGrantFactory(role=procedure.role_b, bucket=other)
    assert scope.mapping_for(procedure.bob, mapping.pk).targets[0].region == "us-east-1"


def test_it_costs_the_same_for_one_mapping_and_for_twenty(mapping: GroupRole, procedure: factories.Procedure) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            for usable in scope.usable_mappings(procedure.bob):
                assert str(usable.mapping.role.arn) and not usable.targets[0].is_bounded
                assert [str(grant.bucket.arn) for target in usable.targets for grant in target.grants]
        return len(queries)

    alone = cost()
    for _ in range(20):
        chain = factories.AssumeRoleGrantFactory()
        factories.BucketGrantFactory(role=chain.target)
        factories.GroupRoleFactory(
            group=procedure.group, role=chain.source, state=MappingState.IN_SYNC, provisioned_at=timezone.now()
        )
    assert len(scope.usable_mappings(procedure.bob)) == 21
    disabled(group=factories.UserGroupFactory())
    assert cost() == alone == 1


# --- what AWS is told ---


def test_a_mapping_that_does_not_narrow_has_no_session_policy(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    usable = scope.mapping_for(procedure.bob, mapping.pk)
    assert scope.session_policy_of(usable.targets[0]) == ""


@pytest.mark.parametrize("narrowing", [{"access": "READ"}, {"prefix": "team/"}, {"buckets": True}])
def test_each_way_of_narrowing_makes_a_session_policy(
    narrowing: dict[str, Any], procedure: factories.Procedure
) -> None:
    wanted = {key: value for key, value in narrowing.items() if key != "buckets"}
    narrow = in_sync(procedure, **wanted)
    if "buckets" in narrowing:
        narrow.buckets.add(procedure.bucket)
    usable = scope.mapping_for(procedure.bob, narrow.pk)
    document = json.loads(scope.session_policy_of(usable.targets[0]))
    assert all(statement["Effect"] == "Allow" for statement in document["Statement"])
    assert "example-data" in str(document)


def test_the_buckets_key_is_in_the_session_policy(procedure: factories.Procedure) -> None:
    key = "arn:aws:kms:us-east-1:222222222222:key/11111111-2222-3333-4444-555555555555"
    Bucket.objects.update(kms_key_arn=key)
    usable = scope.mapping_for(procedure.bob, in_sync(procedure, access="READ").pk)
    assert key in scope.session_policy_of(usable.targets[0])


def test_a_narrowing_too_fine_for_a_session_policy_says_so(procedure: factories.Procedure) -> None:
    for number in range(40):
        factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"a-longer-name-{number}/")
    BucketGrant.objects.filter(prefix="").update(ended_at=timezone.now())
    usable = scope.mapping_for(procedure.bob, in_sync(procedure, access="READ").pk)
    with pytest.raises(PolicyTooLarge):
        scope.session_policy_of(usable.targets[0])


# --- the fingerprint ---


def print_of(user: User, mapping: GroupRole) -> str:
    usable = scope.mapping_for(User.objects.get(pk=user.pk), mapping.pk)
    return scope.fingerprint(User.objects.get(pk=user.pk), usable.mapping, usable.targets[0])


CHANGES: dict[str, Any] = {
    "narrowed level": lambda world, mapping: GroupRole.objects.update(access="READ"),
    "narrowed prefix": lambda world, mapping: GroupRole.objects.update(prefix="team/"),
    "narrowed buckets": lambda world, mapping: mapping.buckets.add(world.bucket),
    "expiry": lambda world, mapping: GroupRole.objects.update(expires_at=timezone.now() + timedelta(days=1)),
    "widened grants": lambda world, mapping: factories.BucketGrantFactory(role=world.role_b),
    "grant's level": lambda world, mapping: BucketGrant.objects.update(access="READ"),
    "bucket's key": lambda world, mapping: Bucket.objects.update(kms_key_arn="arn:aws:kms:x"),
    "attribution": lambda world, mapping: IamRole.objects.filter(name="MyRoleB").update(attribution=False),
    "target may assume others": lambda world, mapping: factories.AssumeRoleGrantFactory(source=world.role_b),
    "role renamed": lambda world, mapping: IamRole.objects.filter(name="MyRoleB").update(name="MyRoleC"),
    "a bucket's account disabled": lambda world, mapping: Suspension.objects.create(
        account=factories.BucketGrantFactory(role=world.role_b, bucket=factories.BucketFactory()).bucket.account,
        reason="audit",
    ),
    "user renamed": lambda world, mapping: User.objects.filter(username="bob").update(username="robert"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_permissions_depend_on_changes_the_fingerprint(
    change: str, mapping: GroupRole, procedure: factories.Procedure
) -> None:
    before = print_of(procedure.bob, mapping)
    assert print_of(procedure.bob, mapping) == before
    CHANGES[change](procedure, mapping)
    assert print_of(procedure.bob, mapping) != before


def test_being_seen_in_sync_again_does_not_change_it(mapping: GroupRole, procedure: factories.Procedure) -> None:
    before = print_of(procedure.bob, mapping)
    GroupRole.objects.update(provisioned_at=timezone.now() + timedelta(hours=1), state=MappingState.APPLYING)
    assert print_of(procedure.bob, mapping) == before
