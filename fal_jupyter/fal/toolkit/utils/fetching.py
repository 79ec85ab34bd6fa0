"""Fetching an address that a caller gave: public ones only, checked and then connected to by the very address that was checked.

Without that, a caller could make an app read what only this machine can reach (docs/contract.md, C127). The
files of our own CDN are read from its folder, without a connection. An owner may allow private addresses
(``FAL_JUPYTER_ALLOW_PRIVATE_URLS=1``).
"""

from __future__ import annotations

import base64
import http.client
import io
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit
from urllib.request import getproxies

from fal_jupyter import outbound_http, settings
from fal_jupyter.filestore import FileStore, StoredFile

CHUNK = 1 << 20
MOST_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
LONGEST = 6 * 3600.0  # seconds for one download, however slowly it comes
_OWN_FILE = re.compile(r"/cdn/files/([0-9a-f]{32})/[^/]*")
_SECRETS = frozenset({"authorization", "cookie"})


class FetchError(Exception):
    """The address is not fetched; the text says why."""


class FetchStatus(FetchError):
    """The server answered with a failure."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answered {status}")
        self.status = status


class TooLarge(FetchError):
    """There is more than was allowed."""


@dataclass(frozen=True)
class Fetched:
    """What came: headers with lower-case names, and the size of the body."""

    headers: dict[str, str]
    size: int


def fetch(
    url: str,
    into: BinaryIO,
    *,
    headers: Mapping[str, str] | None = None,
    limit: int | None = None,
    on_headers: Callable[[dict[str, str]], None] | None = None,
) -> Fetched:
    """Write what is at *url* (http, https or data) to *into*.

    Args:
        limit: bytes that it may have.
        on_headers: sees the headers before the body comes; may raise.

    Raises:
        FetchError: it is not fetched.
        OSError: the connection failed.
    """
    parts = _parts(url)
    if parts.scheme == "data":
        return _from_data(url, into, limit)
    if parts.scheme not in ("http", "https"):
        raise FetchError(f"URL scheme '{parts.scheme}' is not allowed")
    own = _own_file(url)
    if own is not None:
        if own.access != "allow":  # the sender of the address may not read it
            raise FetchStatus(403 if own.access == "forbid" else 404)
        return _copied(own, into, limit)
    return _over_http(url, into, dict(headers or {}), limit, on_headers)


def _parts(url: str) -> SplitResult:
    """Take an address apart.

    Raises:
        FetchError: it is none.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise FetchError(f"invalid address: {error}"[:200]) from None


def _from_data(url: str, into: BinaryIO, limit: int | None) -> Fetched:
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise FetchError("the data URI has no comma")
    content = unquote_to_bytes(data.encode("utf-8", "surrogatepass"))
    if head.endswith(";base64"):
        try:
            content = base64.b64decode(content + b"=" * (-len(content) % 4))
        except ValueError as error:
            raise FetchError(f"the data URI is not valid base64: {error}") from None
    if limit is not None and len(content) > limit:
        raise TooLarge("File body exceeded the limit")
    into.write(content)
    kind = head.removesuffix(";base64") or "text/plain;charset=US-ASCII"
    return Fetched({"content-type": kind, "content-length": str(len(content))}, len(content))


def _own_file(url: str) -> StoredFile | None:
    """A file of our own CDN, where the address is one: its id is the permission to read it, unless its access says otherwise."""
    parts = _parts(url)
    match = _OWN_FILE.fullmatch(parts.path)
    if match is None or (parts.hostname or "") not in ("127.0.0.1", "localhost", "::1"):
        return None
    return FileStore(settings.read().files).find(match[1], time.time())


def local_bytes(url: str, limit: int) -> bytes | None:
    """Return what is at a data URI or at an address of our own CDN, without any connection; None for everything else, and for
    what has more than *limit* bytes."""
    into = io.BytesIO()
    try:
        if url[:5].lower() == "data:":
            _from_data(url, into, limit)
        elif (own := _own_file(url)) is not None:
            _copied(own, into, limit)
        else:
            return None
    except (FetchError, OSError):
        return None
    return into.getvalue()


