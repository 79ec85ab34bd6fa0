"""Realtime and raw websocket endpoints."""

import time
from typing import AsyncIterator, Iterator

import fal
from fastapi import WebSocket
from pydantic import BaseModel


class X(BaseModel):
    x: int


class Y(BaseModel):
    y: int


class Talks(fal.App):
    min_concurrency = 1
    max_multiplexing = 8

    @fal.realtime("/double", session_timeout=0.5)
    def double(self, i: X) -> Y:
        """Doubles."""
        return Y(y=i.x * 2)

    @fal.realtime("/fails")
    def fails(self, i: X) -> Y:
        raise RuntimeError("bad x")

    @fal.realtime("/no-dict")
    def no_dict(self, i: X) -> Y:
        return 5

    @fal.realtime("/nothing")
    def nothing(self, i: X):
        return None

    @fal.realtime("/dict", session_timeout=0.5)
    def as_dict(self, i: dict) -> dict:
        return {"got": i}

    @fal.realtime("/untyped", input_modal=None, session_timeout=0.5)
    def untyped(self, i: X) -> dict:
        return {"t": type(i).__name__}

    @fal.realtime("/newest", buffering=1, session_timeout=1)
    def newest(self, i: X) -> Y:
        time.sleep(0.3)
        return Y(y=i.x)

    @fal.realtime("/batch", max_batch_size=3, session_timeout=1)
    def batch(self, *i: X) -> dict:
        time.sleep(0.3)
        return {"n": len(i)}

    @fal.realtime("/single", max_batch_size=3, session_timeout=1)
    def single(self, i: X) -> dict:
        time.sleep(0.3)
        return {"n": 1}

    @fal.realtime("/count")
    def count(self, i: X) -> Iterator[Y]:
        for k in range(i.x):
            yield Y(y=k)

    @fal.realtime("/broken-count")
    def broken_count(self, i: X) -> Iterator[Y]:
        yield Y(y=1)
        raise ValueError("in the middle")

    @fal.realtime("/no-iterator")
    def no_iterator(self, i: X) -> Iterator[Y]:
        return 5

    @fal.realtime("/sum", session_timeout=0.4)
    async def sum(self, s: AsyncIterator[X]) -> Y:
        t = 0
        async for i in s:
            t += i.x
        return Y(y=t)

    @fal.realtime("/pipe", session_timeout=0.4)
    async def pipe(self, s: AsyncIterator[X]) -> AsyncIterator[Y]:
        async for i in s:
            yield Y(y=i.x)

    @fal.realtime("/sync-sum")
    def sync_sum(self, s: AsyncIterator[X]) -> Y:
        return None

    @fal.realtime("/sync-pipe")
    def sync_pipe(self, s: AsyncIterator[X]) -> AsyncIterator[Y]:
        return None

    @fal.realtime(
        "/own",
        session_timeout=0.5,
        encode_message=lambda o: "text:" + str(o["y"]),
        decode_message=lambda b: {"x": len(b)},
    )
    def own(self, i: X) -> Y:
        return Y(y=i.x)

    @fal.realtime("/bad-encoder", session_timeout=0.5, encode_message=lambda o: o)
    def bad_encoder(self, i: X) -> Y:
        return Y(y=i.x)

    @fal.realtime("/no-input")
    def no_input(self) -> Y:
        return Y(y=1)

    @fal.endpoint("/echo", is_websocket=True)
    async def echo(self, ws: WebSocket):
        await ws.accept()
        await ws.send_text(await ws.receive_text())
        await ws.close(4001, "enough")

    @fal.endpoint("/refuses", is_websocket=True)
    async def refuses(self, ws: WebSocket):
        await ws.close()
