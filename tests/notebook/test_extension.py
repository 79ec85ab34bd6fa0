"""Loading, help, completion and unloading, in a real kernel. Nothing here starts a gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import state_fixture
from tests.support.kernel import Kernel, kernel
from tests.support.state import processes_of

state = state_fixture("module")  # of its own: that of the other files may have a gateway


def complete(notebook: Kernel, code: str, cursor: int | None = None) -> list[str]:
    msg_id = notebook.client.complete(code, len(code) if cursor is None else cursor)
    while True:
        reply = notebook.client.get_shell_msg(timeout=30)
        if reply["parent_header"].get("msg_id") == msg_id:
            return list(reply["content"]["matches"])


def inspect(notebook: Kernel, code: str) -> str:
    notebook.run(code)
    msg_id = notebook.client.execute(code)
    while True:
        reply: dict[str, Any] = notebook.client.get_shell_msg(timeout=30)
        if reply["parent_header"].get("msg_id") == msg_id:
            break
    return "".join(p.get("data", {}).get("text/plain", "") for p in reply["content"]["payload"])


def test_loading_twice_changes_nothing(notebook: Kernel) -> None:
    notebook.run("%load_ext fal_jupyter").ok()
    notebook.run("%reload_ext fal_jupyter").ok()
    counted = notebook.run(
        "print([len([f for f in get_ipython().events.callbacks[e] if 'Session' in f.__qualname__])"
        " for e in ('pre_run_cell', 'post_run_cell')],"
        " len([m for m in get_ipython().Completer.custom_matchers if 'fal' in m.__name__]))"
    ).ok()
    assert counted.text.split("\n")[0] == "[1, 1] 1"


def test_options_complete_on_the_first_line_of_a_cell_and_nothing_else_mixes_in(notebook: Kernel) -> None:
    code = "%%fal_app --ke\nclass A(fal.App):\n    pass"
    assert complete(notebook, code, len("%%fal_app --ke")) == ["--keep-alive"]
    assert complete(notebook, "%fal con") == ["config"]
    assert complete(notebook, "%fal config timing ") == ["on", "off"]
    assert "import_module" in complete(notebook, "import importlib\nimportlib.import_mod")[0]


def test_question_marks_show_help_with_every_option(notebook: Kernel) -> None:
    magic = inspect(notebook, "%%fal_app?")
    for option in (
        "--name",
        "--auth",
        "--cors",
        "--warm",
        "--min",
        "--max",
        "--keep-alive",
        "--multiplex",
        "--no-wait",
    ):
        assert option in magic
    for option in ("--take-over", "--quiet", "--dry-run", "Example"):
        assert option in magic
    verbs = inspect(notebook, "%fal?")
    for verb in ("apps", "runners", "logs", "stop", "kill", "config", "doctor", "help"):
        assert verb in verbs


def test_help_is_a_command_an_option_and_the_answer_to_no_command(notebook: Kernel) -> None:
    for line in ("%fal", "%fal help", "%fal --help"):
        assert "doctor" in notebook.run(line).ok().text
    assert "--lines" in notebook.run("%fal help logs").ok().text
    assert "--lines" in notebook.run("%fal logs --help").ok().text
    for line in ("%%fal_app --help\nx = 1", "%fal_app --help"):
        assert "--warm" in notebook.run(line).ok().text


def test_a_mistake_in_a_magic_line_is_one_sentence_and_the_kernel_lives(notebook: Kernel) -> None:
    for line, word in (
        ("%fal appz", "apps"),
        ("%fal stop", "TARGET"),
        ("%fal_app x", "%%fal_app"),
        ("%fal 'x", "quot"),
    ):
        cell = notebook.run(line)
        assert cell.status == "error"
        assert word in cell.traceback
        assert len(cell.traceback.splitlines()) <= 2, cell.traceback
        assert "fal_jupyter/" not in cell.traceback


def test_reading_commands_start_no_gateway(notebook: Kernel, state: Path) -> None:
    assert json.loads(notebook.run("%fal apps --json").ok().text) == []
    assert json.loads(notebook.run("%fal runners --json").ok().text) == []
    assert "No app is running" in notebook.run("%fal apps").ok().text
    assert "not running" in notebook.run("%fal doctor").ok().text
    assert not any("gateway" in command for command in processes_of(state).values())


def test_config_shows_and_changes_settings(notebook: Kernel) -> None:
    assert json.loads(notebook.run("%fal config --json").ok().text)["timing"] == "on"
    assert json.loads(notebook.run("%fal config timing off --json").ok().text)["timing"] == "off"
    notebook.run("%fal config timing on").ok()
    wrong = notebook.run("%fal config timing maybe")
    assert wrong.status == "error"
    assert "on or off" in wrong.traceback


def test_unloading_takes_everything_back(notebook: Kernel) -> None:
    notebook.run("%unload_ext fal_jupyter").ok()
    left = notebook.run(
        "import sys; ip = get_ipython()\n"
        "print(['fal' in ip.magics_manager.magics['line'], 'fal_app' in ip.magics_manager.magics['cell'],\n"
        "  any('fal' in m.__name__ for m in ip.Completer.custom_matchers), 'fal' in sys.modules,\n"
        "  any('Session' in f.__qualname__ for fs in ip.events.callbacks.values() for f in fs)])"
    ).ok()
    assert left.text.strip() == str([False] * 5)
    notebook.run("%load_ext fal_jupyter").ok()
    assert "doctor" in notebook.run("%fal help").ok().text


@pytest.mark.long  # tests/parity/test_real_class.py serves a class of the real package
def test_the_real_package_is_used_when_the_user_chooses_it(state: Path, tmp_path: Path) -> None:
    (tmp_path / "fal").mkdir()
    (tmp_path / "fal" / "__init__.py").write_text(
        "import types\n"
        "class App:\n    host_kwargs = {}\n"
        "def endpoint(path):\n"
        "    def mark(method):\n"
        "        method.route_signature = types.SimpleNamespace(path=path, is_websocket=False, health_check=None)\n"
        "        return method\n"
        "    return mark\n"
    )
    with kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter").ok()
        assert running.run("import fal\nfal.__name__").ok().result == "'fal_jupyter.fal'"
        running.run("%fal config fal real").ok()
        assert running.run("import fal\nfal.__file__").ok().result == repr(str(tmp_path / "fal" / "__init__.py"))
        cell = running.run(
            "%%fal_app\nclass Mine(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> int: return 1\n"
        )
        cell.ok()  # the same class on our App
        assert running.run("Mine.hi(), Mine.__mro__[1].__module__").ok().result == "(1, 'fal_jupyter.fal.app')"
        back = running.run("%fal config fal ours")
        assert back.status == "error"  # it is imported: two packages of one name cannot be told apart
        assert "restart the kernel" in back.traceback
