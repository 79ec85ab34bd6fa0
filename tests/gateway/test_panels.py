"""What panels ask the gateway: the feed, requests with their bodies, calls that are held, keys, restart, unload."""

from __future__ import annotations

import json
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.client.connection.response import Response
from fal_jupyter.domain.errors import GatewayError, NotServed
from fal_jupyter.domain.timeline.lanes import PAUSE
from fal_jupyter.protocol.api import PROTOCOL
from fal_jupyter.protocol.feed import BODY_BOUND, MAX_REQUESTS, FeedLine, RequestState
from fal_jupyter.settings import read
from tests.support.fixtures import state_fixture
from tests.support.serve import Served, served
from tests.support.wire import Wire, head, port_of

PARTS = ("queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms")


state = state_fixture("module")  # a gateway of this file's own: these tests stop, restart and scale its app


@pytest.fixture(scope="module")
def wide(state: Path, app_file: str) -> Iterator[Served]:
    with served(state, f"{app_file}::Wide") as running:
        yield running


@pytest.fixture
def client(wide: Served) -> Client:
    return Client(read({"FAL_JUPYTER_STATE": str(wide.state)}))


class Follower:
    """The feed, read by a thread; ``until`` waits for a line that fits and gives it."""

    def __init__(self, client: Client) -> None:
        self.lines: list[FeedLine] = []
        self._came = threading.Condition()
        self._answer = client.control.open("GET", "/admin/feed")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        try:
            for piece in self._answer:
                *lines, rest = (rest + piece).split(b"\n")
                with self._came:
                    self.lines += [json.loads(line) for line in lines]
                    self._came.notify_all()
        except GatewayError:
            pass

    def until(self, fits: Callable[[FeedLine], bool], timeout: float = 20) -> FeedLine:
        deadline, seen = time.monotonic() + timeout, 0
        with self._came:
            while True:
                for line in self.lines[seen:]:
                    if fits(line):
                        return line
                seen = len(self.lines)
                assert self._came.wait(max(0.0, deadline - time.monotonic())), f"{seen} lines, none of them fits"

    def close(self) -> None:
        self._answer.close()
        self._thread.join(5)


@pytest.fixture
def feed(client: Client) -> Iterator[Follower]:
    follower = Follower(client)
    yield follower
    follower.close()


def call(client: Client, path: str, body: Any = None, alias: str = "wide") -> str:
    """Call for a panel; gives the request's id."""
    status, answer = client.control.ask(
        "POST", f"/admin/apps/{alias}/calls?path={path}", json.dumps(body or {}).encode()
    )
    assert status == 202
    found: str = answer["request_id"]
    return found


def answer_of(client: Client, request_id: str) -> Response:
    return client.control.open("GET", f"/admin/requests/{request_id}/answer")


def app_in(line: FeedLine) -> dict[str, Any]:
    found: dict[str, Any] = dict(next(app for app in line["apps"] if app["alias"] == "wide"))
    return found


# --- the feed ---------------------------------------------------------------------------------------------------------
def test_the_feed_begins_with_everything_and_goes_on_with_news(wide: Served, feed: Follower) -> None:
    first = feed.until(lambda line: True)
    assert first["kind"] == "snapshot"
    assert app_in(first)["state"] == "Ready"
    assert {rule["name"] for rule in first["options"]} >= {"min_concurrency", "keep_alive"}
    assert first["gateway"]["base"] == wide.ready["base"]

    answer = wide.request("/", {"name": "Ada"})

    wanted = answer.headers["x-fal-request-id"]
    line = feed.until(lambda line: any(r["id"] == wanted and r["state"] == "done" for r in line.get("requests", ())))
    assert line["kind"] == "frame"
    request = next(r for r in line["requests"] if r["id"] == wanted)
    assert (request["path"], request["status"], request["origin"], request["error"]) == ("/", 200, "http", "")
    assert request["total_ms"] == pytest.approx(sum(request[part] for part in PARTS), abs=0.01)  # type: ignore[literal-required]
    assert line["seq"] > first["seq"]
    assert app_in(line)["stats"]["calls"] >= 1


