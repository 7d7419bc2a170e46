"""Folders and objects: paged, streamed, and closed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from roles.aws import objects
from roles.aws.objects import CHUNK_BYTES, PUT_OBJECT_MAX_BYTES, BodyChunks, ObjectStore
from roles.errors import AwsAccessDenied, AwsError, AwsNotFound, AwsUnreachable, InputError
from roles.values.credentials import Credentials
from tests.aws.conftest import ACCOUNT, BUCKET, REGION, Sent, refusing, some_credentials

LARGE_BYTES = 12 * 1024 * 1024
ODD_KEYS = ["ä b.txt", "100%.txt", "a%20b.txt", "a+b&c=d?#.txt", "日本/語.txt", "<&>.txt", "a'b\"c.txt", "../up.txt"]


class CountingFile(io.BytesIO):
    """A file that remembers the largest piece that was read from it at once."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.largest = max(self.largest, len(piece))
        return piece


class HugeFile(io.BytesIO):
    """A file that says it is one byte longer than S3 takes."""

    def tell(self) -> int:
        return PUT_OBJECT_MAX_BYTES + 1


class Body:
    """A response's body of two pieces; `failing` breaks after the first."""

    def __init__(self, *, failing: bool = False) -> None:
        self.pieces = [b"one", b"two"]
        self.failing = failing
        self.closed = 0

    def read(self, amount: int) -> bytes:
        assert amount == CHUNK_BYTES
        if self.failing and len(self.pieces) == 1:
            raise ReadTimeoutError(endpoint_url="https://s3")
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.closed += 1


def chunks_of(body: Body) -> BodyChunks:
    return BodyChunks(body, service="s3", operation="GetObject")  # type: ignore[arg-type]


