"""Text with half a character (a lone surrogate), which UTF-8 cannot hold: whoever reads what an app printed, raised or was called has an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.settings import read
from tests.clients.waiting import until
from tests.support.serve import Served, command, served

APP = """
import logging
import os
import sys

import fal

HALF = "\\ud800"


class Halves(fal.App):
    def setup(self):
        print("setup", HALF)
        self.runner_state = HALF

    @fal.endpoint("/")
    def run(self, name: str = "", kind: str = "") -> dict:
        print("printed", HALF)
        print("erred", HALF, file=sys.stderr, flush=True)
        print("open", HALF, end="", flush=True)
        os.write(1, b"raw \\xed\\xa0\\x80\\n")
        logging.getLogger("app").warning("logged %s", HALF)
        if kind == "raise":
            note = HALF
            raise ValueError(f"half {HALF}")  # \\ud800
        if kind == "http":
            from fastapi import HTTPException
            raise HTTPException(418, f"half {HALF}")
        return {"odd": os.environ.get("ODD"), "even": os.environ.get("EVEN")}
"""


@pytest.fixture(scope="module")
def halves(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("halves") / "halves.py"
    path.write_text(APP)
    with served(state, f"{path}::Halves", env={"ODD": "\udcff", "EVEN": "é"}) as app:
        yield app


@pytest.mark.parametrize("kind", ["", "raise", "http"])
def test_every_record_of_a_request_can_be_read(halves: Served, state: Path, kind: str) -> None:
    queue = halves.ready["url"].replace("/run/", "/queue/")
    key = {"authorization": f"Key {halves.ready['key']}"}
    asked = {"kind": kind, "name": "\ud800"}
    sent = httpx.post(queue, content=json.dumps(asked), headers=key | {"content-type": "application/json"}).json()
    request_id = sent["request_id"]
    address = f"{queue}/requests/{request_id}/status"
    until(lambda: httpx.get(address, headers=key).json()["status"] == "COMPLETED", 20)
    status = httpx.get(f"{address}?logs=1", headers=key).json()
    assert any("printed" in line["message"] for line in status["logs"]), status
    with httpx.stream("GET", f"{address}/stream?logs=1", headers=key, timeout=20) as events:
        assert b"printed" in events.read()
    with closing(Client(read({"FAL_JUPYTER_STATE": str(state)}))) as client:
        control = client.control
        assert any("printed" in line["text"] for line in control.logs("halves"))
        assert control.request(request_id)["request"]["id"] == request_id
        assert control.picture("halves") is not None
        assert control.snapshot() is not None
        for path in ("schema", "scaling", f"logs?request={request_id}&unfinished=1"):
            assert control.ask("GET", f"/admin/apps/halves/{path}")[0] == 200
        assert next(iter(control.feed()))["apps"]
        made = control.ask("POST", "/admin/apps/halves/calls?path=/", json.dumps(asked).encode())[1]
        assert isinstance(made, dict)
        control.open("GET", f"/admin/requests/{made['request_id']}/printed").read()
        control.open("GET", f"/admin/requests/{made['request_id']}/answer").read()
    for words in (["logs", "halves"], ["requests", "halves"], ["apps"], ["runners"], ["doctor"]):
        done = command(state, *words)
        assert done.returncode == 0, done
    assert "Uncaught" not in (state / "logs" / "gateway.log").read_text(errors="replace")


def test_runners_start_without_a_variable_that_is_not_utf8(halves: Served) -> None:
    assert halves.request("/", {}).json == {"odd": None, "even": "é"}


def test_an_input_that_is_refused_is_quoted_as_on_fal(halves: Served) -> None:
    key = {"authorization": f"Key {halves.ready['key']}", "content-type": "application/json"}
    refused = httpx.post(halves.ready["url"], content=json.dumps({"name": ["\ud800"]}), headers=key)
    assert (refused.status_code, refused.json()["detail"][0]["input"]) == (422, ["?"])
