"""``fal_client.SyncClient.realtime`` and ``ws_connect``, as installed, against the gateway."""

from __future__ import annotations

from collections.abc import Callable

import fal_client
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.serve import Served

Client = fal_client.SyncClient


@pytest.mark.parametrize("use_jwt", [True, False], ids=["with a token", "with the key"])
def test_realtime_gives_a_map_for_a_map_with_bytes_in_it(client: Client, app: str, use_jwt: bool) -> None:
    with client.realtime(app, use_jwt=use_jwt) as talk:
        for number in range(3):
            talk.send({"number": number, "text": "é漢🎈", "blob": b"\x00\x01"})
            message = talk.recv()

            assert message is not None
            assert message["said"] == {"number": number, "text": "é漢🎈", "blob": b"\x00\x01"}
            assert message["bytes"] == b"\x00\xff"


def test_realtime_reports_an_error_of_the_app_without_its_text(client: Client, app: str) -> None:
    with client.realtime(app, use_jwt=False) as talk:
        talk.send({"fail": True})
        with pytest.raises(fal_client.client.RealtimeError) as raised:
            talk.recv()

    assert raised.value.error == "INTERNAL_ERROR"


def test_realtime_takes_twenty_megabytes_in_one_frame(client: Client, app: str) -> None:
    with client.realtime(app, use_jwt=False) as talk:
        talk.send({"size": 20_000_000})
        message = talk.recv()

    assert message == {"data": bytes(20_000_000)}


def test_a_buffer_of_one_drops_the_older_inputs_never_the_newest(client: Client, app: str) -> None:
    with client.realtime(app, path="/slow/realtime", use_jwt=False, max_buffering=1) as talk:
        for number in range(10):
            talk.send({"number": number})
        received = []
        while not received or received[-1] != 9:
            answer = talk.recv()
            assert answer is not None
            received.append(answer["number"])

    assert received == sorted(received)
    assert len(received) < 10


@pytest.mark.parametrize("use_jwt", [True, False], ids=["with a token", "with the key"])
def test_a_raw_websocket_carries_text(client: Client, app: str, use_jwt: bool) -> None:
    with client.ws_connect(app, path="/chat", use_jwt=use_jwt) as socket:
        socket.send("hello é")

        assert socket.recv(timeout=15) == "HELLO É"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_without_a_good_token_the_handshake_is_refused(many: Served, app: str, token: str) -> None:
    base = many.ready["base"].replace("http", "ws", 1)
    with pytest.raises(InvalidStatus) as raised, connect(f"{base}/run/{app}/realtime?fal_jwt_token={token}"):
        pass

    assert raised.value.response.status_code in (401, 403)


def test_a_token_is_for_its_own_app_only(client: Client, client_of: Callable[..., Client], app: str) -> None:
    foreign = client._get_realtime_token("somebody/else")
    base = client.base.replace("http", "ws", 1)  # type: ignore[attr-defined]
    with pytest.raises(InvalidStatus) as raised, connect(f"{base}/run/{app}/realtime?fal_jwt_token={foreign}"):
        pass

    assert raised.value.response.status_code in (401, 403)


def test_a_caller_without_a_key_gets_no_token(many: Served) -> None:
    answer = httpx.post(f"{many.ready['base']}/rest/tokens/", json={"allowed_apps": ["many"], "token_expiration": 120})

    assert (answer.status_code, "detail" in answer.json()) == (401, True)
