"""What a session policy lets through, action by action, at an AWS that enforces.

The bucket policies give MyRoleB everything in both buckets, and the role is one that always has session policies: what
is denied here, the session policy denies alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from roles.aws.sandbox_documents import BUCKET
from roles.models import Bucket, BucketGrant, IamRole
from roles.policies import builders
from roles.values.arns import AccessLevel
from tests import factories
from tests.sandbox.test_token_access import token_for
from tests.sandbox.world import World, text_of

pytestmark = pytest.mark.sandbox

OTHER = "more-data"
FOLDERS = ("team/", "team/raw/", "team-secret/")
Upload = dict[str, str]  # Bucket, Key, UploadId and the ETag of the first part of one that was begun

# What is called in a folder, by what it takes: (r)eading, (w)riting, cleaning up after (u)ploads.
CALLS: dict[str, tuple[str, Callable[[Any, str, str, Upload], object]]] = {
    "list": ("r", lambda s3, bucket, folder, _: s3.list_objects_v2(Bucket=bucket, Prefix=folder)),
    "get": ("r", lambda s3, bucket, folder, _: s3.get_object(**at(bucket, f"{folder}there"))),
    "head": ("r", lambda s3, bucket, folder, _: s3.head_object(**at(bucket, f"{folder}there"))),
    "put": ("w", lambda s3, bucket, folder, _: s3.put_object(**at(bucket, f"{folder}put"), Body=b"x")),
    "put ACL": (
        "w",
        lambda s3, bucket, folder, _: s3.put_object_acl(**at(bucket, f"{folder}there"), ACL="private"),
    ),
    "delete": ("w", lambda s3, bucket, folder, _: s3.delete_object(**at(bucket, f"{folder}gone"))),
    "begin upload": ("w", lambda s3, bucket, folder, _: s3.create_multipart_upload(**at(bucket, f"{folder}big"))),
    "upload part": ("w", lambda s3, _bucket, _folder, upload: s3.upload_part(**begun(upload), PartNumber=2, Body=b"x")),
    "list parts": ("u", lambda s3, _bucket, _folder, upload: s3.list_parts(**begun(upload))),
    "complete upload": ("w", lambda s3, _bucket, _folder, upload: completed(s3, upload)),
    "abort upload": ("u", lambda s3, _bucket, _folder, upload: s3.abort_multipart_upload(**begun(upload))),
}


@dataclass(frozen=True)
class Case:
    """Grants (bucket, level, folder, clean-up) cut to a mapping, and what is then open, by bucket and folder.

    What `opens` does not name is closed. `roots` are the buckets that can be listed from the top.
    """

    grants: tuple[tuple[str, str, str, bool], ...]
    opens: dict[tuple[str, str], str]
    roots: tuple[str, ...] = ()
    narrowing: dict[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()


def everywhere(what: str, *buckets: str, folders: tuple[str, ...] = FOLDERS) -> dict[tuple[str, str], str]:
    return {(bucket, folder): what for bucket in buckets for folder in folders}


WHOLE = ((BUCKET, "READWRITE", "", False), (OTHER, "READWRITE", "", False))
BELOW_TEAM = ("team/", "team/raw/")
CASES = {
    "not narrowed": Case(WHOLE, everywhere("rw", BUCKET, OTHER), roots=(BUCKET, OTHER)),
    "READ": Case(WHOLE, everywhere("r", BUCKET, OTHER), roots=(BUCKET, OTHER), narrowing={"access": "READ"}),
    "WRITE": Case(WHOLE, everywhere("w", BUCKET, OTHER), narrowing={"access": "WRITE"}),
    "a folder": Case(WHOLE, everywhere("rw", BUCKET, OTHER, folders=BELOW_TEAM), narrowing={"prefix": "team/"}),
    "READ in a folder": Case(
        WHOLE, everywhere("r", BUCKET, OTHER, folders=BELOW_TEAM), narrowing={"prefix": "team/", "access": "READ"}
    ),
    "WRITE in a folder": Case(
        WHOLE, everywhere("w", BUCKET, OTHER, folders=BELOW_TEAM), narrowing={"prefix": "team/", "access": "WRITE"}
    ),
    "a bucket": Case(WHOLE, everywhere("rw", OTHER), roots=(OTHER,), named=(OTHER,)),
    "READ in a folder of a bucket": Case(
        WHOLE,
        everywhere("r", BUCKET, folders=BELOW_TEAM),
        narrowing={"prefix": "team/", "access": "READ"},
        named=(BUCKET,),
    ),
    "a folder in the granted one": Case(
        ((BUCKET, "READWRITE", "team/", False),), {(BUCKET, "team/raw/"): "rw"}, narrowing={"prefix": "team/raw/"}
    ),
    "a folder above the granted one": Case(
        ((BUCKET, "READWRITE", "team/raw/", False),), {(BUCKET, "team/raw/"): "rw"}, narrowing={"prefix": "team/"}
    ),
    "several folders, each at its level": Case(
        (
            (BUCKET, "READ", "team/", False),
            (BUCKET, "WRITE", "team-secret/", False),
            (OTHER, "READWRITE", "team/raw/", False),
            (OTHER, "READ", "team-secret/", False),
        ),
        {
            (BUCKET, "team/"): "r",
            (BUCKET, "team/raw/"): "r",
            (BUCKET, "team-secret/"): "w",
            (OTHER, "team/raw/"): "rw",
            (OTHER, "team-secret/"): "r",
        },
    ),
    "several folders, cut to READ": Case(
        (
            (BUCKET, "READ", "team/raw/", False),
            (BUCKET, "WRITE", "team-secret/", False),
            (OTHER, "READWRITE", "team-secret/", False),
        ),
        {(BUCKET, "team/raw/"): "r", (OTHER, "team-secret/"): "r"},
        narrowing={"access": "READ"},
    ),
    "cleaning up uploads in one bucket": Case(
        ((BUCKET, "READWRITE", "team/", True), (OTHER, "READWRITE", "", False)),
        {**everywhere("rwu", BUCKET, folders=BELOW_TEAM), **everywhere("rw", OTHER, folders=BELOW_TEAM)},
        narrowing={"prefix": "team/"},
    ),
    "cleaning up uploads goes with writing": Case(
        ((BUCKET, "READWRITE", "", True), (OTHER, "WRITE", "", True)),
        everywhere("r", BUCKET),
        roots=(BUCKET,),
        narrowing={"access": "READ"},
    ),
}


def completed(s3: Any, upload: Upload) -> object:
    parts = {"Parts": [{"PartNumber": 1, "ETag": upload["ETag"]}]}
    return s3.complete_multipart_upload(**begun(upload), MultipartUpload=parts)


def begun(upload: Upload) -> Upload:
    return {name: upload[name] for name in ("Bucket", "Key", "UploadId")}


def at(bucket: str, key: str) -> dict[str, str]:
    return {"Bucket": bucket, "Key": key}


def in_a_folder(case: Case) -> dict[tuple[str, str, str], bool]:
    """Return what must be let through in each folder, by bucket, folder and call."""
    return {
        (bucket, folder, call): needed in case.opens.get((bucket, folder), "")
        for bucket in (BUCKET, OTHER)
        for folder in FOLDERS
        for call, (needed, _) in CALLS.items()
    }


def at_the_top(case: Case) -> dict[tuple[str, str, str], bool]:
    """Return what must be let through on each bucket as a whole, by bucket, "" and call."""
    found = {}
    for bucket in (BUCKET, OTHER):
        there = [what for (name, _), what in case.opens.items() if name == bucket]
        found[bucket, "", "location"] = bool(there)
        found[bucket, "", "list all"] = bucket in case.roots
        found[bucket, "", "list uploads"] = any("u" in what for what in there)
        found[bucket, "", "get policy"] = False
    return found


TOP_CALLS: dict[str, Callable[[Any, str], object]] = {
    "location": lambda s3, bucket: s3.get_bucket_location(Bucket=bucket),
    "list all": lambda s3, bucket: s3.list_objects_v2(Bucket=bucket),
    "list uploads": lambda s3, bucket: s3.list_multipart_uploads(Bucket=bucket),
    "get policy": lambda s3, bucket: s3.get_bucket_policy(Bucket=bucket),
}


@pytest.fixture
def two_buckets(world: World) -> World:
    """Two buckets whose policies give MyRoleB everything in them, and the same objects in each folder of both."""
    world.s3.create_bucket(Bucket=OTHER)
    factories.BucketFactory(account=world.rows.account_b, name=OTHER)
    IamRole.objects.filter(pk=world.rows.role_b.pk).update(ownership="adopted")
    BucketGrant.objects.update(ended_at=timezone.now())
    for bucket in Bucket.objects.all():
        gives = builders.bucket_statements(world.target, bucket.arn, AccessLevel.READWRITE, "", uploads=True)
        world.s3.put_bucket_policy(Bucket=bucket.name, Policy=text_of(*gives))
        with_acls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        world.s3.put_bucket_ownership_controls(Bucket=bucket.name, OwnershipControls=with_acls)
        for folder in FOLDERS:
            for name in ("there", "gone"):
                world.s3.put_object(Bucket=bucket.name, Key=f"{folder}{name}", Body=b"x")
    return world


def begin(world: World, bucket: str, folder: str) -> Upload:
    """Begin an upload as the bucket's owner and upload its first part."""
    answer = world.s3.create_multipart_upload(**at(bucket, f"{folder}upload"))
    upload = {"Bucket": bucket, "Key": answer["Key"], "UploadId": answer["UploadId"]}
    part = world.s3.upload_part(**upload, PartNumber=1, Body=b"x")
    return {**upload, "ETag": part["ETag"]}


