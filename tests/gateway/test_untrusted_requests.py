"""The edge of the gateway: what is decided by the head alone, and what web pages of other origins cannot do to a public app."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.support.fixtures import state_fixture
from tests.support.serve import Served, command, served
from tests.support.wire import Reply, Wire, exchange, head, port_of

APP = """
import fal
from fastapi import Request, Response


class Open(fal.App):
    app_name = "open"
    app_auth = "public"
    max_multiplexing = 8

    @fal.endpoint("/")
    def hi(self) -> dict:
        return {"public": True}

    @fal.endpoint("/cookies")
    async def cookies(self, request: Request, response: Response) -> dict:
        response.set_cookie("mine", "1")
        return request.cookies

    @fal.endpoint("/query")
    def query(self, request: Request) -> str:
        return str(request.url.query)

    @fal.endpoint("/items/{name}")
    def item(self, name: str) -> str:
        return name

    @fal.endpoint("/length")
    async def length(self, request: Request) -> int:
        return len(await request.body())

    @fal.endpoint("/large")
    async def large(self) -> Response:
        return Response(b"x" * (20 << 20))

    @fal.endpoint("/stream")
    async def stream(self) -> Response:
        from fastapi.responses import StreamingResponse

        async def parts():
            yield b"one,"
            yield b"two"

        return StreamingResponse(parts(), media_type="text/plain")
