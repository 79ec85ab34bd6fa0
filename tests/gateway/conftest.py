"""Two gateways for all of these tests: one with an app, served as a user serves it, and one with the default settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import file_fixture, state_fixture
from tests.support.serve import Served, kept_state, served

APP = '''
import asyncio
import hashlib
import os
import time
from pathlib import Path
from typing import Iterator

import fal
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Name(BaseModel):
    name: str


class Wide(fal.App):
    app_name = "wide"
    max_multiplexing = 8
    request_timeout = 20

    def setup(self) -> None:
        self.seen: list[str] = []

    @fal.endpoint("/")
    def hi(self, body: Name) -> dict:
        self.seen.append(body.name)
        return {"text": f"Hello, {body.name}", "pid": os.getpid()}

    @fal.endpoint("/seen")
    async def names(self) -> list[str]:
        return self.seen

    @fal.endpoint("/digest")
    async def digest(self, request: Request) -> dict:
        """Takes the body as it comes and keeps none of it."""
        length, digest = 0, hashlib.sha256()
        async for chunk in request.stream():
            length += len(chunk)
            digest.update(chunk)
        return {"length": length, "sha256": digest.hexdigest()}

    @fal.endpoint("/large")
    async def large(self, size: int) -> Response:
        block = bytes(range(256)) * 4096  # 1 MiB

        def blocks() -> Iterator[bytes]:
            for _ in range(size):
                yield block

        return StreamingResponse(blocks(), media_type="application/octet-stream")

    @fal.endpoint("/stream")
    async def stream(self, gate: str) -> Response:
        async def parts():
            yield b"first\\n"
            while not Path(gate).exists():
                await asyncio.sleep(0.01)
            yield b"second\\n"

        return StreamingResponse(parts(), media_type="text/plain")

    @fal.endpoint("/late")
    async def late(self, first: str, second: str) -> Response:
        async def events():
            for number, gate in enumerate((first, second)):
                while not Path(gate).exists():
                    await asyncio.sleep(0.01)
                yield f"data: {number}\\n\\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/headers")
    async def headers(self, request: Request) -> dict:
        return {"headers": request.headers.items(), "query": str(request.url.query), "path": request.url.path}

    @fal.endpoint("/span")
    def span(self, seconds: float) -> list[float]:
        """When this call began and ended: the truth that panels are compared with."""
        began = time.time()
        time.sleep(seconds)
        return [1000 * began, 1000 * time.time()]

    @fal.endpoint("/hold")
    def hold(self, gate: str) -> str:
        """A thread that cancelling does not end."""
        while not Path(gate).exists():
            time.sleep(0.01)
        return "ok"

    @fal.endpoint("/inject")
    async def inject(self, name: str, value: str) -> Response:
        return Response("x", headers={name: value})

    @fal.endpoint("/wait")
    async def wait(self, gate: str, mark: str = "") -> dict:
        if mark:
            Path(mark).touch()
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
        return {"ok": True}

    @fal.endpoint("/raise")
    def oops(self) -> dict:
        secret = "hunter2"
        raise RuntimeError(f"the password is {secret}")

    @fal.endpoint("/status")
    async def status(self, code: int) -> Response:
        return Response(status_code=code)

    @fal.endpoint("/annotation")
    def annotation(self) -> str:
        def local(x: str) -> None: ...

        return getattr(local.__annotations__["x"], "__name__", "a string")

    @fal.endpoint("/health")
    async def my_health(self) -> dict:
        return {"mine": True}


class Single(fal.App):
    app_name = "single"

    @fal.endpoint("/wait")
    def wait(self, gate: str, mark: str) -> dict:
        Path(mark).touch()
        while not Path(gate).exists():
            time.sleep(0.01)
        return {"ok": True}

    @fal.endpoint("/touch")
    def touch(self, mark: str) -> dict:
        Path(mark).touch()
        return {}


class Open(fal.App):
    app_name = "open"
    app_auth = "public"

    @fal.endpoint("/")
    def hi(self) -> dict:
        return {"public": True}
'''


@pytest.fixture(scope="session")
def shared_state() -> Iterator[Path]:
    """A state directory whose gateway, with the default settings, stays until all of these tests have ended."""
    with kept_state() as path:
        yield path


state = state_fixture("session")


app_file = file_fixture("app_file", "app.py", APP, scope="session")


@pytest.fixture(scope="session")
def wide(state: Path, app_file: str) -> Iterator[Served]:
    with served(state, f"{app_file}::Wide", env={"FAL_JUPYTER_MAX_BODY": str(80 << 20)}) as running:
        yield running
