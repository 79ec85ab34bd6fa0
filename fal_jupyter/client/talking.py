"""``with Hello.realtime.talk() as ws``: a websocket endpoint of one's own app, message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fal_jupyter.client import connect
from fal_jupyter.domain.errors import BadArguments, RequestError
from fal_jupyter.fal.realtime import RealtimeOptions
from fal_jupyter.protocol.api import H_REQUEST_ID, RUN

if TYPE_CHECKING:
    from fal_jupyter.client.client import Client

IDLE = "TIMEOUT"  # fal's name of a session's ordinary end


@dataclass(frozen=True, slots=True)
class _Failed:
    """The session failed; the error is raised when the socket is closed."""

    error: RequestError


class Talk:
    """One session. ``send`` an input and ``recv`` an output, or iterate over the outputs; as ``async with`` these are awaited.

    Inputs of a realtime endpoint are dicts (or pydantic models), outputs are dicts, or the model that the endpoint's annotation
    names. A raw websocket sends and receives text and bytes.
    """

    def __init__(
        self, client: Client, alias: str, path: str, method: Callable[..., Any], options: RealtimeOptions | None,
        query: dict[str, Any], explain: Callable[[RequestError], RequestError],
    ) -> None:  # fmt: skip
        self._client, self._explain, self._options = client, explain, options
        asked = f"?{urlencode(query)}" if query else ""
        self._address = f"ws://localhost{RUN}{client.settings.owner}/{alias}{quote(path, safe='/')}{asked}"
        self._name = getattr(method, "__name__", path)
        model = options.output_of(method) if options is not None else None
        self._model = model if hasattr(model, "model_validate") else None
        self._socket: Any = None

    def __repr__(self) -> str:
        return f"<session of {self._name}: with … as ws>"

    # --- messages -------------------------------------------------------------------------------------------------
    def _encode(self, value: Any) -> Any:
        if self._options is None or self._options.decode_message is not None:
            if not isinstance(value, str | bytes):
                raise BadArguments(f"{self._name} takes text or bytes, not {type(value).__name__}")
            return value
        import msgpack

        plain = value.model_dump(mode="python") if hasattr(value, "model_dump") else value
        if not isinstance(plain, dict):
            raise BadArguments(f"an input of {self._name} is a dict or a pydantic model, not {type(value).__name__}")
        return msgpack.packb(plain, use_bin_type=True)

    def _decode(self, message: Any) -> Any:
        """Give the value of a message; None at the session's ordinary end."""
        if self._options is None:
            return message
        if isinstance(message, str):
            found = _json(message)
            if isinstance(found, dict) and found.get("type") == "x-fal-error":
                return self._told(found)
            return found
        if self._options.encode_message is not None:
            return message
        import msgpack

        value = msgpack.unpackb(message, raw=False)
        return self._model.model_validate(value) if self._model is not None else value

    def _told(self, error: dict[str, Any]) -> _Failed | None:
        if error.get("error") == IDLE:
            return None
        told = error.get("reason") or error.get("error")
        return _Failed(
            RequestError(
                f"{self._name}: {told}",
                status=500,
                error_type="runner_server_error",
                detail=told,
                request_id=self._id(),
            )
        )

    def _id(self) -> str:
        response = self._socket.response
        return str(response.headers.get(H_REQUEST_ID, "")) if response is not None else ""

    def _refused(self, error: Any) -> RequestError:
        response = error.response
        detail = _json(response.body.decode("utf-8", "replace")) if response.body else ""
        told = detail.get("detail", detail) if isinstance(detail, dict) else detail
        return RequestError(
            f"{self._name} refused the websocket: {response.status_code} {told}".rstrip(),
            status=response.status_code,
            detail=told,
            request_id=response.headers.get(H_REQUEST_ID, ""),
        )

    # --- plain ----------------------------------------------------------------------------------------------------
    def __enter__(self) -> Talk:
        from websockets.exceptions import InvalidStatus
        from websockets.sync.client import connect as open_socket

        self._client.ensure()
        sock = connect.dial(self._client.settings)
        try:
            self._socket = open_socket(self._address, sock=sock, max_size=None, compression=None, open_timeout=None)
        except InvalidStatus as error:
            sock.close()
            raise self._refused(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, value: Any) -> Any:
        """Send one input. (Inside ``async with``: await it.)"""
        return self._socket.send(self._encode(value))

    def recv(self, timeout: float | None = None) -> Any:
        """Wait for the next output; None when the session has ended. (Inside ``async with``: ``await ws.arecv()``.)

        Raises:
            RequestError: the endpoint failed; the user's own traceback is in it.
            TimeoutError: none came within *timeout* seconds.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            value = self._decode(self._socket.recv(timeout=timeout))
        except ConnectionClosed as closed:
            value = self._closed(closed)
        if isinstance(value, _Failed):
            self._socket.close()  # what the gateway knows of it is complete then
            raise self._explain(value.error) from None
        return value

    def __iter__(self) -> Iterator[Any]:
        while (value := self.recv()) is not None:
            yield value

    def _closed(self, closed: Any) -> _Failed | None:
        code = closed.rcvd.code if closed.rcvd is not None else 1006
        if code in (1000, 1001, 1005):
            return None
        reason = closed.rcvd.reason if closed.rcvd is not None else "the connection broke off"
        told = f"{self._name} closed with {code} {reason}".rstrip()
        return _Failed(RequestError(told, status=500, detail=reason, request_id=self._id()))

    # --- asynchronous -----------------------------------------------------------------------------------------------
    async def __aenter__(self) -> Talk:
        from websockets.asyncio.client import connect as open_socket
        from websockets.exceptions import InvalidStatus

        await asyncio.to_thread(self._client.ensure)
        sock = connect.dial(self._client.settings)
        try:
            self._socket = await open_socket(
                self._address, sock=sock, max_size=None, compression=None, open_timeout=None, proxy=None
            )
        except InvalidStatus as error:
            sock.close()
            raise self._refused(error) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def arecv(self) -> Any:
        """Wait for the next output; None when the session has ended.

        Raises:
            RequestError: the endpoint failed; the user's own traceback is in it.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            value = self._decode(await self._socket.recv())
        except ConnectionClosed as closed:
            value = self._closed(closed)
        if isinstance(value, _Failed):
            await self._socket.close()
            raise await asyncio.to_thread(self._explain, value.error) from None
        return value

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (value := await self.arecv()) is not None:
            yield value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
