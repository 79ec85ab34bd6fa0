"""The kernel's end of a widget, against a real gateway."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.client.connection.control_client import ControlClient
from fal_jupyter.client.connection.response import Response
from fal_jupyter.settings import Settings, read
from fal_jupyter.widgets.relay import NO_GATEWAY, CommRelay
from tests.support.cdn import Caller
from tests.support.serve import Served, doctor, served
from tests.support.state import state_directory

APP = """
import asyncio
from pathlib import Path
import fal
from fastapi.responses import StreamingResponse


class Talk(fal.App):
    max_multiplexing = 4

    @fal.endpoint("/")
    def hi(self, name: str = "world") -> dict:
        self.greeted = self.how_often() + 1
        return {"text": f"Hello, {name}"}

    @fal.endpoint("/greeted")
    def how_often(self) -> int:
        return getattr(self, "greeted", 0)

    @fal.endpoint("/stream")
    async def stream(self, gate: str) -> StreamingResponse:
        async def parts():
            yield b"first"
            while not Path(gate).exists():
                await asyncio.sleep(0.01)
            yield b"second"
        return StreamingResponse(parts(), media_type="text/plain")
"""


class Widget:
    """A widget's place in the relay: keeps what is sent, and waits for what fits."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, Any], list[bytes]]] = []
        self._came = threading.Condition()

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        with self._came:
            self.messages.append((content, buffers or []))
            self._came.notify_all()

    def until(self, fits: Callable[[dict[str, Any]], bool], timeout: float = 20) -> dict[str, Any]:
        with self._came:
            found = self._came.wait_for(lambda: next((m for m, _ in self.messages if fits(m)), None), timeout)
        assert found, self.messages[-3:]
        return found

    def body(self, question: str) -> bytes:
        return b"".join(b"".join(buffers) for message, buffers in self.messages if message.get("id") == question)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(APP)
    with state_directory() as state, served(state, f"{path}::Talk") as running:
        yield running


@pytest.fixture
def relay(talk: Served) -> Iterator[CommRelay]:
    made = CommRelay(Client(read({"FAL_JUPYTER_STATE": str(talk.state)})).control)
    yield made
    made.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "fal_jupyter feed"]


def test_every_widget_gets_the_feed_from_one_thread(talk: Served, relay: CommRelay) -> None:
    one, two = Widget(), Widget()
    for widget in (one, two):
        relay.take(widget, {"listen": True}, [])
    for widget in (one, two):
        widget.until(lambda m: any(line["kind"] == "snapshot" for line in m.get("feed", ())))
    assert sum(thread.name == "fal_jupyter feed" for thread in threading.enumerate()) == 1
    talk.request("/", {"name": "Ada"})
    for widget in (one, two):
        widget.until(lambda m: any(r["path"] == "/" for line in m.get("feed", ()) for r in line.get("requests", ())))
    relay.leave(one)
    relay.leave(two)


def test_a_question_is_answered_with_status_type_and_body(relay: CommRelay) -> None:
    widget = Widget()
    relay.take(
        widget, {"id": "1", "method": "POST", "path": "apps/talk/calls?path=/", "headers": {}}, [b'{"name": "Ada"}']
    )
    widget.until(lambda m: m.get("id") == "1" and m.get("end"))
    request = json.loads(widget.body("1"))["request_id"]
    relay.take(widget, {"id": "2", "method": "GET", "path": f"requests/{request}/answer"}, [])
    head = widget.until(lambda m: m.get("id") == "2" and "status" in m)
    assert head["headers"]["content-type"] == "application/json"
    widget.until(lambda m: m.get("id") == "2" and m.get("end"))
    assert json.loads(widget.body("2")) == {"text": "Hello, Ada"}


