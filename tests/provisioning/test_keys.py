"""What the owner of a bucket's key is told."""

from __future__ import annotations

import pytest

from roles.provisioning.keys import key_advice
from tests import factories
from tests.provisioning.conftest import ROLE_B, reconciled, sids
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db
OWN = "arn:aws:kms:us-east-1:222222222222:key/11111111-2222-3333-4444-555555555555"
ELSEWHERE = OWN.replace("222222222222", "333333333333")


def keyed(procedure: factories.Procedure, key: str) -> None:
    procedure.bucket.kms_key_arn = key
    procedure.bucket.save()


def test_a_bucket_without_a_key_needs_nothing(aws: WatchedAws, procedure: factories.Procedure) -> None:
    assert key_advice(procedure.bucket) is None
    reconciled(procedure.map())
    assert not aws.role(ROLE_B).policies


@pytest.mark.parametrize("key", [OWN, ELSEWHERE])
def test_a_target_may_use_the_key_of_its_bucket_and_the_bucket_policy_stays_the_procedures(
    aws: WatchedAws, procedure: factories.Procedure, key: str
) -> None:
    keyed(procedure, key)
    run = reconciled(procedure.map())
    assert (run.status, run.error) == ("in_sync", "")
    (statement,) = aws.role(ROLE_B).policies["xacct-portal"]["Statement"]
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == key
    assert [sid[:15] for sid in sids(aws.bucket_policies["example-data"])[1:]] == ["XacctBucketList", "XacctBucketObje"]


def test_a_bucket_that_loses_its_key_takes_it_out_of_the_roles(aws: WatchedAws, procedure: factories.Procedure) -> None:
    keyed(procedure, OWN)
    mapping = procedure.map()
    reconciled(mapping)
    keyed(procedure, "")
    reconciled(mapping)
    assert not aws.role(ROLE_B).policies


def test_the_owner_of_a_key_elsewhere_has_to_name_the_roles(procedure: factories.Procedure) -> None:
    keyed(procedure, ELSEWHERE)
    advice = key_advice(procedure.bucket)
    assert advice is not None and advice.is_elsewhere and "333333333333" in advice.text
    assert advice.document is not None
    (statement,) = advice.document["Statement"]
    assert statement["Principal"] == {"AWS": [ROLE_B]}
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_a_key_of_the_buckets_account_is_enough_where_its_policy_leaves_it_to_iam(
    procedure: factories.Procedure,
) -> None:
    keyed(procedure, OWN)
    procedure.bucket_grant.access = "READ"
    procedure.bucket_grant.save()
    advice = key_advice(procedure.bucket)
    assert advice is not None and not advice.is_elsewhere and "leaves it to IAM" in advice.text
    assert advice.document is not None
    assert [one["Action"] for one in advice.document["Statement"]] == [["kms:Decrypt"]]


def test_a_key_that_no_role_uses_names_nobody() -> None:
    bucket = factories.BucketFactory(kms_key_arn=ELSEWHERE)
    advice = key_advice(bucket)
    assert advice is not None and advice.document is None
