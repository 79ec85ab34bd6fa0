"""``with Hello.realtime.talk() as ws``: a session with a WebSocket endpoint of the user's own app."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fal_jupyter.client.calls.events import value_of
from fal_jupyter.client.calls.interface import CallingClient
from fal_jupyter.client.calls.interrupts import one_line, show_as
from fal_jupyter.client.calls.results import failure
from fal_jupyter.client.calls.session_output import PATIENCE, SessionOutput
from fal_jupyter.client.connection.answer import Answer, OnOutput
from fal_jupyter.client.connection.flows import Flow, in_thread, on_loop, run, run_async
from fal_jupyter.domain.errors import BadArguments, RequestError
from fal_jupyter.fal.classes.realtime_options import RealtimeOptions, mode_of
from fal_jupyter.protocol.api import H_REQUEST_ID, H_REVISION, RUN

if TYPE_CHECKING:
    from websockets.exceptions import ConnectionClosed

IDLE = "TIMEOUT"  # fal's name for a normal end of a session
ORDINARY = (1000, 1001, 1005)  # close codes of a normal end
BLOCK_ENDED = "its with block is over"
HURRY = 0.5  # seconds that an interrupted session waits for the closing handshake
DEEP = 20  # levels of nesting in which the invalid value is searched for


@dataclass(frozen=True, slots=True)
class _Failed:
    """The session failed; the error is raised when the socket is closed."""

    error: RequestError


class RealtimeSession:
    """One session. ``send`` an input and ``recv`` an output, or iterate over the outputs; in ``async with`` these are awaited.

    Inputs of a realtime endpoint are dicts (or pydantic models), outputs are dicts, or the model that the endpoint's annotation
    names. A raw websocket sends and receives text and bytes.
    """

    def __init__(
        self, client: CallingClient, app: str, path: str, method: Callable[..., object], options: RealtimeOptions | None,
        query: dict[str, object], name_places: Callable[[str], str], where: str, on_output: OnOutput | None,
        opened: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._client, self._name_places, self._options, self._where = client, name_places, options, where
        self._class_name = where.partition(".")[0]
        self._alias, self._on_output, self._opened = app.partition("/")[2], on_output, opened
        self._output: SessionOutput | None = None
        query_text = f"?{urlencode(query)}" if query else ""
        self._address = f"ws://localhost{RUN}{app}{quote(path, safe='/')}{query_text}"
        self._name = getattr(method, "__name__", path)
        model = options.output_of(method) if options is not None else None
        self._model = model if hasattr(model, "model_validate") else None
        # in the other modes of realtime, and at a raw websocket, the endpoint's code runs before the first input
        self._repeatable = options is not None and mode_of(method) in ("unary", "server_streaming")
        self._socket: Any = None
        self._awaited = False
        self._ending = ""  # how the session ended
        self._rest: deque[object] = deque()  # outputs that were read when an input could not be sent any more

    def __repr__(self) -> str:
        return f"<session {self._where}(): with … as ws>"

    def _begin(self, *, awaited: bool) -> None:
        self._socket, self._awaited, self._ending = None, awaited, ""
        self._rest.clear()

    def _check(self, *, awaited: bool | None = None, instead: str = "") -> None:
        """Raise if the session is not open or was opened for the other kind of block; *instead* is what to write then."""
        __tracebackhide__ = True
        if self._socket is None:
            how = f"use it with: with {self._where}() as ws: …"
            raise BadArguments(f"the session {self._where}() is not open", hint=how)
        if awaited is not None and awaited is not self._awaited:
            block = "async with" if self._awaited else "with"
            raise BadArguments(
                f"this session was opened by: {block} {self._where}() as ws", hint=f"use it with: {instead}"
            )

    # --- messages -------------------------------------------------------------------------------------------------
    def _encode(self, value: object) -> object:
        if self._options is None or self._options.decode_message is not None:
            if not isinstance(value, str | bytes):
                raise BadArguments(f"{self._name} takes text or bytes, not {type(value).__name__}")
            return value
        import msgpack  # start-up

        plain = value.model_dump(mode="python") if hasattr(value, "model_dump") else value
        if not isinstance(plain, dict):
            raise BadArguments(f"an input of {self._name} is a dict or a pydantic model, not {type(value).__name__}")
        try:
            return msgpack.packb(plain, use_bin_type=True)
        except (TypeError, ValueError, OverflowError) as error:
            raise _unsendable(plain, f"the input of {self._name}", error) from None

    def _decode(self, message: object) -> object:
        """Return the value of a message; None at the session's normal end."""
        if self._options is None:
            return message
        if isinstance(message, str):
            decoded = value_of(message)
            if isinstance(decoded, dict) and decoded.get("type") == "x-fal-error":
                return self._failure_of(decoded)
            return decoded
        if self._options.encode_message is not None:
            return message
        import msgpack  # start-up

        value = msgpack.unpackb(message, raw=False)
        return self._model.model_validate(value) if self._model is not None else value

    def _failure_of(self, error: Mapping[str, object]) -> _Failed | None:
        if error.get("error") == IDLE:
            self._ending = "no input came for as long as its session_timeout"
            return None
        reason = error.get("reason") or error.get("error")
        return _Failed(
            RequestError(
                f"{self._name}: {reason}",
                status=500,
                error_type="runner_server_error",
                detail=reason,
                request_id=self._id(),
            )
        )

    def _id(self) -> str:
        response = self._socket.response
        return str(response.headers.get(H_REQUEST_ID, "")) if response is not None else ""

    def _revision(self) -> int:
        """The revision that serves the session."""
        response = self._socket.response
        return int(response.headers.get(H_REVISION, "0")) if response is not None else 0

    def _closed(self, closed: ConnectionClosed) -> _Failed | None:
        code = closed.rcvd.code if closed.rcvd is not None else 1006
        if code in ORDINARY:
            self._ending = self._ending or f"the endpoint closed it ({code})"
            return None
        reason = closed.rcvd.reason if closed.rcvd is not None else "the connection broke off"
        message = f"{self._name} closed with {code} {reason}".rstrip()
        return _Failed(RequestError(message, status=500, detail=reason, request_id=self._id()))

    def _explained(self, failed: _Failed) -> RequestError:
        """Add the user's own traceback, which the gateway keeps for the owner."""
        error = failed.error
        error.message = f"{self._class_name}.{error.message}"
        described = self._client.control.failure_of(error.request_id) if error.request_id else None
        if described is not None:
            error.error, error.traceback = dict(described), self._name_places(described["text"])
        self._ending = f"it failed: {error.message}"
        return error

    def _refused(self, answer: Answer) -> RequestError:
        """Return the error of a refused handshake: that of a call with the same answer."""
        request_id = answer.header(H_REQUEST_ID)
        answer.error = self._client.control.failure_of(request_id) if request_id else None
        error = failure(answer, f"{self._class_name}.{self._name}")
        error.traceback = self._name_places(error.traceback)
        return error

    def _over(self) -> RequestError:
        """The error of an input sent after the session's end."""
        message = f"the session {self._where}() has ended, so nothing can be sent: {self._ending}"
        return RequestError(message, request_id=self._id(), hint=f"open another one: with {self._where}() as ws: …")

    def _follow(self) -> SessionOutput:
        return SessionOutput(self._client, self._alias, self._id(), self._on_output)

    def _show_the_rest(self) -> None:
        if self._output is not None:
            self._output.end(min(PATIENCE, self._socket.close_timeout))

    # --- the session, for threads and for asyncio -----------------------------------------------------------------
    def _drive(self, flow: Flow[object]) -> Any:
        """Return the value of *flow*, or, in an ``async with`` block, an awaitable of it."""
        __tracebackhide__ = True
        if self._awaited:
            return self._await(flow)
        with one_line(f"{self._where}()"):
            return run(flow)

    async def _await(self, flow: Flow[object]) -> Any:
        __tracebackhide__ = True
        with one_line(f"{self._where}()"):
            return await run_async(flow)

    def _enter(self, *, awaited: bool) -> Flow[RealtimeSession]:
        from websockets.exceptions import InvalidStatus  # start-up

        from fal_jupyter.client.connection.handshakes import LoopHandshake, ThreadHandshake, open_session  # start-up

        handshake_of = LoopHandshake if awaited else ThreadHandshake
        connections = self._client.connections
        try:
            self._socket = yield from open_session(
                connections, self._address, handshake_of, repeatable=self._repeatable
            )
        except InvalidStatus as error:
            response = error.response
            answer = Answer(response.status_code, list(response.headers.raw_items()), bytes(response.body or b""))
            raise (yield from in_thread(partial(self._refused, answer))) from None
        self._opened(self._revision())
        self._output = yield from in_thread(self._follow)
        return self

    def _exit(self, kind: type[BaseException] | None) -> Flow[None]:
        if kind is not None and not issubclass(kind, Exception):
            self._socket.close_timeout = HURRY  # an interrupt does not wait for an endpoint that is busy with an input
        yield from on_loop(self._socket.close)
        yield from in_thread(self._show_the_rest)
        self._ending = self._ending or BLOCK_ENDED

    def _send(self, message: object) -> Flow[None]:
        from websockets.exceptions import ConnectionClosed  # start-up

        if self._ending:
            raise self._over()
        try:
            yield from on_loop(partial(self._socket.send, message))
            return
        except ConnectionClosed:
            failed = yield from self._read_rest()
        if failed is None:
            raise self._over() from None
        raise (yield from in_thread(partial(self._explained, failed))) from None

    def _read_rest(self) -> Flow[_Failed | None]:
        """The peer has closed: keep its last outputs for later ``recv`` calls, and record how it ended."""
        from websockets.exceptions import ConnectionClosed  # start-up

        try:
            while not isinstance(value := self._decode((yield from on_loop(self._socket.recv))), _Failed):
                self._rest.append(value)
        except ConnectionClosed as closed:
            return self._closed(closed)
        return value

    def _recv(self, timeout: float | None) -> Flow[object]:
        from websockets.exceptions import ConnectionClosed  # start-up

        if self._rest:
            return self._rest.popleft()
        try:
            value = self._decode((yield from on_loop(partial(self._next_message, timeout))))
        except TimeoutError:
            late = TimeoutError(f"no output of {self._where}() came within {timeout or 0:g} s")
            show_as(late, str(late))
            raise late from None
        except ConnectionClosed as closed:
            value = self._closed(closed)
        if isinstance(value, _Failed):
            yield from on_loop(self._socket.close)  # after that, the gateway's record of it is complete
            raise (yield from in_thread(partial(self._explained, value))) from None
        return value

    def _next_message(self, timeout: float | None) -> object:
        return self._await_message(timeout) if self._awaited else self._socket.recv(timeout=timeout)

    async def _await_message(self, timeout: float | None) -> object:
        async with asyncio.timeout(timeout):
            return await self._socket.recv()

    # --- public methods -------------------------------------------------------------------------------------------
    def __enter__(self) -> RealtimeSession:
        __tracebackhide__ = True
        self._begin(awaited=False)
        self._drive(self._enter(awaited=False))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._drive(self._exit(kind))

    async def __aenter__(self) -> RealtimeSession:
        __tracebackhide__ = True
        self._begin(awaited=True)
        await self._drive(self._enter(awaited=True))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._drive(self._exit(kind))

    def send(self, value: object) -> Any:
        """Send one input. (Inside ``async with``: await it.)

        Raises:
            BadArguments: it is not an input of this endpoint, or a message cannot hold it.
            RequestError: the session has ended; the message says how.
        """
        __tracebackhide__ = True
        self._check()
        return self._drive(self._send(self._encode(value)))

    def recv(self, timeout: float | None = None) -> Any:
        """Wait for the next output; None when the session has ended. (Inside ``async with``: await it.)

        Raises:
            RequestError: the endpoint failed; the user's own traceback is in it.
            TimeoutError: none came within *timeout* seconds.
        """
        __tracebackhide__ = True
        self._check()
        return self._drive(self._recv(timeout))

    async def arecv(self, timeout: float | None = None) -> Any:
        """The same as ``await ws.recv()``."""
        __tracebackhide__ = True
        self._check(awaited=True, instead="ws.recv()")
        return await self._drive(self._recv(timeout))

    def __iter__(self) -> Iterator[Any]:
        self._check(awaited=False, instead="async for … in ws")
        while (value := self.recv()) is not None:
            yield value

    async def __aiter__(self) -> AsyncIterator[Any]:
        self._check(awaited=True, instead="for … in ws")
        while (value := await self.arecv()) is not None:
            yield value


def _unsendable(value: object, where: str, error: Exception) -> BadArguments:
    """Return an error that names the location of a value that msgpack cannot encode."""
    location, culprit = _find_unsendable(value, where, 0)
    if isinstance(error, TypeError):
        kind = type(culprit)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        message = f"{location} is a {name}, which a message cannot hold"
        return BadArguments(message, hint="send text, numbers, bytes, lists or dicts")
    return BadArguments(f"{location} cannot be sent: {error}", hint="send text, numbers, bytes, lists or dicts")


def _find_unsendable(value: object, where: str, depth: int) -> tuple[str, object]:
    """Return the innermost value inside *value* that msgpack cannot encode, and its location."""
    if depth < DEEP and isinstance(value, dict):
        for key, item in value.items():
            if not _packs(key):
                return f"the key {key!r:.60} of {where}", key
            if not _packs(item):
                return _find_unsendable(item, f"{where}[{key!r:.60}]", depth + 1)
    if depth < DEEP and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if not _packs(item):
                return _find_unsendable(item, f"{where}[{index}]", depth + 1)
    return where, value


def _packs(value: object) -> bool:
    import msgpack  # start-up

    try:
        msgpack.packb(value, use_bin_type=True)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