def test_a_stream_comes_in_pieces_and_can_be_stopped(relay: CommRelay, tmp_path: Path) -> None:
    widget = Widget()
    body = json.dumps({"gate": str(tmp_path / "gate")}).encode()
    relay.take(widget, {"id": "1", "method": "POST", "path": "apps/talk/calls?path=/stream"}, [body])
    widget.until(lambda m: m.get("id") == "1" and m.get("end"))
    request = json.loads(widget.body("1"))["request_id"]
    for name in ("a", "b"):
        relay.take(widget, {"id": name, "method": "GET", "path": f"requests/{request}/answer"}, [])
        widget.until(lambda m, name=name: m.get("id") == name and m.get("chunk"))  # type: ignore[misc]
    relay.take(widget, {"id": "b", "stop": True}, [])
    widget.until(lambda m: m.get("id") == "b" and ("error" in m or "end" in m))
    (tmp_path / "gate").touch()
    widget.until(lambda m: m.get("id") == "a" and m.get("end"))
    assert (widget.body("a"), widget.body("b")) == (b"firstsecond", b"first")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "apps/talk"), ("POST", "leases"), ("POST", "shutdown"), ("GET", "../run/x"), ("GET", "apps/../shutdown"), ("DELETE", "apps"),
        ("GET", "requests/x"), ("", ""), ("GET", "apps/talk/events"),
    ],
)  # fmt: skip
def test_a_widget_may_request_only_what_a_page_may(relay: CommRelay, method: str, path: str) -> None:
    widget = Widget()
    relay.take(widget, {"id": "1", "method": method, "path": path}, [])
    assert "may not request" in widget.until(lambda m: "error" in m)["error"]


def streaming(relay: CommRelay, widget: Widget, question: str, gate: Path) -> None:
    """Ask for an answer whose first piece has come and whose second one waits for *gate*."""
    body = json.dumps({"gate": str(gate)}).encode()
    relay.take(
        widget,
        {"id": f"{question} call", "method": "POST", "path": "apps/talk/calls?path=/stream", "headers": {}},
        [body],
    )
    widget.until(lambda m: m.get("id") == f"{question} call" and m.get("end"))
    request = json.loads(widget.body(f"{question} call"))["request_id"]
    relay.take(widget, {"id": question, "method": "GET", "path": f"requests/{request}/answer"}, [])
    widget.until(lambda m: m.get("id") == question and m.get("chunk"))


def test_a_widget_reads_a_file_of_the_cdn_and_nothing_else_of_the_data_plane(talk: Served, relay: CommRelay) -> None:
    widget, caller = Widget(), Caller(talk)
    path = urlsplit(caller.upload(b"bytes", "a b.png", "image/png")).path.lstrip("/")
    relay.take(widget, {"id": "1", "method": "GET", "path": path}, [])
    widget.until(lambda m: m.get("id") == "1" and m.get("end"))
    assert widget.body("1") == b"bytes"
    head = widget.until(lambda m: m.get("id") == "1" and "status" in m)
    assert (head["status"], head["headers"]["content-type"]) == (200, "image/png")
    refused = [
        ("GET", "run/me/talk"),
        ("GET", "cdn/files/upload"),
        ("POST", path),
        ("GET", f"{path}/../x"),
        ("GET", "cdn/files/é"),
    ]
    for number, (method, target) in enumerate(refused):
        relay.take(widget, {"id": f"no{number}", "method": method, "path": target}, [])
        assert "may not request" in widget.until(lambda m, wanted=f"no{number}": m.get("id") == wanted)["error"]


def test_two_widgets_may_use_equal_request_ids(relay: CommRelay, tmp_path: Path) -> None:
    one, two = Widget(), Widget()
    for number, widget in enumerate((one, two)):
        streaming(relay, widget, "same", tmp_path / str(number))
    relay.take(one, {"id": "same", "stop": True}, [])
    one.until(lambda m: m.get("id") == "same" and "error" in m)
    (tmp_path / "0").touch()
    (tmp_path / "1").touch()
    two.until(lambda m: m.get("id") == "same" and m.get("end"))
    assert (one.body("same"), two.body("same")) == (b"first", b"firstsecond")


