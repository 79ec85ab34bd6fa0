"""The data plane through its TCP port: who is let in, what goes through, and what the answer looks like."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.serve import Served, command, served
from tests.support.wire import Wire, exchange, head, port_of

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ADA = b'{"name": "Ada"}'


def port(wide: Served) -> int:
    return port_of(wide.ready["base"])


def post(wide: Served, path: str, *lines: str, body: bytes = ADA, key: str | None = "own") -> bytes:
    """A POST of *body* to the app's *path* as bytes."""
    sent = wide.ready["key"] if key == "own" else key
    length = f"Content-Length: {len(body)}"
    prefix = f"/run/{wide.ready['app']}"
    return head("POST", prefix + path, port(wide), sent, length, "Content-Type: application/json", *lines) + body


# --- who is let in ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [None, "", "Key", "Key ", "Key nonsense", "Key a:b", "Basic {key}", "Key {id}:wrong", "Key {key}x", "Key x{key}"],
)  # fmt: skip
def test_a_missing_or_wrong_key_is_401_with_a_json_detail(wide: Served, value: str | None) -> None:
    key = wide.ready["key"]
    lines = [] if value is None else ["Authorization: " + value.format(key=key, id=key.split(":")[0])]

    reply = exchange(port(wide), post(wide, "/", *lines, key=None))

    assert reply.status == 401
    assert "Key id:secret" in json.loads(reply.body)["detail"]
    assert reply.headers["www-authenticate"] == "Key"
    assert reply.headers["x-fal-request-id"] == json.loads(reply.body)["request_id"]
    assert key.split(":")[1] not in reply.body.decode()


@pytest.mark.parametrize("scheme", ["Key", "key", "KEY", "Bearer"])
def test_the_scheme_of_the_key_is_read_in_any_case(wide: Served, scheme: str) -> None:
    reply = exchange(port(wide), post(wide, "/", f"authorization: {scheme} {wide.ready['key']}", key=None))
    assert reply.status == 200


def test_without_a_key_the_apps_cannot_be_enumerated(wide: Served) -> None:
    there, not_there = (
        exchange(port(wide), head("POST", path, port(wide), None, "Content-Length: 0"))
        for path in (f"/run/{wide.ready['app']}/", f"/run/{wide.ready['app']}x/")
    )
    assert (there.status, not_there.status) == (401, 401)
    assert set(json.loads(there.body)) == set(json.loads(not_there.body))
    assert json.loads(there.body)["detail"] == json.loads(not_there.body)["detail"]


@pytest.mark.parametrize(
    "path", ["/run/{owner}/nosuch/", "/run/nobody/wide/", "/run/", "/run", "/", "/admin/apps", "/run/{owner}/"]
)
def test_an_unknown_app_or_address_is_404_with_a_valid_key(wide: Served, path: str) -> None:
    owner = wide.ready["app"].split("/")[0]
    reply = exchange(
        port(wide), head("POST", path.format(owner=owner), port(wide), wide.ready["key"], "Content-Length: 0")
    )
    assert reply.status == 404
    assert json.loads(reply.body)["detail"]
    assert reply.headers["x-fal-request-id"]


def test_an_unknown_path_of_the_app_is_404_as_fals(wide: Served) -> None:
    answer = wide.request("/nosuch", {"a": 1})
    assert (answer.status, answer.json["detail"]) == (404, "Path /nosuch not found")
    assert wide.request("/", method="GET").status == 405


def test_a_key_of_one_lease_opens_every_app_of_the_same_user_until_the_lease_ends(
    wide: Served, state: Path, app_file: str
) -> None:
    with served(state, f"{app_file}::Single") as other:
        assert other.ready["base"] == wide.ready["base"]
        key = other.ready["key"]
        assert key != wide.ready["key"]
        assert wide.request("/", {"name": "Ada"}, key=key).status == 200
    assert wide.request("/", {"name": "Ada"}, key=key).status == 401
    assert wide.request("/", {"name": "Ada"}).status == 200


