"""Filters and rewrites headers between a browser and the gateway. No IO.

Answers of apps are not trusted: they are served from Jupyter's own origin, where a page could act as the user.
So data types pass, everything else is a download in a sandbox, and headers that affect the whole origin are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urljoin, urlsplit

from tornado.httputil import HTTPHeaders

from fal_jupyter.protocol.api import H_BASE, H_ROLE, RUN
from fal_jupyter.server.targets import is_ambiguous

HOP_BY_HOP: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_NOT_INWARDS: Final = HOP_BY_HOP | {
    "authorization", "cookie", "cookie2", "x-xsrftoken", "x-csrftoken", "referer", "host", "content-length", "expect",
}  # fmt: skip
_INTERNAL: Final = "x-fal-jupyter-"
_NOT_OUTWARDS: Final = HOP_BY_HOP | {
    "set-cookie", "set-cookie2", "service-worker-allowed", "clear-site-data", "refresh", "content-security-policy",
    "content-security-policy-report-only", "x-content-type-options", "cross-origin-resource-policy", "www-authenticate",
    "strict-transport-security", "public-key-pins", "alt-svc", "nel", "report-to", "reporting-endpoints", "accept-ch",
    "speculation-rules", "content-location", "sourcemap", "x-sourcemap", "server", "location", "content-type",
    "content-disposition", "set-login",
    "x-accel-redirect", "x-sendfile", "x-lighttpd-send-file",  # commands to a reverse proxy: it would send its own files
}  # fmt: skip
_DATA: Final = frozenset(
    {
        "application/json", "text/plain", "text/event-stream", "application/x-ndjson", "application/ndjson",
        "application/jsonl", "application/octet-stream", "application/msgpack", "application/x-msgpack",
        "application/vnd.msgpack", "text/csv",
    }
)  # fmt: skip
_MEDIA = re.compile(r"(?:image|audio|video)/(?!svg)[\w.+-]+", re.ASCII)
_NAMED_JSON = re.compile(r"application/[\w.-]+\+json", re.ASCII)
_ATTACHMENT = re.compile(r"attachment\s*(?:;[\x20-\x7e]*)?", re.IGNORECASE)
_HANDSHAKE: Final = frozenset(
    {"sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions", "x-fal-request-id"}
)
SANDBOX: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"


def inward(headers: HTTPHeaders, length: str | None, base: str = "", role: str = "data") -> list[str]:
    """Return the lines of a request's head for the gateway.

    Args:
        headers: those of the caller's request.
        base: the caller's URL prefix of our routes, if the answer may contain URLs of the gateway.
        role: the role of the connection to the gateway (``H_ROLE``).
        length: ``content-length`` of the body, ``"chunked"`` if it is not known yet, None if there is no body.
    """
    named = _named(headers.get_list("Connection"))
    lines = ["host: localhost", f"{H_ROLE}: {role}", *([f"{H_BASE}: {base}"] if base else [])]
    for name, value in headers.get_all():
        low = name.lower()
        if low not in _NOT_INWARDS and low not in named and not low.startswith(_INTERNAL):
            lines.append(f"{low}: {value}")
    if length == "chunked":
        lines.append("transfer-encoding: chunked")
    elif length is not None:
        lines.append(f"content-length: {length}")
    return lines


def outward(received: list[tuple[str, str]], prefix: str, target: str) -> HTTPHeaders:
    """Return the head of an answer for the browser.

    Args:
        received: the headers of the gateway's response, names in lower case.
        prefix: our URL prefix before the gateway's paths (``/user/a%20b/fal``).
        target: the requested path on the gateway.
    """
    named = _named(value for name, value in received if name == "connection")
    headers = HTTPHeaders()
    kinds: list[str] = []
    disposition = ""
    for name, value in received:
        if name == "content-type":
            kinds.append(value)
        elif name == "content-disposition":
            disposition = value
        elif name == "location":
            if rewritten := location(value, prefix, target):
                headers.add("Location", rewritten)
        elif name not in _NOT_OUTWARDS and name not in named and not name.startswith("access-control-"):
            headers.add(name, value)
    _typed(headers, kinds, disposition)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if "cache-control" not in headers:
        headers["Cache-Control"] = "no-store"
    return headers


def handshake(received: list[tuple[str, str]]) -> bytes:
    """Return the answer to a WebSocket handshake, with the gateway's choices."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"{name}: {value}" for name, value in received if name in _HANDSHAKE]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def is_data(kind: str) -> bool:
    """True if a browser only displays or stores that content type."""
    if "," in kind:  # browsers use the last one of a list
        return False
    plain = kind.partition(";")[0].strip().lower()
    return plain in _DATA or _MEDIA.fullmatch(plain) is not None or _NAMED_JSON.fullmatch(plain) is not None


def location(value: str, prefix: str, target: str) -> str | None:
    """Return a redirect's URL below *prefix*, or None if it leads elsewhere."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https") or parts.netloc not in ("", "localhost") or "\\" in value:
        return None
    path, query = parts.path, f"?{parts.query}" if parts.query else ""
    app = "/".join(target.split("/")[:4])  # /run/owner/alias
    if not path.startswith("/"):
        path = urljoin(target, path)
        if not path.startswith(app + "/"):
            return None
    elif not path.startswith(RUN):
        path = app + path  # an app does not know its public URL
    if is_ambiguous(path) or not query.isprintable() or " " in query:
        return None
    return prefix + path + query


def _typed(headers: HTTPHeaders, kinds: list[str], disposition: str) -> None:
    """Set type and disposition: data unchanged, everything else as a download in a sandbox."""
    if len(kinds) == 1 and is_data(kinds[0]):
        headers["Content-Type"] = kinds[0]
        if disposition:
            headers["Content-Disposition"] = disposition
        return
    if not kinds and headers.get("content-length", "") == "0":
        return
    headers["Content-Type"] = kinds[0] if len(kinds) == 1 else "application/octet-stream"
    headers["Content-Disposition"] = disposition if _ATTACHMENT.fullmatch(disposition) else "attachment"
    headers["Content-Security-Policy"] = SANDBOX


def _named(values: Iterable[str]) -> frozenset[str]:
    """The headers that ``Connection`` names."""
    return frozenset(name.strip().lower() for value in values for name in value.split(","))
