"""The layer in this process, between botocore and moto: every AWS client of every thread goes through it.

It takes the place of moto's own `before-send` hook while it is on, so that botocore's retries, time-outs and error
handling work as they do on AWS.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from moto import backend_index, mock_aws
from moto.core import responses
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.iam.policy_validation import IAMPolicyDocumentValidator, IAMTrustPolicyDocumentValidator

from tests.strict_aws.layer.core import StrictAws
from tests.strict_aws.layer.faults import Dropped
from tests.strict_aws.layer.message import Request, Response
from tests.strict_aws.rules.names import ACCOUNT

DEFAULT_ACCOUNT = "123456789012"  # moto's: whoever has an access key that it does not know is its root
SERVICES = ("iam", "s3", "sts")  # moto has a hundred more, and looks through their addresses at each call
_STUBBER = BotocoreStubber()
_methods_of = functools.cache(responses.method_names_from_class)  # moto asks at each call what its classes can do


def moto_upstream(request: Request) -> Response:
    """Return moto's answer. What moto has not is what AWS would call not implemented."""
    headers = HTTPHeaders()
    account = {"x-moto-account-id": request.access_key} if ACCOUNT.fullmatch(request.access_key) else {}
    for name, value in {**request.headers, **account}.items():
        headers[name] = value
    at_aws = "amazonaws.com" in request.base
    url = (request.base if at_aws else f"https://{request.service}.amazonaws.com") + request.target
    if not at_aws:
        del headers["Host"]
    try:
        answer = _STUBBER.process_request(AWSPreparedRequest(request.method, url, headers, request.body, False))
    except NotImplementedError:
        answer = None
    if answer is None:
        return Response(501)
    status, found, body = answer
    return Response(status, {key: str(value) for key, value in found.items()}, _as_bytes(body))


def over_moto(*, propagation_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> StrictAws:
    """Return the layer over moto, which has to be on (`mock_aws`). `clock` is what new roles grow old by."""
    return StrictAws(
        moto_upstream,
        conceal_buckets=True,
        remembers=True,
        propagation_seconds=propagation_seconds,
        clock=clock,
        default_account=DEFAULT_ACCOUNT,
    )


class MotoFront:
    """A context in which AWS is moto made strict. A 12-digit access key id is that account's root."""

    def __init__(self, *, propagation_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = ExitStack()
        self.strict = over_moto(propagation_seconds=propagation_seconds, clock=clock)

    def __enter__(self) -> MotoFront:
        self._stack.enter_context(_quick_moto())
        self._stack.enter_context(mock_aws())
        self.strict.forget()
        self._stack.enter_context(mock.patch.object(BotocoreStubber, "__call__", self._hook()))
        for checks in (IAMPolicyDocumentValidator, IAMTrustPolicyDocumentValidator):  # they refuse what AWS takes
            self._stack.enter_context(mock.patch.object(checks, "validate", lambda _self: None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _hook(self) -> Callable[..., AWSResponse | None]:
        front = self

        def before_send(
            stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **more: Any
        ) -> AWSResponse | None:
            return front.send(request) if stubber.enabled else None

        return before_send

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Return the answer to what botocore was about to send. Raises what a broken connection raises in it."""
        try:
            response = self.strict.handle(_read(request))
        except Dropped as fault:
            url = request.url
            raise (ReadTimeoutError if fault.is_timeout else ConnectionClosedError)(endpoint_url=url) from None
        return AWSResponse(request.url, response.status, response.headers, MockRawResponse(response.body))  # type: ignore[arg-type]


@contextmanager
def _quick_moto() -> Iterator[None]:
    """Keep moto from what takes most of its time and changes no answer of it."""
    addresses = [one for one in backend_index.backend_url_patterns if one[0] in SERVICES]
    with (
        mock.patch.object(backend_index, "backend_url_patterns", addresses),
        mock.patch.object(responses, "method_names_from_class", _methods_of),
    ):
        yield


def _read(request: AWSPreparedRequest) -> Request:
    url = urlsplit(request.url)
    target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
    headers = {name: _text(value) for name, value in request.headers.items()}
    return Request(request.method, target, headers, _as_bytes(request.body), f"{url.scheme}://{url.netloc}")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _as_bytes(body: Any) -> bytes:
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")
