"""Each bad input of a notebook user gets one clear sentence, and the next cell works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel import Cell, Kernel, kernel
from tests.support.state import state_directory

HELLO = """%%fal_app
class Hello(fal.App):
    @fal.endpoint("/")
    def hi(self, name: str = "world") -> dict:
        return {"text": f"Hello, {name}"}
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for all tests of this file."""
    with state_directory() as state, kernel(state, tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


def assert_none_of_our_frames(cell: Cell) -> None:
    assert not re.search(r"fal_jupyter/(?!.*__init__)\w+/\w+\.py", cell.traceback), cell.traceback


def app(body: str, options: str = "", base: str = "fal.App") -> str:
    indented = "\n".join("    " + line for line in body.strip("\n").splitlines())
    return f"%%fal_app {options}\nimport os, sys, time\nclass Bad({base}):\n{indented}\n"


@pytest.mark.parametrize(
    ("cell", "sentences"),
    [
        ("%%fal_app\nclass Bad(fal.App:\n    pass", ["SyntaxError", "line 2"]),
        ("%%fal_app\nx = 1", ["no fal.App"]),
        (app("x = 1"), ["Bad", "endpoint"]),
        (app("keep_alive = 'ten'\n@fal.endpoint('/')\ndef hi(self): return 1"), ["keep_alive", "'ten'"]),
        (app("max_multiplexing = 0\n@fal.endpoint('/')\ndef hi(self): return 1"), ["max_multiplexing", "1 or more"]),
        (
            app("min_concurrency = 5\nmax_concurrency = 2\n@fal.endpoint('/')\ndef hi(self): return 1"),
            ["min_concurrency", "max_concurrency"],
        ),
        (app("def __init__(self): pass\n@fal.endpoint('/')\ndef hi(self): return 1"), ["__init__", "setup"]),
        (app("requirements = ['no-such-thing-xyz>=1']\n@fal.endpoint('/')\ndef hi(self): return 1", options="--env kernel"), ["no-such-thing-xyz", "--env kernel"]),
        (app("@fal.endpoint('/')\ndef hi(self): return 1", options="--keep-aliv 5"), ["--keep-aliv"]),
        (app("@fal.endpoint('/')\ndef hi(self): return 1", options="--min 3 --max 2"), ["3", "2"]),
        (app("@fal.endpoint('/')\ndef hi(self): return 1", options="--name 'Bad Name'"), ["Bad Name"]),
        (app("def setup(self):\n    raise RuntimeError('no weights')\n@fal.endpoint('/')\ndef hi(self): return 1"), ["RuntimeError", "no weights", "line 5"]),
        (app("def setup(self):\n    sys.exit(3)\n@fal.endpoint('/')\ndef hi(self): return 1"), ["SystemExit", "3"]),
        (app("def setup(self):\n    os._exit(3)\n@fal.endpoint('/')\ndef hi(self): return 1"), ["3"]),
        (app("startup_timeout = 1\ndef setup(self):\n    time.sleep(60)\n@fal.endpoint('/')\ndef hi(self): return 1"), ["startup_timeout", "1 s"]),
    ],
    ids=[
        "syntax error", "no app", "no endpoints", "wrong type", "wrong range", "min over max", "__init__", "missing requirement",
        "unknown magic option", "option min over max", "bad name", "setup raises", "setup exits", "setup dies", "setup hangs",
    ],
)  # fmt: skip
def test_a_bad_app_cell_ends_in_error_with_a_clear_sentence(notebook: Kernel, cell: str, sentences: list[str]) -> None:
    bad = notebook.run(cell, timeout=60)

    assert bad.status == "error", bad
    output = bad.traceback + bad.text
    for sentence in sentences:
        assert sentence in output, output
    assert_none_of_our_frames(bad)
    notebook.run(HELLO).ok()
    assert notebook.run("Hello.hi(name='Ada')").ok().result == "{'text': 'Hello, Ada'}"


def test_two_endpoints_on_one_path_are_a_warning_that_names_the_serving_one(notebook: Kernel) -> None:
    cell = notebook.run(
        "%%fal_app\nclass Two(fal.App):\n"
        "    @fal.endpoint('/')\n    def a(self) -> str: return 'a'\n"
        "    @fal.endpoint('/')\n    def b(self) -> str: return 'b'\n"
    ).ok()

    assert "a" in cell.text
    assert "'/'" in cell.text
    assert "b" in notebook.run("Two.a()").ok().result


def test_a_misspelt_option_is_a_warning_that_names_both(notebook: Kernel) -> None:
    cell = notebook.run(
        "%%fal_app\nclass Typo(fal.App):\n    keep_aliv = 5\n    mine = 3\n    @fal.endpoint('/')\n    def hi(self): return self.mine\n"
    ).ok()

    assert "keep_aliv" in cell.text
    assert "keep_alive" in cell.text
    assert "mine" not in cell.text.replace("keep_aliv", "")


ENDPOINTS = """%%fal_app
import os, sys, time, json
from pydantic import BaseModel

class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.lock = __import__("threading").Lock()
    def __str__(self):
        raise ValueError("no text for you")

class Stop(BaseException):
    pass

