from __future__ import annotations

import gzip

import pytest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import Client, RequestFactory

from roles.middleware import CompressPagesMiddleware
from roles.models import User

LONG = b"<p>the same again and again</p>" * 100


def answered(method: str, response: HttpResponse | StreamingHttpResponse) -> HttpResponseBase:
    middleware = CompressPagesMiddleware(lambda request: response)
    request = RequestFactory().generic(method, "/", headers={"accept-encoding": "gzip"})
    return middleware.process_response(request, response)


def test_answer_that_may_carry_credentials_is_never_compressed() -> None:
    assert not answered("POST", HttpResponse(LONG)).has_header("Content-Encoding")


def test_download_stays_as_large_as_it_says() -> None:
    download = StreamingHttpResponse([LONG], content_type="text/html", headers={"Content-Length": str(len(LONG))})
    answer = answered("GET", download)
    assert not answer.has_header("Content-Encoding")
    assert answer["Content-Length"] == str(len(LONG))


def test_what_is_no_page_is_left_as_it_is() -> None:
    assert not answered("GET", HttpResponse(LONG, content_type="application/json")).has_header("Content-Encoding")


@pytest.mark.django_db
def test_page_that_is_read_is_compressed(client: Client, audrey: User) -> None:
    client.force_login(audrey)
    plain = client.get("/my-access/")
    small = client.get("/my-access/", headers={"accept-encoding": "gzip"})
    assert not plain.has_header("Content-Encoding")
    assert small["Content-Encoding"] == "gzip"
    assert len(small.content) < len(plain.content) / 3
    assert b"My access" in gzip.decompress(small.content)
