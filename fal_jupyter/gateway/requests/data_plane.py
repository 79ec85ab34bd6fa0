"""The data plane: ``/run/{owner}/{alias}/{path}``, where every microsecond counts.

Order of refusals: Host (421) → path (400, 404) → key (401) → app (404) → size (413) → origin of a WebSocket (403).
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Collection, Iterable
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

import msgspec

from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.gateway.auth.access_tokens import AccessTokens
from fal_jupyter.gateway.auth.api_keys import ApiKeys
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.cors import CorsPolicy, foreign_sentence, is_foreign, is_own, without_foreign_cookies
from fal_jupyter.gateway.http.messages import LINGER, LINGER_BYTES, RequestHeaders
from fal_jupyter.gateway.http.response_writer import failure, is_number, new_id
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.gateway.requests.request_events import RequestEvents
from fal_jupyter.protocol.addresses import AppAddress, app_address, is_hostile
from fal_jupyter.protocol.api import (
    ERROR_STATUS,
    H_BASE,
    H_CELL,
    H_ENDPOINT,
    H_HINT,
    H_OWNER,
    H_REQUEST_ID,
    H_ROLE,
    H_START_WITHIN,
    Q_TOKEN,
    RUN,
    WEBSOCKET,
)
from fal_jupyter.protocol.frames import CHUNK
from fal_jupyter.settings import MAX_BODY_VARIABLE, MAX_FILE_VARIABLE, Settings

_encode = msgspec.json.encode
_DROPPED = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
        "upgrade", "authorization", "expect", H_REQUEST_ID, H_ENDPOINT, H_OWNER, H_CELL, H_BASE, H_ROLE,
    }
)  # fmt: skip
LEAST_START = 0.1
LONGEST_HINT = 200
_CELL = re.compile(r"(\d{1,9}) ([\w-]{0,64})", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class AppDirectory(Protocol):
    """The apps that can be called (:class:`fal_jupyter.gateway.apps.deployments.Deployments`)."""

    def spec_of(self, alias: str) -> AppSpec | None:
        """The spec of the app's target revision, or None if there is no such app."""

    def is_stopped(self, alias: str) -> bool:
        """True for an app that was stopped and can be started again."""


class Apps(AppDirectory, RequestEvents[ProxiedRequest], Protocol):
    """The engine, as the data plane uses it (:class:`fal_jupyter.gateway.engine.request_executor.RequestExecutor`)."""

    def cookies_of(self, alias: str) -> Collection[str]:
        """Names of the cookies that an app has set."""


def absent_sentence(apps: AppDirectory, owner: str, alias: str, *, own_account: bool = True) -> str:
    """Describe why no app answers at a path: there is none, or it was stopped."""
    if own_account and apps.is_stopped(alias):
        return f"the app {owner}/{alias} is stopped; its owner can start it again"[:300]
    return f"no app {owner}/{alias} is running here"[:300]


class LongConnection(Protocol):
    """A connection that stays open between requests and must end when the port closes."""

    def close_when_idle(self) -> None:
        """Close, once the running requests are answered."""


class DataPlane:
    """The data plane's rules, shared by the requests of one listener.

    *trusted* is the Unix socket: its callers are the gateway's user, and need no key.
    """

    def __init__(self, apps: Apps, keys: ApiKeys, tokens: AccessTokens, settings: Settings, *, trusted: bool) -> None:
        self.apps, self.keys, self.tokens, self.settings, self.trusted = apps, keys, tokens, settings, trusted
        self.ports: Collection[int] = ()
        self.websockets: set[LongConnection] = set()
        self.origins: CorsPolicy | None = None  # None until an app allows an origin
        self._last_host: tuple[str, Collection[int]] = ("", ())

    def accepts_host(self, host: str) -> bool:
        """True if a Host header names this gateway; the last valid one is cached, since callers rarely vary it."""
        last, ports = self._last_host
        if host == last and ports is self.ports:
            return True
        if not is_own_host(host, self.ports):
            return False
        self._last_host = (host, self.ports)
        return True

    def accepts_origin(self, origin: str, host: str, alias: str) -> bool:
        """True for a WebSocket of a program, of our own page, or of an allowed origin: browsers do not apply CORS to WebSockets."""
        if self.trusted or not origin or is_own(origin, host):
            return True
        return self.origins is not None and origin in self.origins.of_app(alias)

    def admits(self, authorization: str, alias: str, query: str) -> bool:
        """True for a valid key, or a token of that app in the query."""
        if self.keys.admits(authorization, "run"):
            return True
        token = token_of(query)
        return bool(token) and self.tokens.admits(token, alias, time.time())

    def key_refusal(self, authorization: str) -> tuple[int, str]:
        """Return status and message for a caller that :meth:`admits` refuses."""
        if reason := self.keys.refusal(authorization, "run"):
            return 403, reason
        return 401, "missing or wrong key: send Authorization: Key id:secret"


