"""Modules in files of the user's own: an edit is used by the next run of the cell, and a call before that says so, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kernel import Cell, Kernel

NEW, OLD = 2222, 1
TEXT = "N = {0}\ndef f(): return {0}\nclass Base:\n    def of_base(self): return {0}\n"
DECORATOR = "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def inner(self): return [g(self), {}]\n    return inner\n"


def cell(name: str, body: str, head: str = "", bases: str = "fal.App", more: str = "") -> str:
    return f"%%fal_app\n{head}\nclass {name}({bases}):\n{more}    @fal.endpoint('/')\n    def go(self) -> object:\n        {body}\n"


def folder(notebook: Kernel) -> Path:
    return Path(notebook.run("import os; os.getcwd()").ok().result.strip("'"))


def warnings(ran: Cell) -> str:
    return "\n".join(line for line in ran.ok().shown.splitlines() if "warning:" in line)


@pytest.mark.parametrize(
    ("name", "files", "edited", "app", "label"),
    [
        ("Plain", {"m1.py": TEXT}, "m1.py", ("return m1.f()", "import m1"), "m1.py"),
        pytest.param("Name", {"m2.py": TEXT}, "m2.py", ("return f()", "from m2 import f"), "m2.py", marks=pytest.mark.long),
        ("Lazy", {"m3.py": TEXT}, "m3.py", ("import m3; return m3.N", ""), "m3.py"),
        pytest.param("Part", {"p4/__init__.py": "", "p4/a.py": "from . import b\ndef f(): return b.N", "p4/b.py": TEXT}, "p4/b.py", ("from p4 import a; return a.f()", ""), "p4/b.py", marks=pytest.mark.long),
        ("Space", {"n5/b.py": TEXT}, "n5/b.py", ("import n5.b as b\n        return b.N", ""), "n5/b.py"),
        pytest.param("Src", {"elsewhere/src/p6/__init__.py": TEXT}, "elsewhere/src/p6/__init__.py", ("return p6.N", "import sys; sys.path.append('elsewhere/src'); import p6"), "p6/__init__.py", marks=pytest.mark.long),
        ("Shipped", {"m7.py": TEXT}, "m7.py", ("return m7.N\n    local_python_modules = ['m7']", "import m7"), "m7.py"),
    ],
)  # fmt: skip
def test_an_edited_module_is_reported_once_at_a_call_and_used_after_the_next_run(
    notebook: Kernel, name: str, files: dict[str, str], edited: str, app: tuple[str, str], label: str
) -> None:
    here = folder(notebook)
    for path, text in files.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(text.format(OLD))
    notebook.run(cell(name, *app)).ok()
    before = notebook.run(f"{name}.go()").ok()
    (here / edited).write_text(TEXT.format(NEW))
    first, second = notebook.run(f"{name}.go()").ok(), notebook.run(f"{name}.go()").ok()

    assert (before.result, before.text) == ("1", "")
    assert first.text == f"[fal_jupyter: {label} changed after {name} was served; run its cell again to use it]\n"
    assert (first.result, second.result, second.text) == ("1", "1", "")

    notebook.run(cell(name, *app)).ok()
    after = notebook.run(f"{name}.go()").ok()

    assert (after.result, after.text) == (str(NEW), "")


def test_every_kind_of_call_reports_edits_and_a_touched_or_restored_file_is_none(notebook: Kernel) -> None:
    path = folder(notebook) / "ways.py"
    path.write_text(TEXT.format(OLD))
    notebook.run(cell("Ways", "return ways.N", "import ways")).ok()
    message = "[fal_jupyter: ways.py changed after Ways was served; run its cell again to use it]\n"

    for number, call in enumerate(
        ("await fal_jupyter.app(Ways).aio.go()", "list(fal_jupyter.app(Ways).stream.go())", "Ways.submit.go().get()")
    ):
        path.write_text(TEXT.format(100 + number))
        assert message in notebook.run(f"import fal_jupyter\n{call}").ok().text, call
    path.write_text(TEXT.format(OLD))
    assert notebook.run("Ways.go()").ok().text == ""
    path.touch()
    assert notebook.run("Ways.go()").ok().text == ""
    path.unlink()
    assert notebook.run("Ways.go()").ok().text == "[fal_jupyter: ways.py was removed after Ways was served]\n"


@pytest.mark.parametrize(
    ("name", "module", "app"),
    [
        pytest.param("Constant", TEXT, ("return N", "from constant import N"), marks=pytest.mark.long),
        ("Renamed", TEXT, ("return M", "from renamed import (f,  # N as X\n    N as M)")),
        ("Decorated", DECORATOR, ("return N", "from decorated import twice\nN = 1")),
    ],
)
def test_objects_imported_before_an_edit_are_reported_with_a_hint(
    notebook: Kernel, name: str, module: str, app: tuple[str, str]
) -> None:
    path = folder(notebook) / f"{name.lower()}.py"
    path.write_text(module.format(OLD))
    run = cell(name, *app)
    if name == "Decorated":
        run = run.replace("    def go", "    @twice\n    def go")
    assert warnings(notebook.run(run)) == ""
    path.write_text(module.format(NEW))
    messages = warnings(notebook.run(run))

    assert f"{path.name} changed after this kernel imported it" in messages
    assert f"importlib.reload({path.stem})" in messages

    notebook.run(f"import importlib, {path.stem}; importlib.reload({path.stem})").ok()
    assert warnings(notebook.run(run)) == ""
    assert str(NEW) in notebook.run(f"{name}.go()").ok().result


def test_a_module_that_was_edited_before_its_first_use_by_an_app_is_reported(notebook: Kernel) -> None:
    path = folder(notebook) / "early.py"
    path.write_text(TEXT.format(OLD))
    notebook.run("from early import N").ok()
    path.write_text(TEXT.format(NEW))

    assert "early.py changed after this kernel imported it" in warnings(notebook.run(cell("Early", "return N")))


def test_with_autoreload_the_next_run_has_all_of_the_new_text(notebook: Kernel) -> None:
    path = folder(notebook) / "auto.py"
    path.write_text(TEXT.format(OLD))
    notebook.run("%load_ext autoreload\n%autoreload 2").ok()
    try:
        run = cell("Auto", "return [N, f(), self.of_base()]", "from auto import N, f, Base", "Base, fal.App")
        notebook.run(run).ok()
        path.write_text(TEXT.format(NEW))
        assert "auto.py changed after Auto was served" in notebook.run("Auto.go()").ok().text
        assert warnings(notebook.run(run)) == ""
        assert notebook.run("Auto.go()").ok().result == f"[{NEW}, {NEW}, {NEW}]"
    finally:
        notebook.run("%autoreload 0").ok()


def test_what_a_decorated_endpoint_captures_is_a_change_of_the_app(notebook: Kernel) -> None:
    (folder(notebook) / "wraps.py").write_text(DECORATOR.format(OLD))
    notebook.run("X = 1").ok()
    run = cell("Wrapped", "return X", "import wraps").replace("    def go", "    @wraps.twice\n    def go")
    notebook.run(run).ok()
    notebook.run("X = 5").ok()
    notebook.run(run).ok()

    assert notebook.run("Wrapped.go()").ok().result == "[5, 1]"


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        pytest.param("Gone", None, "No module named 'gone'", marks=pytest.mark.long),
        ("Broken", "def f(: pass", "invalid syntax (broken.py, line 1)"),
        ("Less", "def g(): pass", "Can't get attribute 'f' on <module 'less'"),
    ],
)
def test_a_module_that_can_no_longer_be_imported_is_reported_by_the_cell(
    notebook: Kernel, name: str, text: str | None, error: str
) -> None:
    path = folder(notebook) / f"{name.lower()}.py"
    path.write_text(TEXT.format(OLD))
    run = cell(name, "return f()", f"from {path.stem} import f")
    notebook.run(run).ok()
    if text is None:
        path.unlink()
    else:
        path.write_text(text)

    assert error in notebook.run(run).evalue
    assert notebook.run(f"{name}.go()").ok().result == "1"
