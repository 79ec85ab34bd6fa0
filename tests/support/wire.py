"""A caller that sends exact bytes, for what no HTTP library would send."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection to 127.0.0.1:*port*; ``send`` bytes, ``reply`` reads one whole answer."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._file = self.sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self, method: str = "POST") -> Reply:
        """Read one complete response; raises EOFError if there is none."""
        line = self._file.readline()
        if not line:
            raise EOFError("the connection was closed without an answer")
        status = int(line.split()[1])
        headers: dict[str, str] = {}
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            assert name.lower() not in headers, f"{name} came twice"
            headers[name.lower()] = value.strip()
        if method == "HEAD" or status in (100, 204, 304):
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Reply(status, headers, self._chunked())
        length = headers.get("content-length")
        return Reply(status, headers, self._file.read() if length is None else self._file.read(int(length)))

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self._file.readline().split(b";")[0], 16):
            body += self._file.read(size)
            self._file.readline()
        self._file.readline()
        return body

    def rest(self) -> bytes:
        """Read until the other side closes the connection."""
        try:
            return self._file.read()
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self._file.close()
        self.sock.close()


def port_of(address: str) -> int:
    port = urlsplit(address).port
    assert port is not None
    return port


def head(method: str, path: str, port: int, key: str | None, *lines: str, host: str | None = None) -> bytes:
    """The bytes of a request's head."""
    all_lines = [f"{method} {path} HTTP/1.1", f"Host: {host if host is not None else f'127.0.0.1:{port}'}"]
    if key is not None:
        all_lines.append(f"Authorization: Key {key}")
    return ("\r\n".join([*all_lines, *lines]) + "\r\n\r\n").encode("latin-1")


def exchange(port: int, data: bytes, timeout: float = 30, method: str = "POST") -> Reply:
    """Send *data* on a new connection; returns the response."""
    with closing(Wire(port, timeout)) as wire:
        wire.send(data)
        return wire.reply(method)


__all__ = ["Reply", "Wire", "exchange", "head", "port_of"]
