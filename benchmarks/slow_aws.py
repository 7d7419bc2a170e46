"""The AWS sandbox, with a delay before each answer, that notes who asked for what.

`benchmarks.provisioning` starts it in `.venv-sandbox`, so it imports nothing of the portal's. Under /_bench it answers
at once: `delay` sets the milliseconds, `calls` gives what was noted since the last time, `seed` does IAM calls in bulk.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from ministack import app as sandbox
from ministack.core import responses
from ministack.services import iam

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_KEY = re.compile(r"Credential=([^/]+)/\d+/[^/]+/(\w+)/")
_answer = sandbox.app
_calls: list[tuple[float, str, str, str]] = []
_delay_seconds = 0.0


async def slow(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request: note it, wait, and let the sandbox do it."""
    if scope["type"] != "http" or scope["path"].startswith("/_ministack"):
        await _answer(scope, receive, send)
        return
    body = await _whole(receive)
    if scope["path"].startswith("/_bench/"):
        await _control(scope["path"].removeprefix("/_bench/"), body, send)
        return
    _note(scope, body)
    await asyncio.sleep(_delay_seconds)
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> dict[str, Any]:
        part = next(parts, None)
        return part if part is not None else await receive()

    await _answer(scope, again, send)


async def _whole(receive: Receive) -> bytes:
    body = b""
    while True:
        part = await receive()
        body += part.get("body", b"")
        if not part.get("more_body"):
            return body


def _note(scope: dict[str, Any], body: bytes) -> None:
    """Note the moment, the account that the call is about, the service and the operation."""
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    signed = _KEY.search(headers.get("authorization", ""))
    key, service = signed.groups() if signed else ("", "")
    responses.set_request_account_id(key)
    account = responses.get_account_id()
    if service == "s3":
        operation = f"{scope['method']} {scope['query_string'].decode().partition('=')[0]}".strip()
    else:
        form = parse_qs(body.decode())
        operation = form.get("Action", [""])[0]
        if operation == "AssumeRole":
            account = form["RoleArn"][0].split(":")[4]
    _calls.append((time.time(), account, service, operation))


async def _control(what: str, body: bytes, send: Send) -> None:
    global _delay_seconds  # noqa: PLW0603 - one process, one delay
    found: Any = None
    if what == "delay":
        _delay_seconds = json.loads(body) / 1000
    elif what == "calls":
        found = [*_calls]
        _calls.clear()
    elif what == "seed":
        found = [_seed(account, parameters) for account, parameters in json.loads(body)]
        found = [status for status in found if status != HTTPStatus.OK]
    answer = json.dumps(found).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})


def _seed(account: str, parameters: dict[str, str]) -> int:
    responses.set_request_account_id(account)
    status: int = iam._IAM_HANDLERS[parameters["Action"]]({key: [value] for key, value in parameters.items()})[0]
    return status


if __name__ == "__main__":
    sandbox.app = slow
    sandbox.main()
