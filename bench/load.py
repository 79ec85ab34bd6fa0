"""A load generator: N keep-alive connections that each send the same POST again as soon as its answer is complete.

A process of its own, so that it takes nothing from the servers' event loops. Prints one JSON line:
``{"rps", "p50_ms", "p99_ms", "requests", "errors"}``. Answers need a Content-Length; any status but 200 is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop


class Connection(asyncio.Protocol):
    """One caller: request, answer, request … until the deadline."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.taken: list[float] = []
        self.errors = 0
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit from it
        self.send()

    def send(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.taken.append(now - self.began)
        self.errors += not head.startswith(b"HTTP/1.1 200")
        self.buffer = body[length:]
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.until:
            self.errors += 1  # the server hung up on us
        if not self.done.done():
            self.done.set_result(None)


async def load(url: str, headers: list[str], body: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Keep *connections* callers busy for *seconds* and sum up."""
    parts = urlsplit(url)
    head = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", *headers]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    request = "\r\n".join(head).encode() + body
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    callers: list[Connection] = []
    for _ in range(connections):
        caller = Connection(request, until, loop.create_future())
        await loop.create_connection(lambda caller=caller: caller, parts.hostname or "", parts.port or 80)  # type: ignore[misc]
        callers.append(caller)
    await asyncio.wait_for(asyncio.gather(*(caller.done for caller in callers)), seconds + 30)
    taken = sorted(t for caller in callers for t in caller.taken)
    cuts = statistics.quantiles(taken, n=100)
    return {
        "rps": len(taken) / seconds,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "requests": len(taken),
        "errors": sum(caller.errors for caller in callers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--body", default="{}")
    parser.add_argument("--header", action="append", default=[], metavar="'Name: value'")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    o = parser.parse_args()
    print(json.dumps(uvloop.run(load(o.url, o.header, o.body.encode(), o.connections, o.seconds))))


if __name__ == "__main__":
    main()
