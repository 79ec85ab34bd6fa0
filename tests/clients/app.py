"""The apps that the real clients are checked with: one takes many requests at once, one takes them one by one."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import fal
from fal.exceptions import RequestCancelledException
from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Prompt(BaseModel):
    prompt: str
    steps: int = 1


class Many(fal.App):
    """Answers at once, and many at once."""

    app_name = "many"
    max_multiplexing = 64

    def setup(self) -> None:
        self.asked: dict[str, int] = {}
        self.cancelled: set[str] = set()

    def count(self, name: str) -> int:
        self.asked[name] = self.asked.get(name, 0) + 1
        return self.asked[name]

    @fal.endpoint("/")
    async def echo(self, request: Request) -> dict:
        """Tell what came."""
        body = await request.body()
        return {
            "input": json.loads(body or b"null"),
            "path": request.url.path,
            "query": str(request.query_params),
            "headers": dict(request.headers),
            "method": request.method,
        }

    @fal.endpoint("/sub/x")
    async def sub(self, request: Request) -> dict:
        return {"input": await request.json(), "path": request.url.path}

    @fal.endpoint("/valid")
    def valid(self, prompt: Prompt) -> dict:
        print(f"drawing {prompt.prompt}")
        print("done", file=sys.stderr)
        return {"prompt": prompt.prompt, "steps": prompt.steps}

    @fal.endpoint("/fails")
    def fails(self, name: str) -> dict:
        self.count(name)
        raise RuntimeError("a secret of the app")

    @fal.endpoint("/teapot")
    def teapot(self, name: str) -> dict:
        self.count(name)
        raise HTTPException(418, detail="I am a teapot")

    @fal.endpoint("/busy")
    def busy(self, name: str) -> dict:
        """Has no time for the first two who ask."""
        if self.count(name) < 3:
            raise HTTPException(429, detail="come back")
        return {"asked": self.asked[name]}

    @fal.endpoint("/asked")
    def how_often(self, name: str) -> int:
        return self.asked.get(name, 0)

    @fal.endpoint("/wait")
    async def wait(self, gate: str, mark: str = "") -> dict:
        if mark:
            Path(mark).touch()
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
            if self.current_request.request_id in self.cancelled:
                raise RequestCancelledException("cancelled by its caller")
        return {"waited": True}

    @fal.endpoint("/wait/cancel")
    async def cancel_wait(self) -> None:
        self.cancelled.add(self.current_request.request_id)

    @fal.endpoint("/patient")
    async def patient(self, request: Request) -> dict:
        """Work until the caller is gone, then leave a mark."""
        mark = (await request.json())["mark"]
        Path(f"{mark}.begun").touch()
        while not await request.is_disconnected():
            await asyncio.sleep(0.02)
        Path(mark).touch()
        return {}

    @fal.endpoint("/fetch")
    def fetch(self, url: str) -> dict:
        """Read an input that was uploaded, as a model would: without a key."""
        with urllib.request.urlopen(url, timeout=20) as answer:
            data = answer.read()
            return {"length": len(data), "type": answer.headers["content-type"], "text": data[:64].decode("latin-1")}

    # --- streams ------------------------------------------------------------------------------------------------
    @fal.endpoint("/stream")
    async def stream(self, prompt: Prompt) -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            for number in range(prompt.steps):
                text = json.dumps({"number": number, "text": f"{prompt.prompt} é 漢 🎈"}, ensure_ascii=False)
                yield f"data: {text}\n\n".encode()
            yield b": a comment\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/numbers")
    def numbers(self, n: int) -> Iterator[dict[str, int]]:
        for number in range(n):
            yield {"number": number}

    @fal.endpoint("/broken/stream")
    async def broken(self) -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b'data: {"number": 1}\n\n'
            raise ValueError("in the middle")

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/endless/stream")
    async def endless(self, mark: str) -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            try:
                number = 0
                while True:
                    yield f"data: {number}\n\n".encode()
                    number += 1
                    await asyncio.sleep(0.02)
            finally:
                Path(mark).touch()

        return StreamingResponse(events(), media_type="text/event-stream")

    # --- realtime and websockets --------------------------------------------------------------------------------
    @fal.realtime("/realtime")
    def talk(self, said: dict) -> dict:
        if said.get("fail"):
            raise RuntimeError("this went wrong")
        if "size" in said:
            return {"data": bytes(said["size"])}
        return {"said": said, "bytes": b"\x00\xff"}

    @fal.realtime("/slow/realtime", buffering=1)
    async def slowly(self, said: dict) -> dict:
        await asyncio.sleep(0.3)
        return said

    @fal.endpoint("/chat", is_websocket=True)
    async def chat(self, websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text.upper())

    @fal.endpoint("/bytes")
    def octets(self) -> Response:
        return Response(b"\x00\x01\x02", media_type="application/octet-stream")


class Single(fal.App):
    """One at a time: who comes second waits in the queue."""

    app_name = "single"
    app_auth = "public"
    max_concurrency = 1

    def setup(self) -> None:
        self.order: list[str] = []

    def _add_extra_routes(self, app: FastAPI) -> None:
        @app.get("/say")
        def say(word: str) -> dict:
            return {"word": word}

    @fal.endpoint("/")
    async def run(self, name: str, gate: str = "") -> dict:
        self.order.append(name)
        print(f"{name} begins")
        self.cancelled = False
        while gate and not Path(gate).exists():
            await asyncio.sleep(0.01)
            if self.cancelled:
                raise RequestCancelledException("cancelled by its caller")
        print(f"{name} ends")
        return {"name": name}

    @fal.endpoint("/cancel")
    def cancel(self) -> None:
        self.cancelled = True

    @fal.endpoint("/order")
    def seen(self) -> list[str]:
        return self.order
