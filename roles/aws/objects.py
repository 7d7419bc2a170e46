"""The folders and objects of one bucket, seen and changed with somebody's temporary credentials.

Every call says which account must own the bucket: a bucket's name may belong to somebody else by now.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from roles.aws.errors import translated
from roles.aws.sessions import client_with
from roles.errors import AwsError, InputError
from roles.values.accounts import partition_of_region
from roles.values.arns import BucketArn
from roles.values.credentials import Credentials

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef

CHUNK_BYTES = 256 * 1024
PUT_OBJECT_MAX_BYTES = 5 * 1024**3  # S3 User Guide, "Uploading objects": one PUT operation
DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object in a listing. `size` in bytes; `modified` is aware, UTC."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class FolderPage:
    """One page of a folder: whole prefixes of the folders in it (each ends in '/'), then objects by their whole keys.

    `next_token` gets the next page; empty on the last one.
    """

    folders: tuple[str, ...]
    objects: tuple[S3Object, ...]
    next_token: str


@dataclass(frozen=True, slots=True)
class OpenedObject:
    """An object being read. `chunks` can be closed; `size` in bytes."""

    chunks: Iterator[bytes]
    size: int
    content_type: str


class BodyChunks(Iterator[bytes]):
    """An object's content in chunks. Closes the connection at its end, on an error, and when told to `close`.

    Not a generator: closing one that was never started would leave the connection open.
    """

    def __init__(self, body: StreamingBody, **where: str) -> None:
        self._body = body
        self._where = where

    def __next__(self) -> bytes:
        try:
            with translated(**self._where):
                chunk = self._body.read(CHUNK_BYTES)
        except AwsError:
            self.close()
            raise
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Give the connection back. Closing twice does no harm."""
        self._body.close()


class ObjectStore:
    """One bucket, with the credentials given. What AWS refuses them raises an `AwsError`."""

    def __init__(self, credentials: Credentials, *, bucket: str, region: str, account_id: str) -> None:
        self._client: S3Client = client_with(credentials, "s3", region=region)
        self._bucket = bucket
        self._account_id = account_id
        self._arn = BucketArn(partition_of_region(region), bucket)

    def list_folder(self, prefix: str, *, token: str = "", limit: int = 200) -> FolderPage:
        """Return at most `limit` folders and objects (S3 gives 1,000 at most) directly in `prefix`, empty or with '/'.

        Raises `InputError` for a `token` that S3 did not give out.
        """
        wanted: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": prefix,
            "Delimiter": "/",
            "MaxKeys": limit,
            "ExpectedBucketOwner": self._account_id,
        }
        if token:
            wanted["ContinuationToken"] = token
        try:
            with self._calling("ListObjectsV2"):
                answer = self._client.list_objects_v2(**wanted)
        except AwsError as error:
            if token and error.aws_code == "InvalidArgument":
                raise InputError("There is no such page.", field="page", hint="Go to the folder's start.") from error
            raise
        return FolderPage(
            tuple(item["Prefix"] for item in answer.get("CommonPrefixes", [])),
            tuple(
                S3Object(item["Key"], item["Size"], item["LastModified"].astimezone(UTC))
                for item in answer.get("Contents", [])
            ),
            answer.get("NextContinuationToken", ""),
        )

    def open(self, key: str) -> OpenedObject:
        """Return the object for reading; nothing of its content is read yet. Raises `AwsNotFound`."""
        with self._calling("GetObject", key):
            answer = self._client.get_object(Bucket=self._bucket, Key=key, ExpectedBucketOwner=self._account_id)
        chunks = BodyChunks(answer["Body"], **self._where("GetObject", key))
        return OpenedObject(chunks, answer["ContentLength"], answer.get("ContentType") or DEFAULT_CONTENT_TYPE)

    def put(self, key: str, fileobj: IO[bytes], content_type: str) -> None:
        """Store what `fileobj` (seekable) has from its beginning, in one request, without taking it into memory.

        One request and not a multipart upload: step 6 of the procedure gives no right to abort those, so a failed one
        would stay, and cost, for ever. Raises `InputError` above what one request may have, 5 GiB.
        """
        size = _size(fileobj)
        if size > PUT_OBJECT_MAX_BYTES:
            raise InputError(
                f"'{key}' is larger than one upload may be.", field="file", allowed=f"{PUT_OBJECT_MAX_BYTES:,} bytes"
            )
        with self._calling("PutObject", key):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=fileobj,
                ContentLength=size,
                ContentType=content_type or DEFAULT_CONTENT_TYPE,
                ExpectedBucketOwner=self._account_id,
            )

    def delete(self, key: str) -> None:
        """Delete the object. One that is gone already is as good as deleted, as S3 sees it."""
        with self._calling("DeleteObject", key):
            self._client.delete_object(Bucket=self._bucket, Key=key, ExpectedBucketOwner=self._account_id)

    def _calling(self, operation: str, key: str = "") -> AbstractContextManager[None]:
        return translated(**self._where(operation, key))

    def _where(self, operation: str, key: str) -> dict[str, str]:
        return {
            "service": "s3",
            "operation": operation,
            "account": self._account_id,
            "arn": f"{self._arn}/{key}" if key else str(self._arn),
        }


def _size(fileobj: IO[bytes]) -> int:
    """Return how many bytes `fileobj` has, and leave it at its beginning."""
    fileobj.seek(0, os.SEEK_END)
    size = fileobj.tell()
    fileobj.seek(0)
    return size
