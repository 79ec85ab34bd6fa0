"""The feed of the panels through the server: one upstream for all, in order, whole, and honest about a gateway that is not there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter.protocol.feed import FeedLine
from fal_jupyter.server.activity import Activity
from fal_jupyter.server.feed import FeedRelay, encode, head_of
from fal_jupyter.server.upstream import Upstream
from fal_jupyter.settings import read
from tests.server.conftest import APP, Feed
from tests.server.test_proxy import memory
from tests.support.fixtures import file_fixture
from tests.support.jupyter import Jupyter, jupyter_server
from tests.support.serve import Served, served
from tests.support.state import state_directory
from tests.support.upstreams import read_head, upstream


def lines_until(feed: Feed, true: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read lines up to the one that is asked for."""
    found: list[dict[str, Any]] = []
    while not found or not true(found[-1]):
        found.append(json.loads(feed.line()))
    return found


def in_order(lines: list[dict[str, Any]]) -> None:
    """Frames follow their snapshot and one another without a gap."""
    at = None
    for line in lines:
        if line["kind"] == "snapshot":
            at = line["seq"]
        elif line["kind"] == "frame":
            assert at is not None
            assert line["seq"] == at + 1
            at = line["seq"]
        elif line["kind"] == "off":
            at = None


def test_from_off_to_an_app_to_off_again(app_file: str) -> None:
    with state_directory() as state, jupyter_server(state) as server, closing(Feed(server)) as feed:
        assert feed.headers["content-type"] == "application/x-ndjson"
        first = lines_until(feed, lambda line: True)
        assert first[0]["kind"] == "off"
        assert "no gateway" in first[0]["reason"]
        with served(state, f"{app_file}::Wide"):
            lines = lines_until(feed, lambda line: bool(line.get("apps")) and line["apps"][0]["state"] == "Ready")
            in_order(lines)
            with closing(Feed(server)) as late:  # who comes later knows everything at once
                snapshot = lines_until(late, lambda line: line["kind"] == "snapshot")[-1]
                assert snapshot["apps"][0]["alias"] == "wide"
                assert snapshot["options"]
        lines_until(feed, lambda line: line["kind"] == "off")


def test_a_gateway_that_is_killed_and_another_on_its_socket_are_noticed() -> None:
    with state_directory() as state, jupyter_server(state) as server, closing(Feed(server)) as feed:
        assert server.request("fal/api/start", method="POST").json["running"] is True
        lines_until(feed, lambda line: line["kind"] == "snapshot")
        os.kill(server.request("fal/api/hello").json["pid"], signal.SIGKILL)
        lines_until(feed, lambda line: line["kind"] == "off")
        assert (state / "gateway.sock").exists()  # a stale one
        assert server.request("fal/api/hello").json["running"] is False
        assert server.request("fal/api/start", method="POST").json["running"] is True
        assert lines_until(feed, lambda line: line["kind"] != "off")[-1]["kind"] == "snapshot"


app_file = file_fixture("app_file", "app.py", APP, scope="module")


@pytest.fixture
def feeds(jupyter: Jupyter, app: Served) -> Iterator[list[Feed]]:
    """Eight panels, each of which has its snapshot."""
    with ExitStack() as stack:
        found = [stack.enter_context(closing(Feed(jupyter))) for _ in range(8)]
        for feed in found:
            lines_until(feed, lambda line: line["kind"] == "snapshot")
        yield found


def test_every_listener_gets_the_same_bytes(jupyter: Jupyter, run: str, feeds: list[Feed]) -> None:
    answer = jupyter.request(f"{run}/", {"name": "Ada"}, method="POST")
    wanted = answer.headers["x-fal-request-id"]

    def done(line: dict[str, Any]) -> bool:
        return any(r["id"] == wanted and r["state"] == "done" for r in line.get("requests", ()))

    found = []
    for feed in feeds:
        line = b""
        while not line or not done(json.loads(line)):
            line = feed.line()
        found.append(line)
    assert len(set(found)) == 1


