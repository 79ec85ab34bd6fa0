"""An app of another program, called by its name from a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel import Kernel
from tests.support.serve import served

APP = '''
from typing import Iterator

import fal
from fal.toolkit import Image
from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Wanted(BaseModel):
    prompt: str
    steps: int = 3


class Painter(fal.App):
    @fal.endpoint("/")
    def hi(self, name: str, loud: bool = False) -> dict:
        """Greet."""
        print("greeting", name)
        return {"text": name.upper() if loud else name}

    @fal.endpoint("/paint")
    def paint(self, wanted: Wanted, style: str = "plain") -> dict:
        return {"prompt": wanted.prompt, "steps": wanted.steps, "style": style}

    @fal.endpoint("/of/{kind}")
    def kinds(self, kind: str, n: int = 1) -> dict:
        return {"kind": kind, "n": n}

    @fal.endpoint("/words")
    def words(self, text: str) -> StreamingResponse:
        return StreamingResponse((f"data: {word}\\n\\n" for word in text.split()), media_type="text/event-stream")

    @fal.endpoint("/fail")
    def fail(self) -> dict:
        return {"x": 1 / 0}

    @fal.endpoint("/logs")
    def logs(self) -> int:
        return 7
'''


@pytest.fixture(scope="module")
def visitor(state: Path, notebook: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A notebook beside a program that serves an app."""
    path = tmp_path_factory.mktemp("painter") / "painter.py"
    path.write_text(APP)
    with served(state, f"{path}::Painter"):
        notebook.run("import fal_jupyter").ok()
        notebook.run("line = fal_jupyter.app('painter').app").ok()
        yield notebook


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("hi(name='Ada')", "{'text': 'Ada'}"),
        ("hi('Ada', True)", "{'text': 'ADA'}"),
        ("hi({'name': 'Ada', 'loud': True})", "{'text': 'ADA'}"),
        ("paint(prompt='a fox')", "{'prompt': 'a fox', 'steps': 3, 'style': 'plain'}"),
        ("paint(prompt='a fox', style='oil', steps=9)", "{'prompt': 'a fox', 'steps': 9, 'style': 'oil'}"),
        ("kinds(kind='a b', n=2)", "{'kind': 'a b', 'n': 2}"),
        ("call('logs', (), {})", "7"),
        ("map('hi', ['a', 'b'])", "[{'text': 'a'}, {'text': 'b'}]"),
        ("submit.hi(name='Ada').get()", "{'text': 'Ada'}"),
    ],
)
def test_an_endpoint_is_called_by_its_name(visitor: Kernel, call: str, value: str) -> None:
    assert visitor.run(f"fal_jupyter.app(line).{call}").ok().result == value


def test_what_it_prints_and_how_long_it_took_are_under_the_cell(visitor: Kernel) -> None:
    cell = visitor.run("fal_jupyter.app(line).hi(name='Ada')").ok()

    assert "greeting Ada" in cell.text
    assert " hi:" in cell.shown


def test_pieces_come_as_they_are_made_and_coroutines_can_be_awaited(visitor: Kernel) -> None:
    assert visitor.run("list(fal_jupyter.app(line).stream.words(text='a fox'))").ok().result == "['a', 'fox']"
    assert visitor.run("await fal_jupyter.app(line).aio.hi(name='Ada')").ok().result == "{'text': 'Ada'}"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("fal_jupyter.app(line).hi(nam='Ada')", "unexpected keyword argument 'nam'\ndid you mean name?"),
        ("fal_jupyter.app(line).paint(promt='a fox')", "did you mean prompt?"),
        ("fal_jupyter.app(line).paint(prompt='a fox', stile='oil')", "did you mean style?"),
        ("fal_jupyter.app(line).hii()", "did you mean hi?"),
        ("fal_jupyter.app(line).hi('a', True, 3)", "too many positional arguments"),
        ("fal_jupyter.app(line).hi('a', name='b')", "multiple values for argument 'name'"),
        ("fal_jupyter.app(line).kinds()", "missing a required argument: 'kind'"),
        ("loop = []; loop.append(loop)\nfal_jupyter.app(line).hi('Ada', loud=loop)", "argument 'loud' contains itself"),
        ("fal_jupyter.app(line).hi(name='\\ud800')", "argument 'name' has text with half a character"),
        ("fal_jupyter.app(line).fail()", "ZeroDivisionError: division by zero"),
        ("fal_jupyter.app(line.replace('painter', 'paintr'))", "did you mean"),
        ("fal_jupyter.app('stranger/painter')", "there is no app 'stranger/painter'"),
    ],
)
def test_a_mistake_is_a_message_that_says_what_to_type(visitor: Kernel, cell: str, message: str) -> None:
    failed = visitor.run(cell)

    assert failed.status == "error"
    assert message in failed.evalue, failed.evalue


