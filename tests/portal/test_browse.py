"""Browsing with the user's own token: what the database does not give is refused before AWS is asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.errors import AwsAccessDenied, AwsError, AwsNotFound, AwsThrottled, AwsUnreachable, InputError
from roles.models import AuditEvent, GroupRole, User
from roles.models.choices import MappingState
from roles.portal.storage import KEY_MAX_BYTES, object_key
from tests.factories import BucketFactory, BucketGrantFactory, Procedure
from tests.portal.conftest import FakeBucket, signed_in

ODD_KEYS = ["ä b.txt", "100%.txt", "a%20b.txt", "a+b&c=d?.txt", "日本/語.txt", "<script>alert(1)<.txt", "o'b\"rien.txt"]


def address(mapping: GroupRole, view: str = "browse", **query: str) -> str:
    path = reverse(view, args=[mapping.pk, "example-data"])
    return f"{path}?{urlencode(query)}" if query else path


def a_file(name: str = "a.txt", content: bytes = b"hello") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="text/plain")


def mapped(procedure: Procedure, **narrowing: Any) -> GroupRole:
    return procedure.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now(), **narrowing)


# --- refused ---


def test_a_bucket_of_another_mapping_is_not_found(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    BucketFactory(name="somebody-elses")
    response = signed_in(bob).get(reverse("browse", args=[mapping.pk, "somebody-elses"]))
    assert response.status_code == 404
    assert bucket.calls == []


@pytest.mark.parametrize("outside", ["", "team", "team-secret/", "other/", "../team/"])
def test_what_lies_outside_the_granted_folder_is_refused(
    outside: str, procedure: Procedure, bucket: FakeBucket
) -> None:
    narrow = mapped(procedure, prefix="team/")
    client = signed_in(procedure.bob)
    assert client.get(address(narrow, prefix=outside or "x")).status_code == 403
    assert client.get(address(narrow, "browse_download", key=f"{outside}a.txt")).status_code == 403
    assert client.post(address(narrow, "browse_delete"), {"key": f"{outside}a.txt"}).status_code == 403
    assert client.post(address(narrow, "browse_upload", prefix=outside), {"file": a_file()}).status_code == 403
    assert bucket.calls == []
    assert AuditEvent.objects.filter(code="access.denied", actor=procedure.bob).count() == 4


def test_with_read_access_writing_is_hidden_and_refused(procedure: Procedure, bucket: FakeBucket) -> None:
    bucket.objects["a.txt"] = b"x"
    reading = mapped(procedure, access="READ")
    client = signed_in(procedure.bob)
    page = client.get(address(reading)).content.decode()
    assert "a.txt" in page and "data-upload" not in page and "browse/example-data/delete/" not in page
    assert client.post(address(reading, "browse_upload"), {"file": a_file()}).status_code == 403
    assert client.get(address(reading, "browse_delete", key="a.txt")).status_code == 403
    assert client.post(address(reading, "browse_delete"), {"key": "a.txt"}).status_code == 403
    assert bucket.objects == {"a.txt": b"x"}


def test_with_write_access_alone_nothing_is_listed_or_read(procedure: Procedure, bucket: FakeBucket) -> None:
    writing = mapped(procedure, access="WRITE")
    client = signed_in(procedure.bob)
    page = client.get(address(writing))
    assert page.status_code == 200 and "not see what is in it" in page.content.decode()
    assert client.get(address(writing, "browse_download", key="a.txt")).status_code == 403
    assert bucket.calls == []
    assert client.post(address(writing, "browse_upload"), {"file": a_file()}).status_code == 302
    assert bucket.objects == {"a.txt": b"hello"}


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (AwsAccessDenied("x", service="s3", operation="ListObjectsV2", aws_code="AccessDenied"), "does not let you"),
        (AwsAccessDenied("x", service="sts", operation="AssumeRole", aws_code="AccessDenied"), "hand out a token"),
        (AwsAccessDenied("x", service="s3", aws_code="ExpiredToken"), "has expired"),
        (AwsNotFound("x", service="s3", aws_code="NoSuchBucket"), "There is no bucket"),
        (AwsNotFound("x", service="s3", aws_code="NoSuchKey"), "is not in"),
        (AwsThrottled("x", service="s3", aws_code="SlowDown"), "fewer requests"),
        (AwsUnreachable("x", service="s3"), "did not answer"),
        (AwsError("x", service="s3", aws_code="Odd", aws_message="odd things"), "odd things"),
    ],
)
def test_what_aws_refuses_is_said_in_words_with_its_own_code(
    refusal: AwsError, says: str, mapping: GroupRole, bob: User, bucket: FakeBucket
) -> None:
    bucket.refusal = refusal
    response = signed_in(bob).get(address(mapping))
    page = response.content.decode()
    assert response.status_code == 502
    assert says in page
    assert refusal.aws_code in page
    assert "Traceback" not in page


def test_a_denial_by_aws_is_in_the_history(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    bucket.refusal = AwsAccessDenied("x", service="s3", operation="PutObject", aws_code="AccessDenied")
    assert signed_in(bob).post(address(mapping, "browse_upload"), {"file": a_file()}).status_code == 502
    event = AuditEvent.objects.get(code="access.denied")
    assert event.actor == bob and event.details["rule"] == "aws s3:PutObject"
    assert not AuditEvent.objects.filter(code="object.uploaded").exists()


@pytest.mark.parametrize("name", ["..", ".", "x" * (KEY_MAX_BYTES + 1)])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        object_key("team/", name)


def test_a_nul_in_a_key_is_refused(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    assert signed_in(bob).get(address(mapping, "browse_download", key="a\x00b")).status_code == 400
    assert signed_in(bob).get(address(mapping, prefix="a\x00b")).status_code == 400


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_is_read(
    mapping: GroupRole, bob: User, bucket: FakeBucket, settings: Any
) -> None:
    settings.XACCT_UPLOAD_MAX_BYTES = 10
    response = signed_in(bob).post(address(mapping, "browse_upload"), {"file": a_file(content=b"x" * 200_000)})
    assert response.status_code == 400
    assert "larger than the portal takes" in response.content.decode()
    assert bucket.calls == []


def test_an_upload_that_turns_out_too_large_is_refused(
    mapping: GroupRole, bob: User, bucket: FakeBucket, settings: Any
) -> None:
    settings.XACCT_UPLOAD_MAX_BYTES = 10
    response = signed_in(bob).post(address(mapping, "browse_upload"), {"file": a_file(content=b"x" * 2_000)})
    assert response.status_code == 400
    assert bucket.objects == {}


def test_an_upload_without_a_csrf_token_is_refused(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    response = client.post(address(mapping, "browse_upload"), {"file": a_file()})
    assert response.status_code == 403
    assert "This form has expired" in response.content.decode()
    assert bucket.calls == []


def test_a_script_gets_a_refusal_as_json(procedure: Procedure, bucket: FakeBucket) -> None:
    reading = mapped(procedure, access="READ")
    response = signed_in(procedure.bob).post(
        address(reading, "browse_upload"), {"file": a_file()}, headers={"Accept": "application/json"}
    )
    assert response.status_code == 403
    assert "not change anything" in response.json()["message"]


# --- allowed ---


def test_a_folder_lists_its_folders_and_objects_with_the_users_own_token(
    mapping: GroupRole, bob: User, bucket: FakeBucket, tokens: list[dict[str, Any]]
) -> None:
    bucket.objects = {"reports/2026/q1.csv": b"x", "reports/summary.txt": b"x" * 1536, "top.txt": b""}
    page = signed_in(bob).get(address(mapping, prefix="reports/")).content.decode()
    assert "2026/" in page and "summary.txt" in page and "1.5 KiB" in page
    assert "top.txt" not in page
    assert [asked["actor"] for asked in tokens] == ["bob"]
    assert bucket.opened_as[0]["access_key_id"] == "ASIAEXAMPLE"
    assert bucket.opened_as[0]["account_id"] == "222222222222"


def test_a_long_folder_is_shown_a_page_at_a_time(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    bucket.objects = {f"part-{number:03}": b"" for number in range(250)}
    client = signed_in(bob)
    first = client.get(address(mapping))
    assert "part-199" in first.content.decode() and "part-200" not in first.content.decode()
    second = client.get(first.context["next_url"]).content.decode()
    assert "part-249" in second and "part-199" not in second and "First page" in second


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_names_are_listed_downloaded_and_deleted_as_they_are(
    key: str, mapping: GroupRole, bob: User, bucket: FakeBucket
) -> None:
    bucket.objects = {key: b"content"}
    client = signed_in(bob)
    folder = key.rpartition("/")[0]
    listed = client.get(address(mapping, **({"prefix": f"{folder}/"} if folder else {})))
    assert "<script>alert(1)" not in listed.content.decode()
    row = next(row for row in listed.context["rows"] if "size" in row)
    downloaded = client.get(row["url"])
    assert b"".join(downloaded.streaming_content) == b"content"
    asked = client.get(row["delete_url"])
    assert asked.status_code == 200 and asked.context["place"].key == key
    assert "<script>alert(1)" not in asked.content.decode()
    assert bucket.objects == {key: b"content"}
    assert client.post(address(mapping, "browse_delete"), {"key": key}).status_code == 302
    assert bucket.objects == {}


def test_a_download_is_a_file_to_save_and_never_a_page(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    bucket.objects = {"reports/ä.html": b"<script>alert(1)</script>"}
    response = signed_in(bob).get(address(mapping, "browse_download", key="reports/ä.html"))
    assert response["Content-Disposition"].startswith("attachment")
    assert "%C3%A4.html" in response["Content-Disposition"]
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Length"] == "25"
    assert response.streaming
    assert "no-store" in response["Cache-Control"]
    assert AuditEvent.objects.get(code="object.downloaded").details["key"] == "reports/ä.html"


@pytest.mark.parametrize("name", ["a.txt", "ä 100%.txt", "a b+c.txt"])
def test_an_upload_lands_in_the_folder_under_its_own_name(
    name: str, mapping: GroupRole, bob: User, bucket: FakeBucket
) -> None:
    response = signed_in(bob).post(address(mapping, "browse_upload", prefix="team/"), {"file": a_file(name)})
    assert response.status_code == 302
    assert bucket.objects == {f"team/{name}": b"hello"}
    event = AuditEvent.objects.get(code="object.uploaded")
    assert event.actor == bob and event.details == {"key": f"team/{name}", "size": 5}


def test_a_path_in_the_files_name_does_not_lead_out_of_the_folder(
    mapping: GroupRole, bob: User, bucket: FakeBucket
) -> None:
    signed_in(bob).post(address(mapping, "browse_upload", prefix="team/"), {"file": a_file("../../other/a.txt")})
    assert list(bucket.objects) == ["team/a.txt"]


def test_a_script_that_uploads_gets_where_to_go_on(mapping: GroupRole, bob: User, bucket: FakeBucket) -> None:
    response = signed_in(bob).post(
        address(mapping, "browse_upload", prefix="team/"),
        {"file": a_file()},
        headers={"Accept": "application/json"},
    )
    assert response.json() == {"location": address(mapping, prefix="team/")}


def test_one_granted_folder_is_opened_and_several_are_offered(procedure: Procedure, bucket: FakeBucket) -> None:
    procedure.bucket_grant.prefix = "team/"
    procedure.bucket_grant.save()
    mapping = mapped(procedure)
    client = signed_in(procedure.bob)
    response = client.get(address(mapping))
    assert response.status_code == 302 and response["Location"] == address(mapping, prefix="team/")
    BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="shared/", access="READ")
    page = client.get(address(mapping)).content.decode()
    assert "team/" in page and "shared/" in page
    assert bucket.calls == []
    assert client.post(address(mapping, "browse_upload", prefix="shared/"), {"file": a_file()}).status_code == 403
