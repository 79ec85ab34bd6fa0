"""Calls from later cells, in a real kernel: arguments, answers, output, timing, interrupts."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from fal_jupyter.notebook.calls.open_line import OpenLine
from tests.support.kernel import Cell, Kernel
from tests.support.serve import command

APP = '''%%fal_app
import logging, sys, threading, time
from dataclasses import dataclass
from pathlib import Path
from pydantic import BaseModel

class Point(BaseModel):
    x: float
    y: float = 0.0

class Pair(BaseModel):
    left: Point
    right: Point

@dataclass
class Box:
    width: int
    height: int = 1

class Desk(fal.App):
    """A desk."""
    max_multiplexing = 8

    @fal.endpoint("/")
    def hi(self, name: str = "world", times: int = 1) -> dict:
        """Greets *name*."""
        return {"text": f"Hello, {name}" * times}

    @fal.endpoint("/mirror")
    def mirror(self, pair: Pair) -> Pair:
        return Pair(left=pair.right, right=pair.left)

    @fal.endpoint("/points")
    def points(self, count: int) -> list[Point]:
        return [Point(x=i) for i in range(count)]

    @fal.endpoint("/area")
    def area(self, box: Box) -> int:
        return box.width * box.height

    @fal.endpoint("/total")
    def total(self, values: list[float]) -> float:
        return sum(values)

    @fal.endpoint("/shape")
    def shape(self, values: list[list[float]]) -> list[int]:
        return [len(values), len(values[0])]

    @fal.endpoint("/talk")
    def talk(self, lines: int, word: str = "line", seconds: float = 0) -> int:
        for i in range(lines):
            print(word, i)
            time.sleep(seconds)
        return lines

    @fal.endpoint("/voices")
    def voices(self) -> str:
        print("one")
        print("two", file=sys.stderr)
        logging.warning("three")
        import subprocess
        subprocess.run(["echo", "four"])
        thread = threading.Thread(target=print, args=("five",))
        thread.start()
        thread.join()
        return "done"

    @fal.endpoint("/bar")
    def bar(self) -> str:
        for i in range(3):
            sys.stderr.write(f"\\r{i + 1}/3")
            sys.stderr.flush()
        sys.stderr.write("\\n")
        return "done"

    @fal.endpoint("/dots")
    def dots(self, count: int = 3) -> int:
        for _ in range(count):
            print(".", end="", flush=True)
            time.sleep(0.05)
        print()
        return count

    @fal.endpoint("/half")
    def half(self, word: str) -> None:
        print(word, end="")

    @fal.endpoint("/flood")
    def flood(self, lines: int) -> float:
        began = time.monotonic()
        for i in range(lines):
            print("a line of the flood, number", i)
        return time.monotonic() - began

    @fal.endpoint("/slow")
    async def slow(self, mark: str, seconds: float = 60) -> str:
        import asyncio
        Path(mark).write_text("begun")
        try:
            await asyncio.sleep(seconds)
            Path(mark).write_text("done")
        except asyncio.CancelledError:
            Path(mark).write_text("cancelled")
            raise
        return "done"

    @fal.endpoint("/loop")
    def loop(self, mark: str) -> str:
        try:  # before the mark: the interrupt may come while that is written
            Path(mark).write_text("begun")
            for _ in range(6000):
                time.sleep(0.01)
        except Exception:
            Path(mark).write_text("swallowed")
        except BaseException:
            Path(mark).write_text("cancelled")
            raise
        return "done"

    @fal.endpoint("/odd")
    def odd(self, number: int) -> int:
        if number % 2 == 0:
            raise ValueError(f"{number} is even")
        return number
'''


@pytest.fixture(scope="module")
def desk_kernel(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


# --- the class --------------------------------------------------------------------------------------------------------
def test_the_class_stays_a_class(desk_kernel: Kernel) -> None:
    desk_kernel.run(
        "import cloudpickle, inspect, pickle\n"
        "assert isinstance(Desk, type) and issubclass(Desk, fal.App)\n"
        "maybe: Desk | None = None\n"
        "local = Desk(_allow_init=True)\n"
        "assert isinstance(local, Desk)\n"
        "assert local.hi('Eve') == {'text': 'Hello, Eve'}\n"  # on an instance: here, in this process
        "class Louder(Desk):\n"
        "    def hi(self, name: str = 'you') -> dict:\n"
        "        return {'text': super().hi(name)['text'].upper() + super(Louder, self).hi(name)['text']}\n"
        "assert Louder(_allow_init=True).hi('Eve')['text'] == 'HELLO, EVEHello, Eve'\n"
        "assert cloudpickle.loads(cloudpickle.dumps(local)).hi('x') == {'text': 'Hello, x'}\n"
        "assert pickle.loads(pickle.dumps(Desk.hi)) == Desk.hi\n"
        "assert str(inspect.signature(Desk.hi)) == \"(name: str = 'world', times: int = 1) -> dict\"\n"
        "assert Desk.hi.__doc__ == 'Greets *name*.'\n"
    ).ok()


def test_facts_of_the_running_app_are_read_from_the_class(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run(
        "import fal_jupyter, json\n"
        "print(json.dumps([Desk.app, Desk.url, Desk.key, fal_jupyter.app(Desk).url, fal_jupyter.app('desk').key]))"
    ).ok()
    app, url, key, same_url, same_key = json.loads(cell.text)
    assert re.fullmatch(r"[a-z0-9-]+/desk", app)
    assert url.endswith(f"/run/{app}")
    assert (url, key) == (same_url, same_key)


def test_shift_tab_shows_signature_and_docstring(desk_kernel: Kernel) -> None:
    code = "Desk.hi("
    message = desk_kernel.client.inspect(code, cursor_pos=len(code), detail_level=0, reply=True, timeout=30)
    text = message["content"]["data"]["text/plain"]
    assert "name: str = 'world'" in text
    assert "Greets *name*." in text


def test_completion_offers_endpoints_and_facts(desk_kernel: Kernel) -> None:
    for code, wanted in (("Desk.", {"hi", "mirror", "url", "key", "app", "aio"}), ("Desk.aio.", {"hi", "mirror"})):
        matches = desk_kernel.client.complete(code, reply=True, timeout=30)["content"]["matches"]
        assert wanted <= {match.rpartition(".")[2] for match in matches}


def test_endpoints_named_like_our_facts_win(notebook: Kernel) -> None:
    names = ("url", "key", "app", "aio", "stream", "submit")
    body = "".join(f"    @fal.endpoint('/{n}')\n    def {n}(self) -> str:\n        return 'my {n}'\n" for n in names)
    notebook.run("%%fal_app\nclass Names(fal.App):\n" + body).ok()
    for name in names:
        assert notebook.run(f"Names.{name}()").ok().result == f"'my {name}'"
    assert notebook.run("import fal_jupyter\nfal_jupyter.app(Names).url").ok().result.endswith("/names'")


# --- arguments and answers --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("Desk.hi()", "{'text': 'Hello, world'}"),
        ("Desk.hi('Ada')", "{'text': 'Hello, Ada'}"),
        ("Desk.hi('Ada', 2)", "{'text': 'Hello, AdaHello, Ada'}"),
        ("Desk.hi(times=2, name='Ada')", "{'text': 'Hello, AdaHello, Ada'}"),
        ("Desk.hi({'name': 'Ada'})", "{'text': 'Hello, Ada'}"),
        ("Desk.mirror(Pair(left=Point(x=1), right=Point(x=2, y=3)))", "Pair(left=Point(x=2.0, y=3.0), right=Point(x=1.0, y=0.0))"),
        ("Desk.mirror({'left': {'x': 1}, 'right': {'x': 2}})", "Pair(left=Point(x=2.0, y=0.0), right=Point(x=1.0, y=0.0))"),
        ("Desk.mirror(pair=Pair(left=Point(x=1), right=Point(x=2))).left.x", "2.0"),
        ("Desk.mirror(left=Point(x=1), right={'x': 2}).right.x", "1.0"),
        ("isinstance(Desk.mirror(left=Point(x=1), right={'x': 2}), Pair)", "True"),
        ("Desk.points(2)", "[Point(x=0.0, y=0.0), Point(x=1.0, y=0.0)]"),
        ("Desk.area(Box(3, 4))", "12"),
        ("Desk.area({'width': 5})", "5"),
        ("Desk.total([1, 2.5])", "3.5"),
        ("Desk.total(np.arange(4))", "6.0"),
        ("Desk.total(tuple(np.float32(x) for x in (1, 2)))", "3.0"),
        ("Desk.shape(np.zeros((2, 3)))", "[2, 3]"),
        pytest.param("Desk.shape(torch.zeros(3, 2, requires_grad=True))", "[3, 2]", marks=pytest.mark.long),  # torch takes 2 s
        ("Desk.hi(name='Ada', times=np.int64(2))", "{'text': 'Hello, AdaHello, Ada'}"),
        ("Desk.hi('ü ☃ 🦊')", "{'text': 'Hello, ü ☃ 🦊'}"),
    ],
)  # fmt: skip
def test_a_call_takes_what_a_notebook_has_and_gives_what_is_annotated(
    desk_kernel: Kernel, call: str, value: str
) -> None:
    if "torch." in call:
        pytest.importorskip("torch")
        call = f"import torch\n{call}"
    assert desk_kernel.run(f"import numpy as np\n{call}").ok().result == value


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("Desk.hi('a', 1, 2)", ["positional"]),
        ("Desk.hi('a', name='b')", ["name"]),
        ("Desk.hi(nam='b')", ["nam", "name"]),
        ("Desk.total([float('nan')])", ["'values'[0]", "nan"]),
        ("Desk.total(np.array([1.0, np.inf]))", ["values", "inf"]),
        ("Desk.hi(open('/etc/hostname'))", ["name", "TextIOWrapper"]),
        ("Desk.hi(b'\\xff')", ["name", "bytes"]),
        ("Desk.mirror(left=Point(x=1), right={'x': object()})", ["['right']['x']", "object"]),
        ("Desk.nosuch()", ["nosuch"]),
    ],
)
def test_what_does_not_fit_is_named_before_anything_is_sent(desk_kernel: Kernel, call: str, words: list[str]) -> None:
    wrong = desk_kernel.run(f"import numpy as np\n{call}")
    assert wrong.status == "error"
    assert wrong.calls == []
    for word in words:
        assert word.lower() in wrong.traceback.lower(), wrong.traceback
    assert not re.search(r"fal_jupyter/\w+/\w+\.py", wrong.traceback), wrong.traceback


def test_a_refused_input_is_reported_with_its_location(desk_kernel: Kernel) -> None:
    wrong = desk_kernel.run("Desk.hi('a', 'many')")
    assert (wrong.status, wrong.ename) == ("error", "RequestError")
    assert "times" in wrong.traceback
    assert "valid integer" in wrong.traceback
    cell = desk_kernel.run(
        "try:\n    Desk.hi('a', 'many')\nexcept fal_jupyter.RequestError as e:\n    print(e.status, e.detail[0]['loc'])"
    )
    assert cell.ok().text.startswith("422 ['body', 'times']")


# --- many at once -----------------------------------------------------------------------------------------------------
def test_await_gather_threads_and_map_give_answers_in_order(desk_kernel: Kernel) -> None:
    assert desk_kernel.run("(await Desk.aio.hi(name='Ada'))['text']").ok().result == "'Hello, Ada'"
    desk_kernel.run(
        "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "wanted = [{'text': f'Hello, {i}'} for i in range(50)]\n"
        "assert list(await asyncio.gather(*(Desk.aio.hi(str(i)) for i in range(50)))) == wanted\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    assert list(pool.map(Desk.hi, map(str, range(50)))) == wanted\n"
        "assert Desk.hi.map([str(i) for i in range(50)], concurrency=8) == wanted\n"
        "assert Desk.hi.map([]) == []\n"
        "assert Desk.hi.map([('a', 2), {'name': 'b'}]) == [{'text': 'Hello, aHello, a'}, {'text': 'Hello, b'}]\n"
    ).ok()


def test_map_shows_how_far_it_is_and_stays_one_line(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("Desk.talk.map([(1, 'x', 0.2)] * 24, concurrency=4)").ok()
    lines = [o for o in cell.outputs if "Desk.talk.map" in o.get("data", {}).get("text/plain", "")]
    assert lines
    assert lines[0]["output_type"] == "display_data"
    assert "<progress" in lines[0]["data"]["text/html"]
    messages = [
        update["data"]["text/plain"] for update in cell.updates if "Desk.talk.map" in update["data"]["text/plain"]
    ]
    assert re.search(r"✓ Desk\.talk\.map 24 of 24 · in", messages[-1])
    assert cell.text.count("x 0") == 24


def test_the_first_failure_of_a_map_is_reported_with_its_item(desk_kernel: Kernel) -> None:
    failed = desk_kernel.run("Desk.odd.map([1, 3, 4, 5, 7], concurrency=1)")
    assert (failed.status, failed.ename) == ("error", "RequestError")
    assert "4 is even" in failed.traceback
    assert "item 2 of 5: 4" in failed.traceback
    assert len(failed.calls) == 3
    assert desk_kernel.run("Desk.odd.map([1, 3])").ok().result == "[1, 3]"


# --- output -----------------------------------------------------------------------------------------------------------
def test_output_appears_under_the_cell_of_the_call_in_order(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("print('before')\nDesk.talk(3)\nprint('between')\nDesk.talk(1, 'more')\nprint('after')").ok()
    assert cell.text.split("\n") == ["before", "line 0", "line 1", "line 2", "between", "more 0", "after", ""]
    assert not [o for o in desk_kernel.run("pass").ok().stray if o["output_type"] == "stream"]


def test_lines_of_calls_at_the_same_time_stay_whole(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("_ = Desk.talk.map([(100, f'word{i}') for i in range(8)], concurrency=8)").ok()
    lines = cell.text.splitlines()
    assert sorted(lines) == sorted(f"word{i} {n}" for i in range(8) for n in range(100))
    for i in range(8):
        mine = [line for line in lines if line.startswith(f"word{i} ")]
        assert mine == [f"word{i} {n}" for n in range(100)]


def test_all_output_of_a_request_appears_in_its_cell(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("Desk.voices()").ok()
    assert sorted(re.findall(r"\b(one|two|three|four|five)\b", cell.text)) == ["five", "four", "one", "three", "two"]
    by_name = {o["name"]: "" for o in cell.outputs if o["output_type"] == "stream"}
    for output in cell.outputs:
        if output["output_type"] == "stream":
            by_name[output["name"]] += output["text"]
    assert "one" in by_name["stdout"]
    assert "two" in by_name["stderr"]


def test_a_bar_is_drawn_while_it_grows(desk_kernel: Kernel) -> None:
    assert "\r1/3\r2/3\r3/3\n" in desk_kernel.run("Desk.bar()").ok().text


def test_what_a_runner_prints_begins_on_a_line_of_its_own(desk_kernel: Kernel) -> None:
    """Also long after the cell left its line open; a line that the runner leaves open goes on."""
    cell = desk_kernel.run(
        "import time\n"
        "print('counting', end='', flush=True); time.sleep(0.3)\n"
        "Desk.dots()\n"
        "print('whole line')\n"
        "Desk.dots(count=2)\n"
        "import sys\n"
        "print('another stream', end='', file=sys.stderr)\n"
        "Desk.dots(count=1);"
    ).ok()
    by_name = {
        name: "".join(o["text"] for o in cell.outputs if o["output_type"] == "stream" and o["name"] == name)
        for name in ("stdout", "stderr")
    }
    assert by_name == {"stdout": "counting\n...\nwhole line\n..\n.\n", "stderr": "another stream"}
    left = desk_kernel.run("print('left open', end=''); sys.stdout.write.__class__.__name__").ok()
    assert (left.text, left.result) == ("left open", "'_WatchedWrite'")
    assert desk_kernel.run("Desk.dots(count=1);").ok().text == ".\n"  # another cell's line


def test_a_line_that_one_call_leaves_open_is_not_continued_by_another(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("for word in ('one', 'two'): Desk.half(word)\nDesk.talk(1, 'three')\nDesk.dots();").ok()
    assert cell.text == "one\ntwo\nthree 0\n...\n"
    between = desk_kernel.run("for word in ('one', 'two'):\n    Desk.half(word)\n    display(word)").ok()
    assert [output["text"] for output in between.outputs if output["output_type"] == "stream"] == ["one", "two"]


def test_bars_of_several_calls_share_a_line_which_other_text_does_not_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    line, one, two = OpenLine(), object(), object()
    line.begin(one_screen=False)
    written = [
        (one, "\r10%"), (one, "\r20%"), (two, "\r10%"), (one, "\r30%"), (one, " of it"), (two, "text\n"), (two, "word"), (one, "\r40%"),
        (one, "\n"), (two, "\r20%"),
    ]  # fmt: skip
    for writer, text in written:
        line.write_for_runner(out, text, writer)
    line.end()
    assert out.getvalue() == "\r10%\r20%\r10%\r30% of it\ntext\nword\n\r40%\n\r20%"


def test_in_a_terminal_both_streams_share_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    line = OpenLine()
    for one_screen, expected in ((True, "\nfrom a runner"), (False, "from a runner")):
        line.begin(one_screen=one_screen)
        print("left open", end="", file=err)
        line.write_for_runner(out, "from a runner", line)
        line.write_for_runner(out, " and on\n", line)
        line.end()
        assert out.getvalue() == f"{expected} and on\n"
        assert "write" not in vars(out)
        out.seek(0)
        out.truncate()


def test_output_of_setup_appears_under_the_defining_cell(notebook: Kernel) -> None:
    cell = notebook.run(
        "%%fal_app\nimport sys\nclass Loud(fal.App):\n    def setup(self):\n        for i in range(3): print('loading', i)\n"
        "        print('warm', file=sys.stderr)\n    @fal.endpoint('/')\n    def hi(self) -> int: return 1\n"
    ).ok()
    assert "loading 0\nloading 1\nloading 2\n" in cell.text
    assert "warm" in cell.text
    assert "loading" not in notebook.run("Loud.hi()").ok().text


@pytest.mark.long  # tests/e2e/test_runner_faults.py has a flood in the gateway
@pytest.mark.parametrize("lines", [30_000, 100_000, 1_000_000])
def test_a_flood_of_lines_is_bounded_on_all_sides(desk_kernel: Kernel, lines: int) -> None:
    cell = desk_kernel.run(f"seconds = Desk.flood({lines})", timeout=100).ok()
    assert len(cell.text) < 600_000
    assert cell.text.startswith("a line of the flood, number 0\n")
    assert re.search(r"[\d,]+ (more )?lines", cell.text[-1000:])
    assert float(desk_kernel.run("seconds").ok().result) < 60
    assert desk_kernel.run("Desk.hi()['text']").ok().result == "'Hello, world'"


# --- timing -----------------------------------------------------------------------------------------------------------
PARTS = ("queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms")
FIELDS = {"request_id", "endpoint", "status", *PARTS, "total_ms", "revision", "runner", "aborted"}


def blocks(cell: Cell) -> list[dict[str, object]]:
    """The lines of calls; that of a long map takes the place of its progress."""
    return [o for o in (*cell.outputs, *cell.updates) if "fal_jupyter" in o.get("metadata", {})]


def test_timing_is_shown_once_at_the_end_of_the_cell(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("Desk.hi()\nDesk.hi('x')\nprint('last')").ok()
    assert len(blocks(cell)) == 1
    assert cell.outputs[-1]["metadata"]["fal_jupyter"]
    assert [set(call) for call in cell.calls] == [FIELDS, FIELDS]
    for call in cell.calls:
        assert call["status"] == 200
        assert call["endpoint"] == "hi"
        assert abs(sum(call[part] for part in PARTS) - call["total_ms"]) < 0.1
    assert cell.shown.count("ok ") == 2


def test_a_failed_call_is_in_the_timing(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("Desk.odd(2)")
    assert [call["status"] for call in cell.calls] == [500]
    assert "failed 500" in cell.shown


def test_a_thousand_calls_are_one_line(desk_kernel: Kernel) -> None:
    cell = desk_kernel.run("Desk.hi.map(['x'] * 1200, concurrency=8)\nNone").ok()
    assert len(blocks(cell)) == 1
    block = blocks(cell)[0]
    first, *slowest = block["data"]["text/plain"].splitlines()  # type: ignore[index]
    assert "1,200 calls" in first
    assert len(slowest) < 25
    record = block["metadata"]["fal_jupyter"]  # type: ignore[index]
    assert (len(record["calls"]), record["calls_total"]) == (200, 1200)


def test_timing_can_be_switched_off(desk_kernel: Kernel) -> None:
    desk_kernel.run("%fal config timing off").ok()
    assert not blocks(desk_kernel.run("Desk.hi()").ok())
    desk_kernel.run("%fal config timing on").ok()
    assert blocks(desk_kernel.run("Desk.hi()").ok())


# --- interrupts -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "call",
    ["Desk.slow(MARK)", "Desk.slow.map([MARK])", "Desk.loop(MARK)", "Desk.loop.map([MARK, MARK + '2'])"],
    ids=["async", "async map", "sync", "sync map"],
)
def test_an_interrupt_gives_the_prompt_back_at_once_and_cancels_the_request(
    desk_kernel: Kernel, tmp_path: Path, call: str, state: Path
) -> None:
    mark = tmp_path / "mark"
    message = desk_kernel.start(call.replace("MARK", repr(str(mark))))
    while not mark.exists():
        pass
    desk_kernel.interrupt()
    cell = desk_kernel.finish(message, timeout=10)
    assert (cell.status, cell.ename) == ("error", "KeyboardInterrupt")
    assert re.fullmatch(r"KeyboardInterrupt: Desk\.\w+(\.map)?\(\) was cancelled", cell.traceback)
    while mark.read_text() != "cancelled":
        pass
    while json.loads(command(state, "runners", "--json").stdout)[0]["in_flight"]:
        pass
    assert desk_kernel.run("Desk.hi()['text']").ok().result == "'Hello, world'"


def test_an_interrupt_while_setup_runs_leaves_it_running(notebook: Kernel, tmp_path: Path) -> None:
    go = tmp_path / "go"
    message = notebook.start(
        f"%%fal_app\nimport time\nfrom pathlib import Path\nclass Late(fal.App):\n    def setup(self):\n"
        f"        print('setting up', flush=True)\n        while not Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "    @fal.endpoint('/')\n    def hi(self) -> str: return 'here'\n"
    )
    notebook.finish(message, until=lambda cell: "setting up" in cell.text)
    notebook.interrupt()
    cell = notebook.finish(message, timeout=10)
    assert cell.ename == "KeyboardInterrupt"
    assert "keeps starting in the background" in cell.text
    go.touch()
    assert notebook.run("Late.hi()").ok().result == "'here'"


ERRORS = """%%fal_app
from fal.toolkit import Image