def test_its_text_lists_the_endpoints(visitor: Kernel) -> None:
    listing = visitor.run("fal_jupyter.app(line)").ok().result

    assert "of another notebook" in listing
    assert "hi(name: str, loud: bool = False) -> dict" in listing


def test_an_app_of_this_notebook_is_called_by_name_too(visitor: Kernel) -> None:
    visitor.run(
        "%%fal_app\nclass Own(fal.App):\n    @fal.endpoint('/')\n    def hi(self, n: int) -> int:\n        return n + 1"
    ).ok()

    assert visitor.run("fal_jupyter.app('own').hi(n=2), fal_jupyter.app(Own).hi(3)").ok().result == "(3, 4)"
    assert visitor.run("fal_jupyter.app('own') is fal_jupyter.app(Own)").ok().result == "True"


def test_a_class_as_a_value_shows_its_app(visitor: Kernel) -> None:
    visitor.run(
        "%%fal_app\nclass Seen(fal.App):\n    @fal.endpoint('/b')\n    def b(self, n: int) -> int:\n        '''Second **letter**, 2 * n * m of `n`.'''\n        return n\n\n    @fal.endpoint('/a')\n    def a(self) -> int:\n        return 1"
    ).ok()
    cell = visitor.run("Seen").ok()
    html = next(o["data"]["text/html"] for o in cell.outputs if o["output_type"] == "execute_result")

    lines = cell.result.splitlines()
    assert lines[0].startswith("Seen: fal app ")
    assert lines[0].endswith("ready, 1 runner, r1")
    assert [line.split() for line in lines[1:3]] == [
        ["/b", "Seen.b(n:", "int)", "->", "int"],
        ["/a", "Seen.a()", "->", "int"],
    ]
    assert lines[3].strip().startswith("http://127.0.0.1:")
    assert ">Second letter, 2 * n * m of n.<" in html
    assert visitor.run("[Seen], int").ok().result == "([__main__.Seen], int)"
    assert (
        visitor.run("class Idle(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> int:\n        return 1\nIdle")
        .ok()
        .result.splitlines()[0]
        == "Idle: not served"
    )
    assert visitor.run("str").ok().result == "str"


def test_the_last_requests_are_a_table(visitor: Kernel) -> None:
    visitor.run("fal_jupyter.app(line).fail()")
    visitor.run("fal_jupyter.app(line).hi(name='Ada')").ok()
    shown = visitor.run("%fal requests Painter --lines 2").ok()

    heads, *rows = shown.shown.splitlines()
    assert heads.split()[:4] == ["began", "app", "endpoint", "state"]
    assert {"run", "total", "runner", "rev", "request", "error"} <= set(heads.split())
    assert [row.split()[1:3] for row in rows] == [["painter", "/fail"], ["painter", "/"]]
    assert "failed 500" in rows[0]
    assert "ZeroDivisionError" in rows[0]
    assert " ok " in rows[1]
    assert "failed 500" in shown.html
    assert "0 to " in shown.html
    failed = visitor.run("%fal requests Painter --failed --lines 1").ok().shown
    assert failed.count("/fail") == 1
    assert visitor.run("%fal requests Own --failed").ok().text.strip() == "No request of Own has failed."
    assert '"run_ms"' in visitor.run("%fal requests --json --lines 1").ok().text
