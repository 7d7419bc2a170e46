"""What the three services have in common: who calls, what the judge says, and how the emulator is made to follow."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from tests.strict_aws.judge.caller import Caller, Document
from tests.strict_aws.judge.conditions import Context
from tests.strict_aws.judge.verdict import Question, allows
from tests.strict_aws.layer.buckets import Buckets
from tests.strict_aws.layer.callers import Callers
from tests.strict_aws.layer.message import Request, Response
from tests.strict_aws.layer.root import RootApi, Upstream
from tests.strict_aws.layer.world import World
from tests.strict_aws.rules.grammar import statements_of
from tests.strict_aws.rules.refusal import Refusal, access_denied

# What the judge can tell of any request. A policy that asks for another key is left to the emulator's judgement.
_KNOWN_KEYS = {
    *("aws:currenttime", "aws:epochtime", "aws:securetransport", "aws:sourceip", "aws:requestedregion"),
    *("aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:username"),
    *("aws:tokenissuetime", "aws:sourceidentity", "aws:multifactorauthpresent", "aws:resourceaccount"),
    *("aws:principalisawsservice", "aws:tagkeys", "aws:viaawsservice", "s3:resourceaccount"),
    *("s3:prefix", "s3:delimiter", "s3:max-keys", "iam:permissionsboundary", "iam:passedtoservice"),
    "iam:policyarn",
}
_KNOWN_STARTS = ("aws:principaltag/", "aws:requesttag/", "iam:resourcetag/", "sts:", "s3:x-amz-")


class Desk(Protocol):
    """Answers the calls of one service."""

    def answer(self, request: Request) -> Response:
        """Return what AWS answers. Raises `Refusal`."""
        ...


class Shared:
    """What the desks share: the emulator, what exists in it, who calls, and a lock for each thing that is written."""

    def __init__(
        self, upstream: Upstream, world: World, root: RootApi, *, default_account: str, conceal_buckets: bool
    ) -> None:
        self.upstream = upstream
        self.root = root
        self.world = world
        self.callers = Callers(world, default_account)
        self.buckets = Buckets(root, world, conceal=conceal_buckets)
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._lock = threading.Lock()

    def lock(self, name: str) -> threading.RLock:
        """Return the lock of a role, an account or a bucket: the layer's several calls to the emulator are as one."""
        with self._lock:
            return self._locks[name]

    def forget(self) -> None:
        """Begin again, as the emulator did."""
        self.callers.forget()
        self.buckets.forget()
        self.world.propagation.forget()

    def pass_on(self, request: Request, *, allowed: bool, owner: str) -> Response:
        """Return the emulator's answer. What it denies although AWS would not is done as the root of `owner`.

        The emulator has checked the signature by the time it says AccessDenied: a wrong one has another code.
        """
        response = self.upstream(request)
        denied = response.error_code == "AccessDenied" or (request.method == "HEAD" and response.status == 403)
        return self.upstream(request.signed_as_root(owner)) if denied and allowed else response


def context_of(request: Request, caller: Caller) -> Context:
    """Return what policies can ask about any request, with keys in lower case."""
    now = datetime.now(UTC)
    return {
        **caller.context,
        "aws:currenttime": now.isoformat(),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:securetransport": "true" if request.base.startswith("https:") else "false",
        "aws:sourceip": request.source_ip,
        "aws:requestedregion": request.scope[1] or "us-east-1",
        "aws:viaawsservice": "false",
    }


def can_judge(documents: Iterable[Document | None]) -> bool:
    """Whether every condition of these documents asks only for what the judge knows."""
    keys = {
        key.lower()
        for document in documents
        for statement in statements_of(document or {})
        for tests in statement.get("Condition", {}).values()
        for key in tests
    }
    return all(key in _KNOWN_KEYS or key.startswith(_KNOWN_STARTS) for key in keys)


def judge(caller: Caller, questions: Iterable[Question], policy: Document | None = None) -> bool | None:
    """Return whether AWS would allow all of this, or None where that is beyond the judge."""
    documents: list[Any] = [*caller.identity, *(item for limit in caller.limits for item in limit), policy]
    if not can_judge(documents):
        return None
    return all(allows(caller, question, policy) for question in questions)


def not_authorized(caller: Caller, action: str, resource: str) -> Refusal:
    """Return the refusal of IAM and STS, which says who may not do what."""
    return access_denied(f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource}")
