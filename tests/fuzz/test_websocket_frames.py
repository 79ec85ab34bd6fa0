"""Bytes on an open websocket that are nearly frames, cut anywhere: each connection ends, and the runner serves the next one."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.serve import Served, served
from tests.support.state import state_directory
from tests.support.wire import head, port_of

APP = """
import os
import fal
from fastapi import WebSocket


class Talk(fal.App):
    app_name = "talk"
    max_multiplexing = 8

    @fal.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()

    @fal.endpoint("/echo", is_websocket=True)
    async def echo(self, ws: WebSocket):
        await ws.accept()
        while (message := await ws.receive())["type"] != "websocket.disconnect":
            if message.get("text") is not None:
                await ws.send_text(message["text"])
            else:
                await ws.send_bytes(message["bytes"])

    @fal.realtime("/double")
    def double(self, i: dict) -> dict:
        return i
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    file = tmp_path_factory.mktemp("talk") / "talk.py"
    file.write_text(APP)
    with state_directory() as state, served(state, f"{file}::Talk") as running:
        yield running


def frame(first: int, masked: bool, data: bytes, length: int | None = None, form: int = 0) -> bytes:
    """A frame whose head may lie: *length* in place of the true one, written in *form* 0 (shortest), 126 or 127."""
    declared = len(data) if length is None else length
    form = form or (127 if declared > 65535 else 126 if declared > 125 else declared)
    extended = {126: struct.pack(">H", declared & 0xFFFF), 127: struct.pack(">Q", declared)}.get(form, b"")
    mask = b"\x01\x02\x03\x04" if masked else b""
    body = bytes(byte ^ (index % 4 + 1) for index, byte in enumerate(data)) if masked else data
    return (
        bytes([first, (0x80 if masked else 0) | (form if form in (126, 127) else declared & 0x7F)])
        + extended
        + mask
        + body
    )


DATA = st.sampled_from([b"", b"hi", b"\xff\xfe", b"\xed\xa0\x80", b"\x03\xe8bye", b"\x03\xec", b"\x00", b"\x80", b"\xc1", b"a" * 126, b"a" * 70_000]) | st.binary(max_size=40)  # fmt: skip
LENGTH = (
    st.none()
    | st.none()
    | st.none()
    | st.sampled_from([0, 1, 125, 126, 65535, 65536, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
)
FRAME = st.builds(
    frame, st.sampled_from([0x81, 0x82, 0x88, 0x89, 0x8A, 0x80, 0x01, 0x02, 0x00, 0x08, 0x09, 0xC1, 0xF1, 0x83, 0x8F]) | st.integers(0, 255),
    st.sampled_from([True, True, True, False]), DATA, LENGTH, st.sampled_from([0, 0, 0, 126, 127]),
)  # fmt: skip
PIECES = st.lists(
    FRAME | FRAME | FRAME | st.binary(min_size=1, max_size=30) | st.just(b"GET /run/x HTTP/1.1\r\n\r\n"),
    min_size=1,
    max_size=6,
)


def throw(talk: Served, path: str, pieces: list[bytes], eager: bool) -> bytes:
    """Open a websocket, send the pieces (*eager*: right behind the handshake) and nothing more; gives all that comes."""
    port = port_of(talk.ready["base"])
    lines = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    handshake = head("GET", f"/run/{talk.ready['app']}{path}", port, talk.ready["key"], *lines)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        came = b""
        try:
            sock.sendall(handshake + (pieces[0] if eager else b""))
            if not eager:
                while b"\r\n\r\n" not in came:
                    came += sock.recv(65536)
            for piece in pieces[1 if eager else 0 :]:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(65536):
                came += more
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has hung up on what was no frame
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
        return came


def check(talk: Served, count: int, derandomize: bool) -> None:
    pid = talk.request("/pid").json

    @settings(
        max_examples=count, derandomize=derandomize, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )  # fmt: skip
    @given(st.sampled_from(["/echo", "/double"]), PIECES, st.booleans())
    def each(path: str, pieces: list[bytes], eager: bool) -> None:
        came = throw(talk, path, pieces, eager)
        assert came.count(b"HTTP/1.1 ") <= 1 or b"GET /run/x HTTP/1.1" in b"".join(pieces), came
        assert not came or came.startswith(b"HTTP/1.1 101 "), came

    each()
    assert b"hi" in throw(talk, "/echo", [frame(0x81, True, b"hi")], False)
    assert talk.request("/pid").json == pid
    assert "Traceback" not in Path(talk.state, "logs", "gateway.log").read_text()


def test_whatever_comes_the_next_one_is_served(talk: Served) -> None:
    check(talk, 150, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_thousand_of_them(talk: Served) -> None:
    check(talk, int(os.environ.get("FUZZ_COUNT", "2000")), derandomize=False)
