"""A server on the gateway's socket that follows a test's script, for behaviour that no gateway has."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.loop_thread import loop_thread

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_head(reader: asyncio.StreamReader) -> list[str]:
    """Read a request's head; returns its lines, ``[]`` at end of file."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    except asyncio.IncompleteReadError:
        return []


@contextmanager
def upstream(state: Path, script: Script) -> Iterator[None]:
    """Answer on the state directory's socket by *script*, which gets each connection; the panels' feed is refused."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await script(reader, writer)
            writer.close()
            await writer.wait_closed()  # what was written is sent

    async def connected(connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        tasks = {loop.create_task(speak(reader, writer)), loop.create_task(over.wait())}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        writer.transport.abort()
        await asyncio.sleep(0)  # it closes its socket in the next turn of the loop

    async def serve() -> None:
        connections: set[asyncio.Task[None]] = set()

        def accept() -> None:
            with suppress(BlockingIOError):
                connections.add(loop.create_task(connected(listener.accept()[0])))

        state.mkdir(mode=0o700, exist_ok=True)
        # not asyncio's server: it leaves a connection open that it has accepted when it is closed
        with socket.socket(socket.AF_UNIX) as listener:
            listener.setblocking(False)
            listener.bind(str(state / "gateway.sock"))
            listener.listen()
            loop.add_reader(listener, accept)
            ready.set()
            await over.wait()
            loop.remove_reader(listener)
        await asyncio.gather(*connections)
        (state / "gateway.sock").unlink()

    with loop_thread(serve, loop, ready, over):
        yield
