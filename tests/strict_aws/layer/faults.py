"""Faults of the network and of AWS, injected at a rate or at a call's number."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from enum import StrEnum

from tests.strict_aws.layer.message import Request, Response, error_response
from tests.strict_aws.rules.refusal import Refusal


class Kind(StrEnum):
    """What goes wrong. `LOST` faults happen after AWS did as told: the caller cannot know."""

    THROTTLED = "throttled"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    CONFLICT = "conflict"
    TIMEOUT = "timeout"
    LOST_TIMEOUT = "lost-timeout"
    RESET = "reset"
    LOST_RESET = "lost-reset"


class Dropped(Exception):
    """The caller gets no answer: its call times out, or its connection is reset."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind.value)
        self.is_timeout = kind in (Kind.TIMEOUT, Kind.LOST_TIMEOUT)


_QUERY_ERRORS = {
    Kind.THROTTLED: Refusal("Throttling", "Rate exceeded", 400),
    Kind.INTERNAL: Refusal("InternalFailure", "We encountered an internal error. Please try again.", 500),
    Kind.UNAVAILABLE: Refusal("ServiceUnavailable", "The request has failed due to a temporary failure.", 503),
    Kind.CONFLICT: Refusal(
        "ConcurrentModification",
        "The request was rejected because multiple requests to change this object were submitted simultaneously.",
        409,
    ),
}
_S3_ERRORS = {
    Kind.THROTTLED: Refusal("SlowDown", "Please reduce your request rate.", 503),
    Kind.INTERNAL: Refusal("InternalError", "We encountered an internal error. Please try again.", 500),
    Kind.UNAVAILABLE: Refusal("ServiceUnavailable", "Please reduce your request rate.", 503),
    Kind.CONFLICT: Refusal(
        "OperationAborted",
        "A conflicting conditional operation is currently in progress against this resource. Please try again.",
        409,
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that is about to happen."""

    kind: Kind

    @property
    def happens_after(self) -> bool:
        """Whether AWS does as told first."""
        return self.kind in (Kind.LOST_TIMEOUT, Kind.LOST_RESET)

    def strike(self, request: Request) -> Response:
        """Return the error answer, or raise `Dropped` when there is none."""
        errors = _S3_ERRORS if request.service == "s3" else _QUERY_ERRORS
        if self.kind not in errors:
            raise Dropped(self.kind)
        return error_response(errors[self.kind], request)


class Faults:
    """Decides for each call whether a fault strikes it. Calls are numbered from 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rate = 0.0
        self._kinds: tuple[Kind, ...] = tuple(Kind)
        self._at: dict[int, Kind] = {}
        self._random = random.Random()
        self.calls = 0
        self.struck = 0

    def at_rate(self, rate: float, *kinds: Kind, seed: int = 0) -> None:
        """From now on strike this share of the calls, with `kinds` (all of them if none) in a sequence of `seed`."""
        with self._lock:
            self._rate, self._kinds, self._random = rate, kinds or tuple(Kind), random.Random(seed)

    def at_call(self, number: int, kind: Kind) -> None:
        """Strike the call of this number, counted from the last `clear`."""
        with self._lock:
            self._at[number] = kind

    def clear(self) -> None:
        """Let every call through, and count from 1 again."""
        with self._lock:
            self._rate, self._at, self.calls, self.struck = 0.0, {}, 0, 0

    def next(self, request: Request) -> Fault | None:
        """Count a call, and return the fault that strikes it, if any. Conflicts strike only calls that write."""
        with self._lock:
            self.calls += 1
            kind = self._at.pop(self.calls, None)
            if kind is None and self._rate and self._random.random() < self._rate:
                kind = self._random.choice(self._kinds)
            if kind is Kind.CONFLICT and not changes_something(request):
                kind = None
            self.struck += kind is not None
        return Fault(kind) if kind is not None else None


def changes_something(request: Request) -> bool:
    """Whether a call may change AWS: no reading method of S3, and no reading action of IAM and STS."""
    if request.service == "s3":
        return request.method in ("PUT", "POST", "DELETE")
    return not any(
        name in request.body for name in (b"Action=Get", b"Action=List", b"Action=Simulate", b"Action=Assume")
    )
