"""The layer as an HTTP server; usually before MiniStack, which keeps the state and checks the signatures."""

from __future__ import annotations

import http.client
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from tests.strict_aws.layer.core import StrictAws
from tests.strict_aws.layer.faults import Dropped
from tests.strict_aws.layer.message import Request, Response

UPSTREAM_SECONDS = 60
_HOP = {"connection", "expect", "keep-alive", "transfer-encoding", "x-moto-account-id"}


class HttpUpstream:
    """Sends calls to an emulator on loopback, over as many kept connections as there ever were calls at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self, request: Request) -> Response:
        """Return the emulator's answer. A kept connection that the emulator closed meanwhile is opened anew."""
        connection = self._take()
        try:
            try:
                return self._send(connection, request)
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                return self._send(connection, request)
        except BaseException:
            connection.close()
            raise
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close the connections: what nobody uses now, the others after their calls."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=UPSTREAM_SECONDS)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        if connection.sock is None:
            connection.connect()
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP | {"content-length"}}
        if not request.header("Host"):
            headers["Host"] = f"127.0.0.1:{self._port}"
        for key, value in {**headers, "Content-Length": str(len(request.body))}.items():
            connection.putheader(key, value)
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
        return Response(answer.status, dict(answer.getheaders()), answer.read())


def over_sandbox(sandbox_port: int, *, propagation_seconds: float = 0.0, remembers: bool = False) -> StrictAws:
    """Return the layer over the MiniStack that listens on this loopback port, started with AUTH=true.

    `remembers`: nobody but this front speaks to it, as `StrictAws` wants it.
    """
    upstream = HttpUpstream(sandbox_port)
    return StrictAws(
        upstream,
        conceal_trusts=True,
        propagation_seconds=propagation_seconds,
        remembers=remembers,
        close=upstream.close,
    )


class HttpFront:
    """The server, in a thread of its own. `strict` is the layer: its faults and propagation can be set at any time."""

    def __init__(self, strict: StrictAws, *, port: int = 0, timeout_seconds: float = 60.0) -> None:
        self.strict = strict
        self.timeout_seconds = timeout_seconds
        self._server = _Server(("127.0.0.1", port), self)

    @property
    def port(self) -> int:
        """The loopback port that it listens on."""
        port: int = self._server.server_address[1]
        return port

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Answer calls until `close`."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop answering, and let go of the emulator."""
        self._server.shutdown()
        self._server.server_close()
        self.strict.close()

    def __enter__(self) -> HttpFront:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], front: HttpFront) -> None:
        super().__init__(address, _Handler)
        self.front = front

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that went away, which some tests do on purpose; tell of all else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Reads one call, has it answered, writes the answer; connections are kept."""

    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_expect_100(self) -> bool:
        """Let the caller send its body. Without the flush it would wait a second before it does."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def handle_one_request(self) -> None:
        """Answer one call, whatever its method."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        headers = dict(self.headers.items())
        body = _chunks(self) if "chunked" in self.headers.get("Transfer-Encoding", "") else _whole(self)
        request = Request(self.command, self.path, headers, body, "http://127.0.0.1", self.client_address[0])
        try:
            response = self.server.front.strict.handle(request)
        except Dropped as fault:
            self._drop(fault)
            return
        if self.path == "/_ministack/reset":
            self.server.front.strict.forget()
        self._answer(response)

    def _answer(self, response: Response) -> None:
        self.send_response_only(response.status)
        length = str(len(response.body))
        for key, value in response.headers.items():
            if key.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif key.lower() not in _HOP | {"content-length"}:
                self.send_header(key, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(response.body)
        self.wfile.flush()

    def _drop(self, fault: Dropped) -> None:
        """Leave the caller without an answer: silent for long, or reset at once (linger 0 sends RST)."""
        if fault.is_timeout:
            time.sleep(self.server.front.timeout_seconds)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _whole(handler: BaseHTTPRequestHandler) -> bytes:
    return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


def _chunks(handler: BaseHTTPRequestHandler) -> bytes:
    body = b""
    while size := int(handler.rfile.readline().split(b";", 1)[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        continue
    return body