@lru_cache(maxsize=64)
def address_of(path: str, own: str) -> AppAddress | None:
    """Parse the path of a request; None if it is hostile. Cached, since callers rarely vary it."""
    return None if is_hostile(path) else app_address(path[len(RUN) :], own)


def start_limit(header: str) -> float:
    """Parse the limit in seconds for the dispatch to a runner; 0 if the caller sets none (W72).

    Raises:
        ValueError: it is not a number of seconds above 0.1.
    """
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not LEAST_START < seconds < math.inf:
        raise ValueError(f"{H_START_WITHIN} must be a number of seconds above {LEAST_START}, not {header!r}"[:200])
    return seconds


def token_of(query: str) -> str:
    """Return the token in a query, or ``""``."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == Q_TOKEN:
            return unquote(value)
    return ""


def without_token(query: str) -> str:
    """Return the query for the app, without a token."""
    if Q_TOKEN not in query:
        return query
    return "&".join(part for part in query.split("&") if part.partition("=")[0] != Q_TOKEN)


def request_head(request_id: str, method: str, path: str, query: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of a REQUEST frame: the part of a caller's head that is sent to the runner."""
    pairs = [pair for pair in headers if pair[0] not in _DROPPED]
    pairs += [(H_REQUEST_ID, request_id), (H_ENDPOINT, path)]
    return _encode({"id": request_id, "method": method, "path": path, "query": query, "headers": pairs})


class DataPlaneRequest:
    """One request of the data plane while it is received."""

    __slots__ = ("cycle", "headers", "linger", "plane", "received", "refusal", "request")

    def __init__(self, plane: DataPlane, cycle: RequestResponseCycle) -> None:
        self.plane, self.cycle = plane, cycle
        self.request: ProxiedRequest | None = None
        self.received = 0
        self.headers: RequestHeaders | None = None
        self.refusal: tuple[int, str, str] | None = None
        self.linger: asyncio.TimerHandle | None = None

    @property
    def upgrades(self) -> bool:
        """True if a WebSocket was requested and is allowed."""
        return self.request is not None and self.request.description.websocket

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head has arrived."""
        plane, self.headers = self.plane, headers
        trusted = plane.trusted
        if not trusted and not plane.accepts_host(headers.get("host", "")):
            self._refuse(421, "bad_request", "this address is for 127.0.0.1 and localhost only")
            return
        path, _, query = target.partition("?")
        if not path.startswith(RUN):
            self._refuse(404, "", "Not found")
            return
        account = plane.settings.owner
        address = address_of(path, account)
        if address is None:
            self._refuse(400, "bad_request", "the path has '..' or a control character in it")
            return
        owner, alias, below = address
        spec = plane.apps.spec_of(alias) if owner == account else None
        is_public = spec is not None and spec.auth == "public"
        if not trusted and not is_public and not plane.admits(headers.get("authorization", ""), alias, query):
            status, reason = plane.key_refusal(headers.get("authorization", ""))
            self._refuse(status, "", reason)
            return
        if spec is None:
            self._refuse(404, "", absent_sentence(plane.apps, owner, alias, own_account=owner == account))
            return
        if (
            is_public
            and not trusted
            and is_foreign(headers, spec.cors, method)
            and not plane.admits(headers.get("authorization", ""), alias, query)
        ):
            self._refuse(403, "bad_request", foreign_sentence(owner, alias))
            return
        length = headers.get("content-length")
        if length is not None and is_number(length) and int(length) > plane.settings.max_body:
            self._refuse(413, "bad_request", self._limit_sentence())
            return
        start_within = 0.0
        if (limit := headers.get(H_START_WITHIN)) is not None:
            try:
                start_within = start_limit(limit)
            except ValueError as error:
                self._refuse(400, "bad_request", str(error))
                return
        websocket = self.cycle.handshake
        if websocket and (method != "GET" or not _is_handshake(headers)):
            self._refuse(400, "bad_request", "invalid WebSocket handshake (GET and version 13 required)")
            return
        if websocket and not plane.accepts_origin(headers.get("origin", ""), headers.get("host", ""), alias):
            sentence = f"pages of {headers.get('origin')} may not call {owner}/{alias}: serve it with --cors ORIGIN to allow them"
            self._refuse(403, "bad_request", sentence[:300])
            return
        self.request = self._proxied_request(alias, method, spec.path_of(below), query, headers, start_within)
        if websocket:
            self.open()

    def _proxied_request(
        self, alias: str, method: str, path: str, query: str, headers: RequestHeaders, start_within: float
    ) -> ProxiedRequest:
        """Create the proxied request of an accepted request."""
        plane, websocket, request_id = self.plane, self.cycle.handshake, new_id()
        pairs = headers.pairs
        if "cookie" in headers:
            pairs = without_foreign_cookies(headers, pairs, plane.apps.cookies_of(alias))
        head = request_head(request_id, WEBSOCKET if websocket else method, path, without_token(query), pairs)
        framed = plane.trusted and not self.cycle.role and headers.get(H_OWNER) == "frames"
        cell = _CELL.fullmatch(headers.get(H_CELL) or "") if framed else None
        description = RequestDescription(
            id=request_id,
            alias=alias,
            head=head,
            method=method,
            path=path,
            origin="cell" if framed else "http",
            content_type=headers.get("content-type", ""),
            framed=framed,
            owned=framed,
            websocket=websocket,
            cell=(int(cell[1]), cell[2]) if cell is not None else (0, ""),
            hint=hint_of(headers.get(H_HINT)),
            start_within=start_within,
        )
        return ProxiedRequest(plane.apps, self.cycle, description)

    def open(self) -> None:
        """A WebSocket handshake was accepted."""
        assert self.request is not None
        self.request.arrive()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body."""
        if self.request is not None and self.request.description.websocket:
            return self.request.receive(chunk)
        self.received += len(chunk)
        if self.request is None:  # refused; the rest of its body is discarded, up to a limit
            if self.received > self.plane.settings.max_body + LINGER_BYTES:
                self.cycle.drop()
            return None
        if self.received > self.plane.settings.max_body:
            request, self.request = self.request, None
            if request.reject_body():
                self._refuse(413, "bad_request", self._limit_sentence())
            return None
        return self.request.receive(chunk)

    def finish(self) -> None:
        """The body is complete."""
        if self.request is not None:
            self.request.end_of_body()
        elif self.linger is not None:
            self.linger.cancel()
            self.cycle.finish()
        elif self.refusal is not None:
            self._answer(*self.refusal)
            self.cycle.finish()

    def on_connection_close(self) -> None:
        """The caller disconnected."""
        if self.request is not None:
            self.request.disconnect()
        elif self.linger is not None:
            self.linger.cancel()

    def _limit_sentence(self) -> str:
        return limit_sentence(self.plane.settings)

    def _refuse(self, status: int, error_type: str, detail: str) -> None:
        """Respond with a failure as soon as the caller can read it: closing a connection while the caller still sends would destroy it."""
        headers = self.headers
        assert headers is not None
        if "expect" in headers or self.received or _is_long(headers):  # with Expect it waits for our response
            self._answer(status, error_type, detail)
            self.linger = asyncio.get_running_loop().call_later(LINGER, self.cycle.drop)
        else:
            self.refusal = (
                status,
                error_type,
                detail,
            )  # sent when the short body has been read, so that the connection stays open

    def _answer(self, status: int, error_type: str, detail: str) -> None:
        headers, body = failure(status, error_type, detail)
        if self.headers is not None and "expect" in self.headers:  # its body may or may not follow
            headers.append(("connection", "close"))
        self.cycle.respond(status, headers, body)


