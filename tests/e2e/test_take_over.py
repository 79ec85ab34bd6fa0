"""An app that another process took over: what its former owner does no longer concerns it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.serving import serve_file
from fal_jupyter.domain.errors import AppTaken
from fal_jupyter.protocol.api import A_APPS
from fal_jupyter.protocol.feed import AppState
from tests.support.serve import Served, apps, served

APP = """
import fal

class Hello(fal.App):
    keep_alive = 300

    @fal.endpoint("/")
    def hi(self) -> str:
        return "{text}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hello.py"
    path.write_text(APP.format(text="hi"))
    return path


def client_of(state: Path, name: str, owner: str = "ann") -> Client:
    variables = {**os.environ, "FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": owner}
    return Client(settings.read(variables), name=name, idle_exit=0.0)


def shown(client: Client) -> AppState:
    line = client.control.snapshot()
    assert line is not None
    (app,) = line["apps"]
    return app


def test_the_end_of_the_former_serve_leaves_the_app_to_the_one_that_took_it(state: Path, file: Path) -> None:
    former = Served(state, f"{file}::Hello")
    taker = Served(state, f"{file}::Hello", "--take-over")
    with closing(client_of(state, "a look")) as client:
        for verb, action in (("", ""), ("DELETE", ""), ("POST", "/start")):
            if verb:
                client.control.ask(verb, f"{A_APPS}/hello{action}")
            assert shown(client).get("taken_from") == [former.process.pid]
    status, _, errors = former.stop()
    assert (status, errors) == (0, "")
    assert [app["owner_pid"] for app in apps(state)] == [taker.process.pid]
    assert taker.request().json == "hi"
    status, _, errors = taker.stop()
    assert status == 0
    assert f"taken over from hello.py (process {former.process.pid}): calls of it from there come here now" in errors


def test_the_former_owners_handle_does_not_change_the_app(state: Path, file: Path) -> None:
    with closing(client_of(state, "first")) as first, closing(client_of(state, "second")) as second:
        lost = serve_file(file, "Hello", client=first)
        lost.scale(max_concurrency=2)
        taken = serve_file(file, "Hello", client=second, take_over=True)
        taken.wait()
        for change in (lambda: lost.scale(max_concurrency=5), lost.stop, lambda: lost.stop(kill=True)):
            with pytest.raises(AppTaken, match=r"belongs to second .*took it over"):
                change()
        first.stop_all()
        taken.scale(max_concurrency=3)
        assert taken.scaling()["overrides"] == {"max_concurrency": 3}
        assert taken.call("hi", (), {}) == "hi"
        assert taken.call_reports.taker() == ""
        taken.stop()
        assert apps(state) == []


def test_a_request_is_submitted_under_the_owner_of_the_next_gateway(state: Path, file: Path) -> None:
    with closing(client_of(state, "first")) as first, closing(client_of(state, "second", "bob")) as second:
        handle = serve_file(file, "Hello", client=first)
        handle.wait()
        kill_gateway_of(first)
        second.ensure()
        assert handle.submit.hi().get() == "hi"
        assert handle.app == "bob/hello"
        first.connections.forked(first.publications.aliases)  # as in a forked child
        assert first.connections.app_owner == "bob"
        attached = second.ensure()
        assert first.ensure().gateway == attached.gateway


def kill_gateway_of(client: Client) -> None:
    lease = client.lease
    assert lease is not None
    os.kill(lease.gateway, signal.SIGKILL)
    assert lease.wait_for_gateway(20)


def test_an_awaited_call_does_not_block_its_event_loop(
    state: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither starting a gateway nor asking who took the app over happens on the loop's thread."""
    printed: list[str] = []
    here = threading.current_thread()
    on_loop: list[str] = []

    def noted(kind: type, name: str) -> None:
        method = getattr(kind, name)

        def call(*args: object, **options: object) -> object:
            if threading.current_thread() is here:
                on_loop.append(name)
            return method(*args, **options)

        monkeypatch.setattr(kind, name, call)

    with closing(client_of(state, "first")) as first:
        handle = serve_file(file, "Hello", client=first)
        handle.wait()
        handle.call_reports.hooks = replace(
            handle.call_reports.hooks, new_output=lambda: lambda stream, text: printed.append(text)
        )
        noted(type(first.connections), "_new_lease")
        noted(type(first.control), "apps")
        kill_gateway_of(first)
        assert asyncio.run(call(handle)) == "hi"
        assert on_loop == []
        file.write_text(APP.format(text="taken"))
        with served(state, f"{file}::Hello", "--take-over") as taker:
            notice = f"Hello is of hello.py (process {taker.process.pid}) now"
            assert asyncio.run(calls(handle)) == ["taken"] * 3
        assert on_loop == []
        assert len([text for text in printed if notice in text]) == 1


async def call(handle: AppHandle) -> object:
    return await handle.aio.hi()


async def calls(handle: AppHandle) -> list[object]:
    return await asyncio.gather(*(call(handle) for _ in range(3)))