def test_a_closed_widget_is_sent_nothing_more(relay: CommRelay, tmp_path: Path) -> None:
    gone, here = Widget(), Widget()
    for name, widget in (("gone", gone), ("here", here)):
        streaming(relay, widget, "1", tmp_path / name)
        relay.take(widget, {"listen": True}, [])
        widget.until(lambda m: "feed" in m)
    relay.leave(gone)
    sent = len(gone.messages)
    (tmp_path / "gone").touch()
    (tmp_path / "here").touch()
    here.until(lambda m: m.get("id") == "1" and m.get("end"))
    assert len(gone.messages) == sent


class HeldClient(ControlClient):
    """A client that asks for the feed only when it is let."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Client(settings).connections)
        self.about_to_ask, self.let = threading.Event(), threading.Event()

    def open(self, method: str, target: str, *rest: Any) -> Response:
        if target.endswith("feed"):
            self.about_to_ask.set()
            assert self.let.wait(20)
        return super().open(method, target, *rest)


def test_closing_while_the_feed_is_dialled_leaves_no_thread(talk: Served) -> None:
    client = HeldClient(read({"FAL_JUPYTER_STATE": str(talk.state)}))
    relay = CommRelay(client)
    relay.take(Widget(), {"listen": True}, [])
    assert client.about_to_ask.wait(20)
    closing = threading.Thread(target=relay.close)
    closing.start()
    assert relay._wake.wait(20)  # closed as far as it can be without the thread
    client.let.set()
    closing.join(20)
    assert not [thread for thread in threading.enumerate() if thread.name == "fal_jupyter feed"]


SMUGGLED = "a\r\n\r\nPOST /admin/apps/talk/calls?path=/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX: "


@pytest.mark.parametrize("sent_type", [SMUGGLED, "a\nb: c", "a\x00", "\u2028", "", "x" * 201])
def test_no_second_request_hides_in_a_content_type(talk: Served, relay: CommRelay, sent_type: str) -> None:
    widget, before = Widget(), talk.request("/greeted").json
    relay.take(widget, {"id": "1", "method": "GET", "path": "hello", "headers": {"Content-Type": sent_type}}, [])
    assert "is not a content type" in widget.until(lambda m: m.get("id") == "1")["error"]
    talk.request("/", {"name": "Ada"})
    assert talk.request("/greeted").json == before + 1


@pytest.mark.parametrize("headers", [None, [], "x", 3])
def test_a_question_with_odd_headers_is_answered_too(relay: CommRelay, headers: Any) -> None:
    widget = Widget()
    relay.take(widget, {"id": "1", "method": "GET", "path": "hello", "headers": headers}, [])
    widget.until(lambda m: m.get("id") == "1" and m.get("end"))
    assert json.loads(widget.body("1"))["pid"] > 0


def test_without_a_gateway_a_question_is_answered_with_that(tmp_path: Path) -> None:
    with state_directory() as state:
        widget = Widget()
        CommRelay(Client(read({"FAL_JUPYTER_STATE": str(state)})).control).take(
            widget, {"id": "1", "method": "GET", "path": "hello"}, []
        )
        assert widget.until(lambda m: m.get("id") == "1")["error"] == NO_GATEWAY


def test_the_end_of_a_gateway_is_reported_and_so_is_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(APP)
    with state_directory() as state, served(state, f"{path}::Talk"):
        relay, widget = CommRelay(Client(read({"FAL_JUPYTER_STATE": str(state)})).control), Widget()
        relay.take(widget, {"listen": True}, [])
        widget.until(lambda m: any(line["kind"] == "snapshot" for line in m.get("feed", ())))
        os.kill(doctor(state)["gateway"]["pid"], signal.SIGKILL)
        widget.until(
            lambda m: any(line["kind"] == "off" and line["reason"] == NO_GATEWAY for line in m.get("feed", ()))
        )
        seen = len(widget.messages)
        with served(state, f"{path}::Talk"):
            widget.until(
                lambda m: any(
                    m is later and line["kind"] == "snapshot"
                    for later, _ in widget.messages[seen:]
                    for line in m.get("feed", ())
                )
            )
            relay.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "fal_jupyter feed"]
