"""Each program of the card's Snippets tab, run as it is: Python, JavaScript and curl against the gateway, cells in a kernel."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from tests.support.kernel import kernel
from tests.support.serve import Served, served
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
    "yields": {
        "endpoint": "numbers",
        "path": "/numbers",
        "value": {"n": 2},
        "way": "stream",
        "yields": True,
        "names": ["numbers", "stream"],
    },
    "queued": {"endpoint": "valid", "path": "/valid", "value": VALUE, "signature": SIGNATURE, "way": "queue"},
    "realtime": {"endpoint": "talk", "path": "/realtime", "value": {"number": 7}, "way": "session"},
    "file": {"endpoint": "fetch", "path": "/fetch", "value": {"url": LONG}},
    "queued file": {"endpoint": "fetch", "path": "/fetch", "value": {"url": LONG}, "way": "queue"},
}
FORM = "multipart/form-data"
FILE = "data:image/png;name=input.png;base64," + "A" * 8
TITLE = 'it\'s "q" \\ $HOME `id` \n é 漢 🎈 @x <y'
FORMS: dict[str, dict[str, Any]] = {
    "upload": {"endpoint": "upload", "path": "/upload", "value": {"file": FILE, "title": TITLE, "tags": ["a", "b"]}, "query": {"page": 2}},
    "queued upload": {"endpoint": "upload", "path": "/upload", "value": {"file": FILE, "title": TITLE, "tags": ["a", "b"]}, "query": {"page": 2}, "way": "queue"},
    "text": {"endpoint": "text", "path": "/text", "value": {"title": TITLE, "on": True}, "encoding": "application/x-www-form-urlencoded"},
    "item": {"endpoint": "item", "path": "/item/{name}", "value": {"file": FILE}, "query": {"name": "a b é"}},
    "lines": {"endpoint": "lines", "path": "/lines", "value": {"file": FILE}, "way": "stream"},
}  # fmt: skip
ITEM = {"name": "a b é", "size": len(PICTURE)}
UPLOADED = {
    "name": "input.png",
    "type": "image/png",
    "size": len(PICTURE),
    "title": TITLE,
    "tags": ["a", "b"],
    "page": 2,
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

    @fal.endpoint("/numbers")
    def numbers(self, n: int):
        for number in range(n):
            yield {"number": number}

    @fal.realtime("/realtime")
    def talk(self, said: dict) -> dict:
        return {"said": said}

    @fal.endpoint("/fetch")
    def fetch(self, url: str) -> dict:
        return {"length": len(urllib.request.urlopen(url).read())}
"""


