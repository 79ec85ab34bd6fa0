"""Behind a real nginx that keeps its connections to the gateway and passes upgrades on: no answer ever reaches another client."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serve import Served
from tests.support.wire import port_of

CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateway {{ server 127.0.0.1:{port}; keepalive 1; }}
  map $http_upgrade $passed {{ default upgrade; "" ""; }}
  server {{
    listen unix:{folder}/nginx.sock;
    location / {{
      proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Host 127.0.0.1:{port};
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $passed;
    }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(wide: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """nginx before the gateway; gives the socket that it listens on."""
    command = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert command, "there is no nginx here: `make nginx` installs it (on Debian)"
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "conf").write_text(CONFIG.format(folder=folder, port=port_of(wide.ready["base"])))
    process = subprocess.Popen([command, "-p", folder, "-c", folder / "conf"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not (folder / "nginx.sock").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield folder / "nginx.sock"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def ask(nginx: Path, data: bytes) -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(nginx))
        sock.sendall(data)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, answer.read()


WEBSOCKET = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADES = {
    "no key": WEBSOCKET, "whole": WEBSOCKET + KEY, "no version": "Upgrade: websocket\r\n", "h2c": "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    "other case": "Upgrade: WebSocket\r\n", "list": "Upgrade: websocket, h2c\r\n", "unknown": "Upgrade: tea/1\r\n", "empty": "Upgrade:\r\n",
}  # fmt: skip


@pytest.mark.parametrize("lines", UPGRADES.values(), ids=UPGRADES.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    "path",
    [
        "/run/{app}/nowhere",
        "/nowhere",
        *(pytest.param(path, marks=pytest.mark.long) for path in ("/run/nobody/x", "/rest/nowhere")),
    ],
)
def test_the_next_client_gets_its_own_answer(
    wide: Served, nginx: Path, path: str, framing: str, method: str, lines: str
) -> None:
    fixed = f"Host: x\r\nAuthorization: Key {wide.ready['key']}\r\n"
    smuggled = f"GET /run/{wide.ready['app']}/openapi.json HTTP/1.1\r\n{fixed}\r\n".replace(
        "Host: x", "Host: 127.0.0.1"
    ).encode()
    length = f"Content-Length: {len(smuggled)}\r\n" if framing == "length" else "Transfer-Encoding: chunked\r\n"
    body = smuggled if framing == "length" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    first = f"{method} {path.format(app=wide.ready['app'])} HTTP/1.1\r\n{fixed}{lines}{length}\r\n".encode() + body
    sent = b'{"name": "Ada"}'
    own = f"POST /run/{wide.ready['app']}/ HTTP/1.1\r\n{fixed}Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    status, _ = ask(nginx, first)
    assert 400 <= status < 500
    for _ in range(2):
        status, answer = ask(nginx, own.encode() + sent)
        assert (status, json.loads(answer).get("text")) == (200, "Hello, Ada")
