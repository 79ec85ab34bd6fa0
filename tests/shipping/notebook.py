"""Two ends of a shipment: a notebook's namespace here, fresh processes there."""

from __future__ import annotations
import __future__

import asyncio
import base64
import dataclasses
import json
import linecache
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter import shipping
from fal_jupyter.runner.application import endpoints

HERE = Path(__file__)
FUTURE = __future__.annotations.compiler_flag


class Notebook:
    """A ``__main__`` of its own, into which cells are run as IPython does: by name, with their source kept."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.namespace = vars(self.module)
        self.cells: list[str] = []
        self.bound: dict[str, str] = {}
        self.run("import fal_jupyter.fal as fal")

    def run(self, source: str, *, future: bool = False) -> str:
        """Run a cell and give its file name."""
        filename = f"<cell {len(self.cells)} of {id(self):x}>"
        self.cells.append(source)
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        before = dict(self.namespace)
        exec(compile(source, filename, "exec", FUTURE if future else 0, dont_inherit=True), self.namespace)
        for name, value in self.namespace.items():
            if name not in before or before[name] is not value:
                self.bound[name] = f"cell [{len(self.cells) - 1}]"
        return filename

    def cell_of(self, name: str) -> str:
        return self.bound.get(name, "")

    def pack(self, name: str = "Hello") -> shipping.Shipment:
        return shipping.pack(self.namespace[name], namespace=self.namespace, cell_of=self.cell_of)


@contextmanager
def notebook() -> Iterator[Notebook]:
    """A fresh notebook, which is the process's ``__main__`` as long as it is open."""
    opened, before = Notebook(), sys.modules["__main__"]
    sys.modules["__main__"] = opened.module
    try:
        yield opened
    finally:
        sys.modules["__main__"] = before


@dataclasses.dataclass
class Job:
    """A shipment, and what to post to it on arrival: ``(path, query, body)``."""

    shipment: shipping.Shipment
    posts: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)


def serve(cls: Any, posts: list[tuple[str, str, Any]]) -> list[Any]:
    """Build the application of *cls* as a runner does, and give ``[status, answer]`` of each post and its OpenAPI."""
    app = endpoints.build(cls(_allow_init=True))
    answers = [
        asyncio.run(post(app, path, query, b"" if body is None else json.dumps(body).encode()))
        for path, query, body in posts
    ]
    return [*answers, app.openapi()]


async def post(app: Any, path: str, query: str, data: bytes, headers: tuple[tuple[str, str], ...] = ()) -> list[Any]:
    """Post to an ASGI application and give its status and its answer (or the traceback of the user's code)."""
    call = endpoints.EndpointCall()
    token = endpoints.current_call.set(call)
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"host", b"localhost"),
                    *((name.lower().encode(), text.encode("latin-1")) for name, text in headers)],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:  # it is answered first, then raised for the server's log
        if call.error is None:
            return [500, repr(error)]
    finally:
        endpoints.current_call.reset(token)
    answer = json.loads(b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body") or b"null")
    return [sent[0]["status"], call.error["text"] if call.error is not None else answer]


def selected(request: pytest.FixtureRequest, parameter: str) -> list[dict[str, Any]]:
    """Give the parameters of each test of this file that will run and has that parameter."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    here = [test.callspec.params for test in tests if test.path == request.path and hasattr(test, "callspec")]
    return [given for given in here if parameter in given]


def arrive(jobs: list[Job], **environment: str) -> list[Any]:
    """Unpack all *jobs* in one fresh interpreter, each in a fork of its own, and give what each answered."""
    asked = [
        {"payload": base64.b64encode(j.shipment.payload).decode(), "source": j.shipment.source, "posts": j.posts}
        for j in jobs
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.shipping.arrival"],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=100,
        cwd=HERE.parents[2],
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers: list[Any] = json.loads(done.stdout)
    return answers
