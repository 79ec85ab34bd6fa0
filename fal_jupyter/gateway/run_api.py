"""The data plane: ``/run/{owner}/{alias}/{path}`` on Tornado's low-level interface, where every microsecond counts.

Order of refusals: Host (421) → path (400, 404) → key (401) → app (404) → size (413).
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Awaitable
from http.client import responses
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application

from fal_jupyter.gateway.exchange import LINGER, Exchange, Hub
from fal_jupyter.gateway.keys import Keys
from fal_jupyter.protocol.api import ERROR_STATUS, H_ENDPOINT, H_ERROR_TYPE, H_OWNER, H_REQUEST_ID, RUN
from fal_jupyter.protocol.frames import CHUNK
from fal_jupyter.settings import Settings

_encode = msgspec.json.encode
_DROPPED = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
        "upgrade", "authorization", "cookie", "expect", H_REQUEST_ID, H_ENDPOINT, H_OWNER,
    }
)  # fmt: skip
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Apps(Hub, Protocol):
    """What the data plane asks of the engine."""

    def auth_of(self, alias: str) -> str | None:
        """The app's auth mode, or None when there is no such app."""


class Front(HTTPServerConnectionDelegate):
    """Routes requests of one listener: the data plane here, all else to *application* (Unix socket) or nowhere (TCP)."""

    def __init__(self, apps: Apps, keys: Keys, settings: Settings, application: Application | None) -> None:
        self.apps, self.keys, self.settings, self.application = apps, keys, settings, application
        self.port = 0
        self.prefix = f"{RUN}{settings.owner}/"
        self._seed, self._count = uuid.uuid4().hex, 0

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Message(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Exchanges hear of it by their own close callback."""

    def new_id(self) -> str:
        """A request id nobody can guess another from."""
        return str(uuid.UUID(bytes=os.urandom(16), version=4))


class _Message(HTTPMessageDelegate):
    """One request while it arrives."""

    __slots__ = ("conn", "exchange", "front", "headers", "inner", "linger", "received", "refusal", "server_conn")

    def __init__(self, front: Front, server_conn: object, conn: HTTPConnection) -> None:
        self.front, self.server_conn, self.conn = front, server_conn, conn
        self.inner: HTTPMessageDelegate | None = None
        self.exchange: Exchange | None = None
        self.received = 0
        self.headers: HTTPHeaders | None = None
        self.refusal: tuple[int, str, str] | None = None
        self.linger: asyncio.TimerHandle | None = None

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        front, self.headers = self.front, headers
        line: RequestStartLine = start_line
        if front.application is None:
            if not _own_host(headers.get("Host", ""), front.port):
                self._refuse(421, "bad_request", "this address is for 127.0.0.1 and localhost only")
                return None
        elif not line.path.startswith(RUN):
            self.inner = front.application.start_request(self.server_conn, self.conn)
            return self.inner.headers_received(start_line, headers)
        path, _, query = line.path.partition("?")
        if not path.startswith(RUN):
            self._refuse(404, "", "Not found")
            return None
        if _hostile(path):
            self._refuse(400, "bad_request", "the path has '..' or a control character in it")
            return None
        trusted = front.application is not None  # the Unix socket: the peer's uid was checked when it connected
        owner, _, rest = path[len(RUN) :].partition("/")
        alias, slash, below = rest.partition("/")
        auth = front.apps.auth_of(alias) if owner == front.settings.owner else None
        if not trusted and auth != "public" and not front.keys.admits(headers.get("Authorization", "")):
            self._refuse(401, "", "missing or wrong key: send Authorization: Key id:secret")
            return None
        if auth is None:
            self._refuse(404, "", f"no app {owner}/{alias} is running here"[:300])
            return None
        length = headers.get("Content-Length")
        if length is not None and length.isdigit() and int(length) > front.settings.max_body:
            self._refuse(413, "bad_request", self._limit_sentence())
            return None
        request_id = front.new_id()
        below = slash + below or "/"
        kept = [(name, value) for name, value in _pairs(headers) if name not in _DROPPED]
        kept += [(H_REQUEST_ID, request_id), (H_ENDPOINT, below)]
        head = _encode({"id": request_id, "method": line.method, "path": below, "query": query, "headers": kept})
        framed = trusted and headers.get(H_OWNER) == "frames"
        self.exchange = Exchange(front.apps, self.conn, request_id, alias, head, framed=framed)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self.inner is not None:
            return self.inner.data_received(chunk)
        if self.exchange is None:
            return None  # refused; the rest of its body is let go
        self.received += len(chunk)
        if self.received > self.front.settings.max_body:
            exchange, self.exchange = self.exchange, None
            if exchange.withdraw():
                self._refuse(413, "bad_request", self._limit_sentence())
            return None
        return self.exchange.take(chunk)

    def finish(self) -> None:
        if self.inner is not None:
            self.inner.finish()
        elif self.exchange is not None:
            self.exchange.complete()
        elif self.linger is not None:
            self.linger.cancel()
            self.conn.finish()
        elif self.refusal is not None:
            self._answer(*self.refusal)
            self.conn.finish()

    def on_connection_close(self) -> None:
        if self.inner is not None:
            self.inner.on_connection_close()
        elif self.exchange is not None:
            self.exchange.hung_up()
        elif self.linger is not None:
            self.linger.cancel()

    def _limit_sentence(self) -> str:
        return f"the body is larger than {self.front.settings.max_body} bytes (FAL_JUPYTER_MAX_BODY)"

    def _refuse(self, status: int, error_type: str, detail: str) -> None:
        """Answer with a failure as soon as the caller can hear it: hanging up on one that still sends would destroy it."""
        headers = self.headers
        assert headers is not None
        if "Expect" in headers:  # it waits for our word before it sends its body
            self._answer(status, error_type, detail)
            self.conn.finish()
        elif self.received or _is_long(headers):
            self._answer(status, error_type, detail)
            stream: Any = getattr(self.conn, "stream", None)
            self.linger = asyncio.get_running_loop().call_later(LINGER, stream.close)
        else:
            self.refusal = (status, error_type, detail)  # told when the short body has been read: the connection stays

    def _answer(self, status: int, error_type: str, detail: str) -> None:
        request_id = self.front.new_id()
        body: dict[str, Any] = {"detail": detail, "request_id": request_id}
        headers = HTTPHeaders({"Content-Type": "application/json", H_REQUEST_ID: request_id})
        if error_type:
            body["error_type"] = error_type
            headers[H_ERROR_TYPE] = error_type
        if status == 401:
            headers["WWW-Authenticate"] = "Key"
        data = json.dumps(body).encode()
        headers["Content-Length"] = str(len(data))
        self.conn.write_headers(ResponseStartLine("", status, responses.get(status, "Unknown")), headers, data)


def _is_long(headers: HTTPHeaders) -> bool:
    length = headers.get("Content-Length", "0")
    return "Transfer-Encoding" in headers or not length.isdigit() or int(length) > CHUNK


def _pairs(headers: HTTPHeaders) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers.get_all()]


def _own_host(host: str, port: int) -> bool:
    name, colon, given = host.rpartition(":")
    if not colon or not given.isdigit():
        name, given = host, ""
    return name.lower() in _LOCAL_NAMES and (not given or int(given) == port)


def _hostile(path: str) -> bool:
    if "%" not in path and ".." not in path:
        return any(ord(c) < 32 for c in path)
    plain = unquote(path)
    return any(part == ".." for part in plain.replace("\\", "/").split("/")) or any(ord(c) < 32 for c in plain)


assert ERROR_STATUS["bad_request"] == 400
