"""Each program of the card's Snippets tab, run as it is: Python, JavaScript and curl against the gateway, cells in a kernel."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.kernel import kernel
from tests.support.serve import Served
from tests.support.state import state_directory

HERE = Path(__file__).parent
PICTURE = b"\x89PNG " + bytes(range(256)) * 2
LONG = "data:image/png;base64," + "A" * 400  # what a form holds of a picture: the program reads a file in its place
VALUE = {"prompt": 'it\'s "q" \\ $HOME `id` \n é 漢 🎈 ' + "x" * 60, "steps": 2}
SIGNATURE = "(prompt: Prompt) -> dict"
PLACES: dict[str, dict[str, Any]] = {
    "plain": {"endpoint": "valid", "path": "/valid", "value": VALUE, "signature": SIGNATURE},
    "query": {"endpoint": "asked", "path": "/asked", "value": {}, "query": {"name": "nobody & co"}},
    "streaming": {"endpoint": "stream", "path": "/stream", "value": VALUE, "signature": SIGNATURE, "way": "stream"},
    "queued": {"endpoint": "valid", "path": "/valid", "value": VALUE, "signature": SIGNATURE, "way": "queue"},
    "realtime": {"endpoint": "talk", "path": "/realtime", "value": {"number": 7}, "way": "session"},
    "file": {"endpoint": "fetch", "path": "/fetch", "value": {"url": LONG}},
    "queued file": {"endpoint": "fetch", "path": "/fetch", "value": {"url": LONG}, "way": "queue"},
}
CELLS = """%%fal_app
import urllib.request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Prompt(BaseModel):
    prompt: str
    steps: int = 1


class Many(fal.App):
    @fal.endpoint("/valid")
    def valid(self, prompt: Prompt) -> dict:
        return {"prompt": prompt.prompt, "steps": prompt.steps}

    @fal.endpoint("/asked")
    def asked(self, name: str) -> int:
        return len(name)

    @fal.endpoint("/stream")
    def stream(self, prompt: Prompt) -> StreamingResponse:
        events = (f'data: {{"number": {n}}}\\n\\n' for n in range(prompt.steps))
        return StreamingResponse(events, media_type="text/event-stream")

    @fal.realtime("/realtime")
    def talk(self, said: dict) -> dict:
        return {"said": said}

    @fal.endpoint("/fetch")
    def fetch(self, url: str) -> dict:
        return {"length": len(urllib.request.urlopen(url).read())}
"""


def written(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """What the panels write for these calls."""
    node = shutil.which("node")
    assert node is not None, "there is no Node.js here; install Node.js 20 or newer"
    command = [node, str(HERE / "snippets.mjs")]
    made = subprocess.run(command, input=json.dumps(calls), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def programs(base: str, app: str, key: str) -> dict[str, dict[str, str]]:
    """The programs by what the endpoint is and by language."""
    common = {"className": "Many", "app": app, "url": f"{base}/run/{app}", "key": key}
    made = written([common | place for place in PLACES.values()])["programs"]
    return dict(zip(PLACES, made, strict=True))


@pytest.fixture(scope="module", params=["its own key", "FAL_KEY"])
def made(request: pytest.FixtureRequest, many: Served) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The programs, and what their environment needs."""
    ready, own = many.ready, request.param == "its own key"
    environment = {} if own else {"FAL_KEY": ready["key"]}
    return programs(ready["base"], ready["app"], ready["key"] if own else "$FAL_KEY"), environment


def run(program: str, language: str, place: Path, environment: dict[str, str]) -> str:
    """Run a program in a folder with its file, and give what it printed."""
    (place / "input.png").write_bytes(PICTURE)
    if language == "javascript":
        file = place / "program.mjs"
        (place / "node_modules").symlink_to(HERE / "node_modules")
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        flags = ["--experimental-websocket"] if int(version[1:].split(".")[0]) < 22 else []
        command = ["node", "--no-warnings", *flags, str(file)]
    else:
        file = place / "program"
        command = [sys.executable if language == "python" else "sh", str(file)]
    file.write_text(program)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FAL_")} | environment
    ran = subprocess.run(command, cwd=place, env=clean, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, f"{program}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("language", ["python", "javascript", "curl"])
def test_a_program_runs_as_it_is(
    made: tuple[dict[str, dict[str, str]], dict[str, str]], language: str, what: str, tmp_path: Path
) -> None:
    if (program := made[0][what].get(language)) is None:
        assert (what, language) == ("realtime", "curl")  # curl has no such session
        return
    printed = run(program, language, tmp_path, made[1])
    if what == "query":
        assert printed.strip() == "0"
    elif what == "streaming":
        assert printed.count("number") == 2
    elif what == "realtime":
        assert "7" in printed
        assert "said" in printed
    elif what.endswith("file"):
        assert str(len(PICTURE)) in printed
        assert "image/png" in printed
    elif language == "curl":
        assert json.loads(printed) == VALUE
    elif language == "python":
        assert ast.literal_eval(printed) == VALUE
    else:
        assert "steps: 2" in printed


def test_a_cell_and_a_template_run_as_they_are(tmp_path: Path) -> None:
    cells = {what: each["cell"] for what, each in programs("http://127.0.0.1:1", "me/many", "$FAL_KEY").items()}
    (tmp_path / "input.png").write_bytes(PICTURE)
    templates = written([])["templates"]  # their names are taken: each gets another one
    with state_directory() as state, kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter").ok()
        running.run(CELLS).ok()
        ran = {what: running.run(cell).ok() for what, cell in cells.items()}
        made = {kind: [running.run(cell).ok() for cell in pair][1] for kind, pair in templates.items()}
    assert ast.literal_eval(made["text"].result) == {"text": "Hello, Ada"}
    assert "seed=42" in made["image"].result
    assert re.findall(r"'text': '(\w+) '", made["stream"].text) == ["every", "word", "as", "it", "comes"]
    for what in ("plain", "queued"):
        assert ast.literal_eval(ran[what].result) == VALUE
    assert ran["query"].result == "11"
    assert ran["streaming"].text.count("number") == VALUE["steps"]
    assert "'number': 7" in ran["realtime"].text
    for what in ("file", "queued file"):
        assert ast.literal_eval(ran[what].result) == {"length": len(PICTURE)}
