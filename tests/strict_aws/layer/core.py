"""The layer: faults first, then the desk of the service, and every refusal as AWS words it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.strict_aws.layer.desk import Desk, Shared
from tests.strict_aws.layer.faults import Faults
from tests.strict_aws.layer.iam_desk import IamDesk
from tests.strict_aws.layer.memory import Remembering
from tests.strict_aws.layer.message import Request, Response, error_response
from tests.strict_aws.layer.propagation import Propagation
from tests.strict_aws.layer.root import RootApi, Upstream
from tests.strict_aws.layer.s3_desk import S3Desk
from tests.strict_aws.layer.sts_desk import StsDesk
from tests.strict_aws.layer.world import World
from tests.strict_aws.rules.refusal import Refusal


class StrictAws:
    """A strict AWS over `upstream`.

    `conceal_trusts`, `conceal_buckets`: the upstream judges by those policies, and wrongly, so it is kept from them.
    `remembers`: what root has read of the upstream is kept until a call changes it; every call has to come this way.
    `close`: lets go of the upstream.
    `default_account`: whose root an upstream takes the bearer of an unknown access key for; empty where it refuses.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        conceal_trusts: bool = False,
        conceal_buckets: bool = False,
        remembers: bool = False,
        propagation_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        default_account: str = "",
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.close = close
        self.propagation = Propagation(propagation_seconds, clock)
        self.faults = Faults()
        self._memory = Remembering(upstream) if remembers else None
        upstream = self._memory or upstream
        root = RootApi(upstream)
        self.world = World(root, self.propagation, conceal=conceal_trusts)
        self._shared = Shared(
            upstream, self.world, root, default_account=default_account, conceal_buckets=conceal_buckets
        )
        self._upstream = upstream
        self._desks: dict[str, Desk] = {
            "iam": IamDesk(self._shared),
            "sts": StsDesk(self._shared),
            "s3": S3Desk(self._shared),
        }

    def handle(self, request: Request) -> Response:
        """Return the answer to one call. Raises `Dropped` when an injected fault leaves the caller without one."""
        fault = self.faults.next(request)
        if fault is not None and not fault.happens_after:
            return fault.strike(request)
        response = self._answer(request)
        return response if fault is None else fault.strike(request)

    def _answer(self, request: Request) -> Response:
        desk = self._desks.get(request.service)
        if desk is None:
            return self._upstream(request)
        try:
            return desk.answer(request)
        except Refusal as refusal:
            return error_response(refusal, request)

    def forget(self) -> None:
        """Begin again, as the emulator did."""
        self._shared.forget()
        if self._memory is not None:
            self._memory.forget()
        self.faults.clear()
