"""Asks our apps the same: through the gateway's port, in runners, as any program would."""

from __future__ import annotations

import asyncio
import http.client
import json
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.serving import serve_file
from tests.parity.checks import Asked, Talked
from tests.parity.reference import reply

APPS = Path(__file__).parent / "apps"


class Ours:
    """One gateway with every app that was asked."""

    def __init__(self, state: Path) -> None:
        self.client = Client(settings.read({"FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": "me"}), kind="serve")
        self.handles: dict[str, AppHandle] = {}

    def handle(self, app: str) -> AppHandle:
        """Publish *app* when it is first asked."""
        if app not in self.handles:
            module, _, name = app.partition(".")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # two methods on one path: on purpose
                self.handles[app] = serve_file(APPS / f"{module}.py", name, client=self.client)
            self.handles[app].wait()
        return self.handles[app]

    def ask(self, check: Asked) -> dict[str, Any]:
        handle = self.handle(check.app)
        headers = {"authorization": f"Key {handle.key}", **check.headers}
        body = check.content
        if check.json is not None:
            body = json.dumps(check.json).encode("utf-8", "surrogatepass")
            headers.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection(handle.base.removeprefix("http://"), timeout=30)
        connection.request(check.method, f"/run/{handle.app}{quote(check.path, safe='/?&=%+')}", body, headers)
        answer = connection.getresponse()
        try:
            raw = answer.read()
        except http.client.IncompleteRead as cut:
            raw = cut.partial + b" (cut off)"
        connection.close()
        return reply(answer.status, dict(answer.getheaders()), raw)

    def talk(self, check: Talked) -> list[Any]:
        handle = self.handle(check.app)
        return asyncio.run(
            _talk(f"ws://{handle.base.removeprefix('http://')}/run/{handle.app}{check.path}", handle.key, check)
        )

    def close(self) -> None:
        """Stop everything."""
        self.client.close()


async def _talk(address: str, key: str, check: Talked) -> list[Any]:
    found: list[Any] = []
    try:
        async with connect(
            address, additional_headers={"authorization": f"Key {key}"}, max_size=None, proxy=None
        ) as socket:
            try:
                for value in check.sent:
                    await socket.send(value if isinstance(value, str | bytes) else msgpack.packb(value))
            except ConnectionClosed:
                pass  # it had its answer before it was asked
            try:
                while True:
                    message = await socket.recv()
                    found.append(["text", message] if isinstance(message, str) else ["bin", message.hex()])
            except ConnectionClosed:
                found.append(["close", socket.close_code])
    except InvalidStatus as error:
        found.append(["refused", error.response.status_code])
    return found
