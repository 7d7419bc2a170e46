"""Who is asking, in which request. Pure: a context variable that middleware, tasks and commands set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import uuid4


def new_request_id() -> str:
    """Return a fresh request id: 32 hexadecimal digits."""
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a change comes from. `address` and `user_agent` are empty outside a web request.

    `is_rehearsal`: the change is tried and rolled back, so nothing may happen that a database does not take back.
    """

    request_id: str = field(default_factory=new_request_id)
    address: str = ""
    user_agent: str = ""
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class SystemActor:
    """The portal itself, or an operator at its command line: acts without a user row.

    `name` is what history shows, e.g. `command:import_config` or `worker`.
    """

    name: str

    pk: None = None
    is_active: bool = True
    is_authenticated: bool = True

    def get_username(self) -> str:
        """Return the name, as Django's users do."""
        return self.name


_current: ContextVar[RequestContext | None] = ContextVar("xacct_request_context", default=None)


def current() -> RequestContext:
    """Return the context of this request, task or command; a fresh one when nobody set it."""
    return _current.get() or RequestContext()


@contextmanager
def use(context: RequestContext) -> Iterator[RequestContext]:
    """Make `context` the current one inside the `with` block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def rehearsal() -> AbstractContextManager[RequestContext]:
    """Return a `with` block in which changes are only tried, under a request id of their own."""
    here = current()
    return use(RequestContext(address=here.address, user_agent=here.user_agent, is_rehearsal=True))