def test_a_public_app_needs_no_key_and_an_app_of_an_ended_owner_is_404(
    wide: Served, state: Path, app_file: str
) -> None:
    with served(state, f"{app_file}::Open") as other:
        assert other.request("/", {}, key=None).json == {"public": True}
        assert other.request("/", {}, key="not:mine").json == {"public": True}
    assert wide.request("/../open".replace("/..", ""), {}).status == 404  # /open is no path of wide
    reply = exchange(
        port(wide), head("POST", f"/run/{other.ready['app']}/", port(wide), wide.ready["key"], "Content-Length: 0")
    )
    assert reply.status == 404


def test_keys_are_stored_hashed_only(wide: Served, state: Path) -> None:
    key_id, secret = wide.ready["key"].split(":")
    files = [p for p in state.rglob("*") if p.is_file()]
    assert any(key_id.encode() in p.read_bytes() for p in files)
    assert not [p for p in files if secret.encode() in p.read_bytes()]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "[::2]:{port}", ""]
)
def test_a_foreign_host_is_refused_before_the_key_is_looked_at(wide: Served, host: str) -> None:
    own = port(wide)
    data = head("POST", f"/run/{wide.ready['app']}/", own, wide.ready["key"], host=host.format(port=own))
    reply = exchange(own, data.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))
    assert reply.status in (400, 421)
    assert b"Hello" not in reply.body


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "localhost", "127.0.0.1"])
def test_names_of_this_machine_are_let_in(wide: Served, host: str) -> None:
    own = port(wide)
    data = head(
        "POST", f"/run/{wide.ready['app']}/", own, wide.ready["key"], f"Content-Length: {len(ADA)}",
        "Content-Type: application/json", host=host.format(port=own),
    )  # fmt: skip
    assert exchange(own, data + ADA).status == 200


# --- hostile heads and bodies -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["/../single/touch", "/%2e%2e/single/touch", "/a/..%2fb", "/%2e%2E%5cx", "/a%00b", "/a%0d%0aX-Injected:1"]
)
def test_paths_that_climb_or_carry_control_characters_are_refused(wide: Served, path: str) -> None:
    reply = exchange(port(wide), post(wide, path))
    assert reply.status == 400
    assert "x-injected" not in reply.headers


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /run/{app}/digest HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Key {key}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /run/{app}/digest HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Key {key}\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /run/{app}/digest HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Key {key}\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST /run/{app}/digest HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Key {key}\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /run/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 80_000 + b"\r\n\r\n",
        b"POST /run/ HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"POST /run/ HTTP/1.1\r\n folded: x\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=[
        "no request", "no path", "TLS", "two lengths", "negative length", "chunked with length", "unknown coding", "huge head",
        "space before colon", "folded",
    ],
)  # fmt: skip
def test_what_is_not_http_ends_its_connection_and_nothing_else(wide: Served, data: bytes) -> None:
    with closing(Wire(port(wide))) as wire:
        wire.send(data.replace(b"{key}", wide.ready["key"].encode()).replace(b"{app}", wide.ready["app"].encode()))
        rest = wire.rest()  # to its end: the connection is closed
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 "), rest[:200]
    assert rest.count(b"HTTP/1.1") <= 1
    assert wide.request("/", {"name": "Ada"}).status == 200


def test_malformed_json_is_422_as_fastapis(wide: Served) -> None:
    reply = exchange(port(wide), post(wide, "/", body=b'{"name": '))
    assert reply.status == 422
    assert json.loads(reply.body)["detail"][0]["type"] == "json_invalid"


def test_a_wrong_body_is_422_with_the_place(wide: Served) -> None:
    assert wide.request("/", {"nam": 1}).json["detail"][0]["loc"] == ["body", "name"]


def test_headers_that_speak_for_us_do_not_get_through(wide: Served) -> None:
    lines = [
        "X-Fal-Request-Id: forged",
        "X-Fal-Endpoint: /forged",
        "X-Mine: kept",
        "Cookie: a=b",
        "X-Two: 1",
        "X-Two: 2",
    ]
    reply = exchange(port(wide), post(wide, "/headers?a=%20b&c=", *lines))
    response = json.loads(reply.body)
    seen = response["headers"]
    assert ["x-mine", "kept"] in seen
    assert [v for k, v in seen if k == "x-two"] == ["1", "2"]
    assert [v for k, v in seen if k == "x-fal-request-id"] == [reply.headers["x-fal-request-id"]]
    assert not [k for k, _ in seen if k == "authorization"]
    assert ["cookie", "a=b"] in [list(pair) for pair in seen]
    assert wide.ready["key"].split(":")[1] not in reply.body.decode()
    assert (response["query"], response["path"]) == ("a=%20b&c=", "/headers")