class Faulty(fal.App):
    request_timeout = 2

    @fal.endpoint("/raise")
    def oops(self, how: str) -> dict:
        if how == "value":
            raise ValueError("bad x")
        if how == "odd":
            raise Odd(1, 2)
        if how == "base":
            raise Stop("a BaseException")
        if how == "interrupt":
            raise KeyboardInterrupt
        if how == "nan":
            return {"x": float("nan"), "scores": [1e400, 0.5, float("-inf")], "none": None}
        if how == "object":
            return {"x": object()}
        if how == "exit":
            sys.exit(4)
        if how == "die":
            os._exit(4)
        if how == "hang":
            time.sleep(60)
        if how == "input":
            input("name? ")
        if how == "breakpoint":
            breakpoint()
        return {"ok": how, "pid": os.getpid()}
"""


@pytest.fixture(scope="module")
def faulty(notebook: Kernel) -> Kernel:
    notebook.run(ENDPOINTS).ok()
    return notebook


def test_nan_and_infinities_are_null_as_in_fal_and_the_owner_reads_it_once(faulty: Kernel) -> None:
    first = faulty.run("print(Faulty.oops(how='nan'))").ok()
    second = faulty.run("print(Faulty.oops(how='nan'))").ok()

    answer = "{'x': None, 'scores': [None, 0.5, None], 'none': None}"
    assert answer in first.text
    assert "1 value of `x` is NaN or infinite; fal sends null" in first.text
    assert "2 values of `scores` are NaN or infinite; fal sends null" in first.text
    assert answer in second.text
    assert "fal sends null" not in second.text


@pytest.mark.parametrize(
    ("how", "status", "sentences"),
    [
        ("value", 500, ["ValueError: bad x", 'raise ValueError("bad x")', "line 21"]),
        ("odd", 500, ["Odd", "raise Odd(1, 2)"]),
        ("base", 500, ["Stop: a BaseException"]),
        ("interrupt", 500, ["KeyboardInterrupt"]),
        ("object", 500, ["object", "x"]),
        ("exit", 503, ["exit"]),
        ("die", 503, ["status 4"]),
        ("hang", 504, ["request_timeout", "2 s"]),
        ("input", 500, ["input()"]),
        ("breakpoint", 500, ["breakpoint()"]),
    ],
)
def test_a_failing_call_shows_the_owner_what_happened_and_the_next_call_works(
    faulty: Kernel, how: str, status: int, sentences: list[str]
) -> None:
    failed = faulty.run(f"Faulty.oops(how={how!r})", timeout=40)

    assert failed.status == "error"
    assert failed.ename == "RequestError"
    for sentence in sentences:
        assert sentence in failed.traceback + failed.text, failed.traceback
    assert_none_of_our_frames(failed)
    cell = faulty.run(
        f"try:\n    Faulty.oops(how={how!r})\nexcept Exception as e:\n    print(type(e).__name__, e.status, bool(e.request_id))",
        timeout=40,
    ).ok()
    assert f"RequestError {status} True" in cell.text
    assert "'ok': 'fine'" in faulty.run("Faulty.oops(how='fine')", timeout=40).ok().result


def test_arguments_that_cannot_travel_are_named(faulty: Kernel) -> None:
    wrong = faulty.run("Faulty.oops(how={'a': [1, object()]})")
    assert wrong.status == "error"
    assert "how" in wrong.traceback
    assert "['a'][1]" in wrong.traceback
    missing = faulty.run("Faulty.oops()")
    assert "how" in missing.traceback
    unexpected = faulty.run("Faulty.oops(how='x', why='y')")
    assert "why" in unexpected.traceback
    for cell in (wrong, missing, unexpected):
        assert_none_of_our_frames(cell)


@pytest.mark.parametrize(
    ("before", "use", "names"),
    [
        ("handle = open('/etc/hostname')", "return handle.read()", ["handle", "open"]),
        ("import threading\nguard = threading.Lock()", "return str(guard)", ["guard", "lock"]),
        ("", "return str(get_ipython())", ["get_ipython"]),
        ("", "return In[0]", ["uses In", "only in the notebook"]),
        ("stream = (i for i in range(3))", "return next(stream)", ["stream", "generator"]),
    ],
    ids=["open file", "lock", "shell", "history", "generator"],
)
def test_a_capture_that_cannot_be_pickled_is_named_with_its_cell(
    notebook: Kernel, before: str, use: str, names: list[str]
) -> None:
    if before:
        notebook.run(before).ok()
    cell = notebook.run(f"%%fal_app\nclass Grab(fal.App):\n    @fal.endpoint('/')\n    def hi(self):\n        {use}\n")

    assert cell.status == "error"
    for name in names:
        assert name in cell.traceback.lower() or name in cell.traceback, cell.traceback
    assert_none_of_our_frames(cell)


def test_a_huge_capture_is_a_warning_with_name_cell_and_bytes(notebook: Kernel) -> None:
    notebook.run("table = bytes(3_000_000)").ok()
    cell = notebook.run(
        "%%fal_app\nclass Big(fal.App):\n    @fal.endpoint('/')\n    def hi(self):\n        return len(table)\n"
    ).ok()

    assert "table" in cell.text + cell.shown
    assert re.search(r"3[.,]\d* ?MB|3[,_]?000[,_]?0\d\d|2\.9 MiB", cell.text + cell.shown), cell.text + cell.shown
    assert notebook.run("Big.hi()").ok().result == "3000000"


def test_a_state_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "open"
    state.mkdir()
    state.chmod(0o777)
    with kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter").ok()
        cell = running.run(HELLO)
        assert cell.status == "error"
        assert str(state) in cell.traceback
        assert "chmod 700" in cell.traceback
        assert_none_of_our_frames(cell)