class Gateway:
    """A feed that says what a test wants: frames of any size, as fast as they are taken."""

    def __init__(self, frames: int, size: int) -> None:
        self.frames, self.size, self.feeds, self.snapshots, self.seq = frames, size, 0, 0, 0

    def line(self, kind: str) -> bytes:
        return encode(FeedLine(kind=kind, time=1.5, seq=self.seq, reason="x" * self.size))

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while lines := await read_head(reader):
            if "/admin/feed" in lines[0]:
                self.feeds += 1
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                self._send(writer, self.line("snapshot"))
                for _ in range(self.frames):
                    self.seq += 1
                    self._send(writer, self.line("frame"))
                    await writer.drain()
                    await asyncio.sleep(0)
                await reader.read()
            elif "/admin/snapshot" in lines[0]:
                self.snapshots += 1
                line = self.line("snapshot")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(line), line))
            await writer.drain()

    @staticmethod
    def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(line), line))


def test_a_listener_that_is_slow_skips_to_a_snapshot_and_swells_nothing() -> None:
    gateway = Gateway(frames=300, size=500_000)
    with state_directory() as state, jupyter_server(state) as server:
        before = memory(server.process.pid, "VmRSS")
        with closing(Feed(server, timeout=60)) as feed, closing(Feed(server)):
            assert lines_until(feed, lambda line: True)[0]["kind"] == "off"
            with upstream(state, gateway):
                deadline = time.monotonic() + 60
                while gateway.seq < gateway.frames:  # 150 MB of frames, and nobody reads them
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                lines = lines_until(feed, lambda line: line.get("seq") == gateway.frames)
                in_order(lines)
                assert len(lines) < 100
                assert gateway.feeds == 1
                assert gateway.snapshots >= 1
        assert memory(server.process.pid, "VmHWM") - before < 64 << 20


def test_numbers_are_read_without_reading_the_line() -> None:
    assert head_of(b'{"kind":"frame","time":1.5,"seq":17,"apps":[]}\n') == ("frame", 17)
    assert head_of(b'{"kind":"beat","time":1795687203026.0}\n') == ("beat", 0)
    assert head_of(b'{"time": 1, "seq": 3, "kind": "snapshot"}\n') == ("snapshot", 3)


class Asked:
    """Counts the stamps."""

    def __init__(self) -> None:
        self.stamps = 0
        self.stamped = asyncio.Event()

    def __call__(self) -> None:
        self.stamps += 1
        self.stamped.set()


def frame(in_flight: int = 0, requests: tuple[Any, ...] = ()) -> bytes:
    return json.dumps(
        {"kind": "frame", "seq": 1, "apps": [{"waiting": 0, "in_flight": in_flight}], "requests": requests}
    ).encode()


def test_activity_is_reported_only_while_requests_run() -> None:
    async def main() -> None:
        asked = Asked()
        activity = Activity(asked, every=0.05)
        activity.saw("frame", frame())
        assert asked.stamps == 0
        activity.saw("frame", frame(in_flight=1))
        assert asked.stamps == 1
        asked.stamped.clear()
        await asyncio.wait_for(asked.stamped.wait(), 5)  # nothing more comes, and it still runs
        asked.stamped.clear()
        activity.saw("frame", frame())
        activity.saw("beat", b"")
        before = asked.stamps
        await asyncio.sleep(0.2)  # nothing may happen, so there is nothing to wait for
        assert asked.stamps == before
        assert not activity.busy
        activity.saw("frame", frame(requests=({},)))
        assert asked.stamps == before + 1
        activity.off()

    asyncio.run(main())


def test_a_request_that_runs_counts_as_activity_of_the_server(state: Path, run: str) -> None:
    with jupyter_server(state) as server, closing(Feed(server)) as feed:
        lines_until(feed, lambda line: line["kind"] == "snapshot")
        before = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        assert server.request("api/status").json["last_activity"] < before
        wanted = server.request(f"{run}/", {"name": "Ada"}, method="POST").headers["x-fal-request-id"]
        lines_until(feed, lambda line: any(r["id"] == wanted for r in line.get("requests", ())))
        assert server.request("api/status").json["last_activity"] > before


def test_a_directory_that_is_not_private_is_reported(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)

    async def main() -> None:
        settings = read({"FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": "me"})
        relay = FeedRelay(Upstream(settings), lambda kind, line: None, lambda: None)
        relay.start()
        line = await asyncio.wait_for(relay.listen().next(), 5)
        assert line is not None
        assert "others can write" in json.loads(line)["reason"]
        await relay.close()

    asyncio.run(main())