@pytest.mark.parametrize(
    ("name", "value"), [("x-a", "1\r\nx-injected: 1"), ("x-a\r\nx-injected", "1"), ("x-a", "1\nx")]
)
def test_a_line_break_in_an_answers_header_is_500_and_injects_nothing(wide: Served, name: str, value: str) -> None:
    reply = exchange(port(wide), post(wide, "/inject", body=json.dumps({"name": name, "value": value}).encode()))
    assert reply.status == 500
    assert "x-injected" not in reply.headers
    assert reply.headers["x-fal-request-id"]


# --- sizes ------------------------------------------------------------------------------------------------------------
def test_a_declared_body_over_the_limit_is_413_before_it_is_sent(wide: Served) -> None:
    length = (80 << 20) + 1
    data = head("POST", f"/run/{wide.ready['app']}/digest", port(wide), wide.ready["key"], f"Content-Length: {length}")
    reply = exchange(port(wide), data)
    assert reply.status == 413
    assert str(80 << 20) in json.loads(reply.body)["detail"]
    assert "FAL_JUPYTER_MAX_BODY" in json.loads(reply.body)["detail"]


def test_a_chunked_body_over_the_limit_is_413(wide: Served) -> None:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with closing(Wire(port(wide))) as wire:
        path = f"/run/{wide.ready['app']}/digest"
        wire.send(head("POST", path, port(wide), wide.ready["key"], "Transfer-Encoding: chunked"))
        try:
            for _ in range(82):
                wire.send(chunk)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has been answered meanwhile
        assert wire.reply().status == 413
    assert wide.request("/", {"name": "Ada"}).status == 200


def test_a_caller_that_sends_a_long_body_to_its_end_still_reads_the_refusal(wide: Served) -> None:
    over = bytes((80 << 20) + 1)
    assert wide.request("/digest", over).status == 413
    assert wide.request("/digest", over[: 16 << 20], key="a:b").status == 401
    assert wide.request("/nosuch", over[: 16 << 20]).status == 404
    assert wide.request("/", over[: 16 << 20]).status == 422


def test_expect_is_answered_with_continue(wide: Served) -> None:
    with closing(Wire(port(wide))) as wire:
        data = post(wide, "/", "Expect: 100-continue", body=ADA)
        wire.send(data.removesuffix(ADA))
        assert wire.reply().status == 100
        wire.send(ADA)
        assert wire.reply().status == 200