def is_let_through(call: Callable[[], object]) -> bool:
    """Return whether AWS allowed it; anything but a plain denial is an error of the test."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "403"), error
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_exactly_what_grants_and_narrowing_have_in_common_is_let_through(name: str, two_buckets: World) -> None:
    world, case = two_buckets, CASES[name]
    buckets = {bucket.name: bucket for bucket in Bucket.objects.all()}
    for bucket, level, prefix, uploads in case.grants:
        factories.BucketGrantFactory(
            role=world.rows.role_b, bucket=buckets[bucket], access=level, prefix=prefix, multipart_cleanup=uploads
        )
    mapping = world.map(**case.narrowing)
    mapping.buckets.set(buckets[bucket] for bucket in case.named)
    s3 = world.s3_with(token_for(world.rows.bob, mapping))
    expected = in_a_folder(case) | at_the_top(case)
    found = {}
    for bucket, folder, call in expected:
        if folder:
            upload = begin(world, bucket, folder)
            found[bucket, folder, call] = is_let_through(partial(CALLS[call][1], s3, bucket, folder, upload))
        else:
            found[bucket, folder, call] = is_let_through(partial(TOP_CALLS[call], s3, bucket))
    assert [place for place in expected if found[place] != expected[place]] == []


def test_every_call_is_let_through_in_one_case_and_denied_in_another_one() -> None:
    seen: dict[str, set[bool]] = {}
    for case in CASES.values():
        for (_, _, call), allowed in (in_a_folder(case) | at_the_top(case)).items():
            seen.setdefault(call, set()).add(allowed)
    assert seen.pop("get policy") == {False}
    assert {call: both for call, both in seen.items() if both != {True, False}} == {}
    assert seen.keys() == CALLS.keys() | TOP_CALLS.keys() - {"get policy"}