def test_a_running_request_is_reported_and_so_is_its_end(wide: Served, feed: Follower, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(wide.request, "/wait", {"gate": str(gate)})
        line = feed.until(
            lambda line: any(r["path"] == "/wait" and r["state"] == "running" for r in line.get("requests", ()))
        )
        request_id = next(r["id"] for r in line["requests"] if r["path"] == "/wait")
        gate.touch()
        assert answer.result(20).status == 200
    feed.until(lambda line: any(r["id"] == request_id and r["state"] == "done" for r in line.get("requests", ())))
    points = [point for line in feed.lines for point in line.get("timelines", {}).get("wide", {}).get("points", ())]
    assert max(point[2] for point in points) >= 1  # it was seen running


def test_a_stream_is_reported_as_streaming_from_its_first_event_on(
    wide: Served, client: Client, feed: Follower, tmp_path: Path
) -> None:
    gates = [tmp_path / name for name in ("first", "second")]
    request_id = call(client, "/late", {"first": str(gates[0]), "second": str(gates[1])})

    def is_in(state: str, line: FeedLine) -> bool:
        return any(r["id"] == request_id and r["state"] == state for r in line.get("requests", ()))

    line = feed.until(lambda line: is_in("running", line))
    began = next(r["began"] for r in line["requests"] if r["id"] == request_id)
    feed.until(lambda line: line["time"] > began + 2 * PAUSE)  # nothing else is to be sent by now
    gates[0].touch()
    line = feed.until(lambda line: is_in("streaming", line))
    request = next(r for r in line["requests"] if r["id"] == request_id)
    assert request["content_type"].startswith("text/event-stream")
    assert request["stream_ms"] < 2000  # told at once, not with the next beat
    gates[1].touch()
    feed.until(lambda line: is_in("done", line))


def test_lanes_show_what_the_runners_did(wide: Served, feed: Follower) -> None:
    """Calls with pauses that are drawn, and bursts of a thousand changes a second: each call's begin and end is its own witness."""
    feed.until(lambda line: True)
    spans: list[tuple[float, float]] = []
    for seconds, pause in ((0.0, 0.6), (0.3, 0.0), (0.002, 0.9), (0.05, 0.02), (0.7, 0.4)):
        spans.append(tuple(wide.request("/span", {"seconds": seconds}).json))
        time.sleep(pause)
    with ThreadPoolExecutor(4) as pool:
        spans += [tuple(a.json) for a in pool.map(lambda _: wide.request("/span", {"seconds": 0.0}), range(600))]
    end = max(until for _, until in spans)
    feed.until(lambda line: line.get("time", 0) > end + 2 * PAUSE)

    # what a page has that followed the feed, and what one has that comes now
    lanes = [lane for line in feed.lines for lane in line.get("timelines", {}).get("wide", {}).get("lanes", ())]
    followed: dict[float, str] = {}
    for lane in (lane for lane in lanes if lane["id"] == lanes[-1]["id"]):
        followed |= dict(lane["moves"])
    for moves in (sorted(followed.items()), _last_lane(Client(read({"FAL_JUPYTER_STATE": str(wide.state)})))):
        for began, until in spans:
            assert _state_at(moves, (began + until) / 2) == "RUNNING"
        ordered = sorted(spans)
        for (_, until), (began, _) in pairwise([*ordered, (end + PAUSE + 50, 0.0)]):
            if began - until > PAUSE + 20:  # what lies between caller and endpoint belongs to the call
                assert _state_at(moves, (began + until) / 2) == "IDLE"


def _last_lane(client: Client) -> list[tuple[float, str]]:
    line = client.control.snapshot()
    assert line is not None
    return line["timelines"]["wide"]["lanes"][-1]["moves"]


def _state_at(moves: Sequence[tuple[float, str]], moment: float) -> str:
    return moves[bisect_right([at for at, _ in moves], moment) - 1][1]


def test_a_burst_is_sent_in_few_frames_and_no_request_is_shown_twice_as_running(wide: Served, feed: Follower) -> None:
    calls = app_in(feed.until(lambda line: True))["stats"]["calls"]
    began, before = time.monotonic(), len(feed.lines)
    with ThreadPoolExecutor(8) as pool:
        ids = {
            a.headers["x-fal-request-id"] for a in pool.map(lambda n: wide.request("/", {"name": str(n)}), range(400))
        }
    took = time.monotonic() - began
    last = feed.until(lambda line: app_in(line)["stats"]["calls"] >= calls + 400)  # the pool may pause in between
    frames = [line for line in feed.lines[before:] if line["seq"] <= last["seq"]]
    assert len(frames) <= took * 4 + 3
    assert not app_in(last)["in_flight"]
    states = {r["id"]: r["state"] for line in feed.lines for r in line.get("requests", ())}
    assert all(state == "done" for request_id, state in states.items() if request_id in ids)
    assert all(len(json.dumps(line)) < 100_000 for line in frames if line["kind"] == "frame")


def test_a_listener_that_does_not_read_costs_the_others_nothing_and_gets_a_snapshot_later(
    wide: Served, client: Client, feed: Follower
) -> None:
    idle = client.control.open("GET", "/admin/feed")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: wide.request("/", {"name": str(n)}), range(300)))
    feed.until(lambda line: line["kind"] == "frame" and app_in(line)["stats"]["calls"] >= 300)
    pieces = iter(idle)
    first = json.loads(b"".join([next(pieces)]).split(b"\n")[0])
    assert first["kind"] == "snapshot"
    idle.close()


