"""A load generator for loopback: so many connections, each with one request at a time, kept open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed: seconds that each request took, in order of size, and the seconds of the whole run."""

    latencies: tuple[float, ...]
    seconds: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Return the milliseconds that `percent` of the requests took at most."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


class Failed(Exception):
    """An answer was not 200, or the server closed a connection."""


def run(port: int, requests: Iterator[bytes], *, connections: int, count: int, seconds: float) -> Result:
    """Send `requests` until `count` are answered or `seconds` have passed. Raises `Failed` at the first bad answer."""
    return asyncio.run(_run(port, requests, connections=connections, count=count, seconds=seconds))


async def _run(port: int, requests: Iterator[bytes], *, connections: int, count: int, seconds: float) -> Result:
    latencies: list[float] = []
    begin = time.perf_counter()
    until = begin + seconds

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while len(latencies) < count and time.perf_counter() < until and (request := next(requests, None)):
                before = time.perf_counter()
                writer.write(request)
                await _answer(reader)
                latencies.append(time.perf_counter() - before)
        finally:
            writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return Result(tuple(sorted(latencies)), time.perf_counter() - begin)


async def _answer(reader: asyncio.StreamReader) -> None:
    """Read one answer to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        raise Failed((head + body[:500]).decode("utf-8", "replace"))
