"""Web pages of other origins: none may read anything unless an app's owner names theirs, and then that one alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.serve import Served, command, served
from tests.support.wire import Reply, Wire

APP = """
import fal
from fastapi import HTTPException, Response, WebSocket
from fastapi.responses import StreamingResponse


class Shown(fal.App):
    app_auth = "public"
    max_multiplexing = 4

    @fal.endpoint("/")
    def run(self, text: str = "none") -> dict:
        return {"text": text}

    @fal.endpoint("/fails")
    def fails(self) -> dict:
        raise ValueError("nobody shall read this")

    @fal.endpoint("/refuses")
    def refuses(self) -> dict:
        raise HTTPException(418, "short and stout", headers={"x-mine": "1"})

    @fal.endpoint("/own")
    def own(self) -> Response:
        return Response("x", headers={"access-control-allow-origin": "*", "vary": "Accept"})

    @fal.endpoint("/stream")
    def stream(self) -> StreamingResponse:
        return StreamingResponse(iter(["data: 1\\n\\n", "data: 2\\n\\n"]), media_type="text/event-stream")

    @fal.endpoint("/talk", is_websocket=True)
    async def talk(self, ws: WebSocket):
        await ws.accept()
        await ws.send_text("hello")
        await ws.close()


class Hidden(fal.App):
    @fal.endpoint("/")
    def run(self) -> dict:
        return {}
"""
AGAIN = """
import urllib.request

import fal_jupyter
from fal_jupyter import fal


class Again(fal.App):
    @fal.endpoint("/")
    def run(self) -> dict:
        return {}


pids = set()
for given in (None, "http://page.example:3000", ["https://other.example"], []):
    app = fal_jupyter.serve(Again, cors=given, quiet=True)
    for origin in given if isinstance(given, list) and given else ["http://page.example:3000"]:
        headers = {"Origin": origin, "Authorization": f"Key {app.key}"}
        with urllib.request.urlopen(urllib.request.Request(app.url, b"{}", headers)) as answer:
            print(answer.headers.get("Access-Control-Allow-Origin"))
    pids |= {runner["pid"] for runner in app.runners()}
