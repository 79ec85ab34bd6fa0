"""What a handler of the control plane answers when the gateway itself fails: a sentence, and where the traceback is."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from fal_jupyter.gateway.api.handlers import Handler


class Full(Handler):
    def get(self) -> None:
        raise OSError(28, "No space left on device")


class Unnamed(Handler):
    def get(self) -> None:
        self.fail(409, "bad_setting", "there is no folder /caf\udce9", hint="create /caf\udce9 or /café")


class Placed(Handler):
    def get(self) -> None:
        self.reply({"state": "/home/caf\udce9", "owner": "é"})


KINDS = {"/full": Full, "/unnamed": Unnamed, "/placed": Placed}


async def ask(*, ending: bool, path: str = "/full") -> tuple[int, dict[str, str]]:
    gateway = SimpleNamespace(stopping=asyncio.Event(), settings=SimpleNamespace(logs=Path("/state/logs")))
    if ending:
        gateway.stopping.set()
    sock, port = bind_unused_port()
    server = HTTPServer(Application([(at, kind, {"gateway": gateway}) for at, kind in KINDS.items()]))
    server.add_socket(sock)
    try:
        answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}{path}", raise_error=False)
    finally:
        server.stop()
        await server.close_all_connections()
    return answer.code, msgspec.json.decode(answer.body, type=dict[str, str])


def test_a_failure_is_a_sentence_and_its_traceback_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, body = asyncio.run(ask(ending=False))

    assert status == 500
    assert body == {
        "detail": "the gateway failed at GET /full: OSError: [Errno 28] No space left on device",
        "error_type": "internal_error",
        "hint": "the traceback is in /state/logs/gateway.log",
    }
    assert "Traceback" in caplog.text


def test_a_failure_of_a_gateway_that_ends_is_that_it_ends() -> None:
    status, body = asyncio.run(ask(ending=True))

    assert status == 503
    assert "internal_error" not in body.values()


def test_a_failure_that_names_a_path_with_bytes_that_are_not_utf_8_can_be_decoded() -> None:
    status, body = asyncio.run(ask(ending=False, path="/unnamed"))

    assert status == 409
    assert body["detail"] == "there is no folder /caf\ufffd"
    assert body["hint"] == "create /caf\ufffd or /café"


def test_an_answer_with_the_name_of_a_folder_that_is_not_utf8_can_be_read() -> None:
    assert asyncio.run(ask(ending=False, path="/placed")) == (200, {"state": "/home/caf\ufffd", "owner": "é"})
