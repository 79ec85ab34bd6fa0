"""CORS: answers preflights, and adds CORS headers to answers for allowed origins.

This applies to the loopback port only: below a Jupyter server, that server decides. An app's own routes allow the origins that its owner
named (``--cors``), shared routes (rest, cdn, the proxy route) those that any running app names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from tornado.httputil import HTTPHeaders

from fal_jupyter.domain.access.cors import Pairs, opened, preflight
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.gateway.http.messages import LINGER_BYTES, RequestHeaders
from fal_jupyter.gateway.http.proxy_target import is_proxied
from fal_jupyter.gateway.http.response_writer import ResponseWriter
from fal_jupyter.protocol.addresses import app_address
from fal_jupyter.protocol.api import CDN, QUEUE, REST, RUN

HeaderValues = RequestHeaders | HTTPHeaders


class CorsDecision(NamedTuple):
    """The effect of a request's origin: *headers* adds CORS headers to an answer's headers; with *preflight* that
    is the complete answer."""

    headers: Callable[[Pairs], list[tuple[str, str]]]
    preflight: list[tuple[str, str]] | None = None


class CorsPolicy:
    """The origins that apps currently allow."""

    def __init__(self, published: Mapping[str, Deployment], owner: str) -> None:
        self._published, self._owner = published, owner

    def of_app(self, alias: str) -> Collection[str]:
        """The allowed origins of one app."""
        app = self._published.get(alias)
        return app.newest.spec.cors if app is not None else ()

    def of_target(self, target: str) -> Collection[str]:
        """The origins that may read *target*."""
        path = target.partition("?")[0]
        for prefix in (RUN, QUEUE):
            if path.startswith(prefix):
                address = app_address(path[len(prefix) :], self._owner)
                return self.of_app(address.alias) if address.owner == self._owner else ()
        if path.startswith((REST, CDN)) or is_proxied(path):
            return {origin for app in self._published.values() for origin in app.newest.spec.cors}
        return ()

    def welcome(self, method: str, target: str, headers: RequestHeaders) -> CorsDecision | None:
        """Return the CORS treatment of a request for *target*; None if no other origin is allowed there."""
        allowed = self.of_target(target)
        if not allowed or headers.get("upgrade", "").lower() == "websocket":
            return None
        origin = headers.get("origin", "")
        if origin not in allowed:
            return CorsDecision(partial(opened, origin=""))
        answer = None
        if method == "OPTIONS" and "access-control-request-method" in headers:
            requested_headers = headers.get("access-control-request-headers", "")
            answer = preflight(origin, requested_headers, private="access-control-request-private-network" in headers)
        return CorsDecision(partial(opened, origin=origin), answer)


class Preflight:
    """A preflight of an allowed origin: answered without a key, which browsers never send with one."""

    upgrades = False

    def __init__(self, caller: ResponseWriter, answer: list[tuple[str, str]]) -> None:
        self._caller, self._answer, self._received = caller, answer, 0

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """Ignored: the head has been evaluated."""

    def data_received(self, chunk: bytes) -> None:
        """Discard a body, which a preflight should not have, up to a limit."""
        self._received += len(chunk)
        if self._received > LINGER_BYTES:
            self._caller.drop()

    def finish(self) -> None:
        """The request is complete."""
        self._caller.respond(204, self._answer, b"")
        self._caller.finish()

    def on_connection_close(self) -> None:
        """The browser disconnected."""


def is_own(origin: str, host: str) -> bool:
    """True if *origin* is this gateway itself, according to the request's *host*."""
    return origin in (f"http://{host.lower()}", f"https://{host.lower()}")


def is_foreign(headers: HeaderValues, allowed: Collection[str], method: str) -> bool:
    """True if a page of another origin made the browser send this: by ``Origin``, else by ``Sec-Fetch-Site`` (Fetch Metadata).

    Args:
        allowed: origins that the app allows.
        method: that of the request; following a link (a user-activated GET of a document) is allowed. ``""`` allows none.
    """
    if origin := headers.get("origin", ""):
        return not is_own(origin, headers.get("host", "")) and origin not in allowed
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    followed = headers.get("sec-fetch-mode", "") == "navigate" and headers.get("sec-fetch-dest", "") == "document"
    return not (method in ("GET", "HEAD") and followed and headers.get("sec-fetch-user", "") == "?1")


def is_from_browser(headers: HeaderValues) -> bool:
    """True if a browser sent this: browsers add the cookies of this host for all ports."""
    return bool(headers.get("sec-fetch-site", "") or headers.get("origin", "")) or headers.get(
        "user-agent", ""
    ).startswith("Mozilla/")


def own_cookies(header: str, own: Collection[str]) -> str:
    """Return the cookies of *header* whose names are in *own*."""
    parts = [part.strip() for part in header.split(";")]
    return "; ".join(part for part in parts if part.partition("=")[0].strip() in own)


def without_foreign_cookies(
    headers: HeaderValues, pairs: Iterable[tuple[str, str]], own: Collection[str]
) -> list[tuple[str, str]]:
    """Return the headers for an app: of a browser's cookies only those whose names are in *own*.

    Args:
        pairs: all headers of the request, names in lower case.
    """
    if "cookie" not in headers or not is_from_browser(headers):
        return list(pairs)
    cleaned = [(name, own_cookies(value, own) if name == "cookie" else value) for name, value in pairs]
    return [pair for pair in cleaned if pair != ("cookie", "")]


def foreign_sentence(owner: str, alias: str) -> str:
    """The message for a page of another origin."""
    return (
        f"pages of other origins may not call {owner}/{alias} without a key: serve it with --cors ORIGIN to allow them"[
            :300
        ]
    )
