"""Small apps of ours, called by the real SDK (``fal.apps`` of fal 1.83.0) and by our own that have the variables of ``fal-jupyter env``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.parity.test_parity import ROOT
from tests.support.real_fal import PYTHON
from tests.support.serve import command, served
from tests.support.state import state_directory

APP = """
import asyncio

import fal
from fal.exceptions import RequestCancelledException
from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class In(BaseModel):
    text: str = "none"


class Called(fal.App):
    min_concurrency = 1
    keep_alive = 300
    max_multiplexing = 4

    def setup(self):
        self.tasks = {}

    def health(self):
        return {"mine": True}

    @fal.endpoint("/")
    def run(self, input: In) -> dict:
        return {"text": input.text}

    @fal.endpoint("/slow")
    async def slow(self, request: Request) -> dict:
        task = self.tasks[request.headers["x-fal-request-id"]] = asyncio.create_task(asyncio.sleep(60))
        print("slow begins")
        try:
            await task
        except asyncio.CancelledError:
            raise RequestCancelledException("stopped by its cancel endpoint")

    @fal.endpoint("/slow/cancel")
    async def cancel(self, request: Request) -> dict:
        self.tasks[request.headers["x-fal-request-id"]].cancel()
        return {}

    @fal.endpoint("/lifecycle")
    def lifecycle(self) -> dict:
        return {"preference": self.current_request.lifecycle_preference}

    @fal.endpoint("/stream")
    def stream(self) -> StreamingResponse:
        return StreamingResponse((f"data: {n}\\n\\n" for n in range(3)), media_type="text/event-stream")

    @fal.realtime("/realtime")
    def talk(self, input: In) -> In:
        return In(text=input.text.upper())
"""
CLIENT = """
import json, os, sys, time
import httpx
from fal import apps, flags

app, found = sys.argv[1], {}
found["run"] = apps.run(app, {"text": "é"})
job = apps.submit(app, {"text": "queued"})
found["queued"] = [job.get(), type(job.status()).__name__]
found["stream"] = list(apps.stream(app, {}, path="/stream"))
with apps._connect(app, path="/realtime") as connection:
    found["realtime"] = connection.run({"text": "abc"})
with apps.ws(app) as connection:
    found["ws"] = [json.loads(connection.run({"text": text})) for text in ("é", "again")]
    connection.send({"text": 1})
    found["ws"].append(json.loads(connection.recv())["detail"][0]["loc"])
with apps.ws(app, path="/stream") as connection:
    connection.send({})
    found["ws stream"] = "".join(connection.stream())
slow = apps.submit(app, {}, path="/slow")
while not any("slow begins" in str(line) for line in getattr(slow.status(logs=True), "logs", None) or []):
    time.sleep(0.02)
slow.cancel()
while not isinstance(slow.status(), apps.Completed):
    time.sleep(0.02)
try:
    slow.fetch_result()
except httpx.HTTPStatusError as error:
    found["cancelled"] = [error.response.status_code, error.response.headers["x-fal-error-type"]]
key = {"Authorization": "Key " + os.environ["FAL_KEY"]}
base = f"https://{flags.FAL_RUN_HOST}/{app}"
found["health"] = httpx.get(f"{base}/health", headers=key).json()
preference = key | {"X-Fal-Object-Lifecycle-Preference": json.dumps({"expiration_duration_seconds": 60})}
found["lifecycle"] = httpx.post(f"{base}/lifecycle", headers=preference, json={}).json()
print(json.dumps(found))
"""


OURS = "import fal_jupyter.fal\nfal_jupyter.fal.install()\n"
WHO: dict[str, tuple[list[str | Path], dict[str, str]]] = {
    "real": ([PYTHON, "-c", CLIENT], {}),
    "ours": ([sys.executable, "-c", OURS + CLIENT], {"PYTHONPATH": str(ROOT)}),
}


@pytest.fixture(
    scope="module",
    params=["real", pytest.param("ours", marks=pytest.mark.long)],  # tests/fal has the parts of ours
)
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert PYTHON.exists(), f"{PYTHON} is missing: `make test` creates the environment of the real fal"
    path = tmp_path_factory.mktemp("called") / "called.py"
    path.write_text(APP)
    with state_directory() as state, served(state, f"{path}::Called") as app:
        hosts: dict[str, str] = json.loads(command(state, "env", "--json").stdout)
        line, more = WHO[request.param]
        return _called(line, app.ready["app"], hosts | more)


def _called(line: list[str | Path], app: str, env: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [*line, app], cwd=Path("/"), capture_output=True, text=True, timeout=100, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("run", {"text": "é"}),
        ("queued", [{"text": "queued"}, "Completed"]),
        ("stream", ["data: 0", "data: 1", "data: 2"]),
        ("realtime", {"text": "ABC"}),
        ("ws", [{"text": "é"}, {"text": "again"}, ["body", "text"]]),
        ("ws stream", "data: 0\n\ndata: 1\n\ndata: 2\n\n"),
        ("cancelled", [499, "client_cancelled"]),
        ("health", {"mine": True}),
        ("lifecycle", {"preference": {"expiration_duration_seconds": 60}}),
    ],
)
def test_the_sdk_calls_an_app_here_as_on_fal(answers: dict[str, Any], what: str, expected: object) -> None:
    assert answers[what] == expected
