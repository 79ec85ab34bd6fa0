"""The body of a websocket handshake through Jupyter reaches no gateway, and a data connection has no control plane."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.server.test_proxy import head
from tests.support.jupyter import Jupyter
from tests.support.wire import Wire

HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


@pytest.mark.parametrize("path", ["{run}/", "{run}/nowhere", "fal/queue/x", "fal/ws/x", "fal/api/apps"])
def test_the_body_of_a_handshake_is_refused(jupyter: Jupyter, run: str, path: str) -> None:
    smuggled = b"GET /admin/apps HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with closing(Wire(jupyter.port)) as wire:
        lines = (*HANDSHAKE, f"Content-Length: {len(smuggled)}")
        wire.send(head(jupyter, "GET", path.format(run=run), *lines) + smuggled)
        assert wire.reply().status == 400
    assert jupyter.request(f"{run}/", {"name": "Ada"}, method="POST").json == {"text": "Hello, Ada"}


UPGRADES = [*("websocket", "WebSocket", "websocket, h2c", "h2c, websocket", "h2c", "tea/1", "")]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("framing", ["length", "chunked", "behind"])
def test_no_body_of_an_upgrade_becomes_a_request(
    jupyter: Jupyter, run: str, tmp_path: Path, framing: str, method: str, upgrade: str
) -> None:
    mark = tmp_path / "mark"
    target = f"/{run.removeprefix('fal/')}/wait?mark={mark}&gone={tmp_path / 'gone'}"
    smuggled = f"POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n".encode()
    lines = ["Connection: Upgrade", f"Upgrade: {upgrade}"]
    if framing == "length":
        lines.append(f"Content-Length: {len(smuggled)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        smuggled = b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    with closing(Wire(jupyter.port)) as wire:
        wire.send(head(jupyter, method, f"{run}/nowhere", *lines) + smuggled)
        assert 400 <= wire.reply().status < 500
    assert jupyter.request(f"{run}/", {"name": "Ada"}, method="POST").json == {"text": "Hello, Ada"}
    assert not mark.exists()