@pytest.fixture
def store(bucket: str, credentials: Credentials) -> ObjectStore:
    return ObjectStore(credentials, bucket=bucket, region=REGION, account_id=ACCOUNT)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client that the next store will use."""
    made = boto3.client("s3", region_name=REGION)
    monkeypatch.setattr(objects, "client_with", lambda *_args, **_options: made)
    return made


@pytest.fixture
def endpoint(settings: Any) -> Iterator[list[tuple[str, str, int]]]:
    """What arrived at an endpoint on loopback that takes everything: method, path, bytes."""
    arrived: list[tuple[str, str, int]] = []

    class TakeAll(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            arrived.append((self.command, self.path, len(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), TakeAll) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings.XACCT_AWS_ENDPOINT_URL = f"http://127.0.0.1:{server.server_port}"
        yield arrived
        server.shutdown()


def a_store() -> ObjectStore:
    return ObjectStore(some_credentials(), bucket=BUCKET, region=REGION, account_id=ACCOUNT)


# --- refused ---


@pytest.mark.parametrize(
    ("operation", "call", "arn"),
    [
        ("list_objects_v2", lambda store: store.list_folder("team/"), f"arn:aws:s3:::{BUCKET}"),
        ("get_object", lambda store: store.open("a.txt"), f"arn:aws:s3:::{BUCKET}/a.txt"),
        (
            "put_object",
            lambda store: store.put("a.txt", io.BytesIO(b"x"), "text/plain"),
            f"arn:aws:s3:::{BUCKET}/a.txt",
        ),
        ("delete_object", lambda store: store.delete("a.txt"), f"arn:aws:s3:::{BUCKET}/a.txt"),
    ],
)
def test_what_aws_denies_is_a_denial_that_names_the_thing(operation: str, call: Any, arn: str, client: Any) -> None:
    with refusing(client, operation, "AccessDenied"), pytest.raises(AwsAccessDenied) as raised:
        call(a_store())
    assert (raised.value.arn, raised.value.account) == (arn, ACCOUNT)


def test_an_object_that_is_not_there_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(AwsNotFound):
        store.open("a.txt")


def test_a_page_that_s3_did_not_give_out_is_refused(client: Any) -> None:
    with refusing(client, "list_objects_v2", "InvalidArgument"), pytest.raises(InputError) as raised:
        a_store().list_folder("", token="made-up")
    assert raised.value.field == "page"


@pytest.mark.parametrize(("token", "code"), [("", "InvalidArgument"), ("real", "SomethingNew")])
def test_other_refusals_of_a_listing_are_awss_own(token: str, code: str, client: Any) -> None:
    with refusing(client, "list_objects_v2", code), pytest.raises(AwsError) as raised:
        a_store().list_folder("", token=token)
    assert raised.value.aws_code == code


def test_more_than_one_request_may_carry_is_refused_before_it_is_sent(store: ObjectStore, sent: Sent) -> None:
    with pytest.raises(InputError, match="larger than one upload"):
        store.put("huge", HugeFile(), "text/plain")
    assert sent == []


# --- folders ---


def test_an_empty_bucket_is_an_empty_page(store: ObjectStore) -> None:
    page = store.list_folder("")
    assert (page.folders, page.objects, page.next_token) == ((), (), "")


def test_a_folder_shows_what_is_directly_in_it(store: ObjectStore) -> None:
    for key in ("team/a.txt", "team/raw/b.txt", "team/raw/deep/c.txt", "team-secret/d.txt"):
        store.put(key, io.BytesIO(b"12345"), "text/plain")
    top, team = store.list_folder(""), store.list_folder("team/")
    assert (top.folders, top.objects) == (("team-secret/", "team/"), ())
    assert team.folders == ("team/raw/",)
    assert [(item.key, item.size) for item in team.objects] == [("team/a.txt", 5)]
    assert team.objects[0].modified.utcoffset() == timedelta(0)


def test_a_long_folder_comes_page_by_page_and_nothing_twice(store: ObjectStore) -> None:
    for number in range(7):
        store.put(f"ä b/{number}%.txt", io.BytesIO(b""), "text/plain")
    seen, token = [], ""
    for _ in range(3):
        page = store.list_folder("ä b/", token=token, limit=3)
        seen += [item.key for item in page.objects]
        token = page.next_token
    assert seen == [f"ä b/{number}%.txt" for number in range(7)]
    assert token == ""


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_is_listed_read_and_deleted_as_it_was_given(key: str, store: ObjectStore) -> None:
    store.put(key, io.BytesIO(b"odd"), "text/plain")
    folder = key[: key.rfind("/") + 1]
    assert [item.key for item in store.list_folder(folder).objects] == [key]
    assert b"".join(store.open(key).chunks) == b"odd"
    store.delete(key)
    assert store.list_folder(folder).objects == ()


# --- reading ---


def test_an_object_is_read_in_chunks(store: ObjectStore) -> None:
    content = bytes(range(256)) * 4 * 1024
    store.put("large", io.BytesIO(content), "text/plain")
    opened = store.open("large")
    pieces = list(opened.chunks)
    assert b"".join(pieces) == content
    assert max(len(piece) for piece in pieces) <= CHUNK_BYTES
    assert len(pieces) > 1
    assert (opened.size, opened.content_type) == (len(content), "text/plain")


def test_a_reader_that_stops_early_or_never_begins_leaves_nothing_open() -> None:
    for read in (0, 1):
        body = Body()
        chunks = chunks_of(body)
        for _ in range(read):
            assert next(chunks) == b"one"
        chunks.close()
        assert body.closed == 1


def test_at_its_end_the_body_is_closed() -> None:
    body = Body()
    assert list(chunks_of(body)) == [b"one", b"two"]
    assert body.closed == 1


def test_a_connection_that_breaks_is_an_error_of_ours_and_is_closed() -> None:
    body = Body(failing=True)
    chunks = chunks_of(body)
    assert next(chunks) == b"one"
    with pytest.raises(AwsUnreachable):
        next(chunks)
    assert body.closed == 1


def test_an_object_without_a_type_is_just_bytes(client: Any) -> None:
    body = Body()
    with Stubber(client) as stub:
        stub.add_response("get_object", {"Body": body, "ContentLength": 6})
        opened = a_store().open("a")
    assert opened.content_type == "application/octet-stream"
    assert b"".join(opened.chunks) == b"onetwo"


# --- writing ---


def test_a_file_is_stored_from_its_beginning_with_its_type(store: ObjectStore) -> None:
    file = io.BytesIO(b"whole")
    file.seek(3)
    store.put("typed", file, "text/csv")
    store.put("untyped", file, "")
    assert b"".join(store.open("typed").chunks) == b"".join(store.open("untyped").chunks) == b"whole"
    assert store.open("typed").content_type == "text/csv"
    assert store.open("untyped").content_type == "application/octet-stream"


def test_a_large_file_is_sent_in_one_request_and_never_read_whole(
    endpoint: list[tuple[str, str, int]],
) -> None:
    file = CountingFile(b"x" * LARGE_BYTES)
    a_store().put("team/a b.bin", file, "text/plain")
    assert endpoint == [("PUT", f"/{BUCKET}/team/a%20b.bin", LARGE_BYTES)]
    assert file.largest <= 1024 * 1024


def test_dots_in_a_key_reach_s3_as_they_are(endpoint: list[tuple[str, str, int]]) -> None:
    # Were they resolved on the way, `team/../secret` would be another object than the one that was asked about.
    a_store().put("team/../secret", io.BytesIO(b"x"), "text/plain")
    assert endpoint == [("PUT", f"/{BUCKET}/team/../secret", 1)]


def test_deleting_what_is_gone_already_is_success(store: ObjectStore) -> None:
    store.put("a", io.BytesIO(b""), "text/plain")
    for _ in range(2):
        store.delete("a")
    assert store.list_folder("").objects == ()


def test_every_call_says_whose_bucket_it_must_be(sent: Sent, bucket: str, credentials: Credentials) -> None:
    store = ObjectStore(credentials, bucket=bucket, region=REGION, account_id=ACCOUNT)
    store.put("a", io.BytesIO(b"x"), "text/plain")
    assert b"".join(store.open("a").chunks) == b"x"
    store.list_folder("")
    store.delete("a")
    assert {name for name, _ in sent} == {"PutObject", "GetObject", "ListObjectsV2", "DeleteObject"}
    assert [name for name, parameters in sent if parameters.get("ExpectedBucketOwner") != ACCOUNT] == []