def test_the_snapshot_stays_small_after_many_requests(wide: Served, client: Client) -> None:
    def some(_: int) -> None:
        for number in range(150):
            wide.request("/", {"name": str(number)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))
    line = client.control.snapshot()
    assert line is not None
    assert sum(r["alias"] == "wide" for r in line["requests"]) == MAX_REQUESTS
    assert len(json.dumps(line)) < 256 * 1024


# --- memory -----------------------------------------------------------------------------------------------------------
SHARES = """
import mmap
import fal

def attached() -> mmap.mmap:
    with open({segment!r}, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    sum(memory[::4096])
    return memory

of_the_owner = [attached(), b"x" * {private}]

class Shares(fal.App):
    keep_alive = 300

    def setup(self) -> None:
        self.memory = [attached(), b"y" * {private}]

    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""


def test_memory_of_owner_and_runner_is_theirs_and_their_shared_memory_is_counted_once(
    state: Path, feed: Follower, tmp_path: Path
) -> None:
    size, private = 48_000_000 // 4096 * 4096, 30_000_000
    segment = os.memfd_create("tensors")
    os.write(segment, b"t" * size)
    path = tmp_path / "shares.py"
    path.write_text(SHARES.format(segment=f"/proc/{os.getpid()}/fd/{segment}", private=private))
    with served(state, f"{path}::Shares") as shares:

        def states_in(line: FeedLine) -> list[dict[str, Any]]:
            return [dict(app) for app in line.get("apps", ()) if app["alias"] == "shares"]

        line = feed.until(lambda line: any(app["runners"][0]["memory"] for app in states_in(line) if app["runners"]))
        (app,) = states_in(line)
        (runner,) = app["runners"]
        assert app["owner_pid"] == shares.process.pid
        assert runner["shared"] + app["owner_shared"] == pytest.approx(size, rel=0.01, abs=200_000)
        for pid, memory, shared in (
            (runner["pid"], runner["memory"], runner["shared"]),
            (app["owner_pid"], app["owner_memory"], app["owner_shared"]),
        ):
            assert memory == pytest.approx(psutil.Process(pid).memory_full_info().pss, rel=0.1)
            assert memory - shared > private
    os.close(segment)


# --- requests ---------------------------------------------------------------------------------------------------------
def test_a_request_can_be_looked_at_with_input_output_and_logs(wide: Served, client: Client) -> None:
    answer = wide.request("/", {"name": "Gräce"})
    detail = client.control.request(answer.headers["x-fal-request-id"])
    assert detail["input"] is not None
    assert detail["output"] is not None
    assert json.loads(detail["input"]["text"]) == {"name": "Gräce"}
    assert detail["input"]["content_type"] == "application/json"
    assert json.loads(detail["output"]["text"])["text"] == "Hello, Gräce"
    assert (detail["error"], detail["buffered"]) == (None, False)


def test_a_panel_gets_an_error_with_the_users_lines_while_its_caller_gets_no_details(
    wide: Served, client: Client
) -> None:
    answer = wide.request("/raise", {})
    assert answer.status == 500
    assert b"hunter2" not in answer.body
    detail = client.control.request(answer.headers["x-fal-request-id"])
    assert detail["error"] is not None
    assert detail["error"]["message"] == "the password is hunter2"
    assert "raise RuntimeError" in detail["error"]["text"]
    assert detail["request"]["error"] == "RuntimeError: the password is hunter2"
    assert any("RuntimeError" in record["text"] for record in detail["logs"])


def test_long_bodies_are_stored_in_part_and_marked_so(wide: Served, client: Client) -> None:
    answer = wide.request("/large?size=1", {})
    detail = client.control.request(answer.headers["x-fal-request-id"])
    output = detail["output"]
    assert output is not None
    assert (output["size"], output["truncated"], output["text"]) == (1 << 20, True, "")
    assert len(output["base64"]) <= BODY_BOUND * 4 / 3 + 4
    assert detail["request"]["bytes_out"] == 1 << 20


def test_the_upload_of_a_body_counts_as_transfer(wide: Served, client: Client) -> None:
    answer = wide.request("/digest", b"x" * (8 << 20))
    request = client.control.request(answer.headers["x-fal-request-id"])["request"]
    assert request["bytes_in"] == 8 << 20
    assert request["total_ms"] == pytest.approx(sum(request[part] for part in PARTS), abs=0.01)  # type: ignore[literal-required]


def test_the_parts_sum_to_what_the_caller_saw(wide: Served, client: Client, tmp_path: Path) -> None:
    gate, port, read = tmp_path / "gate", port_of(wide.ready["base"]), b""
    body = json.dumps({"gate": str(gate)}).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    began = time.monotonic()
    with closing(Wire(port)) as wire:
        wire.send(head("POST", f"/run/{wide.ready['app']}/stream", port, wide.ready["key"], *lines) + body)
        while b"first\n" not in read:
            read += wire.sock.recv(65536)
        first = time.monotonic()
        time.sleep(0.1)  # what is measured below
        streamed = time.monotonic() - first
        gate.touch()
        while not read.endswith(b"0\r\n\r\n"):
            read += wire.sock.recv(65536)
    (request_id,) = (line.split()[1].decode() for line in read.split(b"\r\n") if line.startswith(b"x-fal-request-id:"))
    request = client.control.request(request_id)["request"]
    saw = time.monotonic() - began
    assert request["total_ms"] == pytest.approx(sum(request[part] for part in PARTS), abs=0.01)  # type: ignore[literal-required]
    assert 1000 * streamed <= request["stream_ms"] <= request["total_ms"] <= 1000 * saw


def test_a_request_that_is_not_known_is_404(client: Client) -> None:
    with pytest.raises(NotServed, match="no longer stored"):
        client.control.request("00000000-0000-4000-8000-000000000000")
    assert client.control.ask("DELETE", "/admin/requests/00000000-0000-4000-8000-000000000000")[0] == 404
    assert client.control.ask("GET", "/admin/requests/..%2f..")[1]["error_type"] == "not_found"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"{}", b'{"set": 3}'])
def test_a_change_of_scaling_that_is_none_is_refused_in_a_sentence(client: Client, body: bytes) -> None:
    status, answer = client.control.ask("POST", "/admin/apps/wide/scaling", body)
    assert (status, answer["error_type"]) == (400, "bad_request")
    assert "max_concurrency" in answer["detail"]


# --- held calls -------------------------------------------------------------------------------------------------------
def test_a_buffered_answer_can_be_read_repeatedly(client: Client) -> None:
    request_id = call(client, "/", {"name": "Ada"})
    for _ in range(2):
        answer = answer_of(client, request_id)
        assert json.loads(b"".join(answer))["text"] == "Hello, Ada"
        assert (answer.status, answer.headers["x-fal-status"]) == (200, "200")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-security-policy"] == "sandbox"
    detail = client.control.request(request_id)
    assert (detail["buffered"], detail["request"]["origin"]) == (True, "panel")


def test_a_buffered_answer_is_streamed_to_later_readers_too(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    request_id = call(client, "/stream", {"gate": str(gate)})
    early = iter(answer_of(client, request_id))
    assert next(early) == b"first\n"
    late = iter(answer_of(client, request_id))  # the page that was opened again
    assert next(late) == b"first\n"
    gate.touch()
    assert (b"".join(early), b"".join(late)) == (b"second\n", b"second\n")


def test_the_caller_of_a_buffered_call_may_disconnect(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    request_id = call(client, "/wait", {"gate": str(gate)})
    gate.touch()
    assert json.loads(b"".join(answer_of(client, request_id))) == {"ok": True}


def test_a_buffered_call_can_be_cancelled_and_its_slot_is_free(client: Client, feed: Follower, tmp_path: Path) -> None:
    request_id = call(client, "/wait", {"gate": str(tmp_path / "never")})
    feed.until(lambda line: any(r["id"] == request_id and r["state"] == "running" for r in line.get("requests", ())))
    assert client.control.ask("DELETE", f"/admin/requests/{request_id}") == (200, {"cancelled": request_id})
    line = feed.until(
        lambda line: any(r["id"] == request_id and r["state"] == "done" for r in line.get("requests", ()))
    )
    assert next(r["status"] for r in line["requests"] if r["id"] == request_id) == 499
    feed.until(lambda line: line["kind"] == "frame" and not app_in(line)["in_flight"])
    assert client.control.ask("DELETE", f"/admin/requests/{request_id}")[0] == 404
    assert json.loads(b"".join(answer_of(client, request_id)))["detail"] == "the owner cancelled the request"


def test_an_errors_status_is_sent_with_the_buffered_answer(client: Client) -> None:
    answer = answer_of(client, call(client, "/raise"))
    assert json.loads(b"".join(answer)) == {"detail": "Internal Server Error"}
    assert answer.headers["x-fal-status"] == "500"


@pytest.mark.parametrize("path", ["/../x", "/%2e%2e/x", "nothing", "/a%0Ab"])
def test_a_buffered_call_of_a_hostile_path_is_refused(client: Client, path: str) -> None:
    from urllib.parse import quote

    status, answer = client.control.ask("POST", f"/admin/apps/wide/calls?path={quote(path, safe='')}", b"{}")
    assert (status, answer["error_type"]) == (400, "bad_request")


def test_a_buffered_call_has_a_query_and_a_method(client: Client) -> None:
    status, answer = client.control.ask("POST", "/admin/apps/wide/calls?path=/openapi.json%3Fa%3Db&method=GET")
    assert status == 202
    assert "paths" in json.loads(b"".join(answer_of(client, answer["request_id"])))


def test_calls_of_an_app_that_is_not_there_are_404(client: Client) -> None:
    for method, path in (
        ("POST", "calls"),
        ("POST", "restart"),
        ("POST", "unload"),
        ("POST", "keys"),
        ("GET", "schema"),
    ):
        assert client.control.ask(method, f"/admin/apps/nobody/{path}")[0] == 404


# --- schema, keys, restart, unload ------------------------------------------------------------------------------------
def test_the_schema_comes_from_a_runner_once_a_revision_and_counts_as_no_call(client: Client) -> None:
    before = client.control.snapshot()
    status, schema = client.control.ask("GET", "/admin/apps/wide/schema")
    assert status == 200
    assert "/digest" in schema["paths"]
    assert client.control.ask("GET", "/admin/apps/wide/schema")[1] == schema
    after = client.control.snapshot()
    assert before is not None
    assert after is not None
    assert app_in(before)["stats"]["calls"] == app_in(after)["stats"]["calls"]
    assert not any(r["path"] == "/openapi.json" and r["origin"] == "internal" for r in after["requests"])


def test_a_key_of_a_panel_opens_the_data_plane_until_it_is_revoked(wide: Served, client: Client) -> None:
    status, made = client.control.ask("POST", "/admin/apps/wide/keys")
    assert status == 200
    assert wide.request("/", {"name": "Ada"}, key=made["key"]).status == 200
    key_id, _, secret = made["key"].partition(":")
    listed = client.control.ask("GET", "/admin/keys")[1]
    assert key_id in {record["id"] for record in listed}
    assert secret not in json.dumps(listed)
    assert client.control.ask("DELETE", f"/admin/keys/{key_id}") == (200, {"revoked": key_id})
    assert wide.request("/", {"name": "Ada"}, key=made["key"]).status == 401
    assert client.control.ask("DELETE", f"/admin/keys/{key_id}")[0] == 404


def test_a_restart_serves_on_while_new_runners_come_up(wide: Served, client: Client, feed: Follower) -> None:
    pid = wide.request("/", {"name": "Ada"}).json["pid"]
    status, answer = client.control.ask("POST", "/admin/apps/wide/restart")
    assert status == 200
    assert wide.request("/", {"name": "Ada"}).status == 200
    line = feed.until(lambda line: "apps" in line and app_in(line)["serving"] == answer["revision"])
    assert app_in(line)["verdict_reason"] == "restarted manually"
    assert wide.request("/", {"name": "Ada"}).json["pid"] != pid


def test_an_unloaded_app_starts_again_with_its_next_request_which_was_cold(
    wide: Served, client: Client, feed: Follower
) -> None:
    assert client.control.ask("POST", "/admin/apps/wide/unload") == (200, {"unloaded": "wide"})
    zero = app_in(
        feed.until(lambda line: "apps" in line and app_in(line)["state"] == "Zero" and app_in(line)["unloaded"])
    )
    assert client.control.ask("GET", "/admin/apps/wide/schema")[0] in (200, 409)  # 200 where it was asked for before
    woken = client.control.ask("POST", "/admin/apps/wide/start")  # a runner, and no new revision
    assert woken == (200, {"revision": zero["revision"]})
    ready = app_in(feed.until(lambda line: "apps" in line and app_in(line)["state"] == "Ready"))
    runners = [
        runner for runner in ready["runners"] if runner["state"] != "TERMINATING"
    ]  # the former one may still be ending
    assert (ready["serving"], len(runners), ready["unloaded"]) == (zero["revision"], 1, False)
    assert client.control.ask("POST", "/admin/apps/wide/start") == woken  # it has one: nothing happens
    assert client.control.ask("POST", "/admin/apps/wide/unload")[0] == 200
    feed.until(lambda line: "apps" in line and app_in(line)["state"] == "Zero")
    answer = wide.request("/", {"name": "Ada"})
    assert answer.status == 200
    request = client.control.request(answer.headers["x-fal-request-id"])["request"]
    assert request["cold"] is True
    assert request["start_ms"] > 0
    line = client.control.snapshot()
    assert line is not None
    lanes = line["timelines"]["wide"]["lanes"]
    assert [state for _, state in lanes[-1]["moves"]][:3] == ["PENDING", "SETUP", "IDLE"]
    assert lanes[0]["moves"][-1][1] == "GONE"
    assert any(decision["kind"] == "down" for decision in line["timelines"]["wide"]["decisions"])


def test_an_unloaded_app_is_started_by_hand_while_its_former_runner_still_works(
    wide: Served, client: Client, feed: Follower, tmp_path: Path
) -> None:
    def states(line: FeedLine) -> list[str]:
        return sorted(runner["state"] for runner in app_in(line)["runners"])

    gate = tmp_path / "gate"
    try:
        assert wide.request("/", {"name": "Ada"}).status == 200
        at_work = call(client, "/wait", {"gate": str(gate)})
        feed.until(lambda line: any(one["id"] == at_work and one["state"] == "running" for one in line["requests"]))
        client.control.ask("POST", "/admin/apps/wide/unload")
        feed.until(lambda line: "apps" in line and states(line) == ["DRAINING"])
        assert client.control.ask("POST", "/admin/apps/wide/start")[0] == 200
        feed.until(lambda line: "apps" in line and states(line) == ["DRAINING", "IDLE"])
    finally:
        gate.touch()


def test_a_request_that_waits_on_after_a_start_waits_in_the_queue(
    wide: Served, client: Client, feed: Follower, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    client.control.ask("POST", "/admin/apps/wide/scaling", b'{"set": {"max_concurrency": 1, "max_multiplexing": 1}}')
    try:
        client.control.ask("POST", "/admin/apps/wide/unload")
        feed.until(lambda line: "apps" in line and app_in(line)["state"] == "Zero")
        first, second = (call(client, "/wait", {"gate": str(gate)}) for _ in range(2))
        feed.until(lambda line: any(one["id"] == first and one["state"] == "running" for one in line["requests"]))
        before = client.control.request(second)["request"]
        time.sleep(0.1)
        after = client.control.request(second)["request"]
        assert (before["state"], after["state"], after["cold"]) == ("waiting", "waiting", True)
        assert after["start_ms"] == before["start_ms"] > 0
        assert after["queue_ms"] > before["queue_ms"]
    finally:
        gate.touch()
        client.control.ask("POST", "/admin/apps/wide/scaling", b'{"reset": true}')


def test_only_a_call_that_a_starting_runner_takes_at_once_is_cold(
    wide: Served, client: Client, feed: Follower, tmp_path: Path
) -> None:
    """One ready runner, room for a second, six calls: the second runner's first call waited for its start, the others in the queue."""
    gate = tmp_path / "gate"
    client.control.ask("POST", "/admin/apps/wide/start")
    scaling = b'{"set": {"min_concurrency": 1, "max_concurrency": 2, "max_multiplexing": 1, "keep_alive": 0}}'
    client.control.ask("POST", "/admin/apps/wide/scaling", scaling)
    try:
        ready = feed.until(
            lambda line: "apps" in line and [one["state"] for one in app_in(line)["runners"]] == ["IDLE"]
        )
        stats = app_in(ready)["stats"]
        ids = [call(client, "/wait", {"gate": str(gate)}) for _ in range(6)]
        feed.until(lambda line: sum(one["id"] in ids and one["state"] == "running" for one in line["requests"]) == 2)
        gate.touch()
        last = feed.until(lambda line: "apps" in line and app_in(line)["stats"]["calls"] == stats["calls"] + 6)
        requests = [client.control.request(one)["request"] for one in ids]
        assert [one["cold"] for one in requests] == [False, True, False, False, False, False]
        assert [one["start_ms"] > 0 for one in requests] == [False, True, False, False, False, False]
        assert all(one["queue_ms"] > requests[1]["start_ms"] / 2 for one in requests[2:])
        assert app_in(last)["stats"]["cold"] == stats["cold"] + 1
        assert app_in(last)["stats"]["cold_starts"] == stats["cold_starts"] + 1
    finally:
        gate.touch()
        client.control.ask("POST", "/admin/apps/wide/scaling", b'{"reset": true}')


