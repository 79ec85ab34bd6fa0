"""``fal.apps``: call apps by their ids, with the names, answers and exceptions of the real package (fal 1.83.0, measured).

Requests go to the hosts in ``FAL_RUN_HOST``, ``FAL_QUEUE_RUN_HOST`` and ``FAL_WS_RUN_HOST`` with ``FAL_KEY``, as ``fal-jupyter env``
and runners have them; where none is set, to this process's gateway with its key.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fal_jupyter.fal.destinations import Destination, http, http_client, reached
from fal_jupyter.outbound_http import websocket_options

if TYPE_CHECKING:
    import httpx

__all__ = ["Completed", "InProgress", "Queued", "RequestHandle", "run", "stream", "submit", "ws"]

_ATTEMPTS = 10  # of reading a status or a result
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 30.0  # seconds
_TRANSIENT = frozenset({408, 409, 429})
_OF_A_PROXY = frozenset({502, 503, 504})
_POLL = 0.2  # seconds between two looks at a request
_OPEN_PATIENCE = 90.0  # seconds for a websocket to open: a runner may have to start


@dataclass
class _Status:
    """State of a queued request."""


@dataclass
class Queued(_Status):
    """It waits; *position* requests are ahead of it."""

    position: int


@dataclass
class InProgress(_Status):
    """A runner works on it. *logs* are None unless they were asked for."""

    logs: list[dict[str, Any]] | None = field()


@dataclass
class Completed(_Status):
    """It has ended, well or not: then *error* says why, and *error_type* of which kind that is."""

    logs: list[dict[str, Any]] | None = field()
    error: str | None = None
    error_type: str | None = None


@dataclass
class RequestHandle:
    """A queued request.

    Attributes:
        app_id: ``owner/alias``; further parts of a path are cut off, but for workflows (``workflows/owner/name``).
        request_id: as :func:`submit` received it.
    """

    app_id: str
    request_id: str
    _reached: Destination = field(default_factory=reached, repr=False)

    def __post_init__(self) -> None:
        parts = _full_id(self.app_id).split("/")
        self.app_id = "/".join(parts[: 3 if parts[0] == "workflows" else 2])

    def status(self, *, logs: bool = False) -> _Status:
        """Ask for its status.

        Raises:
            httpx.HTTPError: the request is unknown, or there is no answer.
            ValueError: the answer names a state that this version does not know.
        """
        answer = self._read("/status/", params={"logs": int(logs)})
        payload = answer.json()
        if answer.status_code == 200:
            return Completed(payload["logs"], payload.get("error"), payload.get("error_type"))
        match payload["status"]:
            case "IN_QUEUE":
                return Queued(payload["queue_position"])
            case "IN_PROGRESS":
                return InProgress(payload["logs"])
            case other:
                raise ValueError(f"Unknown status: {other}")

    def cancel(self) -> None:
        """Ask for its end.

        Raises:
            httpx.HTTPError: it has ended already, is unknown, or there is no answer.
        """
        http_client().put(f"{self._address}/cancel", headers=self._reached.headers).raise_for_status()

    def iter_events(self, *, logs: bool = False) -> Iterator[_Status]:
        """Yield its state, every 0.2 s, until it has ended."""
        while not isinstance(state := self.status(logs=logs), Completed):
            yield state
            time.sleep(_POLL)

    def fetch_raw_response(self) -> httpx.Response:
        """Return its answer as the app gave it.

        Raises:
            httpx.HTTPStatusError: the app failed, or has not answered yet; the message is the status and the body if that is JSON.
        """
        httpx = http("fal.apps")
        try:
            return self._read("/")
        except httpx.HTTPStatusError as error:
            answer = error.response
            if "application/json" not in answer.headers.get("content-type", ""):
                raise
            message = f"{answer.status_code}: {answer.text}"
            raise httpx.HTTPStatusError(message, request=error.request, response=answer) from error

    def fetch_result(self) -> dict[str, Any]:
        """Return its answer, from JSON; see :meth:`fetch_raw_response`."""
        result: dict[str, Any] = self.fetch_raw_response().json()
        return result

    def get(self) -> dict[str, Any]:
        """Wait for its end, and give its answer; see :meth:`fetch_raw_response`."""
        for _ in self.iter_events():
            pass
        return self.fetch_result()

    @property
    def _address(self) -> str:
        return f"{self._reached.queue}/{self.app_id}/requests/{self.request_id}"

    def _read(self, below: str, **more: Any) -> httpx.Response:
        """Send a request that may be repeated: temporary failures are retried."""
        httpx = http("fal.apps")
        for attempt in range(_ATTEMPTS):
            try:
                answer = http_client().get(self._address + below, headers=self._reached.headers, **more)
                return answer.raise_for_status()
            except httpx.HTTPError as error:
                if attempt + 1 == _ATTEMPTS or not _passes(error):
                    raise
            time.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)))
        raise AssertionError("the last attempt returns or raises")


def _passes(error: Any) -> bool:
    """True for a failure that another attempt may not meet: of the connection, of a proxy before the gateway, or by its status."""
    answer = getattr(error, "response", None)
    if answer is None:
        return isinstance(error, http("fal.apps").TransportError)
    if answer.status_code in _OF_A_PROXY:
        return "x-fal-request-id" not in answer.headers and "nginx" in answer.text
    return answer.status_code in _TRANSIENT


def submit(app_id: str, arguments: dict[str, Any], *, path: str = "") -> RequestHandle:
    """Put a request into the app's queue.

    Args:
        app_id: ``owner/alias``. arguments: the body, made into JSON. path: the endpoint's; "" is ``/``.

    Raises:
        httpx.HTTPError: it is refused, or there is no answer.
        UserError: httpx is not installed, or there is no gateway to ask.
    """
    destination = reached()
    answer = (
        http_client()
        .post(_address(destination.queue, app_id, path), json=arguments, headers=destination.headers)
        .raise_for_status()
    )
    return RequestHandle(_full_id(app_id), answer.json()["request_id"], destination)


def run(app_id: str, arguments: dict[str, Any], *, path: str = "") -> dict[str, Any]:
    """Call the app by its queue, and give its answer; see :func:`submit` and :meth:`RequestHandle.get`."""
    return submit(app_id, arguments, path=path).get()


def stream(app_id: str, arguments: dict[str, Any], *, path: str = "") -> Iterator[str | bytes]:
    """Call the app directly, and give its answer as it comes: the lines of events, or the bytes of anything else.

    Raises:
        httpx.HTTPError: at the first piece: the app failed, or there is no answer.
    """
    httpx, destination = http("fal.apps"), reached()
    patience = httpx.Timeout(_OPEN_PATIENCE, read=None)  # an app says nothing for as long as its model takes
    response = http_client().stream(
        "POST", _address(destination.run, app_id, path), json=arguments, headers=destination.headers, timeout=patience
    )
    with response as answer:
        if answer.is_error:
            answer.read()  # so that the exception's response has its body
        answer.raise_for_status()
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            yield from filter(None, answer.iter_lines())
        else:
            yield from answer.iter_bytes()


@dataclass
class _RealtimeConnection:
    """A realtime endpoint's websocket: one message for one dict, in msgpack unless other functions are given."""

    _ws: Any
    _encode_message: Callable[[Any], bytes] | None = None
    _decode_message: Callable[[bytes], Any] | None = None

    def run(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Send *arguments*, and give the next answer."""
        self.send(arguments)
        return self.recv()

    def send(self, arguments: dict[str, Any]) -> None:
        """Send *arguments*."""
        self._ws.send((self._encode_message or _packed)(arguments))

    def recv(self) -> dict[str, Any]:
        """Return the next answer; a text, which is a notice, is printed.

        Raises:
            ValueError: the app sent an error; its reason.
        """
        while isinstance(message := self._ws.recv(), str):
            print(message)
            notice = json.loads(message)
            if notice.get("type") == "x-fal-error":
                raise ValueError(notice["reason"])
        answer: dict[str, Any] = (self._decode_message or _unpacked)(message)
        return answer


def _packed(value: Any) -> bytes:
    import msgpack  # start-up

    data: bytes = msgpack.packb(value, use_bin_type=True)
    return data


def _unpacked(data: bytes) -> Any:
    import msgpack  # start-up

    return msgpack.unpackb(data, raw=False)


@contextmanager
def _connect(
    app_id: str,
    *,
    path: str = "/realtime",
    encode_message: Callable[[Any], bytes] | None = None,
    decode_message: Callable[[bytes], Any] | None = None,
) -> Iterator[_RealtimeConnection]:
    """Open a realtime endpoint. Internal in the real package too."""
    destination = reached()
    with _open(_address(destination.realtime, app_id, path), destination) as connection:
        yield _RealtimeConnection(connection, encode_message, decode_message)


@dataclass
class _WSConnection:
    """An endpoint of HTTP over a websocket: for each message sent, a start, the answer's pieces, and an end."""

    _ws: Any

    def run(self, arguments: dict[str, Any]) -> bytes:
        """Send *arguments*, and give the next answer's body."""
        self.send(arguments)
        return self.recv()

    def send(self, arguments: dict[str, Any]) -> None:
        """Send *arguments*; answers come in the order of what was sent."""
        self._ws.send(json.dumps(arguments))

    def recv(self) -> bytes:
        """Return the next answer's whole body."""
        return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in self.stream())

    def stream(self) -> Iterator[str | bytes]:
        """Yield the next answer's body as it comes.

        Raises:
            ValueError: something else came where the protocol has a start or an end.
        """
        notice = _notice_of(self._ws.recv())
        if notice is None or notice["type"] != "start":
            raise ValueError("Expected a start message")
        while (ended := _notice_of(piece := self._ws.recv())) is None:
            yield piece
        if ended["type"] != "end":
            raise ValueError("Expected a end message")
        if ended["request_id"] != notice["request_id"]:
            raise ValueError("Mismatched request_id in end message")


