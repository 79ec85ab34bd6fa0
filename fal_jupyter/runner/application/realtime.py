"""Realtime sessions: converts WebSocket messages to a method's inputs, and its outputs to messages (docs/contract.md, C84 to C100).

Results are binary frames (msgpack), errors are text frames of JSON; after an error, and at a session's end, the socket closes
with 1000. Outputs are sent in the order in which they were produced (in the real package one may overtake another, C92).
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio.to_thread
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from fal_jupyter.fal.classes.realtime_options import RealtimeOptions, mode_of
from fal_jupyter.runner.application import failures

MOST_WAITING = 1000  # inputs; reading pauses beyond this
LEAST_BUFFERING, MOST_BUFFERING = 1, 60  # allowed range of a caller's max_buffering
_END = object()
TIMEOUT = {"type": "x-fal-error", "error": "TIMEOUT", "reason": "no inputs, reconnect when needed!"}


def unpack(message: bytes) -> Any:
    """Read msgpack."""
    import msgpack  # most apps have no realtime endpoint; start-up

    return msgpack.unpackb(message, raw=False)


def pack(output: object) -> bytes:
    """Write msgpack."""
    import msgpack  # start-up

    packed: bytes = msgpack.packb(output, use_bin_type=True)
    return packed


def route_of(
    method: Callable[..., object],
    options: RealtimeOptions,
    as_failure: Callable[[BaseException], BaseException],
    note: Callable[[BaseException], None],
) -> Callable[..., object]:
    """Return the websocket endpoint that serves *method*; *as_failure* and *note* describe what it raises for the owner."""
    serve = {"unary": _unary, "client_streaming": _many_to_one, "server_streaming": _one_to_many, "bidi": _many_to_many}
    adapter = serve[mode_of(method)]

    async def realtime(websocket: WebSocket) -> None:
        await websocket.accept()
        session = RunnerRealtimeSession(websocket, method, options)
        try:
            try:
                await adapter(session)
                await session.send_message(TIMEOUT)
            except WebSocketDisconnect:
                raise
            except Exception as error:
                note(error)
                await session.send_message(_internal_error(error))
            except BaseException as error:
                if as_failure(error) is error:
                    raise
                await session.send_message(_internal_error(error))
            finally:
                session.end()
            await websocket.close()
        except WebSocketDisconnect:
            pass  # the caller disconnected: a normal end

    return realtime


def _internal_error(error: BaseException) -> dict[str, str]:
    return {"type": "x-fal-error", "error": "INTERNAL_ERROR", "reason": failures.text_of(error)}


class RunnerRealtimeSession:
    """One open socket: inputs are read as they arrive, and wait in order."""

    def __init__(self, websocket: WebSocket, method: Callable[..., object], options: RealtimeOptions) -> None:
        self.websocket, self.method, self.options = websocket, method, options
        self.encode = options.encode_message or pack
        self._decode = options.decode_message or unpack
        self._make = options.input_of(method)
        self._waiting: deque[object] = deque(maxlen=self._limit())
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ended: BaseException | bool = False
        self._reader = asyncio.ensure_future(self._read())

    def _limit(self) -> int | None:
        limits = [self.options.buffering] if self.options.buffering else []
        text = self.websocket.query_params.get("max_buffering", "")
        if text.isascii() and text.isdigit() and len(text) < 4 and LEAST_BUFFERING <= int(text) <= MOST_BUFFERING:
            limits.append(int(text))
        return min(limits, default=None)

    async def _read(self) -> None:
        """Read inputs until the caller disconnects, sends nothing for too long, or sends an invalid one."""
        try:
            while True:
                async with asyncio.timeout(self.options.session_timeout):
                    raw = await self.websocket.receive_bytes()
                value = self._decode(raw)
                self._waiting.append(self._make(**value) if self._make else value)
                self._changed.set()
                await asyncio.sleep(0)  # lets the waiting reader take this one, before the next arrives
                while self._waiting.maxlen is None and len(self._waiting) >= MOST_WAITING:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            self._ended = True
        except Exception as error:
            self._ended = error
        self._changed.set()

    def end(self) -> None:
        """Read no more."""
        self._reader.cancel()

    async def next_input(self) -> object:
        """Return the next input, or ``_END`` when none came for session_timeout.

        Raises:
            WebSocketDisconnect: the caller disconnected, and all inputs were returned.
            Exception: an input could not be read; those before it were returned.
        """
        while not self._waiting:
            if isinstance(self._ended, BaseException):
                raise self._ended
            if self._ended:
                return _END
            self._changed.clear()
            await self._changed.wait()
        self._room.set()
        return self._waiting.popleft()

    def more_for(self, first: object) -> list[object]:
        """Return the waiting inputs that can be batched with *first*, up to the batch size."""
        batch = [first]
        while self._waiting and len(batch) < self.options.max_batch_size:
            if hasattr(first, "can_batch") and not first.can_batch(self._waiting[0], len(batch)):
                break
            batch.append(self._waiting.popleft())
        self._room.set()
        return batch

    async def inputs(self) -> AsyncIterator[object]:
        """Iterate over the inputs until the caller disconnects or the session times out."""
        while True:
            try:
                value = await self.next_input()
            except WebSocketDisconnect:
                return
            if value is _END:
                return
            yield value

    async def call(self, *inputs: object) -> Any:
        """Call the method: a plain function in a thread."""
        if inspect.iscoroutinefunction(self.method):
            return await self.method(*inputs)
        return await anyio.to_thread.run_sync(lambda: self.method(*inputs), abandon_on_cancel=True)

    async def emit(self, output: object) -> None:
        """Send one output."""
        if not isinstance(output, dict):
            dump = getattr(output, "model_dump", None) or getattr(output, "dict", None)
            if dump is None:
                raise TypeError(f"Expected a dict or pydantic model as output, got {type(output)}")
            output = dump()
        message = self.encode(output)
        if isinstance(message, bytes):
            await self.websocket.send_bytes(message)
        elif isinstance(message, str):
            await self.websocket.send_text(message)
        else:
            raise TypeError(f"Can't send message of type {type(message)}")

    async def emit_all(self, outputs: Any) -> None:
        """Send every output of an iterator as it is produced; a disconnect ends it."""
        iterator = outputs if hasattr(outputs, "__aiter__") else _in_threads(outputs)
        producing = asyncio.ensure_future(self._produce(iterator))
        leaving = asyncio.ensure_future(self._disconnected())
        try:
            await asyncio.wait({producing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not producing.done():
                raise WebSocketDisconnect(1006)
            producing.result()
        finally:
            leaving.cancel()
            producing.cancel()
            await asyncio.wait({producing})

    async def _produce(self, iterator: Any) -> None:
        try:
            async for output in iterator:
                await self.emit(output)
        finally:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    async def _disconnected(self) -> None:
        """Wait until the caller disconnects (inputs in the meantime are left for other readers)."""
        await asyncio.wait({self._reader})
        if not isinstance(self._ended, WebSocketDisconnect):
            await asyncio.Event().wait()

    async def send_message(self, message: dict[str, str]) -> None:
        """Send a message of the gateway's protocol, as text."""
        await self.websocket.send_text(json.dumps(message, separators=(",", ":"), ensure_ascii=False))


