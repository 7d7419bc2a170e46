from __future__ import annotations

from typing import Any

import pytest

from roles.errors import Conflict, InputError, NotFound, NotPermitted, PolicyTooLarge
from roles.models import Bucket, User
from roles.operations import save_bucket as module
from roles.operations.save_bucket import save_bucket
from tests.factories import AwsAccountFactory, BucketFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces

KEY = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def new_bucket(procedure: Procedure, **given: Any) -> Bucket:
    return Bucket(**{"account": procedure.account_b, "name": "more-data", "region": "us-east-1", **given})


def test_who_may_not_manage_buckets_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        save_bucket(actor=powerless, bucket=new_bucket(procedure))
    assert refusal.value.rule == "buckets.manage"
    assert not Bucket.objects.filter(name="more-data").exists()


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"name": "More_Data"}, "name", "3 to 63 lowercase letters"),
        ({"name": "example-data"}, "name", "already exists"),
        ({"region": "somewhere"}, "region", "not an AWS region"),
        ({"region": "cn-north-1"}, "region", "not in partition 'aws'"),
        ({"kms_key_arn": "*"}, "kms_key_arn", "not the ARN of a KMS key"),
        ({"kms_key_arn": KEY.replace(":key/", ":alias/")}, "kms_key_arn", "not the ARN of a KMS key"),
        ({"kms_key_arn": KEY, "region": "eu-west-1"}, "kms_key_arn", "KMS key in eu-west-1"),
        ({"kms_key_arn": KEY.replace("aws", "aws-cn", 1)}, "kms_key_arn", "not the ARN of a KMS key"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_field(
    given: dict[str, str], field: str, says: str, procedure: Procedure, alice: User
) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        save_bucket(actor=alice, bucket=new_bucket(procedure, **given))
    assert refusal.value.field == field


@pytest.mark.parametrize("field", ["account", "name"])
def test_account_and_name_of_a_bucket_that_exists_never_change(field: str, procedure: Procedure, alice: User) -> None:
    setattr(procedure.bucket, field, {"account": AwsAccountFactory(), "name": "renamed"}[field])
    with pytest.raises(InputError, match="never changes") as refusal:
        save_bucket(actor=alice, bucket=procedure.bucket)
    assert refusal.value.field == field


def test_a_bucket_that_is_gone_cannot_be_changed(procedure: Procedure, alice: User) -> None:
    with pytest.raises(NotFound):
        save_bucket(actor=alice, bucket=new_bucket(procedure, id=4711))


def test_two_people_adding_the_same_bucket_is_a_conflict(
    procedure: Procedure, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "validate", lambda _row: BucketFactory(name="more-data"))
    with pytest.raises(Conflict):
        save_bucket(actor=alice, bucket=new_bucket(procedure))


def test_a_key_that_no_session_policy_has_room_for_is_refused(procedure: Procedure, alice: User) -> None:
    procedure.map(prefix="p" * 280 + "/")
    procedure.bucket.kms_key_arn = KEY[: KEY.index("/") + 1] + "a" * 1500
    with pytest.raises(PolicyTooLarge):
        save_bucket(actor=alice, bucket=procedure.bucket)
    assert Bucket.objects.get().kms_key_arn == ""


def test_a_new_bucket_is_saved_and_recorded_under_its_arn(procedure: Procedure, alice: User) -> None:
    save_bucket(actor=alice, bucket=new_bucket(procedure, kms_key_arn=KEY))
    created = event("bucket.created")
    assert (created.resource, created.account_id) == ("arn:aws:s3:::more-data", "222222222222")
    assert created.after is not None and created.after["kms_key_arn"] == KEY
    assert runs() == []


def test_saving_an_unchanged_bucket_leaves_no_trace(procedure: Procedure, alice: User) -> None:
    procedure.map()
    save_bucket(actor=alice, bucket=Bucket.objects.get())
    assert traces() == (0, 0)


def test_another_region_provisions_the_roles_that_reach_the_bucket(procedure: Procedure, alice: User) -> None:
    token = a_token(procedure.bob, procedure.map())
    procedure.bucket.region = "eu-west-1"
    save_bucket(actor=alice, bucket=procedure.bucket)
    assert runs() == [("bucket.changed", "MyRoleA")]
    assert not is_forgotten(token)


def test_another_key_is_provisioned_and_takes_the_tokens_that_could_use_the_old_one(
    procedure: Procedure, alice: User
) -> None:
    token = a_token(procedure.bob, procedure.map())
    procedure.bucket.kms_key_arn = KEY
    save_bucket(actor=alice, bucket=procedure.bucket)
    assert is_forgotten(token)
    assert runs() == [("bucket.changed", "MyRoleA")]
    assert event("bucket.changed").before is not None


def test_moving_the_grants_of_a_bucket_provisions_the_roles_that_reach_it(procedure: Procedure, alice: User) -> None:
    token = a_token(procedure.bob, procedure.map())
    procedure.bucket.grants_in_identity_policy = True
    save_bucket(actor=alice, bucket=procedure.bucket)
    assert runs() == [("bucket.changed", "MyRoleA")]
    changed = event("bucket.changed")
    assert changed.before is not None and changed.after is not None
    assert (changed.before["grants_in_identity_policy"], changed.after["grants_in_identity_policy"]) == (False, True)
    assert not is_forgotten(token)
