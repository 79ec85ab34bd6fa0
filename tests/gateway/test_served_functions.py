"""Functions that are apps: ``fal.function(serve=True)``, and ``exposed_port`` with a server of the function's own."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.queue_caller import Caller
from tests.support.serve import command, runners, served

FILE = '''
import fal
from pydantic import BaseModel

class Sum(BaseModel):
    a: int
    b: int = 1

@fal.function(serve=True, keep_alive=7, machine_type="XS")
def add_up(sum: Sum) -> dict:
    """Adds."""
    return {"sum": sum.a + sum.b}

@fal.function(serve=True)
async def setup(word: str) -> str:
    return word.upper()

@fal.function("virtualenv", exposed_port=PORT, max_concurrency=3)
def server():
    import http.server, os, signal, threading
    reached, hung_up = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # only a main thread may

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            if self.path in ("/reached", "/hung-up"):
                self.path = str((reached if self.path == "/reached" else hung_up).wait(60))
            if self.path == "/die":
                os._exit(3)
            self.send_response(200)
            self.send_header("x-own", "1"); self.send_header("set-cookie", "a=1"); self.send_header("set-cookie", "b=2")
            self.send_header("transfer-encoding", "chunked"); self.end_headers()
            for word in (self.path, str(os.getpid())):
                self.wfile.write(f"{len(word):x}\\r\\n{word}\\r\\n".encode()); self.wfile.flush()
            self.wfile.write(b"0\\r\\n\\r\\n")
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/until-hung-up":
                reached.set()
                if self.connection.recv(1) == b"":
                    hung_up.set()
                return
            self.send_response(201); self.send_header("content-length", str(len(body))); self.end_headers()
            self.wfile.write(body[::-1])
        do_PUT = do_POST
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()

@fal.function(exposed_port=PORT)
def leaves():
    raise SystemExit(4)

@fal.function()
def plain(): ...
'''


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def file(port: int, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("app") / "functions.py"
    path.write_text(FILE.replace("PORT", str(port)))
    return str(path)


def test_a_function_with_serve_is_an_endpoint(shared_state: Path, file: str) -> None:
    with served(shared_state, f"{file}::add_up") as app:
        assert app.ready["app"].endswith("/add-up")
        assert app.request("/", {"a": 2, "b": 3}).json == {"sum": 5}
        assert app.request("/", {"a": "x"}).status == 422
        assert app.request("/health", method="GET").status == 200
        document = app.request("/openapi.json", method="GET").json
        assert document["paths"]["/"]["post"]["description"] == "Adds."
    with served(shared_state, f"{file}::setup") as app:
        assert app.request("/?word=loud", {}).json == "LOUD"


def test_a_function_with_a_port_serves_by_its_own_server(shared_state: Path, file: str, port: int) -> None:
    with served(shared_state, f"{file}::server") as app:
        first = app.request("/deep/path?x=%20", method="GET")
        assert (first.status, first.headers["x-own"]) == (200, "1")
        text, pid = first.body.decode().split("%20")
        assert text == "/deep/path?x="
        posted = app.request("/", b"abc", method="PUT")
        assert (posted.status, posted.body) == (201, b"cba")
        assert app.request("/", b"").status == 201

        caller = Caller(app)
        waits = caller.submit(below="/until-hung-up")
        assert app.request("/reached", method="GET").body.startswith(b"True")
        assert caller.ask("PUT", f"{urlsplit(waits['cancel_url']).path}?force=1")[0] == 202
        assert app.request("/hung-up", method="GET").body.startswith(b"True")

        busy = command(shared_state, "serve", f"{file}::leaves")
        assert busy.returncode == 1
        assert f"leaves cannot listen on port {port}: another process on this machine uses it" in busy.stderr

        assert app.request("/die", method="GET").status in (502, 503)
        answers = (app.request("/", method="GET") for _ in range(50))  # what meets the runner that ends is a 503
        second = next(answer for answer in answers if answer.status == 200).body.decode()
        assert second != f"/{pid}"
        assert len([one for one in runners(shared_state) if one["app"] == app.ready["app"]]) == 1
    _gone(port, int(second.removeprefix("/")))


def test_a_function_that_ends_immediately_is_reported(shared_state: Path, file: str, port: int) -> None:
    done = command(shared_state, "serve", f"{file}::leaves")

    assert done.returncode == 1
    assert f"leaves ended (exit status 4) before anything listened on port {port}" in done.stderr


def test_dry_run_and_doctor_know_them(shared_state: Path, file: str) -> None:
    done = command(shared_state, "serve", f"{file}::server", "--dry-run")
    assert done.returncode == 0
    assert "max_concurrency = 3 acts in the cloud" in done.stderr
    refused = command(shared_state, "serve", f"{file}::plain", "--dry-run")
    assert "functions.py::plain is not a fal.App, but of type IsolatedFunction" in refused.stderr
    for name in ("add_up", "server"):
        examined = command(shared_state, "doctor", f"{file}::{name}")
        assert examined.returncode in (0, 1), examined.stderr
        assert "Traceback" not in examined.stderr, examined.stderr


def _gone(port: int, pid: int) -> None:
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{pid}")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass
