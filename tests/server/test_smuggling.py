"""The body of a websocket handshake through Jupyter reaches no gateway, and a data connection has no control plane."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.server.test_proxy import head
from tests.support.jupyter import Jupyter
from tests.support.wire import Wire

HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


@pytest.mark.parametrize("path", ["{run}/", "{run}/nowhere", "fal/queue/x", "fal/api/apps"])
def test_the_body_of_a_handshake_is_refused(jupyter: Jupyter, run: str, path: str) -> None:
    smuggled = b"GET /admin/apps HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with closing(Wire(jupyter.port)) as wire:
        lines = (*HANDSHAKE, f"Content-Length: {len(smuggled)}")
        wire.send(head(jupyter, "GET", path.format(run=run), *lines) + smuggled)
        assert wire.reply().status == 400
    assert jupyter.request(f"{run}/", {"name": "Ada"}, method="POST").json == {"text": "Hello, Ada"}
