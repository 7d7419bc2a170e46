"""Bucket policies: only one answer means "there is none"."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from roles.aws import s3
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied, AwsError, AwsNotFound, AwsUnreachable, PolicySyntax
from roles.policies.builders import bucket_statements
from roles.policies.document import PolicyDocument, Statement
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel, BucketArn, RoleArn
from roles.values.credentials import Credentials
from tests.aws.conftest import ACCOUNT, REGION, Sent, refusing

FOREIGN = Statement(
    {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::x/日本/*",
    }
)
OURS = bucket_statements(
    RoleArn(Partition.AWS, ACCOUNT, "MyRoleB"),
    BucketArn(Partition.AWS, "example-data"),
    AccessLevel.READWRITE,
    "",
)
DOCUMENT = PolicyDocument((FOREIGN, *OURS), extra={"Id": "PolicyOfOthers"})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", AwsAccessDenied),
        ("NoSuchBucket", AwsNotFound),
        ("404", AwsNotFound),
        ("NoSuchKey", AwsNotFound),
        ("InternalError", AwsUnreachable),
        ("MethodNotAllowed", AwsAccessDenied),
        ("SomethingNew", AwsError),
    ],
)
def test_any_other_answer_than_no_such_policy_is_raised(
    code: str, kind: type[AwsError], account: AccountSession
) -> None:
    with refusing(account.s3(REGION), "get_bucket_policy", code), pytest.raises(kind) as raised:
        s3.get_bucket_policy(account, "example-data", region=REGION)
    assert raised.value.aws_code == code
    assert raised.value.arn == "arn:aws:s3:::example-data"


def test_a_policy_that_cannot_be_read_is_not_taken_for_none(account: AccountSession) -> None:
    with Stubber(account.s3(REGION)) as stub:
        stub.add_response("get_bucket_policy", {"Policy": "{broken"})
        with pytest.raises(PolicySyntax, match="arn:aws:s3:::example-data"):
            s3.get_bucket_policy(account, "example-data", region=REGION)


def test_a_bucket_that_does_not_exist_is_not_a_bucket_without_a_policy(account: AccountSession) -> None:
    with pytest.raises(AwsNotFound):
        s3.get_bucket_policy(account, "example-data", region=REGION)
    with pytest.raises(AwsNotFound):
        s3.put_bucket_policy(account, "example-data", DOCUMENT, region=REGION)


def test_a_bucket_without_a_policy_has_none(account: AccountSession, bucket: str) -> None:
    assert s3.get_bucket_policy(account, bucket, region=REGION) is None


def test_a_policy_reads_back_with_what_others_wrote_and_goes_again(account: AccountSession, bucket: str) -> None:
    assert s3.put_bucket_policy(account, bucket, DOCUMENT, region=REGION)
    assert s3.get_bucket_policy(account, bucket, region=REGION) == DOCUMENT
    assert s3.delete_bucket_policy(account, bucket, region=REGION)
    assert s3.get_bucket_policy(account, bucket, region=REGION) is None


def test_a_bucket_in_another_partition_is_named_in_its_own_words(account: AccountSession) -> None:
    with refusing(account.s3("cn-north-1"), "delete_bucket_policy", "AccessDenied"), pytest.raises(AwsError) as raised:
        s3.delete_bucket_policy(account, "example-data", region="cn-north-1")
    assert raised.value.arn == "arn:aws-cn:s3:::example-data"


def test_every_call_says_whose_bucket_it_must_be(
    sent: Sent, account: AccountSession, bucket: str, credentials: Credentials
) -> None:
    s3.put_bucket_policy(account, bucket, DOCUMENT, region=REGION)
    s3.get_bucket_policy(account, bucket, region=REGION)
    s3.delete_bucket_policy(account, bucket, region=REGION)
    s3.list_prefix(credentials, bucket, region=REGION, account_id=ACCOUNT, prefix="team/")
    s3.get_bucket_location(credentials, bucket, region=REGION, account_id=ACCOUNT)
    about_the_bucket = [(name, parameters) for name, parameters in sent if parameters.get("Bucket") == bucket]
    assert [name for name, parameters in about_the_bucket if parameters.get("ExpectedBucketOwner") != ACCOUNT] == []
    assert {name for name, _ in about_the_bucket} == {
        "PutBucketPolicy",
        "GetBucketPolicy",
        "DeleteBucketPolicy",
        "ListObjectsV2",
        "GetBucketLocation",
    }


def test_a_policy_is_never_written_over_the_lockout_check(sent: Sent, account: AccountSession, bucket: str) -> None:
    s3.put_bucket_policy(account, bucket, DOCUMENT, region=REGION)
    written = next(parameters for name, parameters in sent if name == "PutBucketPolicy")
    assert "ConfirmRemoveSelfBucketAccess" not in written
    assert written["Policy"].startswith('{"Version":')


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("list_objects_v2", lambda given: s3.list_prefix(given, "b-1", region=REGION, account_id=ACCOUNT, prefix="a/")),
        ("get_bucket_location", lambda given: s3.get_bucket_location(given, "b-1", region=REGION, account_id=ACCOUNT)),
    ],
)
def test_a_proof_that_aws_denies_is_a_denial(
    operation: str, call: Any, monkeypatch: pytest.MonkeyPatch, credentials: Credentials
) -> None:
    client = boto3.client("s3", region_name=REGION)
    monkeypatch.setattr(s3, "client_with", lambda *_args, **_options: client)
    with refusing(client, operation, "AccessDenied"), pytest.raises(AwsAccessDenied) as raised:
        call(credentials)
    assert raised.value.account == ACCOUNT


def test_a_proof_lists_one_object_of_the_folder(sent: Sent, bucket: str, credentials: Credentials) -> None:
    assert s3.list_prefix(credentials, bucket, region=REGION, account_id=ACCOUNT, prefix="team/")
    assert s3.get_bucket_location(credentials, bucket, region=REGION, account_id=ACCOUNT)
    listing = next(parameters for name, parameters in sent if name == "ListObjectsV2")
    assert (listing["Prefix"], listing["MaxKeys"]) == ("team/", 1)
