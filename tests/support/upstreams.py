"""A server in the place of the gateway's socket that does exactly what a test says, for what no gateway would do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_head(reader: asyncio.StreamReader) -> list[str]:
    """Read a request's head; gives its lines, ``[]`` at the connection's end."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    except asyncio.IncompleteReadError:
        return []


@contextmanager
def upstream(state: Path, script: Script) -> Iterator[None]:
    """Answer on the state directory's socket by *script*, which gets each connection; the panels' feed is refused."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        begun: set[asyncio.Task[None]] = set()
        transports: set[asyncio.WriteTransport] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task: asyncio.Task[None] | None = asyncio.current_task()
            assert task is not None
            begun.add(task)
            transports.add(writer.transport)
            if over.is_set():
                task.cancel()
            with suppress(ConnectionError, asyncio.CancelledError):
                await script(reader, writer)
            with suppress(ConnectionError, asyncio.CancelledError):
                writer.close()
                await writer.wait_closed()  # what was written is sent
            writer.transport.abort()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

        state.mkdir(mode=0o700, exist_ok=True)
        server = await asyncio.start_unix_server(connected, state / "gateway.sock")
        ready.set()
        await over.wait()
        server.close()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in begun:
                task.cancel()
            begun.clear()
            # connections that just come begin before they end
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for transport in transports:
            transport.abort()
        for _ in range(3):  # a transport closes its socket in a later turn of the loop
            await asyncio.sleep(0)
        (state / "gateway.sock").unlink(missing_ok=True)  # Python 3.13 removes it itself

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()
