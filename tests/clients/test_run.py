"""``fal_client.SyncClient.run`` and ``stream``, as installed, against the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fal_client
import httpx
import httpx_sse
import pytest

from tests.clients.waiting import until
from tests.support.serve import Served

BIG = "é漢🎈 " * 101_000  # a megabyte as UTF-8


def test_run_gives_the_output_and_sends_the_input_as_it_is(client: fal_client.SyncClient, app: str) -> None:
    output = client.run(app, {"prompt": "a cat", "nested": {"n": [1, None, True]}})

    assert isinstance(client, fal_client.SyncClient)
    assert output["input"] == {"prompt": "a cat", "nested": {"n": [1, None, True]}}
    assert (output["method"], output["path"], output["query"]) == ("POST", "/", "")
    assert output["headers"]["user-agent"] == "fal-client/1.0.3 (python)"
    assert "authorization" not in output["headers"]


def test_run_carries_a_megabyte_of_unicode_both_ways(client: fal_client.SyncClient, app: str) -> None:
    assert len(BIG.encode()) > 1_000_000

    assert client.run(app, {"text": BIG})["input"] == {"text": BIG}


@pytest.mark.parametrize("how", ["in the id", "as path", "as path without a slash"])
def test_run_reaches_a_path_below_the_app(client: fal_client.SyncClient, app: str, how: str) -> None:
    if how == "in the id":
        output = client.run(f"{app}/sub/x", {"n": 1})
    else:
        output = client.run(app, {"n": 1}, path="/sub/x" if how == "as path" else "sub/x")

    assert output == {"input": {"n": 1}, "path": "/sub/x"}


@pytest.mark.parametrize("namespace", ["workflows", "comfy"])
def test_run_reaches_the_app_below_a_namespace(client: fal_client.SyncClient, app: str, namespace: str) -> None:
    assert client.run(f"{namespace}/{app}/sub/x", {})["path"] == "/sub/x"


def test_input_that_is_not_valid_raises_with_the_list_of_mistakes(client: fal_client.SyncClient, app: str) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client.run(app, {"steps": "many"}, path="/valid")

    assert raised.value.status_code == 422
    assert isinstance(raised.value.message, list)
    assert sorted(mistake["loc"][-1] for mistake in raised.value.message) == ["prompt", "steps"]
    assert raised.value.response_headers["x-fal-request-id"]


def test_an_error_of_the_app_raises_once_with_its_status_and_detail(
    client: fal_client.SyncClient, app: str, asked: Callable[[str], Any], name: str
) -> None:
    with pytest.raises(fal_client.FalClientHTTPError, match="I am a teapot") as raised:
        client.run(app, {"name": name}, path="/teapot")

    assert raised.value.status_code == 418
    assert asked(name) == 1


def test_an_unhandled_error_raises_once_as_500_without_details(
    client: fal_client.SyncClient, app: str, asked: Callable[[str], Any], name: str
) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client.run(app, {"name": name}, path="/fails")

    assert raised.value.status_code == 500
    assert "secret" not in raised.value.response.text
    assert asked(name) == 1


@pytest.mark.parametrize("key", ["wrong", "fjk_AAAAAAAA:wrong", "a:b:c"])
def test_a_wrong_key_raises_401_with_a_sentence(
    many: Served, client_of: Callable[..., fal_client.SyncClient], app: str, key: str
) -> None:
    stranger = client_of(many.ready["base"], key)

    for ask in (stranger.run, stranger.submit):
        with pytest.raises(fal_client.FalClientHTTPError, match="key") as raised:
            ask(app, {})
        assert raised.value.status_code == 401


def test_an_app_that_is_not_there_raises_404_with_a_sentence(client: fal_client.SyncClient, app: str) -> None:
    for ask in (client.run, client.submit):
        with pytest.raises(fal_client.FalClientHTTPError, match="nobody") as raised:
            ask(f"{app.partition('/')[0]}/nobody", {})
        assert raised.value.status_code == 404


def test_a_request_to_a_busy_app_is_retried(client: fal_client.SyncClient, app: str, name: str) -> None:
    assert client.run(app, {"name": name}, path="/busy") == {"asked": 3}


def test_a_hint_and_headers_of_the_caller_arrive(client: fal_client.SyncClient, app: str) -> None:
    headers = client.run(app, {}, hint="lora-7", headers={"X-Mine": "1"})["headers"]

    assert (headers["x-fal-runner-hint"], headers["x-mine"]) == ("lora-7", "1")


def test_who_is_not_started_in_time_gets_504_and_is_not_repeated(
    client: fal_client.SyncClient, queued: str, tmp_path: Path, name: str
) -> None:
    gate = tmp_path / "gate"
    holds = client.submit(queued, {"name": f"{name} holds", "gate": str(gate)})
    until(lambda: isinstance(holds.status(), fal_client.InProgress))
    began = time.monotonic()
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client.run(queued, {"name": name}, start_timeout=1.5, timeout=8)
    took = time.monotonic() - began
    gate.touch()
    holds.get()

    assert raised.value.status_code == 504
    assert raised.value.response_headers["x-fal-request-timeout-type"] == "user"
    assert 1.4 < took < 6
    assert name not in client.run(queued, {}, path="/order")


def test_a_start_in_time_may_take_as_long_as_it_likes(client: fal_client.SyncClient, app: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.run, app, {"gate": str(gate)}, path="/wait", start_timeout=1.1)
        time.sleep(1.6)  # longer than the limit: what is checked is that nothing happens then
        gate.touch()

        assert answer.result(15) == {"waited": True}


def test_a_caller_that_hangs_up_ends_its_work(client: fal_client.SyncClient, app: str, tmp_path: Path) -> None:
    mark = tmp_path / "gone"
    with pytest.raises(Exception, match="timed out"):
        client.run(app, {"mark": str(mark)}, path="/patient", timeout=0.5, start_timeout=5)

    until(mark.exists)


def test_twenty_callers_at_once_each_get_their_own(client: fal_client.SyncClient, app: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda n: client.run(app, {"n": n})["input"]["n"], range(100)))

    assert results == list(range(100))


# --- streams ----------------------------------------------------------------------------------------------------
def test_a_stream_gives_every_event_in_order_and_ends(client: fal_client.SyncClient, app: str) -> None:
    events = list(client.stream(app, {"prompt": "a cat", "steps": 50}))

    assert events == [{"number": n, "text": "a cat é 漢 🎈"} for n in range(50)]


def test_a_stream_that_cannot_begin_raises(client: fal_client.SyncClient, app: str) -> None:
    with pytest.raises(httpx_sse.SSEError):  # the client has no better word for it (W77)
        list(client.stream(app, {}))


def test_a_stream_that_breaks_off_raises_after_its_events(client: fal_client.SyncClient, app: str) -> None:
    events: list[Any] = []
    with pytest.raises(httpx.RemoteProtocolError):  # W77
        events.extend(client.stream(app, {}, path="/broken/stream"))

    assert events[0] == {"number": 1}
    assert (
        events[1]["detail"] == "Internal Server Error"
    )  # the client gives an `error` event as it gives any other (W75)
    assert set(events[1]) == {"detail", "request_id"}
    assert len(events) == 2


def test_who_leaves_a_stream_stops_its_producer(client: fal_client.SyncClient, app: str, tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    stream = client.stream(app, {"mark": str(mark)}, path="/endless/stream")

    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    assert not mark.exists()
    stream.close()
    until(mark.exists)