def test_what_the_control_plane_cannot_read_or_do_is_one_sentence(client: Client, wide: Served) -> None:
    def publication(spec: dict[str, Any]) -> bytes:
        environment = {"python": "", "env": {}, "cwd": "", "sys_path": [], "preload": [], "isolated": ""}
        lease = client.ensure().granted["lease"]  # type: ignore[attr-defined]
        head = {"lease": lease, "spec": spec, "environment": environment, "fingerprint": {}, "kind": "pickle"}
        data = json.dumps(head | {"take_over": False, "source": {}, "modules": {}}).encode()
        return len(data).to_bytes(4, "big") + data

    lease = {"protocol": PROTOCOL, "kind": "script", "name": "x", "pid": 1, "port": 0, "key_id": "k", "key_hash": "zz"}
    asked: list[tuple[str, str, bytes, int, str]] = [
        ("PUT", "apps/odd", b"{}", 400, "the body of PUT /admin/apps/odd cannot be read: a load frame shorter"),
        ("PUT", "apps/odd", bytes(4), 400, "the body of PUT /admin/apps/odd cannot be read: Input data was truncated"),
        ("PUT", "apps/odd", b"\0\0\0\2{}", 400, "cannot be read: Object missing required field `lease`"),
        ("POST", "leases", b"[]", 400, "cannot be read: Expected `object`, got `array`"),
        ("POST", "leases", b'{"protocol": 0}', 409, "that of this process is 0"),
        ("POST", "leases", json.dumps(lease).encode(), 400, "key_hash of a lease"),
        ("GET", "apps/wide/events?revision=x", b"", 400, "revision of GET /admin/apps/wide/events must be an integer"),
        ("GET", "apps/wide/logs?lines=-1", b"", 400, "lines of GET /admin/apps/wide/logs must be an integer, not '-1'"),
        ("PATCH", "apps", b"", 405, "PATCH /admin/apps: Method Not Allowed"),
        ("PUT", "apps/odd", publication({"endpoints": [5]}), 400, "is incomplete: expected a JSON object, got int"),
    ]
    with closing(client):
        for method, path, body, status, message in asked:
            actual_status, answer = client.control.ask(method, f"/admin/{path}", body)
            assert (actual_status, message in answer["detail"]) == (status, True), (method, path, answer)
        assert "Uncaught exception" not in (wide.state / "logs" / "gateway.log").read_text()