def resident(pid: int) -> int:
    """Peak resident memory in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_64_mib_pass_both_ways_and_are_not_collected_in_the_gateway(wide: Served, state: Path) -> None:
    gateway = json.loads(command(state, "doctor", "--json").stdout)["gateway"]["pid"]
    assert wide.request("/", {"name": "Ada"}).status == 200
    Path(f"/proc/{gateway}/clear_refs").write_text("5")  # the peak begins anew
    before = resident(gateway)

    body = bytes(range(256)) * (64 << 12)
    up = wide.request("/digest", body, headers={"content-type": "application/octet-stream"})
    assert up.json == {"length": 64 << 20, "sha256": hashlib.sha256(body).hexdigest()}
    down = wide.request("/large", {"size": 64})
    assert len(down.body) == 64 << 20
    assert hashlib.sha256(down.body).hexdigest() == up.json["sha256"]

    assert resident(gateway) - before < 24 << 20


def test_a_chunked_body_arrives_whole(wide: Served) -> None:
    with closing(Wire(port(wide))) as wire:
        path = f"/run/{wide.ready['app']}/digest"
        wire.send(head("POST", path, port(wide), wide.ready["key"], "Transfer-Encoding: chunked"))
        for _ in range(100):
            wire.send(b"7\r\nabcdefg\r\n")
        wire.send(b"0\r\n\r\n")
        response = json.loads(wire.reply().body)
    assert response == {"length": 700, "sha256": hashlib.sha256(b"abcdefg" * 100).hexdigest()}


# --- connections ------------------------------------------------------------------------------------------------------
def test_requests_sent_at_once_on_one_connection_are_answered_in_order(wide: Served) -> None:
    names = [f"n{i}" for i in range(20)]
    with closing(Wire(port(wide))) as wire:
        wire.send(b"".join(post(wide, "/", body=json.dumps({"name": n}).encode()) for n in names))
        replies = [wire.reply() for _ in names]
    assert [json.loads(r.body)["text"] for r in replies] == [f"Hello, {n}" for n in names]
    assert len({r.headers["x-fal-request-id"] for r in replies}) == len(names)


def test_a_connection_stays_open_after_a_refusal(wide: Served) -> None:
    with closing(Wire(port(wide))) as wire:
        wire.send(post(wide, "/", key=None))
        assert wire.reply().status == 401
        wire.send(post(wide, "/"))
        assert wire.reply().status == 200


def test_the_first_part_of_a_stream_comes_before_the_second_is_made(wide: Served, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with closing(Wire(port(wide))) as wire:
        wire.send(post(wide, "/stream", body=json.dumps({"gate": str(gate)}).encode()))
        seen = b""
        while b"first\n" not in seen:
            seen += wire.sock.recv(4096)
        assert b"second" not in seen
        gate.touch()
        while b"second\n" not in seen:
            seen += wire.sock.recv(4096)


@pytest.mark.parametrize("code", [200, 204, 304, 418])
def test_any_status_goes_through(wide: Served, code: int) -> None:
    reply = exchange(port(wide), post(wide, "/status", body=json.dumps({"code": code}).encode()))
    assert (reply.status, reply.body) == (code, b"")


def test_a_request_id_is_on_every_answer_and_never_twice(wide: Served) -> None:
    answers = [
        wide.request("/", {"name": "Ada"}),
        wide.request("/", {}),
        wide.request("/nosuch", {}),
        wide.request("/raise", {}),
        wide.request("/", {}, key="a:b"),
        wide.request("/health", method="GET"),
    ]
    assert [a.status for a in answers] == [200, 422, 404, 500, 401, 200]
    ids = [a.headers["x-fal-request-id"] for a in answers]
    assert all(re.fullmatch(UUID, i) for i in ids)
    assert len(set(ids)) == len(ids)


def test_others_learn_nothing_of_a_failure_but_its_id(wide: Served, state: Path) -> None:
    answer = wide.request("/raise", {})
    assert answer.status == 500
    assert answer.json["detail"] == "Internal Server Error"
    assert not [word for word in (b"hunter2", b"RuntimeError", b"Traceback", b"app.py") if word in answer.body]
    logs = command(state, "logs", "wide", "--json").stdout
    assert "the password is hunter2" in logs
    assert answer.headers["x-fal-request-id"] in logs


def test_health_is_built_in_for_get_and_the_users_for_post(wide: Served) -> None:
    assert wide.request("/health", method="GET").status == 200
    assert wide.request("/health", {}).json == {"mine": True}


def test_the_openapi_document_is_served(wide: Served) -> None:
    document = wide.request("/openapi.json", method="GET").json
    assert set(document["paths"]) >= {"/", "/digest", "/health"}
    schema = document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("Name")


# --- callers that leave -----------------------------------------------------------------------------------------------
def test_the_work_of_a_caller_that_left_before_dispatch_is_dropped(
    wide: Served, state: Path, app_file: str, tmp_path: Path
) -> None:
    with served(state, f"{app_file}::Single", "--max", "1") as single:
        gate, busy, touched, last = (tmp_path / n for n in ("gate", "busy", "touched", "last"))
        holder = threading.Thread(target=single.request, args=("/wait", {"gate": str(gate), "mark": str(busy)}))
        holder.start()
        while not busy.exists():
            threading.Event().wait(0.01)
        wire = Wire(port(single))
        wire.send(post(single, "/touch", body=json.dumps({"mark": str(touched)}).encode()))
        later = threading.Thread(target=single.request, args=("/touch", {"mark": str(last)}))
        later.start()
        wire.close()
        while single_waiting(single, state) != 2:  # the holder and the later one; the one who left is gone
            threading.Event().wait(0.02)
        gate.touch()
        holder.join(20)
        later.join(20)
        assert last.exists()
        assert not touched.exists()


def test_a_file_is_read_in_both_processes_as_python_reads_it(wide: Served) -> None:
    assert wide.request("/annotation", {}).json == "str"  # no future import of ours leaks into it


def single_waiting(single: Served, state: Path) -> int:
    apps = json.loads(command(state, "apps", "--json").stdout)
    app = next(a for a in apps if a["app"] == single.ready["app"])
    signatures = [endpoint["signature"] for endpoint in app["endpoints"]]
    assert "(gate: str, mark: str) -> dict" in signatures  # read as Python reads the file
    return int(app["in_flight"] + app["waiting"])


def idle(wide: Served, state: Path) -> bool:
    app = next(a for a in json.loads(command(state, "apps", "--json").stdout) if a["app"] == wide.ready["app"])
    return bool(app["in_flight"] + app["waiting"] == 0)


def test_a_caller_that_leaves_in_the_middle_of_a_stream_frees_its_place(wide: Served, state: Path) -> None:
    for _ in range(20):  # more than max_multiplexing
        wire = Wire(port(wide))
        wire.send(post(wide, "/large", body=b'{"size": 64}'))
        assert wire.sock.recv(1000)
        wire.close()
    assert wide.request("/", {"name": "Ada"}).status == 200
    while not idle(wide, state):  # bounded by the test's own limit
        threading.Event().wait(0.05)


def test_a_caller_that_leaves_in_the_middle_of_its_body_is_no_failure_of_the_app(wide: Served, state: Path) -> None:
    for sent in (0, 10, 3 << 20):
        wire = Wire(port(wide))
        path = f"/run/{wide.ready['app']}/digest"
        wire.send(head("POST", path, port(wide), wide.ready["key"], f"Content-Length: {8 << 20}") + bytes(sent))
        wire.close()
    assert wide.request("/", {"name": "Ada"}).status == 200
    while not idle(wide, state):
        threading.Event().wait(0.05)
    assert "ClientDisconnect" not in command(state, "logs", "wide").stdout


# --- the wire ---------------------------------------------------------------------------------------------------------
def test_a_request_cut_anywhere_is_one_request(wide: Served) -> None:
    data = post(wide, "/", body=b'{"name": "cut"}')
    with closing(Wire(port(wide))) as wire:
        for at in range(0, len(data), 7):
            wire.send(data[:at])
            threading.Event().wait(0.002)  # so that it is a packet of its own
            wire.send(data[at:])
            assert json.loads(wire.reply().body)["text"] == "Hello, cut"


def test_a_connection_ends_on_request_and_with_http_1_0(wide: Served) -> None:
    for data in (post(wide, "/", "Connection: close"), post(wide, "/").replace(b"HTTP/1.1", b"HTTP/1.0")):
        with closing(Wire(port(wide))) as wire:
            wire.send(data)
            assert wire.reply().status == 200
            assert wire.rest() == b""


def test_pipelined_requests_with_bodies_of_any_size_keep_their_order(wide: Served) -> None:
    sizes = [0, 1, 70_000, 3, 1_500_000, 10]
    with closing(Wire(port(wide))) as wire:
        sender = threading.Thread(
            target=wire.send, args=(b"".join(post(wide, "/digest", body=bytes(n)) for n in sizes),)
        )
        sender.start()
        assert [json.loads(wire.reply().body)["length"] for _ in sizes] == sizes
        sender.join()


def test_a_slow_reader_of_a_long_answer_gets_it_whole(wide: Served) -> None:
    with closing(Wire(port(wide))) as wire:
        wire.send(post(wide, "/large", body=b'{"size": 16}'))
        threading.Event().wait(0.5)  # everything between us is full by now
        reply = wire.reply()
    assert len(reply.body) == 16 << 20
    assert hashlib.sha256(reply.body).hexdigest() == hashlib.sha256(bytes(range(256)) * (16 << 12)).hexdigest()