def hint_of(header: str | None) -> str:
    """Return the hint for a preferred runner; one that is too long is ignored."""
    return header if header and len(header) <= LONGEST_HINT else ""


def _is_handshake(headers: RequestHeaders) -> bool:
    """RFC 6455, 4.2.1: the key is 16 bytes in base64; an invalid handshake never reaches a runner."""
    return headers.get("sec-websocket-version") == "13" and bool(_KEY.fullmatch(headers.get("sec-websocket-key", "")))


def limit_sentence(settings: Settings) -> str:
    """The message for a body that is too long."""
    return f"the body is larger than {settings.max_body} bytes ({MAX_BODY_VARIABLE})"


def file_limit_sentence(settings: Settings) -> str:
    """The message for an uploaded file that is too long."""
    return f"the file is larger than {settings.max_file} bytes ({MAX_FILE_VARIABLE})"


class RefusedRequest(DataPlaneRequest):
    """A request that is refused by its head."""

    __slots__ = ("_refusal",)

    def __init__(
        self, plane: DataPlane, cycle: RequestResponseCycle, status: int, error_type: str, detail: str
    ) -> None:
        super().__init__(plane, cycle)
        self._refusal = (status, error_type, detail)

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head has arrived."""
        self.headers = headers
        self._refuse(*self._refusal)


def _is_long(headers: RequestHeaders) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not is_number(length) or int(length) > CHUNK


def is_own_host(host: str, ports: Collection[int]) -> bool:
    """True if a Host header names this machine's loopback, and one of *ports* or none."""
    name, colon, port = host.rpartition(":")
    if not colon or not is_number(port):
        name, port = host, ""
    return name.lower() in _LOCAL_NAMES and (not port or int(port) in ports)


assert ERROR_STATUS["bad_request"] == 400
