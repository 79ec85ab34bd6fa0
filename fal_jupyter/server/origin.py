"""The server's record for kernels: the origin under which the user's browser reaches this server."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from fal_jupyter import server_record
from fal_jupyter.processes import start_time
from fal_jupyter.server_record import ServerRecord


class Origin:
    """Maintains the record while the server runs.

    Args:
        runtime_dir: Jupyter's runtime directory, shared with kernels.
        base_url: the server's base URL.
        public: the server's URL configured by its administrator, or ``""``.
        labextension: whether our front-end extension is installed beside the server.
    """

    def __init__(
        self, runtime_dir: Path, base_url: str, public: str, *, labextension: bool, log: logging.Logger
    ) -> None:
        self._runtime_dir, self._log = runtime_dir, log
        self._configured = origin_of(public)
        pid = os.getpid()
        self._record = ServerRecord(pid, start_time(pid), base_url, self._configured, labextension)

    def saw(self, request: HTTPServerRequest) -> None:
        """Record the server's origin from an authorized request: as sent by the browser, else from the request's host."""
        if self._configured:
            return
        origin = _origin_from_headers(request)
        if not origin and self._record.origin:
            return  # a program, which may use another address than the browser
        origin = origin or f"{request.protocol}://{request.host}"
        if origin != self._record.origin:
            self._record = replace(self._record, origin=origin)
            self.write()

    def of(self, request: HTTPServerRequest) -> str:
        """Return the origin by which this request's caller reaches the server, ``""`` if it cannot go into a header."""
        origin = self._configured or _origin_from_headers(request) or origin_of(f"{request.protocol}://{request.host}")
        return origin if origin.isascii() and origin.isprintable() and " " not in origin else ""

    def write(self) -> None:
        """Write the record."""
        try:
            server_record.write(self._runtime_dir, self._record)
        except OSError as error:
            self._log.warning("kernels will not find this server: %s", error)

    def remove(self) -> None:
        """The server ends."""
        server_record.remove(self._runtime_dir, self._record.pid)


def _origin_from_headers(request: HTTPServerRequest) -> str:
    """The server's origin as sent by the browser, or ``""``: behind a proxy that terminates TLS only the browser knows the scheme."""
    origin = origin_of(request.headers.get("Origin") or request.headers.get("Referer", ""))
    return origin if origin.partition("://")[2] == request.host else ""


def origin_of(address: str) -> str:
    """Return ``scheme://host[:port]`` of a URL, ``""`` if it has none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else ""
