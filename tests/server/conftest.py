"""One Jupyter server with our extension, under a base URL with a space in it, before one gateway with one app, for all of these tests."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.fixtures import state_fixture
from tests.support.jupyter import TOKEN, Jupyter, jupyter_server
from tests.support.serve import Served, served

APP = """
import asyncio
import hashlib
import os
from pathlib import Path
from typing import Iterator

import fal
from fastapi import Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel


class Name(BaseModel):
    name: str


class Wide(fal.App):
    app_name = "wide"
    max_multiplexing = 16
    request_timeout = 60

    @fal.endpoint("/")
    def hi(self, body: Name) -> dict:
        return {"text": f"Hello, {body.name}"}

    @fal.endpoint("/digest")
    async def digest(self, request: Request) -> dict:
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
    async def stream(self, gate: str, kind: str) -> Response:
        async def parts():
            yield b"first\\n"
            while not Path(gate).exists():
                await asyncio.sleep(0.01)
            yield b"second\\n"

        return StreamingResponse(parts(), media_type=kind)

    @fal.endpoint("/early")
    async def early(self, request: Request) -> Response:
        async for chunk in request.stream():
            break
        return Response("no more, thank you", status_code=413, media_type="text/plain")

    @fal.endpoint("/seen")
    async def seen(self, request: Request) -> dict:
        return {
            "headers": [list(pair) for pair in request.headers.items()],
            "query": str(request.url.query),
            "method": request.method,
        }

    @fal.endpoint("/answer")
    async def answer(self, request: Request) -> Response:
        given = await request.json()
        response = Response(given.get("body", "x"), status_code=given.get("status", 200))
        response.raw_headers = [(name.lower().encode(), value.encode()) for name, value in given["headers"]]
        response.raw_headers.append((b"content-length", str(len(response.body)).encode()))
        return response

    @fal.endpoint("/wait")
    async def wait(self, request: Request, mark: str, gone: str) -> dict:
        Path(mark).touch()
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        Path(gone).touch()
        return {}
"""


state = state_fixture("session")


@pytest.fixture(scope="session")
def app(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(APP)
    with served(state, f"{path}::Wide", env={"FAL_JUPYTER_MAX_BODY": str(1 << 30)}) as running:
        yield running


@pytest.fixture(scope="session")
def jupyter(state: Path) -> Iterator[Jupyter]:
    with jupyter_server(state) as running:
        yield running


@pytest.fixture(scope="session")
def run(app: Served) -> str:
    """Where the app is, below the base URL."""
    return "fal" + urlsplit(app.ready["url"]).path.rstrip("/")


class Feed:
    """The feed, as a panel hears it."""

    def __init__(self, server: Jupyter, timeout: float = 30) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
        self._connection.request("GET", f"{server.base_url}fal/api/feed", headers={"authorization": f"token {TOKEN}"})
        self._answer = self._connection.getresponse()
        self.headers = self._answer.headers

    def line(self) -> bytes:
        """The next line as it comes; fails at the feed's end."""
        found = self._answer.readline()
        assert found, "the feed ended"
        return found

    def close(self) -> None:
        self._answer.close()
        self._connection.close()
