"""Websockets of a function's own server (:mod:`fal_jupyter.runner.own_server.server`): forwards
messages between a connection to the caller and one to the server. Each connection answers pings itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Collection

from fastapi import Response, WebSocket
from fastapi.responses import PlainTextResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import CloseCode

from fal_jupyter.runner.requests.websockets import MAX_MESSAGE

_OF_A_HANDSHAKE = "sec-websocket-"
_MADE_ANEW = frozenset({"host", "date", "server"})
_BROKEN_OFF = "the app's own server closed the connection"


class _Connect(connect):
    """Does not follow redirects: the caller decides."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def pass_on(caller: WebSocket, port: int, of_one_connection: Collection[str]) -> None:
    """Open the WebSocket that *caller* requests at the server on *port*, and forward messages until one of them closes.

    Args:
        of_one_connection: lower-case names of hop-by-hop headers, which are not forwarded.
    """
    left_out = {*of_one_connection, *_MADE_ANEW}

    def passed(headers: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        passed_headers = ((name.lower(), value) for name, value in headers)
        return [
            (name, value)
            for name, value in passed_headers
            if name not in left_out and not name.startswith(_OF_A_HANDSHAKE)
        ]

    target = caller.scope["raw_path"].decode("latin-1")
    if caller.url.query:
        target += f"?{caller.url.query}"
    try:
        server = await _Connect(
            f"ws://{caller.headers.get('host', f'127.0.0.1:{port}')}{target}",
            host="127.0.0.1",
            port=port,
            proxy=None,
            subprotocols=caller.scope["subprotocols"] or None,
            additional_headers=passed(caller.headers.items()),
            user_agent_header=None,  # the caller's is among its headers
            compression=None,
            open_timeout=None,  # as long as the caller waits
            ping_interval=None,
            max_size=MAX_MESSAGE,
        )
    except InvalidStatus as refused:
        answer = refused.response
        denial = Response(bytes(answer.body), answer.status_code)
        denial.raw_headers += [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in passed(list(answer.headers.raw_items()))
        ]
        await caller.send_denial_response(denial)
        return
    except (OSError, InvalidHandshake, EOFError) as error:
        message = f"the server on port {port} did not accept a WebSocket at {target}: {type(error).__name__}: {error}"
        print(message, file=sys.stderr)
        await caller.send_denial_response(PlainTextResponse("the app's own server did not accept the WebSocket", 502))
        return
    try:
        assert server.response is not None
        headers = passed(list(server.response.headers.raw_items()))
        await caller.accept(server.subprotocol, [(name.encode(), value.encode("latin-1")) for name, value in headers])
        await _pump_both_ways(caller, server)
    finally:
        server.transport.abort()  # already closed, unless this was cancelled


async def _pump_both_ways(caller: WebSocket, server: ClientConnection) -> None:
    """Forward messages in both directions; when one side closes, both end."""
    ways = {asyncio.create_task(_from_caller(caller, server)), asyncio.create_task(_from_server(caller, server))}
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    for way in done:
        way.result()


async def _from_caller(caller: WebSocket, server: ClientConnection) -> None:
    while (message := await caller.receive())["type"] == "websocket.receive":
        data = message.get("bytes")
        with contextlib.suppress(WebSocketException):  # the server has closed, which the other direction reports
            await server.send(message["text"] if data is None else data)
    if message["code"] == CloseCode.ABNORMAL_CLOSURE:
        return  # silently, like the end of the other connection
    code = None if message["code"] == CloseCode.NO_STATUS_RCVD else message["code"]
    await server.close(code, message.get("reason") or "")  # type: ignore[arg-type]  # None: no code in the frame


async def _from_server(caller: WebSocket, server: ClientConnection) -> None:
    with contextlib.suppress(WebSocketException):
        while True:
            message = await server.recv()
            await (caller.send_text(message) if isinstance(message, str) else caller.send_bytes(message))
    code, reason = server.close_code or 0, server.close_reason or ""
    if code in (0, CloseCode.ABNORMAL_CLOSURE):
        code, reason = CloseCode.INTERNAL_ERROR, _BROKEN_OFF
    await caller.close(code, reason)
