"""``fal_client.AsyncClient``, as installed, against the gateway: each of its routes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pytest

import fal_jupyter
from tests.support.serve import Served

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@asynccontextmanager
async def opened(many: Served) -> AsyncIterator[fal_client.AsyncClient]:
    client = fal_jupyter.fal_client_async(many.ready["base"], many.ready["key"])
    try:
        yield client
    finally:
        await (await client._client).aclose()


def run(many: Served, work: Callable[[fal_client.AsyncClient], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with opened(many) as client:
            return await work(client)

    return asyncio.run(whole())


def test_it_is_a_real_client(many: Served) -> None:
    async def work(client: fal_client.AsyncClient) -> Any:
        assert isinstance(client, fal_client.AsyncClient)
        return (await client._client) is (await client._client)

    assert run(many, work) is True


def test_run(many: Served, app: str) -> None:
    assert run(many, lambda c: c.run(app, {"n": 1}, path="/sub/x")) == {"input": {"n": 1}, "path": "/sub/x"}


def test_run_raises_what_the_app_answered(many: Served, app: str) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        run(many, lambda c: c.run(app, {}, path="/valid"))

    assert raised.value.status_code == 422


def test_submit_status_result_and_events(many: Served, app: str) -> None:
    async def work(client: fal_client.AsyncClient) -> Any:
        job = await client.submit(app, {"prompt": "a cat"}, path="/valid")
        events = [event async for event in job.iter_events(with_logs=True, interval=0.01)]
        assert isinstance(await client.status(app, job.request_id), fal_client.Completed)
        assert await client.result(app, job.request_id) == await job.get()
        return events[-1]

    done = run(many, work)
    assert [line["message"] for line in done.logs] == ["drawing a cat", "done"]


def test_subscribe(many: Served, app: str) -> None:
    updates: list[fal_client.Status] = []
    result = run(many, lambda c: c.subscribe(app, {"n": 1}, path="/sub/x", on_queue_update=updates.append))

    assert result["input"] == {"n": 1}
    assert isinstance(updates[-1], fal_client.Completed)


def test_cancel(many: Served, app: str, tmp_path: Path) -> None:
    async def work(client: fal_client.AsyncClient) -> Any:
        job = await client.submit(app, {"gate": str(tmp_path / "never")}, path="/wait")
        await client.cancel(app, job.request_id)
        with pytest.raises(fal_client.FalClientHTTPError) as raised:
            await job.get()
        return raised.value.error_type

    assert run(many, work) == "client_cancelled"


def test_a_client_that_loses_patience(many: Served, app: str, tmp_path: Path) -> None:
    with pytest.raises(fal_client.FalClientTimeoutError):
        run(many, lambda c: c.subscribe(app, {"gate": str(tmp_path / "never")}, path="/wait", client_timeout=1.2))


def test_stream(many: Served, app: str) -> None:
    async def work(client: fal_client.AsyncClient) -> Any:
        return [event["number"] async for event in client.stream(app, {"prompt": "x", "steps": 20})]

    assert run(many, work) == list(range(20))


@pytest.mark.parametrize("use_jwt", [True, False], ids=["with a token", "with the key"])
def test_realtime_and_raw_websocket(many: Served, app: str, use_jwt: bool) -> None:
    async def work(client: fal_client.AsyncClient) -> Any:
        async with client.realtime(app, use_jwt=use_jwt) as talk:
            await talk.send({"n": 1})
            message = await talk.recv()
        async with client.ws_connect(app, path="/chat", use_jwt=use_jwt) as socket:
            await socket.send("hello")
            return message, await socket.recv()

    assert run(many, work) == ({"said": {"n": 1}, "bytes": b"\x00\xff"}, "HELLO")


def test_twenty_at_once(many: Served, app: str) -> None:
    async def work(client: fal_client.AsyncClient) -> Any:
        return await asyncio.gather(*(client.subscribe(app, {"n": n}, path="/sub/x") for n in range(20)))

    assert [result["input"]["n"] for result in run(many, work)] == list(range(20))


def test_upload_and_upload_file(many: Served, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("of a file")

    async def work(client: fal_client.AsyncClient) -> Any:
        return [
            await client.upload(b"v3", "text/plain"),
            await client.upload(b"fal", "text/plain", repository="fal"),
            await client.upload_file(path),
        ]

    assert [httpx.get(url).text for url in run(many, work)] == ["v3", "fal", "of a file"]


def test_upload_in_parts(many: Served) -> None:
    data = os.urandom(1 << 20) * 100 + b"+7 bytes"
    url = run(many, lambda c: c.upload(data, "application/octet-stream"))

    assert httpx.get(url).content == data
