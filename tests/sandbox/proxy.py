"""An HTTP proxy in front of the sandbox: it names each AWS call, keeps a log, and can hold one call back.

Signatures cover the Host header, which is passed on as it came.
"""

from __future__ import annotations

import html
import http.client
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

_SECRET = re.compile(r"<(?:SecretAccessKey|SessionToken)>([^<]+)<")
WRITES = ("Create", "Put", "Delete", "Update", "Add", "Remove", "Tag", "Untag", "Attach", "Detach")


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call that came by."""

    name: str
    status: int
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_write(self) -> bool:
        """Whether it changes AWS."""
        return self.name.startswith(WRITES)


class CallLog:
    """The calls in the order in which they were answered."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Note one call."""
        self._calls.append(call)

    def clear(self) -> None:
        """Begin again."""
        self._calls.clear()

    @property
    def names(self) -> list[str]:
        """All calls by name."""
        return [call.name for call in self._calls]

    @property
    def secrets(self) -> list[str]:
        """Each secret access key and session token that AWS has answered with."""
        return [secret for call in self._calls for secret in call.secrets]

    @property
    def writes(self) -> list[str]:
        """The calls that change AWS, by name."""
        return [call.name for call in self._calls if call.is_write]


def call_name(method: str, target: str, body: bytes) -> str:
    """Return the name of an AWS call, from its form (IAM, STS) or its method, path and query (S3)."""
    url = urlsplit(target)
    if url.path == "/" and method == "POST":
        return parse_qs(body.decode()).get("Action", ["?"])[0]
    query = parse_qs(url.query, keep_blank_values=True)
    if "policy" in query:
        return f"{method.title()}BucketPolicy"
    if "location" in query:
        return "GetBucketLocation"
    kind = "Object" if len(url.path.strip("/").split("/", 1)) > 1 else "Bucket"
    return "ListObjects" if "list-type" in query else f"{method.title()}{kind}"


def secrets_in(name: str, content: bytes) -> tuple[str, ...]:
    """Return the secrets in the answer to a call that gives keys out."""
    gives = name in {"AssumeRole", "CreateAccessKey", "GetSessionToken"}
    return tuple(html.unescape(found) for found in _SECRET.findall(content.decode())) if gives else ()


def _do_nothing(_count: int) -> None:
    pass


class Proxy:
    """Runs in a thread of its own. `hold(name)` stops the next call of that name until `release()`.

    `before_answer` is told, once AWS has done a call and before the caller hears of it, how many calls the log has.
    """

    def __init__(self, sandbox_port: int) -> None:
        self.log = CallLog()
        self.held = threading.Event()
        self._sandbox_port = sandbox_port
        self._hold_name = ""
        self._go = threading.Event()
        self._go.set()
        self.before_answer: Callable[[int], None] = _do_nothing
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    self.raw_requestline = self.rfile.readline(65537)
                except ConnectionResetError:  # the caller was killed
                    self.raw_requestline = b""
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                proxy.forward(self)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients find it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def hold(self, name: str) -> None:
        """Hold the next call `name` back, before AWS sees it; `held` is set once that happened."""
        self.held.clear()
        self._go.clear()
        self._hold_name = name

    def release(self) -> None:
        """Let a held call, and all others, through."""
        self._hold_name = ""
        self._go.set()

    def forward(self, request: BaseHTTPRequestHandler) -> None:
        """Pass one request on and its answer back."""
        if request.headers.get("Expect", "").lower() == "100-continue":
            request.send_response_only(100)
            request.end_headers()
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        name = call_name(request.command, request.path, body)
        if name == self._hold_name:
            self.held.set()
            self._go.wait(timeout=120)
        sandbox = http.client.HTTPConnection("127.0.0.1", self._sandbox_port, timeout=60)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in {"connection", "expect"}}
        try:
            sandbox.request(request.command, request.path, body=body, headers=headers)
            answer = sandbox.getresponse()
            content = answer.read()
        finally:
            sandbox.close()
        self.log.add(Call(name, answer.status, secrets_in(name, content)))
        self.before_answer(len(self.log.names))
        self._answer(request, answer, content)

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, answer: http.client.HTTPResponse, content: bytes) -> None:
        request.send_response_only(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in {"content-length", "transfer-encoding", "connection"}:
                request.send_header(key, value)
        length = answer.getheader("Content-Length") if request.command == "HEAD" else str(len(content))
        request.send_header("Content-Length", length or "0")
        request.end_headers()
        try:
            request.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True  # the caller was killed meanwhile, which some tests do on purpose

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
