"""What a websocket's endpoint prints, followed beside it on the gateway's own socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fal_jupyter.client.client import Client
from fal_jupyter.client.connection.answer import AnswerReader
from fal_jupyter.client.connection.response import Response
from fal_jupyter.domain.errors import GatewayError
from fal_jupyter.settings import read
from tests.support.serve import Served, served

APP = """
import os, sys
import fal
from fastapi import WebSocket


class Loud(fal.App):
    max_multiplexing = 8

    @fal.endpoint("/loud", is_websocket=True)
    async def loud(self, ws: WebSocket):
        print("comes")
        print("half a", end="")
        await ws.accept()
        while (text := await ws.receive_text()) != "off":
            print("[", text, "]", file=sys.stderr)
            if text == "much":
                for _ in range(100):
                    print("x" * 10_000)
            await ws.send_text(text)
"""


@pytest.fixture(scope="module")
def loud(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("loud") / "loud.py"
    path.write_text(APP)
    with served(shared_state, f"{path}::Loud", env={"MY_API_KEY": "s3cr3t.value"}) as one:
        yield one


@pytest.fixture
def client(loud: Served) -> Client:
    return Client(read({"FAL_JUPYTER_STATE": str(loud.state)}))


def talk(app: Served) -> tuple[ClientConnection, str]:
    """Open a socket; gives it and its request's id."""
    url = app.ready["url"].replace("http://", "ws://") + "/loud"
    ws = connect(url, additional_headers={"Authorization": f"Key {app.ready['key']}"}, proxy=None).__enter__()
    assert ws.response is not None
    return ws, ws.response.headers["x-fal-request-id"]


def follow(client: Client, request_id: str) -> Response:
    return client.control.open("GET", f"/admin/requests/{request_id}/printed")


def status_of(client: Client, request_id: str) -> int:
    return client.control.ask("GET", f"/admin/requests/{request_id}/printed")[0]


def all_of(answer: Response) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    reader = AnswerReader(lambda stream, text: found.append((stream, text)), "")
    for piece in answer:
        reader.feed(piece)
    return found


def test_earlier_and_later_output_is_sent_until_the_end(loud: Served, client: Client) -> None:
    ws, request_id = talk(loud)
    ws.send("one")
    ws.recv()
    answer = follow(client, request_id)
    ws.send("s3cr3t.value")
    ws.recv()
    ws.send("off")
    output = all_of(answer)
    assert [text for stream, text in output if stream == 1] == ["comes\n", "half a"]
    assert "".join(text for stream, text in output if stream == 2) == "[ one ]\n[ [redacted MY_API_KEY] ]\n"
    ws.close()


def test_an_unfinished_line_is_in_the_log_of_its_request_on_demand(loud: Served, client: Client) -> None:
    ws, request_id = talk(loud)
    ws.send("s3cr3t.value")
    ws.recv()

    def texts(more: str = "") -> list[str]:
        return [
            one["text"] for one in client.control.ask("GET", f"/admin/apps/loud/logs?request={request_id}{more}")[1]
        ]

    assert texts() == ["comes", "[ [redacted MY_API_KEY] ]"]
    assert texts("&unfinished=1") == ["comes", "[ [redacted MY_API_KEY] ]", "half a"]
    ws.send("off")
    with pytest.raises(ConnectionClosed):
        ws.recv()
    ws.close()


def test_the_output_of_an_ended_request_is_sent_and_ends(loud: Served, client: Client) -> None:
    ws, request_id = talk(loud)
    ws.send("off")
    with pytest.raises(ConnectionClosed):
        ws.recv()
    ws.close()
    assert [text for _, text in all_of(follow(client, request_id))] == ["comes\n", "half a\n"]


def test_one_follows_and_who_leaves_makes_room_for_another(loud: Served, client: Client) -> None:
    ws, request_id = talk(loud)
    first = follow(client, request_id)
    assert (first.status, status_of(client, request_id)) == (200, 409)
    first.close()
    with pytest.raises(GatewayError):
        all_of(first)
    while (second := follow(client, request_id)).status == 409:
        b"".join(second)  # bounded by the test's own limit
    ws.send("off")
    assert [text for _, text in all_of(second)] == ["comes\n", "half a"]
    assert status_of(client, "0" * 36) == 404
    ws.close()


def test_unread_output_is_dropped_and_counted(loud: Served, client: Client) -> None:
    ws, request_id = talk(loud)
    answer = follow(client, request_id)
    for _ in range(8):
        ws.send("much")
        ws.recv()
    ws.send("off")
    with pytest.raises(ConnectionClosed):
        ws.recv()
    chunks: list[bytes] = list(answer)
    assert sum(map(len, chunks)) < 4 << 20
    ws.close()