def test_an_app_that_was_stopped_keeps_its_record_and_starts_as_it_was(
    wide: Served, client: Client, feed: Follower
) -> None:
    client.control.scale("wide", {"keep_alive": 77})
    answer = wide.request("/", {"name": "Ada"})
    wanted = answer.headers["x-fal-request-id"]
    before = app_in(feed.until(lambda line: "apps" in line and app_in(line)["overrides"] == {"keep_alive": 77}))
    assert client.control.ask("DELETE", "/admin/apps/wide?wait=1") == (200, {"stopped": "wide"})
    stopped = app_in(feed.until(lambda line: "apps" in line and app_in(line)["state"] == "Stopped"))
    assert (stopped["runners"], stopped["overrides"], stopped["stats"]["calls"]) == (
        [],
        {"keep_alive": 77},
        before["stats"]["calls"],
    )
    line = client.control.snapshot()
    assert line is not None
    assert wanted in {request["id"] for request in line["requests"]}
    assert client.control.request(wanted)["request"]["status"] == 200
    assert client.control.ask("GET", "/admin/apps/wide/schema")[0] in (200, 409)  # not 404: what is known of it stays
    timeline = line["timelines"]["wide"]
    assert timeline["points"][-1][1:] == [0] * 9
    assert {lane["moves"][-1][1] for lane in timeline["lanes"]} == {"GONE"}
    assert client.control.ask("GET", "/admin/apps/wide/picture")[1]["app"]["state"] == "Stopped"
    assert client.control.ask("GET", "/admin/apps/wide/logs")[0] == 200
    assert client.control.ask("POST", "/admin/apps/wide/restart")[0] == 404
    assert wide.request("/", {"name": "Ada"}).status == 404

    assert client.control.ask("POST", "/admin/apps/wide/start") == (200, {"revision": before["revision"] + 1})
    assert client.control.ask("POST", "/admin/apps/wide/start") == (
        200,
        {"revision": before["revision"] + 1},
    )  # it runs
    assert wide.request("/", {"name": "Ada"}).status == 200
    started = app_in(
        feed.until(
            lambda line: (
                "apps" in line
                and (app_in(line)["state"], app_in(line)["verdict_reason"]) == ("Ready", "started manually")
                and app_in(line)["stats"]["calls"] == before["stats"]["calls"] + 1
            )
        )
    )
    assert started["overrides"] == {"keep_alive": 77}
    assert started["code_since"] == before["code_since"] <= before["revision"] < started["serving"]
    assert client.control.ask("POST", "/admin/apps/nothing/start")[0] == 404


def test_the_time_of_a_cancelled_call_ends_with_its_answer_though_its_thread_works_on(
    client: Client, feed: Follower, tmp_path: Path
) -> None:
    def states(line: FeedLine, state: str) -> list[RequestState]:
        return [one for one in line.get("requests", ()) if one["id"] == request_id and one["state"] == state]

    gate = tmp_path / "gate"
    request_id = call(client, "/hold", {"gate": str(gate)})
    feed.until(lambda line: bool(states(line, "running")))
    client.control.ask("DELETE", f"/admin/requests/{request_id}")
    b"".join(answer_of(client, request_id))
    cancelled = time.time() * 1000
    time.sleep(0.5)  # which is none of its time
    gate.touch()
    (request,) = states(feed.until(lambda line: bool(states(line, "done"))), "done")
    assert request["status"] == 499
    assert request["began"] + request["total_ms"] <= cancelled + 100  # wall clocks of two processes
    assert client.control.request(request_id)["request"]["total_ms"] == request["total_ms"]
