"""Notices of a cell where something cannot be as it was meant, and what goes along without being asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.kernel import Kernel

ONE = "class {}(fal.App):\n    @fal.endpoint('/')\n    def go(self{}) -> {}:\n        return {}\n"


def test_an_endpoint_that_calls_another_app_gets_its_address(notebook: Kernel) -> None:
    notebook.run("%%fal_app\n" + ONE.format("Called", "", "int", "1")).ok()
    notebook.run("%%fal_app\n" + ONE.format("Caller", "", "int", "Called.go()")).ok()
    notebook.run("%%fal_app\n" + ONE.format("Same", "", "int", "Same.go()")).ok()

    assert (
        "it is another app than Caller, so call it by its address: fal_client.run("
        in notebook.run("Caller.go()").evalue
    )
    assert '/called", arguments={...})' in notebook.run("Caller.go()").evalue
    assert "self.go(...)" in notebook.run("Same.go()").evalue


def test_a_captured_logger_keeps_its_level_and_its_handlers(notebook: Kernel, tmp_path: Path) -> None:
    notebook.run(f"""%%fal_app
import logging, logging.handlers, queue, sys
log = logging.getLogger("mine.deep")
above = logging.getLogger("mine")
above.setLevel(logging.DEBUG)
shown = logging.StreamHandler(sys.stdout)
shown.setFormatter(logging.Formatter("<%(levelname)s %(message)s>"))
log.addHandler(shown)
log.addHandler(logging.FileHandler({str(tmp_path / "log.txt")!r}, mode="w", delay=True))
class Counting(logging.Handler):
    seen = []
    def emit(self, record): Counting.seen.append(record.getMessage())
above.addHandler(Counting())
above.addHandler(logging.handlers.QueueHandler(queue.Queue()))

class Logged(fal.App):
    @fal.endpoint("/")
    def go(self) -> list:
        log.debug("deep")
        return [log.getEffectiveLevel(), Counting.seen, [type(h).__name__ for h in above.handlers]]
""").ok()
    called = notebook.run("Logged.go()").ok()

    assert called.result == "[10, ['deep'], ['Counting']]"
    assert "<DEBUG deep>" in called.text
    assert (tmp_path / "log.txt").read_text() == "deep\n"
    again = notebook.run("%fal panel Logged").ok()
    assert "the logger 'mine' is sent without its QueueHandler" in again.text + again.shown + again.html


def test_a_local_module_that_was_edited_is_a_change_of_the_app(notebook: Kernel) -> None:
    notebook.run("import pathlib\npathlib.Path('edited.py').write_text('def value(): return 1')").ok()
    cell = "%%fal_app\nimport edited\n" + ONE.format("Edited", "", "int", "edited.value()")
    notebook.run(cell).ok()
    assert notebook.run("Edited.go()").ok().result == "1"

    notebook.run("pathlib.Path('edited.py').write_text('def value(): return 22222')").ok()
    notebook.run(cell).ok()

    assert notebook.run("Edited.go()").ok().result == "22222"


def test_a_working_directory_that_was_removed_is_one_sentence(notebook: Kernel) -> None:
    notebook.run(
        "import os, tempfile\nbefore = os.getcwd(); gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)"
    ).ok()
    cell = notebook.run("%%fal_app\n" + ONE.format("Nowhere", "", "int", "1"))
    notebook.run("os.chdir(before)").ok()

    assert cell.evalue == (
        "the working directory of this process was removed\n"
        "change to one that exists: cd ~ in a shell, os.chdir(…) in a notebook"
    )


def test_a_working_directory_that_is_not_utf8_is_one_sentence(notebook: Kernel, tmp_path: Path) -> None:
    notebook.run(
        f"import os\nbefore, odd = os.getcwd(), os.fsencode({str(tmp_path)!r}) + b'/b\\xffd'; os.mkdir(odd); os.chdir(odd)"
    ).ok()
    cell = notebook.run("%%fal_app\n" + ONE.format("Odd", "", "int", "1"))
    notebook.run("os.chdir(before)").ok()

    assert cell.evalue == (
        f"the path of the working directory is not UTF-8 text: {tmp_path}/b\ufffdd\n"
        "rename the folder whose name is not UTF-8"
    )


def test_runners_start_without_an_entry_of_the_search_path_that_is_not_utf8(notebook: Kernel, tmp_path: Path) -> None:
    notebook.run(f"""import os, sys
odd = os.fsdecode(os.fsencode({str(tmp_path)!r}) + b"/b\\xffd"); os.mkdir(odd)
with open(odd + "/in_odd.py", "w") as file: _ = file.write("N = 7")
sys.path.append(odd)""").ok()
    class_with_default = ONE.format("Without", ", text: str = 'b\\udcff'", "int", "len(text)")
    served = notebook.run("%%fal_app\n" + class_with_default).ok()
    shipped = notebook.run(
        "%%fal_app\n" + ONE.format("Named", "", "int", "1") + "    local_python_modules = ['in_odd']\n"
    )
    called = notebook.run("Without.go()").ok()
    notebook.run("sys.path.remove(odd)").ok()

    assert f"{tmp_path}/b\ufffdd is not UTF-8 text: runners start without that entry of sys.path" in served.shown
    assert called.result == "2"
    assert shipped.evalue == (
        "the path of the module in_odd, which local_python_modules names, is not UTF-8 text: "
        f"{tmp_path}/b\ufffdd/in_odd.py\nrename the folder whose name is not UTF-8"
    )


def test_a_process_without_a_home_gets_a_hint_what_to_set() -> None:
    lone = "import os, sys\nfrom fal_jupyter import settings\nos.getuid = lambda: 54321\nimport pwd\n"
    lone += "def none(_): raise KeyError\npwd.getpwuid = none\nfrom fal_jupyter.cli.main import main\nsys.exit(main(['apps']))"
    environment = {n: v for n, v in os.environ.items() if n != "HOME" and not n.startswith(("XDG_", "FAL_JUPYTER_"))}
    found = subprocess.run(
        [sys.executable, "-c", lone], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert found.returncode != 0
    assert found.stderr == (
        "fal-jupyter: there is no home directory: HOME is unset, and user 54321 has no entry in the user database\n"
        "set HOME, or FAL_JUPYTER_STATE, to a folder of your own\n"
    )