class Tinter(fal.App):
    max_multiplexing = 4

    @fal.endpoint("/")
    def tint(self, image: Image) -> dict:
        return {"type": image.content_type, "url": image.url[:22]}

    @fal.endpoint("/typo")
    def typo(self, n: int = 0) -> int:
        return n.promt

    @fal.endpoint("/opens")
    def opens(self) -> str:
        return open("weights.bin").read()
"""


def test_an_error_is_shown_by_the_class_that_catches_it_with_the_calling_lines(notebook: Kernel) -> None:
    notebook.run(ERRORS).ok()
    shown = notebook.run("def ask(n):\n    return Tinter.typo(n=n)\n\nask(1)")
    lines = shown.traceback.splitlines()
    assert re.fullmatch(r"  Cell In\[\d+\], line 4", lines[1])
    assert lines[2] == "    ask(1)"
    assert re.fullmatch(r"  Cell In\[\d+\], line 2, in ask", lines[3])
    assert lines[4:6] == ["    return Tinter.typo(n=n)", "In the app:"]
    assert lines[-1] == "RequestError: AttributeError: 'int' object has no attribute 'promt'"
    assert "fal_jupyter/" not in shown.traceback
    caught = notebook.run(
        "import fal_jupyter\ntry:\n    Tinter.typo()\nexcept fal_jupyter.RequestError as error:\n    print(error)"
    )
    assert caught.text.startswith("AttributeError: ")
    of_map = notebook.run("Tinter.typo.map([1, 2], concurrency=1)")
    assert "    Tinter.typo.map([1, 2], concurrency=1)" in of_map.traceback.splitlines()
    streamed = notebook.run("for value in Tinter.typo.stream(): pass")
    assert "    for value in Tinter.typo.stream(): pass" in streamed.traceback.splitlines()
    timed = notebook.run("%time Tinter.typo()")
    assert timed.traceback.splitlines()[-1].startswith("RequestError: AttributeError")
    assert "get_ipython" not in timed.traceback
    opened = notebook.run("Tinter.opens()").traceback
    assert "weights.bin" in opened
    assert "_modified_open" not in opened


def test_a_path_in_place_of_a_file_gets_the_way_out(notebook: Kernel, tmp_path: Path) -> None:
    picture = tmp_path / "sun.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 40)
    refused = notebook.run(f"Tinter.tint(image={str(picture)!r})")
    assert f"Image.from_path({str(picture)!r}), after: from fal.toolkit import Image" in refused.traceback
    taken = notebook.run(f"from fal.toolkit import Image\nTinter.tint(image=Image.from_path({str(picture)!r}))").ok()
    assert "'url': 'data:image/png;base64," in taken.result
    assert "'type': 'application/octet-stream'" in taken.result  # as the real package says
    shown = notebook.run(f"import PIL.Image, io\nImage.from_path({str(picture)!r})").ok()
    assert any("image/png" in output.get("data", {}) for output in shown.outputs)
    assert "from_path" not in notebook.run("Tinter.tint(image='nonsense')").traceback