def _notice_of(message: str | bytes) -> dict[str, Any] | None:
    """Return what a start or an end says; None for a piece of an answer."""
    if isinstance(message, bytes):
        return None
    try:
        notice = json.loads(message)
    except ValueError:
        return None
    return notice if isinstance(notice, dict) and "type" in notice and "request_id" in notice else None


@contextmanager
def ws(app_id: str, *, path: str = "") -> Iterator[_WSConnection]:
    """Open a websocket over which an ordinary endpoint is called again and again.

    Raises:
        websockets.exceptions.WebSocketException: it is refused.
    """
    destination = reached()
    with _open(_address(destination.speaker, app_id, path), destination) as connection:
        yield _WSConnection(connection)


def _open(address: str, destination: Destination) -> Any:
    from websockets.sync import client  # start-up

    return client.connect(
        address,
        additional_headers=destination.headers,
        open_timeout=_OPEN_PATIENCE,
        max_size=None,
        **websocket_options(address),
    )


def _full_id(app_id: str) -> str:
    """Return ``owner/alias``; ids of old are written ``owner-alias``."""
    return app_id if "/" in app_id else app_id.replace("-", "/", 1)


def _address(base: str, app_id: str, path: str) -> str:
    below = path.removeprefix("/")
    return f"{base}/{_full_id(app_id)}" + (f"/{below}" if below else "")