print(len(pids))
"""
PAGE, OTHER_PAGE = "http://page.example:3000", "https://other.example"
STRANGERS = (
    "http://page.example", "https://page.example:3000", "http://page.example:30000", "http://page.example:3000/", "HTTP://page.example:3000",
    "http://page.example:3000.evil.example", "null", "", "*",
)  # fmt: skip


@dataclass
class Gateway:
    shown: Served
    hidden: Served

    def ask(
        self,
        method: str,
        path: str,
        origin: str | None = PAGE,
        *lines: str,
        key: bool = True,
        host: str = "",
    ) -> Reply:
        """Send one request as a browser does for a page of *origin*."""
        port = int(self.shown.ready["base"].rpartition(":")[2])
        all_lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}", *lines]
        all_lines += ["Content-Length: 0"] if method == "POST" and not lines else []
        all_lines += [f"Authorization: Key {self.shown.ready['key']}"] if key else []
        all_lines += [f"Origin: {origin}"] if origin is not None else []
        with closing(Wire(port)) as wire:
            wire.send("\r\n".join([*all_lines, "", ""]).encode())
            return wire.reply(method)

    def preflight(self, path: str, origin: str = PAGE, *lines: str, host: str = "") -> Reply:
        wanted = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type")
        return self.ask("OPTIONS", path, origin, *wanted, *lines, key=False, host=host)


@pytest.fixture(scope="module")
def gateway(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    path = tmp_path_factory.mktemp("origins") / "origins.py"
    path.write_text(APP)
    with (
        served(shared_state, f"{path}::Hidden", "--warm", "0") as hidden,
        served(shared_state, f"{path}::Shown", "--cors", PAGE, "--cors", f"{OTHER_PAGE}:443") as shown,
    ):
        yield Gateway(shown, hidden)


def path_of(app: Served, below: str = "/", queue: bool = False) -> str:
    path = urlsplit(app.ready["url"]).path.rstrip("/") + below
    return path.replace("/run/", "/queue/") if queue else path


def cors_headers(reply: Reply) -> dict[str, str]:
    """What an answer says of origins."""
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control-")}


OPEN = (
    ("POST", "run", "/", 200), ("POST", "run", "/fails", 500), ("POST", "run", "/refuses", 418), ("POST", "run", "/own", 200), ("POST", "run", "/stream", 200),
    ("POST", "run", "/nowhere", 404), ("GET", "run", "/", 405), ("POST", "queue", "/", 200), ("GET", "queue", "/requests/0-0", 404), ("PUT", "queue", "/requests/0-0/cancel", 404),
    ("POST", "", "/rest/storage/auth/token", 200), ("POST", "", "/rest/storage/upload/initiate", 200), ("POST", "", "/rest/tokens/", 422), ("GET", "", "/rest/.well-known/jwks.json", 200),
    ("POST", "", "/cdn/files/upload", 200), ("GET", "", "/cdn/files/00000000000000000000000000000000/a", 404), ("POST", "", "/proxy", 400),
)  # fmt: skip


@pytest.mark.parametrize(("method", "place", "below", "status"), OPEN)
@pytest.mark.parametrize("origin", [PAGE, OTHER_PAGE])
def test_every_answer_of_an_open_app_is_for_its_page(
    gateway: Gateway, method: str, place: str, below: str, status: int, origin: str
) -> None:
    path = path_of(gateway.shown, below, place == "queue") if place else below
    answer = gateway.ask(method, path, origin)

    assert answer.status == status
    exposed = cors_headers(answer).pop("access-control-expose-headers").split(", ")
    assert cors_headers(answer) == {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": ", ".join(exposed),
    }
    assert "x-fal-request-id" in exposed
    assert set(exposed) == {n for n in answer.headers if n.startswith("x-fal-") or n in ("content-disposition", "etag")}
    assert "Origin" in answer.headers["vary"].split(", ")


@pytest.mark.parametrize(("method", "place", "below", "status"), OPEN)
@pytest.mark.parametrize("origin", [None, "http://evil.example"])
def test_other_origins_get_only_the_vary_header(
    gateway: Gateway, method: str, place: str, below: str, status: int, origin: str | None
) -> None:
    path = path_of(gateway.shown, below, place == "queue") if place else below
    answer = gateway.ask(method, path, origin)

    assert (answer.status, cors_headers(answer)) == (status, {})
    assert "Origin" in answer.headers["vary"].split(", ")


@pytest.mark.parametrize("below", ["/rest/storage/auth/token", "/cdn/files/upload"])
def test_a_refusal_can_be_read_as_well(gateway: Gateway, below: str) -> None:
    answer = gateway.ask("POST", below, key=False)

    assert (answer.status, cors_headers(answer)["access-control-allow-origin"]) == (401, PAGE)
    assert json.loads(answer.body)["detail"].startswith("missing or wrong key")


def test_a_page_can_read_the_error_of_a_too_long_body(gateway: Gateway) -> None:
    answer = gateway.ask("POST", "/cdn/files/upload", PAGE, "Content-Length: 99999999999999", "Expect: 100-continue")
    assert (answer.status, cors_headers(answer)["access-control-allow-origin"]) == (413, PAGE)


@pytest.mark.parametrize("origin", STRANGERS)
def test_an_origin_is_compared_as_a_whole(gateway: Gateway, origin: str) -> None:
    answer = gateway.ask("POST", path_of(gateway.shown), origin)
    assert (answer.status, cors_headers(answer)) == (200, {})
    refused = gateway.preflight(path_of(gateway.shown), origin)
    assert (refused.status, cors_headers(refused)) == (
        403 if origin else 405,
        {},
    )  # the app is public, and no page of that origin may call it


@pytest.mark.parametrize(
    "place",
    ["run", "queue", "/rest/storage/auth/token", "/rest/tokens/", "/cdn/files/upload", "/proxy", "/cdn/files/x/y"],
)
def test_a_preflight_needs_no_key(gateway: Gateway, place: str) -> None:
    path = place if place.startswith("/") else path_of(gateway.shown, "/any/path?x=1", place == "queue")
    answer = gateway.preflight(path)

    assert answer.status == 204
    assert cors_headers(answer) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-max-age": "600",
    }
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"
    asked = gateway.preflight(path, PAGE, "Access-Control-Request-Private-Network: true")
    assert cors_headers(asked) == {**cors_headers(answer), "access-control-allow-private-network": "true"}


def test_a_preflight_to_another_host_is_refused(gateway: Gateway) -> None:
    answer = gateway.preflight(path_of(gateway.shown), host="page.example:3000")
    assert (answer.status, cors_headers(answer)) == (421, {})


@pytest.mark.parametrize("queue", [False, True])
def test_an_app_without_origins_sends_no_cors_headers(gateway: Gateway, queue: bool) -> None:
    path = path_of(gateway.hidden, queue=queue)
    answer, refused, preflight = (
        gateway.ask("POST", path),
        gateway.ask("POST", path, key=False),
        gateway.preflight(path),
    )
    assert [r.status for r in (answer, refused, preflight)] == [200, 401, 405 if queue else 401]
    assert [cors_headers(r) for r in (answer, refused, preflight)] == [{}, {}, {}]
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/run/local/nobody/", "/run/stranger/shown/", "/queue/local/nobody/", "/nowhere", "/"]
)
def test_an_unknown_path_sends_no_cors_headers(gateway: Gateway, path: str) -> None:
    for answer in (gateway.ask("POST", path), gateway.preflight(path)):
        assert answer.status in (401, 404, 405)
        assert cors_headers(answer) == {}


def test_the_proxy_route_answers_as_the_route_that_is_meant(gateway: Gateway) -> None:
    def through(app: Served) -> Reply:
        target = "https://fal.run" + urlsplit(app.ready["url"]).path.removeprefix("/run")
        return gateway.ask("POST", "/proxy", PAGE, "Content-Length: 0", f"x-fal-target-url: {target}")

    assert cors_headers(through(gateway.shown))["access-control-allow-origin"] == PAGE
    assert cors_headers(through(gateway.hidden)) == {}


def test_a_connection_carries_nothing_over_to_its_next_request(gateway: Gateway) -> None:
    port = int(gateway.shown.ready["base"].rpartition(":")[2])
    heads = [
        f"POST {path_of(app)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Key {gateway.shown.ready['key']}\r\n"
        f"Content-Length: 0\r\nOrigin: {PAGE}\r\n\r\n"
        for app in (gateway.shown, gateway.hidden, gateway.shown, gateway.hidden)
    ]
    with closing(Wire(port)) as wire:
        wire.send("".join(heads).encode())
        allowed_origins = [cors_headers(wire.reply()).get("access-control-allow-origin") for _ in heads]
    assert allowed_origins == [PAGE, None, PAGE, None]


# --- websockets --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        (PAGE, 101),
        (OTHER_PAGE, 101),
        ("OWN", 101),
        ("http://evil.example", 403),
        ("null", 403),
        ("OWN0", 403),
    ],
)
def test_a_websocket_of_a_strange_page_is_refused(gateway: Gateway, origin: str | None, status: int) -> None:
    own = gateway.shown.ready["base"]
    lines = {} if origin is None else {"Origin": origin.replace("OWN", own)}

    async def main() -> int:
        url = gateway.shown.ready["url"].rstrip("/").replace("http://", "ws://") + "/talk"
        try:
            async with connect(url, additional_headers=lines, proxy=None) as ws:
                assert await ws.recv() == "hello"
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code if b"--cors" in (refused.response.body or b"") else 0

    assert asyncio.run(main()) == status


# --- changing it -------------------------------------------------------------------------------------------------------
def test_what_is_no_origin_is_one_sentence(gateway: Gateway, tmp_path: Path) -> None:
    completed = command(gateway.shown.state, "serve", str(tmp_path / "x.py"), "--cors", "http://page.example/path")
    assert completed.returncode != 0
    assert completed.stderr.strip() == (
        "fal-jupyter: --cors: 'http://page.example/path' is not a web origin; expected scheme://host or"
        " scheme://host:port; write http://page.example"
    )


def test_a_later_publication_opens_and_closes_without_a_new_runner(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(AGAIN)
    completed = subprocess.run(
        [sys.executable, str(tmp_path / "again.py")],
        env=dict(os.environ, FAL_JUPYTER_STATE=str(gateway.shown.state)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.split() == ["None", PAGE, OTHER_PAGE, "None", "1"]
