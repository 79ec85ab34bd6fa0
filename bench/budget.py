"""Where the microseconds of one request go: each step of the real code, timed alone and warm (``bench/budget.py``).

The whole is the p50 that a caller sees on one connection of ``fal-jupyter serve``; what the steps do not explain is the
kernel: waking four processes' turns in a row, and caches that are cold by the time of the next request.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import servers
import uvloop
from pydantic import BaseModel

from fal_jupyter import settings
from fal_jupyter.domain import events as m
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.describe import describe_app
from fal_jupyter.fal.classes.endpoints import endpoint
from fal_jupyter.gateway.apps.deployment import Deployment, Revision
from fal_jupyter.gateway.auth.access_tokens import AccessTokens
from fal_jupyter.gateway.auth.api_keys import ApiKeys
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.engine.engine import Engine
from fal_jupyter.gateway.http import server
from fal_jupyter.gateway.http.connection import request_cycle
from fal_jupyter.gateway.requests import data_plane
from fal_jupyter.gateway.runners.live_runner import RunnerLifeEvent
from fal_jupyter.gateway.storage.logs import Log
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Decoder, Frame, Kind
from fal_jupyter.runner.application import endpoints
from fal_jupyter.runner.output import capture
from fal_jupyter.runner.requests import request_server

BODY = b'{"name": "Ada"}'


class Name(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


class Bench(App):
    max_multiplexing = 32

    @endpoint("/async")
    async def greet(self, body: Name) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")


def micros(work: Callable[[], object], times: int = 4000) -> float:
    """The best of five means, in microseconds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - began) / times * 1e6)
    return best


class Transport:
    """Takes what is written and keeps nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def get_extra_info(self, name: str) -> socket.socket:
        return self.sock

    def is_closing(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Channel:
    """A runner's channel without a runner."""

    backlog = 0

    def __init__(self) -> None:
        self.streams: dict[int, Any] = {}
        self.number = 0
        self.sent: list[bytes] = []

    def open(self, listener: Any) -> int:
        self.number += 1
        self.streams[self.number] = listener
        return self.number

    def close_stream(self, stream: int) -> None:
        self.streams.pop(stream, None)

    def send(self, data: bytes) -> bool:
        self.sent[:] = (data,)
        return True


class Launcher:
    """Runners without processes."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def start(self, *_: object) -> Any:
        return SimpleNamespace(channel=self._channel, pid=0, isolated="")

    def release(self, _: object) -> None:
        pass


async def gateway() -> list[tuple[str, float]]:
    """The gateway's steps."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-") as place:
        config = settings.read({"FAL_JUPYTER_STATE": place})
        config.logs.mkdir()
        channel, loads = Channel(), SimpleNamespace(make=lambda *_: None)
        launcher: Any = Launcher(channel)
        engine = Engine(config, loads, lambda events: launcher, Changes(), lambda: None)  # type: ignore[arg-type]
        spec = describe_app(Bench)
        app = engine.deployments.published["bench"] = Deployment(
            "bench", "lease", Log(config.logs / "bench.log"), last=1
        )
        environment: Any = {"python": "", "env": {}, "preload": [], "cwd": "/", "sys_path": [], "isolated": ""}
        app.revisions[1] = Revision(1, spec, "pickle", {}, {}, environment, {}, b"", Allotment())
        engine.handle(m.AppPublished("bench", spec, 1, "lease", Allotment(), "bench"))
        engine.handle(m.RunnerSpawned("bench-1"))
        engine.handle(m.RunnerReady("bench-1"))
        for live in engine.runners:
            live.move(RunnerLifeEvent.SET_UP)
        unused: Any = None  # neither the store nor the secret_store is asked for a key that is in memory
        keys = ApiKeys(unused, unused)
        keys._live["fjk_abcdefgh"] = (hashlib.sha256(b"secret").digest(), "lease", "bench", 0.0)
        front = data_plane.DataPlane(engine.requests, keys, AccessTokens(), config, trusted=False)
        front.ports = (1234,)
        left, right = socket.socketpair()

        def connection(make: Callable[[request_cycle.RequestResponseCycle], Any]) -> server.HttpConnection:
            made = server.HttpListener(lambda cycle, _: make(cycle), 30, 60, 10).connection()
            made.connection_made(Transport(left))  # type: ignore[arg-type]
            return made

        request = (
            f"POST /run/{config.owner}/bench/async HTTP/1.1\r\nHost: 127.0.0.1:1234\r\n"
            "Authorization: Key fjk_abcdefgh:secret\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY
        head = b'{"status":200,"headers":[["content-length","21"],["content-type","application/json"]]}'
        answer = frames.encode_message(Kind.RESPONSE, 1, head, b'{"text":"Hello, Ada"}', end=True)
        whole = connection(lambda caller: data_plane.DataPlaneRequest(front, caller))

        def one() -> None:
            whole.data_received(request)
            frame = next(Decoder().feed(answer))
            channel.streams[channel.number].on_frame(Frame(frame.kind, channel.number, frame.payload))

        class Nobody:
            upgrades = False

            def begin(self, *_: object) -> None: ...
            def data_received(self, chunk: bytes) -> None: ...
            def finish(self) -> None:
                parser._cycle = None

            def on_connection_close(self) -> None: ...

        parser = connection(lambda _: Nobody())
        number = 0

        def decide() -> None:
            nonlocal number
            number += 1
            engine._fleet.handle(m.RequestArrived("bench", f"{number}"), time.monotonic_ns())
            engine._fleet.handle(m.RequestFinished(f"{number}", False), time.monotonic_ns())

        one()
        total, parse, decisions = micros(one), micros(lambda: parser.data_received(request)), micros(decide)
        key = micros(lambda: keys.admits("Key fjk_abcdefgh:secret", "run")) + micros(data_plane.new_id)
        frame = micros(lambda: frames.encode_message(Kind.REQUEST, 1, head, BODY, end=True))
        frame += micros(lambda: list(Decoder().feed(answer)))
        left.close()
        right.close()
    return [
        ("gateway: HTTP parser (llhttp) and headers", parse),
        ("gateway: key and request id", key),
        ("gateway: fleet, arrival to dispatch and answer to free slot", decisions),
        ("gateway: frames out and in", frame),
        ("gateway: checks, head to the runner, head to the caller", total - parse - key - decisions - frame),
    ]


async def runner() -> list[tuple[str, float]]:
    """The runner's steps."""
    instance: Any = Bench(_allow_init=True)  # type: ignore[call-arg]
    app, channel = endpoints.build(instance), Channel()
    server = request_server.RequestServer(channel, capture.OutputCapture(channel), app, instance, {"multiplex": 32})  # type: ignore[arg-type, typeddict-item]
    head = json.dumps(
        {"id": "x" * 36, "method": "POST", "path": "/async", "query": "", "headers": [
            ["host", "127.0.0.1:1234"], ["content-type", "application/json"], ["content-length", "15"],
            ["x-fal-request-id", "x" * 36], ["x-fal-endpoint", "/async"],
        ]}
    ).encode()  # fmt: skip
    data = frames.encode_message(Kind.REQUEST, 7, head, BODY, end=True)
    decoder = Decoder()

    async def some(times: int) -> None:
        for _ in range(times):
            for frame in decoder.feed(data):
                server.handle(frame)
            while server.streams:
                await asyncio.sleep(0)

    await some(100)
    total = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        await some(3000)
        total = min(total, (time.perf_counter() - began) / 3000 * 1e6)
    fast = server._fast["/async"]
    reading = micros(lambda: fast.arguments(BODY))
    result = Greeting(text="Hello, Ada")
    writing = micros(lambda: fast._content(result))
    return [
        ("runner: pydantic, from the body's bytes to the model", reading),
        ("runner: pydantic, from the result to JSON", writing),
        ("runner: frames, task, contexts, the method itself", total - reading - writing),
    ]


def wake_ups() -> float:
    """Microseconds of one round trip between two processes on a socket pair: two wake-ups and four system calls."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        while data := theirs.recv(4096):
            theirs.send(data)
        os._exit(0)
    theirs.close()
    taken = []
    for _ in range(10_000):
        began = time.perf_counter()
        ours.send(b"x" * 200)
        ours.recv(4096)
        taken.append((time.perf_counter() - began) * 1e6)
    ours.close()
    os.wait()
    return sorted(taken)[len(taken) // 2]


def whole() -> float:
    """p50 of a request on one connection, in microseconds."""
    with servers.ours() as us:
        where = urlsplit(us.url)
        lines = [f"POST {where.path}/async HTTP/1.1", f"Host: {where.netloc}", *us.headers]
        lines += ["Content-Type: application/json", f"Content-Length: {len(BODY)}", "", ""]
        data = "\r\n".join(lines).encode() + BODY
        taken = []
        with socket.create_connection((where.hostname or "", where.port or 80)) as sock:
            for _ in range(8000):
                began = time.perf_counter()
                sock.sendall(data)
                sock.recv(65536)
                taken.append((time.perf_counter() - began) * 1e6)
    return sorted(taken[1000:])[3500]


def main() -> None:
    steps = uvloop.run(gateway()) + uvloop.run(runner())
    trip = wake_ups()
    steps.append(("kernel: two round trips between processes (caller and gateway, gateway and runner)", 2 * trip))
    total = whole()
    steps.append(("kernel and caches: the rest of the p50", total - sum(cost for _, cost in steps)))
    print("| step | µs |\n| --- | ---: |")
    for name, cost in steps:
        print(f"| {name} | {cost:.1f} |")
    print(f"| **p50 at one connection** | **{total:.0f}** |")


if __name__ == "__main__":
    main()
