"""Root's reads of an emulator, remembered while nothing has changed what they are about.

The layer asks the same of the emulator again and again, and moto takes a millisecond each time. This holds only where
every call comes this way.
"""

from __future__ import annotations

import threading
from urllib.parse import parse_qsl, urlsplit

from tests.strict_aws.layer.faults import changes_something
from tests.strict_aws.layer.message import Request, Response
from tests.strict_aws.layer.root import Upstream
from tests.strict_aws.rules.names import ACCOUNT

_NAMES = ("Name", "Arn", "KeyId")
_Key = tuple[str, str, bytes, tuple[str, str, str]]


class Remembering:
    """An upstream that answers root's reads of IAM and S3 from memory.

    A write makes it forget every listing, and what is about anything that the write names: a role, user, group, policy,
    profile, key or bucket.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._answers: dict[_Key, tuple[frozenset[str], Response]] = {}
        self._lock = threading.Lock()
        self._writes = 0

    def __call__(self, request: Request) -> Response:
        """Return the upstream's answer. A read that began before a write has ended is not remembered."""
        if request.service not in ("iam", "s3"):  # STS changes nothing that is remembered
            return self._upstream(request)
        if changes_something(request):
            names = _named(request)
            self._forget_of(names)
            try:
                return self._upstream(request)
            finally:
                self._forget_of(names)
        if not ACCOUNT.fullmatch(request.access_key):
            return self._upstream(request)
        return self._read(request)

    def forget(self) -> None:
        """Begin again, as the emulator did."""
        with self._lock:
            self._writes += 1
            self._answers.clear()

    def _read(self, request: Request) -> Response:
        key = (request.method, request.target, request.body, request.scope)
        with self._lock:
            known, writes = self._answers.get(key), self._writes
        if known is not None:
            return known[1]
        answer = self._upstream(request)
        with self._lock:
            if writes == self._writes:
                self._answers[key] = (_named(request), answer)
        return answer

    def _forget_of(self, names: frozenset[str]) -> None:
        with self._lock:
            self._writes += 1
            kept = (item for item in self._answers.items() if item[1][0] and not item[1][0] & names)
            self._answers = dict(kept)


def _named(request: Request) -> frozenset[str]:
    """Return the names of what a call is about; none for a listing."""
    if request.service == "s3":
        bucket = urlsplit(request.target).path.lstrip("/").partition("/")[0]
        return frozenset({f"s3:{bucket}"} if bucket else ())
    parameters = parse_qsl(request.body.decode())
    return frozenset(value for key, value in parameters if key.endswith(_NAMES) and value)
