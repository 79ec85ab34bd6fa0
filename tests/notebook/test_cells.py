from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from fal_jupyter.notebook.cells.cells import locate_cell, run_body
from fal_jupyter.notebook.namespace.history import CellHistory


class Shell:
    """An in-process IPython with a cell magic that runs its body through ours."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.hist_file = ":memory:"
        config.InteractiveShell.colors = "nocolor"
        InteractiveShell.clear_instance()
        self.ip: Any = InteractiveShell.instance(config=config)  # tracebacks ask the instance for names of cells
        self.raw = ""
        self.found: list[type] = []
        self.shown: list[str] = []
        self.ip.register_magic_function(self.body, "cell", "body")
        self.ip.events.register("pre_run_cell", self.note)
        self.ip._showtraceback = lambda etype, value, stb: self.shown.append("\n".join(stb))

    def note(self, info: Any) -> None:
        self.raw = info.raw_cell

    def body(self, line: str, cell: str) -> None:
        self.found = run_body(self.ip, cell, locate_cell(self.ip, cell, self.raw))

    def run(self, text: str) -> Any:
        self.shown.clear()
        self.found = []
        return self.ip.run_cell(text, store_history=True)


@pytest.fixture
def shell() -> Iterator[Shell]:
    made = Shell()
    made.ip.user_ns["__name__"] = "__main__"
    yield made
    made.ip.history_manager.end_session()
    made.ip.restore_sys_module_state()
    InteractiveShell.clear_instance()


def test_the_body_runs_in_the_users_namespace(shell: Shell) -> None:
    assert shell.run("%%body\nx = 1\ndef double(y): return 2 * y").success
    assert shell.run("assert double(x) == 2").success


def test_the_value_of_a_last_expression_is_shown(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run("%%body\nx = 20\nx + 1").success
    assert "21" in capsys.readouterr().out
    assert shell.run("assert _ == 21").success


@pytest.mark.parametrize(
    ("above", "line"),
    [("%%body\n", 3), ("\n\n%%body\n", 5), ("%%body\n\n\n", 5), ("%%body --x\n# note\n", 4)],
    ids=["plain", "blank lines above", "blank lines below", "comment below"],
)
def test_an_error_shows_the_line_that_the_user_sees(shell: Shell, above: str, line: int) -> None:
    result = shell.run(f"{above}x = 1\ny = x / 0  # here\n")

    assert isinstance(result.error_in_exec, ZeroDivisionError)
    (shown,) = shell.shown
    assert f"line {line}" in shown, shown
    assert "# here" in shown
    assert "cells.py" not in shown
    assert "run_cell_magic" not in shown


def test_line_numbers_hold_under_a_stacked_magic(shell: Shell) -> None:
    shell.run("%%time\n%%body\nx = 1\nx / 0  # here\n")
    shown = "\n".join(shell.shown)
    assert "line 4" in shown
    assert "# here" in shown


def test_an_error_below_the_cell_shows_the_frames_below(shell: Shell) -> None:
    shell.run("def inner():\n    raise KeyError('deep')")
    shell.run("%%body\ninner()")
    (shown,) = shell.shown
    assert "raise KeyError('deep')" in shown
    assert "inner()" in shown
    assert "fal_jupyter" not in shown


def test_an_error_raised_again_later_shows_where_that_was(shell: Shell) -> None:
    shell.run("%%body\ntry:\n    1 / 0\nexcept Exception as e:\n    kept = e\nraise kept")
    shell.run("\n\n\nraise kept  # again")
    assert "# again" in shell.shown[0]


def test_a_syntax_error_is_shown_as_ipython_shows_it(shell: Shell) -> None:
    result = shell.run("%%body\nclass Bad(:\n    pass")

    (shown,) = shell.shown
    assert "SyntaxError" in shown
    assert "line 2" in shown
    assert "class Bad(:" in shown
    assert "cells.py" not in shown
    assert type(result.error_in_exec).__name__ == "SyntaxError"


@pytest.mark.parametrize("body", ["return 3", "x = 'a\x00b'", "def f():\n  yield\n   x", "await ="])
def test_every_kind_of_broken_source_is_a_syntax_error(shell: Shell, body: str) -> None:
    assert not shell.run(f"%%body\n{body}").success
    assert "SyntaxError" in shell.shown[0] or "IndentationError" in shell.shown[0]


def test_top_level_await_works(shell: Shell) -> None:
    assert shell.run("%%body\nimport asyncio\nawait asyncio.sleep(0)\nvalue = 3\nawait asyncio.sleep(0, 7)").success
    assert shell.run("assert value == 3").success


def test_an_error_after_an_await_shows_the_cells_line(shell: Shell) -> None:
    shell.run("%%body\nimport asyncio\nawait asyncio.sleep(0)\n1 / 0  # here")
    (shown,) = shell.shown
    assert "line 4" in shown
    assert "# here" in shown
    assert "_drive" not in shown


def test_only_classes_that_this_cell_defined_are_found_in_their_order(shell: Shell) -> None:
    shell.run("class Old: pass\nAlias = None")
    shell.run(
        "%%body\nfrom pathlib import Path\nAlias = Old\nclass Zed: pass\nclass Abe:\n    class Inner: pass\n"
        "if True:\n    class Mid: pass\nAgain = Zed\nMade = type('Made', (), {})"
    )
    assert [cls.__name__ for cls in shell.found] == ["Zed", "Abe", "Mid", "Made"]


def test_a_class_defined_again_is_found_again(shell: Shell) -> None:
    shell.run("%%body\nclass A: pass")
    first = shell.found
    shell.run("%%body\nclass A: pass")
    assert [cls.__name__ for cls in shell.found] == ["A"]
    assert shell.found != first


def test_future_imports_of_a_cell_act(shell: Shell) -> None:
    assert shell.run("%%body\nfrom __future__ import annotations\nclass A:\n    def f(self, x: Missing): ...").success
    assert shell.run("assert A.f.__annotations__ == {'x': 'Missing'}").success


def test_shell_syntax_works_in_the_body(shell: Shell) -> None:
    assert shell.run("%%body\nwhere = %pwd\nassert where").success


def test_a_variable_is_traced_to_the_latest_cell_that_bound_it(shell: Shell) -> None:
    shell.run("table = 1\ndef helper():\n    hidden = 1")
    shell.run("%%body\ninside = [temporary for temporary in range(3)]")
    shell.run("%%time\n%%body\nimport os.path as where\nfor i in range(2): pass")
    shell.run("table = 2")
    shell.run("print(table, end='')")
    history = CellHistory(shell.ip)

    assert history.cell_of("table") == "cell [4]"
    assert history.cell_of("helper") == "cell [1]"
    assert history.cell_of("inside") == "cell [2]"
    assert history.cell_of("where") == "cell [3]"
    assert history.cell_of("i") == "cell [3]"
    for unknown in ("hidden", "temporary", "print", "nothing"):
        assert history.cell_of(unknown) == ""
