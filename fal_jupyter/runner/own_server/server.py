"""Runs a function that has its own server (``fal.function(exposed_port=…)``) in a child process of the runner, and proxies
requests to its port.

The port is fixed in the function's code, so at most one such server can run on this machine.
The child ends with its runner, and the runner with its child: the next request gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import inspect
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse

from fal_jupyter.runner.guard import die_with_parent
from fal_jupyter.runner.own_server import websockets

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OF_THIS_CONNECTION = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "content-length", "expect",
})  # fmt: skip
CHUNK = 65536  # bytes
GRACE = 5.0  # seconds between SIGTERM and SIGKILL


class OwnServer:
    """The server that *function* runs on *port* of this machine."""

    def __init__(self, function: Callable[..., object], port: int) -> None:
        self._function = function
        self._port = port
        self._stopping = False
        self._child = multiprocessing.get_context("fork").Process(target=_run, args=(function, os.getpid()))

    def start(self) -> None:
        """Run the function and wait until something listens on its port. ``startup_timeout`` limits the time.

        Raises:
            RuntimeError: another process has the port, or the function ended before anything listened.
        """
        name = self._function.__name__
        if self._listens():
            raise RuntimeError(
                f"{name} cannot listen on port {self._port}: another process on this machine uses it; "
                "stop that process, or change the port of the function (and exposed_port)"
            )
        self._child.start()
        pause = 0.01
        while not self._listens():
            if not self._child.is_alive():
                raise RuntimeError(f"{name} {self._ending()} before anything listened on port {self._port}")
            time.sleep(pause)
            pause = min(pause * 2, 0.2)
        threading.Thread(target=self._watch, name="own server", daemon=True).start()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True

    def _watch(self) -> None:
        self._child.join()
        if not self._stopping:
            print(f"{self._function.__name__} {self._ending()}, and its runner with it", file=sys.stderr, flush=True)
            os._exit(1)

    def _ending(self) -> str:
        self._child.join()
        code = self._child.exitcode or 0
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended (exit status {code})"

    def stop(self) -> None:
        """End the server."""
        self._stopping = True
        self._child.terminate()
        self._child.join(GRACE)
        self._child.kill()

    async def answer(self, request: Request) -> Response:
        """Forward *request* and stream the answer. A body is forwarded when it is complete."""
        body = await request.body()
        target = request.scope["raw_path"].decode("latin-1")
        if request.url.query:
            target += f"?{request.url.query}"
        headers = [(name, value) for name, value in request.headers.items() if name not in OF_THIS_CONNECTION]
        forwarded = _ForwardedRequest(self._port)
        try:
            response = await run_sync(forwarded.send, request.method, target, headers, body, abandon_on_cancel=True)
        except asyncio.CancelledError:
            forwarded.hang_up()
            raise
        except (OSError, http.client.HTTPException) as error:
            forwarded.hang_up()
            message = f"the server on port {self._port} sent no answer: {type(error).__name__}: {error}"
            print(message, file=sys.stderr)
            return PlainTextResponse("the app's own server sent no answer", 502)
        answer = StreamingResponse(forwarded.pieces(response), response.status)
        answer.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.getheaders()
            if name.lower() not in OF_THIS_CONNECTION - {"content-length"}
        ]
        return answer

    async def forward_websocket(self, caller: WebSocket) -> None:
        """Forward the messages of a WebSocket in both directions."""
        await websockets.pass_on(caller, self._port, OF_THIS_CONNECTION)


def add_routes(app: FastAPI, server: Callable[[], OwnServer]) -> None:
    """Add a route for every path and method, and for WebSockets, that forwards requests."""

    async def forward(request: Request) -> Response:
        return await server().answer(request)

    async def forward_websocket(caller: WebSocket) -> None:
        await server().forward_websocket(caller)

    app.add_api_route("/{path:path}", forward, methods=list(METHODS), include_in_schema=False, response_model=None)
    app.add_api_websocket_route("/{path:path}", forward_websocket)


class _ForwardedRequest:
    """One request to the server on *port*, performed in worker threads."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._socket: socket.socket | None = None

    def send(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> http.client.HTTPResponse:
        """Send the request and wait for the head of its answer.

        Raises:
            OSError, HTTPException: there is none.
        """
        self._connection.connect()
        self._socket = self._connection.sock.dup()  # the connection closes its own before the answer is read
        has_host = any(name == "host" for name, _ in headers)
        self._connection.putrequest(method, target, skip_host=has_host, skip_accept_encoding=True)
        for name, value in headers:
            self._connection.putheader(name, value)
        if body or method in ("POST", "PUT", "PATCH"):
            self._connection.putheader("content-length", str(len(body)))
        self._connection.endheaders(body or None)
        return self._connection.getresponse()

    async def pieces(self, response: http.client.HTTPResponse) -> AsyncIterator[bytes]:
        """Yield the answer as it arrives. When the reader stops, the connection is closed, even while the server sends nothing."""
        try:
            while piece := await run_sync(response.read1, CHUNK, abandon_on_cancel=True):
                yield piece
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """End the request, from any thread: a shutdown of the socket wakes the waiting thread, and notifies the server."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        self._connection.close()


def _run(function: Callable[..., object], runner: int) -> None:
    """In the child: run the function in the main thread, as a separate program."""
    die_with_parent(runner)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = function()
    if inspect.iscoroutine(result):
        asyncio.run(result)