def written(calls: list[dict[str, Any]], recorded: list[tuple[Any, Any]] = []) -> dict[str, Any]:  # noqa: B006
    """What the panels write for these calls, and for requests that were recorded: each an app and the request's details."""
    node = shutil.which("node")
    assert node is not None, "there is no Node.js here; install Node.js 20 or newer"
    command = [node, str(HERE / "snippets.mjs")]
    made = subprocess.run(
        command, input=json.dumps({"calls": calls, "recorded": recorded}), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def programs(base: str, app: str, key: str) -> dict[str, dict[str, str]]:
    """The programs by what the endpoint is and by language."""
    common = {"className": "Many", "app": app, "url": f"{base}/run/{app}", "key": key}
    made = written([common | place for place in PLACES.values()])["programs"]
    return dict(zip(PLACES, made, strict=True))


# where the key comes from the environment: the forms below have both, in each language
@pytest.fixture(scope="module", params=["its own key", pytest.param("FAL_KEY", marks=pytest.mark.long)])
def made(request: pytest.FixtureRequest, many: Served) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The programs, and what their environment needs."""
    ready, own = many.ready, request.param == "its own key"
    environment = {} if own else {"FAL_KEY": ready["key"], "FAL_JUPYTER_STATE": str(many.state)}
    return programs(ready["base"], ready["app"], ready["key"] if own else "$FAL_KEY"), environment


@functools.cache
def node_flags() -> list[str]:
    """What the Node.js that is here needs for websockets."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return ["--experimental-websocket"] if int(version[1:].split(".")[0]) < 22 else []


def run(program: str, language: str, place: Path, environment: dict[str, str]) -> str:
    """Run a program in a folder with its file, and give what it printed."""
    (place / "input.png").write_bytes(PICTURE)
    if language == "javascript":
        file = place / "program.mjs"
        (place / "node_modules").symlink_to(HERE / "node_modules")
        command = ["node", "--no-warnings", *node_flags(), str(file)]
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
    elif what in ("streaming", "yields"):
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


@pytest.mark.parametrize("language", ["python", "javascript", "curl"])
def test_a_queued_call_of_the_first_path_has_its_query(many: Served, language: str, tmp_path: Path) -> None:
    ready, query = many.ready, {"seed": "2 & é"}
    common = {
        "className": "Many",
        "app": ready["app"],
        "url": f"{ready['base']}/run/{ready['app']}",
        "key": ready["key"],
    }
    call = {"endpoint": "echo", "path": "/", "value": VALUE, "query": query, "way": "queue"}
    (programs,) = written([common | call])["programs"]
    printed = run(programs[language], language, tmp_path, {})
    assert "seed=2+%26+%C3%A9" in printed


@pytest.fixture(scope="module")
def forms(many: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("apps") / "forms_app.py"
    shutil.copy(HERE / "forms_app.py", path)
    with served(many.state, f"{path}::Forms") as app:
        yield app


@pytest.fixture(scope="module")
def form_programs(forms: Served) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Programs, and what their environment needs: every other one has a key of its own."""
    ready, made = forms.ready, {}
    common = {"className": "Forms", "app": ready["app"], "url": f"{ready['base']}/run/{ready['app']}", "encoding": FORM}
    keys = [ready["key"] if number % 2 else "$FAL_KEY" for number in range(len(FORMS))]
    calls = [common | {"key": key} | place for key, place in zip(keys, FORMS.values(), strict=True)]
    for what, key, program in zip(FORMS, keys, written(calls)["programs"], strict=True):
        made[what] = (
            program,
            {"FAL_KEY": ready["key"], "FAL_JUPYTER_STATE": str(forms.state)} if key == "$FAL_KEY" else {},
        )
    return made


@pytest.mark.parametrize("what", FORMS)
@pytest.mark.parametrize("language", ["python", "javascript", "curl"])
def test_a_program_for_a_form_runs_as_it_is(
    form_programs: dict[str, tuple[dict[str, str], dict[str, str]]], language: str, what: str, tmp_path: Path
) -> None:
    made, environment = form_programs[what]
    printed = run(made[language], language, tmp_path, environment)
    if what == "lines":
        assert printed.count(f'"size": {len(PICTURE)}') == 2
    elif language == "javascript":
        assert ("é" if what == "item" else "漢") in printed
        assert ("true" if what == "text" else str(len(PICTURE))) in printed
    else:
        response = json.loads(printed) if language == "curl" else ast.literal_eval(printed)
        assert response == {"text": {"title": TITLE, "on": True}, "item": ITEM}.get(what, UPLOADED)


def asked(base: str, app: str, path: str, key: str | None, **options: Any) -> tuple[str, bytes]:
    """Make a request as a program does, and give its id and answer."""
    headers = options.pop("headers", {}) | ({"authorization": f"Key {key}"} if key else {})
    answer = httpx.request(options.pop("method", "POST"), f"{base}/run/{app}{path}", headers=headers, **options)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-fal-request-id"], answer.content


def test_a_recorded_request_is_made_again_by_its_copies(
    many: Served, single: Served, forms: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = many.ready["key"]
    base, own, form, free = many.ready["base"], many.ready["app"], forms.ready["app"], single.ready["app"]
    secret = {"x-secret": "hush-hush"}
    picture = ("input.png", PICTURE, "image/png")
    made = {
        "JSON": (own, asked(base, own, "/valid", key, json=VALUE, headers=secret)),
        "query": (own, asked(base, own, "/asked?name=no%26body+%C3%A9", key, json={})),
        "stream": (own, asked(base, own, "/stream", key, json={"prompt": TITLE, "steps": 2})),
        "form": (form, asked(base, form, "/upload?page=2", forms.ready["key"], data={"title": TITLE, "tags": ["a", "b"]}, files={"file": picture})),
        "item": (form, asked(base, form, "/item/a%20b%20%C3%A9", forms.ready["key"], files={"file": picture})),
        "text form": (form, asked(base, form, "/text", forms.ready["key"], data={"title": TITLE, "on": "true"})),
        "GET": (free, asked(base, free, "/say?word=a%20%22b%22%20%C3%A9", None, method="GET")),
        "public": (free, asked(base, free, "/", None, json={"name": TITLE})),
    }  # fmt: skip
    client = Client(settings.read({"FAL_JUPYTER_STATE": str(many.state)}))
    line = client.control.snapshot()
    assert line is not None
    apps = {app["app"]: app for app in line["apps"]}
    recorded = [(apps[app], client.control.request(request_id)) for app, (request_id, _) in made.values()]
    copies = dict(zip(made, written([], recorded)["recorded"], strict=True))
    for what, (app, (_, answer)) in made.items():
        for language in ("python", "curl"):
            program = copies[what][language]
            assert not [text for text in (key, forms.ready["key"], "hush-hush") if text in program]
            keys = {own: key, form: forms.ready["key"], free: "any:key"}
            has_key = app != free or language == "python"  # fal's client makes no call without one
            environment = {"FAL_KEY": keys[app]} if has_key else {}
            environment["FAL_JUPYTER_STATE"] = str(many.state)
            printed = run(program, language, tmp_path_factory.mktemp("copy"), environment)
            if what == "stream":
                assert printed.count("number") == 2, what
            else:
                response = json.loads(printed) if language == "curl" else ast.literal_eval(printed)
                assert response == json.loads(answer), (what, language)


def test_a_cell_and_a_template_run_as_they_are(tmp_path: Path) -> None:
    cells = {what: each["cell"] for what, each in programs("http://127.0.0.1:1", "me/many", "$FAL_KEY").items()}
    common = {
        "className": "Forms",
        "app": "me/forms",
        "url": "http://127.0.0.1:1/run/me/forms",
        "encoding": FORM,
        "key": "$FAL_KEY",
    }
    form_cells = {
        what: each["cell"]
        for what, each in zip(FORMS, written([common | one for one in FORMS.values()])["programs"], strict=True)
    }
    (tmp_path / "input.png").write_bytes(PICTURE)
    templates = written([])["templates"]  # their names are taken: each gets another one
    with state_directory() as state, kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter").ok()
        running.run(CELLS).ok()
        ran = {what: running.run(cell).ok() for what, cell in cells.items()}
        running.run("%%fal_app\n" + (HERE / "forms_app.py").read_text().partition("annotations\n")[2]).ok()
        ran |= {what: running.run(cell).ok() for what, cell in form_cells.items()}
        made = {kind: [running.run(cell).ok() for cell in pair][1] for kind, pair in templates.items()}
    assert ast.literal_eval(made["text"].result) == {"text": "Hello, Ada"}
    assert "seed=42" in made["image"].result
    assert re.findall(r"'text': '(\w+) '", made["stream"].text) == ["every", "word", "as", "it", "comes"]
    for what in ("upload", "queued upload"):
        assert ast.literal_eval(ran[what].result) == UPLOADED
    assert ast.literal_eval(ran["text"].result) == {"title": TITLE, "on": True}
    assert ast.literal_eval(ran["item"].result) == ITEM
    assert ran["lines"].text.count(f"'size': {len(PICTURE)}") == 2
    for what in ("plain", "queued"):
        assert ast.literal_eval(ran[what].result) == VALUE
    assert ran["query"].result == "11"
    assert ran["streaming"].text.count("number") == VALUE["steps"]
    assert ran["yields"].text.count("number") == 2
    assert "'number': 7" in ran["realtime"].text
    for what in ("file", "queued file"):
        assert ast.literal_eval(ran[what].result) == {"length": len(PICTURE)}
