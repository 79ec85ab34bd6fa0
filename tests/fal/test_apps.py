"""``fal.apps`` and ``AppClient`` of ours in a user's script, without a variable set; parts that are not here can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter import fal
from tests.support.serve import COMMAND, served
from tests.support.state import state_directory

SCRIPT = """
import json, os
from fal_jupyter import fal
fal.install()

import httpx
from fal import apps, endpoint
from fal.app import App, AppClient, AppClientError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

class In(BaseModel):
    text: str = "none"

class Out(BaseModel):
    text: str

class Hello(App):
    @endpoint("/")
    def hi(self, input: In) -> Out:
        if input.text == "boom":
            raise ValueError("boom")
        return Out(text=input.text.upper())

    @endpoint("/stream")
    def parts(self) -> StreamingResponse:
        return StreamingResponse((f"data: {n}\\n\\n" for n in range(3)), media_type="text/event-stream")

def failure(call):
    try:
        call()
    except (AppClientError, httpx.HTTPStatusError) as error:
        return [type(error).__name__, getattr(error, "status_code", 0) or error.response.status_code, getattr(error, "message", str(error)).partition(": ")[2]]

found = {}
with AppClient.connect(Hello) as client:
    app = client.application
    answer = client.hi(In(text="a"))
    found["client"] = [type(answer).__name__, answer.text, client.hi({"text": "b"}).text, sorted(client.health())]
    found["client fails"] = failure(lambda: client.hi({"text": "boom"}))
    handle = apps.submit(app, {"text": "q"})
    found["queue"] = [handle.get(), type(handle.status()).__name__, handle.app_id == app, "key" in repr(handle).lower()]
    found["stream"] = list(apps.stream(app, {}, path="/stream"))
    read, write = os.pipe()
    child = os.fork()
    texts = [f"{'parent' if child else 'child'} {n}" for n in range(30)]
    try:
        right = [client.hi({"text": text}).text == text.upper() for text in texts]
    except Exception as error:
        right = [repr(error)]
    if not child:
        os.write(write, json.dumps(right).encode())
        os._exit(0)
    os.waitpid(child, 0)
    found["forked"] = [right, json.loads(os.read(read, 10000))]
    found["app fails"] = failure(lambda: apps.run(app, {"text": "boom"}))
    found["no path"] = failure(lambda: next(apps.stream(app, {}, path="nope")))[:2]
found["stopped"] = failure(lambda: apps.run(app, {}))[:2]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    with state_directory() as state:
        env = {name: value for name, value in os.environ.items() if not name.startswith("FAL_")}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=100,
            env=env | {"FAL_JUPYTER_STATE": str(state), "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("client", ["Out", "A", "B", ["version"]]),
        ("client fails", ["AppClientError", 500, '500 {"detail":"Internal Server Error"}']),
        ("queue", [{"text": "Q"}, "Completed", True, False]),
        ("stream", ["data: 0", "data: 1", "data: 2"]),
        ("forked", [[True] * 30, [True] * 30]),
        ("app fails", ["HTTPStatusError", 500, '{"detail":"Internal Server Error"}']),
        ("no path", ["HTTPStatusError", 404]),
        ("stopped", ["HTTPStatusError", 404]),
    ],
)
def test_a_script_calls_its_app_by_its_gateway_and_past_any_proxy(
    found: dict[str, Any], what: str, expected: object
) -> None:
    assert found[what] == expected


@pytest.mark.parametrize(
    ("key", "url", "sent"),
    [
        ("fjk_12345678:local", "http://127.0.0.1:8000/run/me/hello", True),
        ("fjk_12345678:local", "https://fal.run/me/hello", False),
        ("id:of-the-cloud", "https://fal.run/me/hello", True),
        ("id:of-the-cloud", "http://127.0.0.1:8000/run/me/hello", False),
    ],
)
def test_a_key_of_the_environment_goes_where_it_was_made(
    monkeypatch: pytest.MonkeyPatch, key: str, url: str, sent: bool
) -> None:
    monkeypatch.setenv("IS_ISOLATE_AGENT", "1")  # a runner: it offers no gateway of its own
    monkeypatch.setenv("FAL_KEY", key)
    client = fal.app.AppClient(fal.App, url)
    assert client._headers == ({"Authorization": f"Key {key}"} if sent else {})


def test_a_file_with_a_missing_import_loads_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "imports.py"
    path.write_text(
        "import fal, fal.wma.sdk\nfrom fastapi import Body\nfrom fal import apps, endpoint\nfrom fal.app import AppClient\nfrom fal.auth import UnauthenticatedException\n"
        "from fal.workflows import Workflow\nfrom fal import config\n"
        "import fal.api as api\nfrom fal.api.deploy import User, _get_user\nfrom fal.sdk import RunnerInfo, RunnerState\n"
        "from openapi_fal_rest.client import Client\n\n\n"
        "def of_platform(host: api.Host, client: Client, user: User) -> None:\n    api.client.SyncServerlessClient()\n\n\n"
        "class Session(fal.wma.sdk.Session):\n    pass\n\n\n"
        "class Imports(fal.App):\n    flow: Workflow | None = None\n\n"
        '    @endpoint("/")\n    def run(self, wanted: str = Body(embed=True)) -> dict:\n'
        "        try:\n            kinds = {'session': Session, 'rest': Client, 'user': _get_user, 'state': lambda: RunnerInfo.state,\n"
        "                     'serverless': lambda: of_platform(None, None, None)}\n"
        "            return {'made': kinds[wanted]() if wanted in kinds else Workflow('a')}\n"
        "        except UnauthenticatedException:\n            return {}\n"
        "        except NotImplementedError:\n            return {}\n"
        "        except Exception as error:\n            return {'told': str(error)}\n\n\n"
        "if __name__ == '__main__':\n    print(config.Config)\n"
    )
    with state_directory() as state:
        done = subprocess.run(
            [*COMMAND, "serve", f"{path}::Imports", "--dry-run"], capture_output=True, text=True, timeout=60,
            env=os.environ | {"FAL_JUPYTER_STATE": str(state)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        output = done.stdout + done.stderr
        assert (
            "the app imports fal.workflows: fal_jupyter does not have fal.workflows yet, so using it would fail"
            in output
        )
        assert "fal.apps" not in output
        with served(state, f"{path}::Imports") as app:
            answers = [
                app.request("/", {"wanted": wanted}).json
                for wanted in ("flow", "session", "rest", "user", "state", "serverless")
            ]
    assert answers == [
        {"told": "fal_jupyter does not have fal.workflows.Workflow yet"},
        {"told": "fal_jupyter does not have fal.wma.sdk.Session yet"},
        {"told": "fal_jupyter does not have openapi_fal_rest.client.Client, which asks fal's platform"},
        {"told": "fal_jupyter does not have fal.api.deploy._get_user"},
        {"told": "fal_jupyter does not have fal.sdk.RunnerInfo"},
        {"told": "fal_jupyter does not have fal.api.client.SyncServerlessClient"},
    ]
