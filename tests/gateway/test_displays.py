"""Pictures that an endpoint displays while a panel calls it: kept with the request, bounded, and found by the inspector."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.protocol.feed import DISPLAYS_BOUND, RequestDetail
from fal_jupyter.settings import read
from tests.support.serve import served

APP = """
import time
import fal
from IPython.display import display


class Picture:
    def __init__(self, data):
        self.data = data

    def _repr_png_(self):
        return self.data

    def __repr__(self):
        return f"<Picture {len(self.data)}>"


class Draws(fal.App):
    app_name = "draws"

    @fal.endpoint("/")
    def draw(self, sizes: list[int]) -> dict:
        for size in sizes:
            time.sleep(size / 9e6)  # pictures that come faster than they are sent are text
            display(Picture(b"\\x89PNG" + bytes(size - 4)))
        print("done")
        return {}
"""


@pytest.fixture(scope="module")
def client(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(APP)
    with served(shared_state, f"{path}::Draws"):
        yield Client(read({"FAL_JUPYTER_STATE": str(shared_state)}))


def draw(client: Client, *sizes: int) -> RequestDetail:
    status, made = client.control.ask("POST", "/admin/apps/draws/calls?path=/", json.dumps(sizes).encode())
    assert status == 202
    answer = client.control.open("GET", f"/admin/requests/{made['request_id']}/answer")
    assert answer.record(dict) == {}
    return client.control.request(made["request_id"])


def test_a_panel_gets_what_its_call_displayed_in_order(client: Client) -> None:
    detail = draw(client, 100, 200)
    assert [len(base64.b64decode(one["base64"])) for one in detail["displays"]] == [100, 200]
    assert [(one["content_type"], one["text"]) for one in detail["displays"]] == [
        ("image/png", "<Picture 100>"), ("image/png", "<Picture 200>"),
    ]  # fmt: skip
    assert [line["text"] for line in detail["logs"]] == ["<Picture 100>", "<Picture 200>", "done"]


def test_a_request_keeps_pictures_up_to_a_bound_and_the_text_of_all(client: Client) -> None:
    large = 900_000
    detail = draw(client, *[large] * 6)
    assert sum(len(base64.b64decode(one["base64"])) for one in detail["displays"]) <= DISPLAYS_BOUND
    assert [bool(one["base64"]) for one in detail["displays"]] == [True] * 4 + [False] * 2
    assert {one["text"] for one in detail["displays"]} == {f"<Picture {large}>"}