def _copied(stored: StoredFile, into: BinaryIO, limit: int | None) -> Fetched:
    size = 0
    with stored.path.open("rb") as source:
        while piece := source.read(CHUNK):
            size += len(piece)
            if limit is not None and size > limit:
                raise TooLarge("File body exceeded the limit")
            into.write(piece)
    return Fetched({"content-type": stored.content_type, "content-length": str(stored.size)}, size)


def _over_http(
    url: str,
    into: BinaryIO,
    headers: dict[str, str],
    limit: int | None,
    on_headers: Callable[[dict[str, str]], None] | None,
) -> Fetched:
    if any(getproxies().get(name) for name in ("http", "https")):
        warnings.warn("HTTP_PROXY and HTTPS_PROXY are not used for addresses of callers", RuntimeWarning, stacklevel=3)
    until = time.monotonic() + LONGEST
    for _ in range(MOST_REDIRECTS + 1):
        connection = _connect(url)
        try:
            answer = _send_request(connection, url, headers)
            if answer.status in (301, 302, 303, 307, 308) and (where := answer.getheader("location")):
                url, headers = _redirected(url, where, headers)
                continue
            if answer.status >= 400:
                raise FetchStatus(answer.status)
            response_headers = {name.lower(): value for name, value in answer.getheaders()}
            if on_headers is not None:
                on_headers(response_headers)
            return Fetched(response_headers, _read(answer, into, limit, until))
        except http.client.HTTPException as error:
            raise FetchError(f"the server's answer is not HTTP: {type(error).__name__}") from error
        finally:
            connection.close()
    raise FetchError("Too many redirects")


def _redirected(url: str, where: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    try:
        target = urljoin(url, where)
    except ValueError as error:
        raise FetchError(f"the server leads to no address: {error}"[:200]) from None
    before, after = _parts(url), _parts(target)
    if after.scheme not in ("http", "https"):
        raise FetchError(f"URL scheme '{after.scheme}' is not allowed")
    if (before.scheme, before.netloc) != (after.scheme, after.netloc):
        headers = {name: value for name, value in headers.items() if name.lower() not in _SECRETS}
    return target, headers


def _connect(url: str) -> http.client.HTTPConnection:
    parts = _parts(url)
    try:
        host, port = outbound_http.host_and_port(parts)
    except ValueError:
        raise FetchError("the address has no such port") from None
    try:
        connection = http.client.HTTPConnection(host, port)
    except http.client.InvalidURL:
        raise FetchError("the address has no such host") from None
    try:
        connection.sock = outbound_http.connect(
            parts, private=settings.read().allow_private, connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT
        )
    except outbound_http.NoAddress:
        raise FetchError("DNS resolution failed") from None
    except outbound_http.NotPermitted:
        raise FetchError("Hostname resolves to a non-routable address") from None
    return connection


def _send_request(
    connection: http.client.HTTPConnection, url: str, headers: dict[str, str]
) -> http.client.HTTPResponse:
    parts = _parts(url)
    target = outbound_http.encoded((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    connection.request(
        "GET", target, headers={"Accept-Encoding": "identity", "Host": parts.netloc.rpartition("@")[2], **headers}
    )
    return connection.getresponse()


def _read(answer: http.client.HTTPResponse, into: BinaryIO, limit: int | None, until: float) -> int:
    size = 0
    while piece := answer.read(CHUNK):
        size += len(piece)
        if limit is not None and size > limit:
            raise TooLarge("File body exceeded the limit")
        if time.monotonic() > until:
            raise FetchError("the download took too long")
        into.write(piece)
    if answer.length:
        raise FetchError(f"the server broke off {answer.length} bytes before the end")
    return size
