"""S3 for provisioning: bucket policies, and the two calls that prove an access.

Every call says which account must own the bucket: a bucket's name may belong to somebody else by now.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from roles.aws.answers import policy_document, request_id
from roles.aws.errors import translated
from roles.aws.pacing import paced
from roles.aws.sessions import AccountSession, client_with
from roles.errors import AwsNotFound
from roles.policies.document import PolicyDocument
from roles.values.accounts import partition_of_region
from roles.values.arns import BucketArn
from roles.values.credentials import Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def get_bucket_policy(session: AccountSession, bucket: str, *, region: str) -> PolicyDocument | None:
    """Return the bucket's policy, or None when it has none.

    Only `NoSuchBucketPolicy` says that. Any other error is raised: taking "could not read" for "empty" would wipe out
    what others wrote.
    """
    owner = session.access.account_id
    try:
        with _calling("GetBucketPolicy", owner, bucket, region):
            answer = session.s3(region).get_bucket_policy(Bucket=bucket, ExpectedBucketOwner=owner)
    except AwsNotFound as error:
        if error.aws_code == "NoSuchBucketPolicy":
            return None
        raise
    return policy_document(answer["Policy"], owner=f"The policy of {_arn(bucket, region)}")


def put_bucket_policy(session: AccountSession, bucket: str, document: PolicyDocument, *, region: str) -> str:
    """Replace the bucket's policy and return AWS's request id.

    `ConfirmRemoveSelfBucketAccess` is never sent: S3 then refuses a policy that would lock its writer out.
    """
    owner = session.access.account_id
    with _calling("PutBucketPolicy", owner, bucket, region):
        answer = session.s3(region).put_bucket_policy(
            Bucket=bucket, Policy=document.as_json(), ExpectedBucketOwner=owner
        )
    return request_id(answer)


def delete_bucket_policy(session: AccountSession, bucket: str, *, region: str) -> str:
    """Delete the bucket's policy, if it has one, and return AWS's request id."""
    owner = session.access.account_id
    with _calling("DeleteBucketPolicy", owner, bucket, region):
        answer = session.s3(region).delete_bucket_policy(Bucket=bucket, ExpectedBucketOwner=owner)
    return request_id(answer)


def list_prefix(credentials: Credentials, bucket: str, *, region: str, account_id: str, prefix: str) -> str:
    """List at most one object under `prefix` with `credentials` and return AWS's request id."""
    client: S3Client = paced(client_with(credentials, "s3", region=region), account_id)
    with _calling("ListObjectsV2", account_id, bucket, region):
        answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1, ExpectedBucketOwner=account_id)
    return request_id(answer)


def get_bucket_location(credentials: Credentials, bucket: str, *, region: str, account_id: str) -> str:
    """Ask for the bucket's region with `credentials` and return AWS's request id."""
    client: S3Client = paced(client_with(credentials, "s3", region=region), account_id)
    with _calling("GetBucketLocation", account_id, bucket, region):
        answer = client.get_bucket_location(Bucket=bucket, ExpectedBucketOwner=account_id)
    return request_id(answer)


def _calling(operation: str, account_id: str, bucket: str, region: str) -> AbstractContextManager[None]:
    return translated(service="s3", operation=operation, account=account_id, arn=_arn(bucket, region))


def _arn(bucket: str, region: str) -> str:
    return str(BucketArn(partition_of_region(region), bucket))