async def _in_threads(outputs: Iterator[object]) -> AsyncIterator[object]:
    iterator = iter(outputs)
    while True:
        value = await anyio.to_thread.run_sync(next, iterator, _END, abandon_on_cancel=True)
        if value is _END:
            return
        yield value


async def _unary(session: RunnerRealtimeSession) -> None:
    while (value := await session.next_input()) is not _END:
        await session.emit(await session.call(*session.more_for(value)))


async def _one_to_many(session: RunnerRealtimeSession) -> None:
    try:
        value = await session.next_input()
    except WebSocketDisconnect:
        return
    if value is _END:
        return
    called: object = session.method(value) if inspect.isasyncgenfunction(session.method) else await session.call(value)
    if not hasattr(called, "__aiter__") and not hasattr(called, "__iter__"):
        raise TypeError("Expected an async iterator or iterator output for server-streaming realtime")
    await session.emit_all(called)


async def _many_to_one(session: RunnerRealtimeSession) -> None:
    if not inspect.iscoroutinefunction(session.method):
        raise TypeError("Client-streaming realtime endpoints must be async functions")
    result = await session.method(session.inputs())
    if hasattr(result, "__aiter__"):
        raise TypeError("Expected a single output for client-streaming realtime")
    await session.emit(result)


async def _many_to_many(session: RunnerRealtimeSession) -> None:
    method = session.method
    if inspect.isasyncgenfunction(method):
        outputs: object = method(session.inputs())
    elif inspect.iscoroutinefunction(method):
        outcome: Awaitable[object] = method(session.inputs())
        outputs = await outcome
    else:
        raise TypeError("Bidirectional realtime endpoints must be async functions")
    if not hasattr(outputs, "__aiter__"):
        raise TypeError("Expected an async iterator output for bidirectional realtime")
    await session.emit_all(outputs)