"""


state = state_fixture("module")  # a gateway of this file's own: it has short limits of time


@pytest.fixture(scope="module")
def public(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    file = tmp_path_factory.mktemp("open") / "open.py"
    file.write_text(APP)
    env = {"FAL_JUPYTER_READ_TIMEOUT": "1", "FAL_JUPYTER_SEND_TIMEOUT": "1"}
    with served(state, f"{file}::Open", env=env) as running:
        yield running


def ask(app: Served, method: str, path: str, *lines: str, key: str | None = None, body: bytes = b"") -> Reply:
    port = port_of(app.ready["base"])
    target = path.format(app=app.ready["app"])
    return exchange(port, head(method, target, port, key, f"Content-Length: {len(body)}", *lines) + body, method=method)


LARGE = "Content-Length: 200000000"
ROUTES = [
    "/queue/{app}/",
    "/rest/tokens/",
    "/rest/storage/auth/token",
    "/cdn/files/upload",
    "/cdn/files/upload/multipart",
]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("how", ["host", "key", "method"])
def test_a_refusal_is_sent_before_the_body(public: Served, path: str, how: str) -> None:
    if how in ("key", "method") and path.startswith("/queue"):
        pytest.skip("the app is public, and takes any method")
    port, key = port_of(public.ready["base"]), public.ready["key"]
    sent = head(
        "PATCH" if how == "method" else "POST", path.format(app=public.ready["app"]), port,
        None if how == "key" else key, LARGE, host="evil.example" if how == "host" else None,
    )  # fmt: skip
    reply = exchange(port, sent + b"x", timeout=20)
    assert reply.status == {"host": 421, "key": 401, "method": 405}[how]


def test_a_length_over_the_limit_is_only_reported_with_a_key(public: Served) -> None:
    port, huge = port_of(public.ready["base"]), "Content-Length: 900000000000"
    for key, status in ((None, 401), (public.ready["key"], 413)):
        assert exchange(port, head("POST", "/rest/tokens/", port, key, huge), timeout=20).status == status


FOREIGN = [
    ("Origin: http://evil.example",),
    ("Origin: null",),
    ("Sec-Fetch-Site: cross-site",),
    ("Sec-Fetch-Site: same-site",),
]


@pytest.mark.parametrize("lines", FOREIGN)
@pytest.mark.parametrize("path", ["/run/{app}/", "/queue/{app}/"])
def test_a_page_of_another_origin_calls_no_public_app(public: Served, path: str, lines: tuple[str, ...]) -> None:
    assert ask(public, "POST", path, *lines).status == 403
    assert ask(public, "POST", path, *lines, key=public.ready["key"]).status == 200
    assert ask(public, "POST", path).status == 200
    own = f"Origin: {public.ready['base']}"
    assert ask(public, "POST", path, own, "Sec-Fetch-Site: same-origin").status == 200


def test_a_link_that_the_user_follows_works(public: Served) -> None:
    lines = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    assert ask(public, "GET", "/run/{app}/openapi.json", *lines, "Sec-Fetch-User: ?1").status == 200
    assert ask(public, "GET", "/run/{app}/openapi.json", *lines).status == 403


def test_without_a_key_get_submits_nothing_and_no_webhook_is_taken(public: Served) -> None:
    assert ask(public, "GET", "/queue/{app}/").status == 405
    assert ask(public, "POST", "/queue/{app}/?fal_webhook=https://evil.example/").status == 401
    body = json.dumps({"allowed_apps": [public.ready["app"]]}).encode()
    token = json.loads(ask(public, "POST", "/rest/tokens/", key=public.ready["key"], body=body).body)
    assert ask(public, "POST", f"/queue/{{app}}/?fal_jwt_token={token}&fal_webhook=https://evil.example/").status == 401


def test_a_browser_brings_an_app_its_own_cookies_only(public: Served) -> None:
    browser = ("Sec-Fetch-Site: same-origin", "Cookie: username-127-0-0-1-8888=secret; _xsrf=x; mine=2")
    ask(public, "POST", "/run/{app}/cookies")
    assert json.loads(ask(public, "POST", "/run/{app}/cookies", *browser).body) == {"mine": "2"}
    assert json.loads(ask(public, "POST", "/run/{app}/cookies", "Cookie: a=1").body) == {"a": "1"}
    assert queued(public, "/cookies", *browser) == {"mine": "2"}
    assert queued(public, "/cookies", "Cookie: a=1") == {"a": "1"}


def queued(app: Served, below: str, *lines: str) -> object:
    """Submit a request and give its result."""
    job = json.loads(ask(app, "POST", "/queue/{app}" + below, "Content-Type: application/json", *lines).body)
    while (reply := ask(app, "GET", urlsplit(job["response_url"]).path)).status == 400:
        time.sleep(0.02)
    return json.loads(reply.body)


def test_no_app_gets_the_token_that_opened_it(public: Served) -> None:
    wanted = b'{"allowed_apps": ["open"]}'
    token = json.loads(ask(public, "POST", "/rest/tokens/", key=public.ready["key"], body=wanted).body)
    below = f"/query?a=1&fal_jwt_token={token}&b=2"
    assert json.loads(ask(public, "POST", "/run/{app}" + below).body) == "a=1&b=2"
    assert queued(public, below) == "a=1&b=2"


def test_a_webhook_with_a_key_that_may_not_call_apps_is_refused_with_the_preset_that_may(public: Served) -> None:
    made = json.loads(command(public.state, "keys", "create", "--preset", "READONLY", "--json").stdout)
    reply = ask(public, "POST", "/queue/{app}/?fal_webhook=https://example.com/", key=made["key"])
    assert (reply.status, "--preset API" in json.loads(reply.body)["detail"]) == (403, True)


def test_an_upload_url_is_valid_as_long_as_its_key(public: Served) -> None:
    made = json.loads(command(public.state, "keys", "create", "--name", "uploads", "--json").stdout)
    key, json_type = made["key"], "Content-Type: application/json"
    token = json.loads(ask(public, "POST", "/rest/storage/auth/token", json_type, key=key, body=b"{}").body)["token"]
    begun = [
        ask(public, "POST", "/rest/storage/upload/initiate", json_type, key=key, body=b"{}"),
        ask(public, "POST", "/rest/storage/upload/initiate-multipart", json_type, key=key, body=b"{}"),
        ask(public, "POST", "/cdn/files/upload/multipart", key=key),
        ask(public, "POST", "/cdn/files/upload/multipart", f"Authorization: Bearer {token}"),
    ]
    addresses = [urlsplit(json.loads(reply.body)["upload_url"]) for reply in begun[:2]]
    parts = [json.loads(reply.body) for reply in begun[2:]]
    targets = [f"{one.path}?{one.query}" for one in addresses]
    targets[1] = targets[1].replace("?", "/1?")
    targets += [f"{urlsplit(part['access_url']).path}/multipart/{part['uploadId']}/1" for part in parts]
    assert [ask(public, "PUT", target, body=b"x").status for target in targets[1:]] == [200, 200, 200]
    assert command(public.state, "keys", "revoke", made["id"]).returncode == 0
    assert [ask(public, "PUT", target, body=b"x").status for target in targets] == [404, 404, 404, 404]
    complete, body = targets[2].removesuffix("1") + "complete", b'{"parts": [{"partNumber": 1}]}'
    assert ask(public, "POST", complete, json_type, key=public.ready["key"], body=body).status == 404


def test_a_token_ends_with_its_key(public: Served) -> None:
    made = json.loads(command(public.state, "keys", "create", "--json").stdout)
    body = json.dumps({"allowed_apps": [public.ready["app"]], "token_expiration": 9999}).encode()
    token = json.loads(ask(public, "POST", "/rest/tokens/", key=made["key"], body=body).body)
    path = f"/queue/{{app}}/?fal_jwt_token={token}"
    assert ask(public, "GET", path).status == 200
    assert command(public.state, "keys", "revoke", made["id"]).returncode == 0
    assert ask(public, "GET", path).status == 405


def test_a_body_that_trickles_is_ended(public: Served) -> None:
    port = port_of(public.ready["base"])
    with closing(Wire(port)) as wire:
        wire.send(
            head("POST", f"/run/{public.ready['app']}/length", port, None, "Content-Length: 5000000") + bytes(2_000_000)
        )
        ended = time.monotonic() + 20
        wire.sock.settimeout(0.1)
        while time.monotonic() < ended:
            wire.send(b"x")
            try:
                answer = wire.sock.recv(65536)
            except TimeoutError:
                continue
            assert answer.startswith(b"HTTP/1.1 408 ")
            return
    raise AssertionError("a byte now and then kept it open")


def test_a_slow_but_steady_reader_gets_all_of_it(public: Served) -> None:
    port = port_of(public.ready["base"])
    with closing(Wire(port)) as wire:
        wire.send(head("POST", f"/run/{public.ready['app']}/large", port, None, "Content-Length: 0"))
        bytes_received, began = 0, time.monotonic()
        while bytes_received < 20 << 20:
            piece = wire.sock.recv(400_000)
            assert piece, f"cut off after {bytes_received} bytes"
            bytes_received += len(piece)
            time.sleep(0.05)  # slower than it comes, and longer than the time in which some has to be taken
        assert time.monotonic() - began > 2


def test_a_reader_is_steady_that_takes_less_than_the_buffer_of_its_socket(public: Served) -> None:
    port, bytes_received = port_of(public.ready["base"]), 0
    with closing(Wire(port)) as wire:
        wire.send(head("POST", f"/run/{public.ready['app']}/large", port, None, "Content-Length: 0"))
        began = time.monotonic()
        while time.monotonic() - began < 4:  # several times the time in which some has to be taken
            bytes_received += len(wire.sock.recv(10_000))
            time.sleep(0.05)
        while piece := wire.sock.recv(1 << 20):
            bytes_received += len(piece)
            if bytes_received >= 20 << 20:
                return
    raise AssertionError(f"cut off after {bytes_received} bytes")


def test_http_1_0(public: Served) -> None:
    port, run = port_of(public.ready["base"]), f"/run/{public.ready['app']}"

    def old(path: str, *lines: str) -> bytes:
        return head("POST", run + path, port, None, "Content-Length: 0", *lines).replace(b"HTTP/1.1", b"HTTP/1.0", 1)

    with closing(Wire(port)) as wire:
        for _ in range(3):
            wire.send(old("/", "Connection: Keep-Alive"))
            assert wire.reply().headers["connection"] == "keep-alive"
        wire.send(old("/stream", "Connection: Keep-Alive"))
        reply = wire.reply()
        assert reply.body == b"one,two"
        assert "transfer-encoding" not in reply.headers
        assert wire.rest() == b""
    with closing(Wire(port)) as wire:
        wire.send(old("/"))
        assert wire.reply().headers["connection"] == "close"
        assert wire.rest() == b""


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/items/a:b%20c/"), ("GET", "/docs/"), ("GET", "/openapi.json/")]
)
def test_a_redirect_for_a_slash_leads_to_the_app(public: Served, method: str, path: str) -> None:
    run = f"/run/{public.ready['app']}"
    reply = ask(public, method, f"{run}{path}?q=1")
    assert reply.status == 307
    there = urljoin(public.ready["base"] + run + path, reply.headers["location"])
    assert there == f"{public.ready['base']}{run}{path.rstrip('/')}?q=1"
    assert ask(public, method, there.removeprefix(public.ready["base"])).status == 200
