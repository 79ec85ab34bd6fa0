"""The app cell, in real kernels: what runs, what is published, what happens when it is run again or elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.protocol.feed import MIME
from fal_jupyter.settings import read
from tests.support.kernel import Kernel, kernel
from tests.support.serve import command
from tests.support.state import wait_for_end


def runners(state: Path, alias: str) -> list[dict[str, object]]:
    found = json.loads(command(state, "runners", "--json").stdout)
    return [r for r in found if r["app"].endswith("/" + alias)]


def versioned(name: str, word: str, setup: str = "pass", options: str = "") -> str:
    return (
        f"%%fal_app {options}\nimport os\nclass {name}(fal.App):\n    def setup(self):\n        {setup}\n"
        f"    @fal.endpoint('/')\n    def hi(self) -> list: return ['{word}', os.getpid()]\n"
        f"    @fal.realtime('/talk')\n    def talk(self, said: dict) -> dict: return said\n"
    )


# --- the cell ---------------------------------------------------------------------------------------------------------
def test_the_cell_runs_in_the_users_namespace(notebook: Kernel) -> None:
    notebook.run(
        "%%fal_app\nimport fal as imported\nFACTOR = 3\ndef triple(x: int) -> int: return FACTOR * x\n"
        "class Times(fal.App):\n    @fal.endpoint('/')\n    def go(self, x: int) -> int: return triple(x)\n"
    ).ok()
    assert notebook.run("imported is fal, triple(2), Times.go(x=5)").ok().result == "(True, 6, 15)"
    assert notebook.run("import fal\nfal.__name__, fal.App.__module__").ok().result.startswith("('fal_jupyter.fal'")


def test_several_apps_of_a_cell_each_run(notebook: Kernel, state: Path) -> None:
    cell = notebook.run(
        "%%fal_app\nclass Left(fal.App):\n    @fal.endpoint('/')\n    def go(self) -> str: return 'left'\n"
        "class Right(fal.App):\n    @fal.endpoint('/')\n    def go(self) -> str: return 'right'\n"
    ).ok()
    assert "Left" in cell.shown
    assert "Right" in cell.shown
    assert notebook.run("Left.go() + Right.go()").ok().result == "'leftright'"
    assert len(runners(state, "left")) == len(runners(state, "right")) == 1


def test_the_card_shows_what_runs_where_and_what_was_captured(notebook: Kernel) -> None:
    notebook.run("words = ['a'] * 1000\ndef helper(): return len(words)").ok()
    cell = notebook.run(
        "%%fal_app\nfrom pydantic import BaseModel\nclass Size(BaseModel):\n    n: int\nclass Carded(fal.App):\n    def setup(self): self.n = helper()\n"
        "    @fal.endpoint('/count')\n    def count(self, more: int = 0) -> Size: return Size(n=self.n + more)\n"
    ).ok()
    for word in (
        "Carded",
        "/count",
        "(more: int = 0) -> Size",
        "the whole machine",
        "1 ready",
        "http://127.0.0.1:",
        "helper",
        "words",
    ):
        assert word in cell.shown, (word, cell.shown)
        assert word.replace(">", "&gt;") in cell.html, word
    assert re.search(r"helper.*cell \[\d+\]", cell.shown)
    assert re.search(r"setup.*\d+(\.\d+)? ms|setup.*<0\.1 ms", cell.shown, re.S)
    assert "__main__." not in cell.shown
    assert "<script" not in cell.html


def test_quiet_shows_no_card_and_a_dry_run_starts_nothing(notebook: Kernel, state: Path) -> None:
    assert notebook.run(versioned("Silent", "x", options="--quiet")).ok().shown == ""
    cell = notebook.run(versioned("Planned", "x", options="--dry-run --keep-alive 7 --max 3")).ok()
    assert "dry run, none started" in cell.shown
    assert "keep_alive 7 s" in cell.shown
    assert "max_concurrency 3" in cell.shown
    assert not runners(state, "planned")
    refused = notebook.run("Planned.hi()")
    assert (refused.status, refused.ename) == ("error", "NotServed")
    assert "%%fal_app" in refused.traceback


def test_a_cell_that_fails_stops_run_all_and_a_syntax_error_has_its_line(notebook: Kernel) -> None:
    wrong = notebook.run("%%fal_app\n\nclass Wrong(fal.App):\n    def (self): pass\n")
    assert (wrong.status, wrong.ename) == ("error", "SyntaxError")
    assert "line 4" in wrong.traceback


def test_a_failing_setup_is_shown_with_the_cells_lines(notebook: Kernel) -> None:
    wrong = notebook.run(
        "%%fal_app\ndef load():\n    raise OSError('no weights here')\nclass NoWeights(fal.App):\n"
        "    def setup(self):\n        load()\n    @fal.endpoint('/')\n    def hi(self): return 1\n"
    )
    assert (wrong.status, wrong.ename) == ("error", "SetupFailed")
    assert re.search(r"Cell In\[\d+\], line 6", wrong.traceback)
    assert re.search(r"Cell In\[\d+\], line 3", wrong.traceback)
    assert "raise OSError('no weights here')" in wrong.traceback
    assert "fal_jupyter/" not in wrong.traceback


def test_serve_does_the_same_from_a_plain_cell(notebook: Kernel) -> None:
    cell = notebook.run(
        "import fal, fal_jupyter\nclass Plain(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> str: return 'plain'\n"
        "handle = fal_jupyter.serve(Plain, keep_alive=5, max=2)"
    ).ok()
    assert "Plain" in cell.shown
    assert notebook.run(
        "Plain.hi(), handle.spec.scaling.keep_alive, handle.spec.scaling.max_concurrency"
    ).ok().result == ("('plain', 5, 2)")
    wrong = notebook.run("fal_jupyter.serve(Plain, keep_aliv=5)")
    assert "keep_alive" in wrong.traceback
    assert "fal_jupyter.serve(Hello)" in notebook.run("fal_jupyter.serve('Plain')").traceback


def test_serve_works_from_a_script_and_leaves_nothing(state: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import fal_jupyter\nfrom fal_jupyter import fal\n\nFACTOR = 6\n\nclass Scripted(fal.App):\n"
        "    @fal.endpoint('/')\n    def go(self, x: int) -> int:\n        return FACTOR * x\n\n"
        "if __name__ == '__main__':\n    fal_jupyter.serve(Scripted)\n    print(Scripted.go(7), Scripted.app, flush=True)\n"
        "    print(fal_jupyter.app(Scripted).runners()[0]['pid'])\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60,
        env={**__import__("os").environ, "FAL_JUPYTER_STATE": str(state)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer, pid = done.stdout.split("\n")[:2]
    assert re.fullmatch(r"42 [a-z0-9-]+/scripted", answer)
    assert not wait_for_end([int(pid)], 5)


# --- run again --------------------------------------------------------------------------------------------------------
def test_the_same_source_does_nothing_and_a_changed_one_is_rolled_out(notebook: Kernel, state: Path) -> None:
    first = notebook.run(versioned("Again", "one")).ok()
    _, pid = json.loads(notebook.run("Again.hi()").ok().result.replace("'", '"'))
    assert "r1" in first.shown

    same = notebook.run(versioned("Again", "one")).ok()
    assert "nothing changed" in same.shown
    assert notebook.run("Again.hi()").ok().result == f"['one', {pid}]"

    changed = notebook.run(versioned("Again", "two")).ok()
    assert "r2" in changed.shown
    assert "hi" in changed.shown  # what changed is told
    answer = notebook.run("Again.hi()").ok()
    assert answer.result.startswith("['two', ")
    assert answer.result != f"['two', {pid}]"
    assert [call["revision"] for call in answer.calls] == [2]
    assert not wait_for_end([pid], 10)  # the old runner goes


def test_old_runners_serve_until_the_new_ones_are_ready(notebook: Kernel, tmp_path: Path) -> None:
    go = tmp_path / "go"
    notebook.run(versioned("Rolling", "one")).ok()
    setup = f"import time, pathlib\n        while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    cell = notebook.run(versioned("Rolling", "two", setup=setup, options="--no-wait")).ok()
    assert "starting" in cell.shown
    assert notebook.run("Rolling.hi()[0]").ok().result == "'one'"
    go.touch()
    notebook.run("fal_jupyter.app(Rolling).wait()").ok()
    assert notebook.run("Rolling.hi()[0]").ok().result == "'two'"


def test_a_new_revision_that_does_not_start_leaves_the_old_one_serving(notebook: Kernel) -> None:
    notebook.run(versioned("Careful", "one")).ok()
    wrong = notebook.run(versioned("Careful", "two", setup="raise RuntimeError('broken')"))
    assert (wrong.status, wrong.ename) == ("error", "SetupFailed")
    assert notebook.run("Careful.hi()[0]").ok().result == "'one'"
    notebook.run(versioned("Careful", "three")).ok()
    assert notebook.run("Careful.hi()[0]").ok().result == "'three'"


def test_a_changed_value_that_the_class_captures_is_a_new_revision(notebook: Kernel) -> None:
    cell = "%%fal_app\nclass Captured(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> int: return number\n"
    notebook.run("number = 1").ok()
    notebook.run(cell).ok()
    assert notebook.run("Captured.hi()").ok().result == "1"
    notebook.run("number = 2").ok()
    assert "number" in notebook.run(cell).ok().shown
    assert notebook.run("Captured.hi()").ok().result == "2"


def test_changed_scaling_is_taken_over_without_a_new_runner(notebook: Kernel, state: Path) -> None:
    notebook.run(versioned("Scaled", "one", options="--max 2")).ok()
    before = runners(state, "scaled")[0]["pid"]
    assert "scaling changed" in notebook.run(versioned("Scaled", "one", options="--max 3")).ok().shown
    assert [r["pid"] for r in runners(state, "scaled")] == [before]


# --- two kernels ------------------------------------------------------------------------------------------------------
def test_an_app_belongs_to_the_kernel_that_defined_it(notebook: Kernel, state: Path, tmp_path: Path) -> None:
    notebook.run(versioned("Mine", "first")).ok()
    # the gateway's owner is that of who started it; the second kernel means another
    with kernel(state, tmp_path, env={"FAL_JUPYTER_OWNER": "somebody-else"}) as other:
        other.run("%load_ext fal_jupyter\nimport fal_jupyter").ok()
        # its first call, before it has a lease, and so before it knows the gateway's owner
        assert "'first'" in other.run("list(fal_jupyter.app('mine').stream.hi())").ok().result
        refused = other.run(versioned("Mine", "second"))
        assert (refused.status, refused.ename) == ("error", "AppTaken")
        assert "--name" in refused.traceback
        assert "--take-over" in refused.traceback
        assert str(notebook.pid) in refused.traceback
        assert notebook.run("Mine.hi()[0]").ok().result == "'first'"
        # it is defined under %%fal_app: its calls name the process that has its name
        for later in ("Mine.hi()", "Mine.stream.hi()", "Mine.url", "fal_jupyter.app(Mine)"):
            said = other.run(later).evalue or ""
            assert (
                f"Mine is not served from here: its name 'mine' is that of a notebook (process {notebook.pid})" in said
            )
            assert "serve it again with --take-over to take the name, or with --name NAME beside it" in said
        assert "'first'" in other.run("fal_jupyter.app('mine').hi()").ok().result

        other.run(versioned("Mine", "beside", options="--name mine-too")).ok()
        assert other.run("Mine.hi()[0], Mine.app.split('/')[1]").ok().result == "('beside', 'mine-too')"
        assert notebook.run("Mine.hi()[0]").ok().result == "'first'"

        taken = other.run(versioned("Mine", "taken", options="--take-over")).ok()
        assert (
            f"taken over from a notebook (process {notebook.pid}): calls of it from there come here now" in taken.shown
        )
        assert other.run("Mine.hi()[0]").ok().result == "'taken'"
        # the card in the first notebook keeps the picture by which it is known to be of the former owner
        saved = "__import__('sys').modules['fal_jupyter.notebook.session'].OutputsToSave(['mine'])._repr_mimebundle_()['application/json']"
        for code in ("1 + 1", saved):
            cell = notebook.run(code).ok()
            assert not [update for update in cell.updates if MIME in update["data"]]
        assert cell.result == "[]"
        message = f"[fal_jupyter: Mine is of a notebook (process {other.pid}) now, which took its name over; run its cell again with --take-over"
        assert [message in notebook.run("Mine.hi()[0]").ok().text for _ in range(2)] == [True, False]
        assert notebook.run("Mine.hi()[0]").ok().result == "'taken'"
        line = Client(read({"FAL_JUPYTER_STATE": str(state)})).control.snapshot()
        assert line is not None
        app = next(app for app in line["apps"] if app["alias"] == "mine")
        assert (app["owner_pid"], app["taken_from"]) == (other.pid, [notebook.pid])
        names = {r["app"] for r in json.loads(command(state, "runners", "--json").stdout)}
        assert {n.split("/")[1] for n in names} >= {"mine", "mine-too"}
    # the taker is gone, and what it took
    for call in ("Mine.hi()", "with Mine.realtime.talk() as ws: pass"):
        cell = notebook.run(call)
        assert cell.status == "error"
        assert "run the cell that defines it again" in cell.traceback
    notebook.run(versioned("Mine", "back")).ok()
    assert notebook.run("Mine.hi()[0]").ok().result == "'back'"


# --- what reaches the runners -----------------------------------------------------------------------------------------
def test_environment_directory_and_path_of_the_cell_reach_the_runners(notebook: Kernel, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "neighbour.py").write_text("VALUE = 'from a module of mine'\n")
    notebook.run(f"%env COLOUR=green\n%cd {tmp_path}\nimport sys\nsys.path.insert(0, {str(place)!r})").ok()
    notebook.run(
        "%%fal_app\nimport neighbour\nclass There(fal.App):\n    @fal.endpoint('/')\n    def look(self) -> list:\n"
        "        import os\n        return [os.environ['COLOUR'], os.getcwd(), neighbour.VALUE]\n"
    ).ok()
    assert json.loads(notebook.run("There.look()").ok().result.replace("'", '"')) == [
        "green", str(tmp_path), "from a module of mine",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param("", 1, id="default"),
        pytest.param("--warm 0", 0, id="warm 0", marks=pytest.mark.long),
        pytest.param("--warm 2", 2, id="warm 2"),
        pytest.param("--keep-alive 0", 0, id="keep_alive 0", marks=pytest.mark.long),
        pytest.param("--min 1 --keep-alive 0", 1, id="min 1", marks=pytest.mark.long),
    ],
)
def test_how_many_runners_stay_without_calls(notebook: Kernel, state: Path, options: str, expected: int) -> None:
    name = "Warm" + "".join(c for c in options.title() if c.isalnum())
    alias = notebook.run(
        versioned(
            name, "x", options=f"{options} --keep-alive 0" if "warm" in options and "alive" not in options else options
        )
        + f"\nprint({name}.__name__)"
    )
    alias.ok()
    app = notebook.run(f"{name}.app").ok().result.strip("'").split("/")[1]
    found = runners(state, app)
    while len([r for r in found if r["state"] in ("IDLE", "RUNNING")]) != expected or len(found) != expected:
        found = runners(state, app)  # bounded by the test's own limit
    assert notebook.run(f"{name}.hi()[0]", timeout=30).ok().result == "'x'"  # and a call still finds one


def test_a_public_app_answers_without_a_key(notebook: Kernel) -> None:
    import urllib.request

    notebook.run(versioned("Shared", "open", options="--auth public")).ok()
    url = notebook.run("Shared.url").ok().result.strip("'")
    request = urllib.request.Request(url + "/", data=b"{}", method="POST", headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)[0] == "open"
    assert "--auth" in notebook.run(versioned("Shared", "x", options="--auth open")).traceback


@pytest.mark.parametrize(
    ("written", "options", "auth", "status"),
    [
        ("None", "", "private", 401),
        ("None", "--auth public", "public", 200),
        ("None", "--auth shared", "shared", 401),
        ("'public'", "", "public", 200),
        ("'public'", "--auth private", "private", 401),
    ],
)
def test_the_cells_auth_applies_with_or_without_one_in_the_class(
    notebook: Kernel, state: Path, written: str, options: str, auth: str, status: int
) -> None:
    cell = versioned("Asked", "x", options=options).replace(
        "    def setup", f"    app_auth = {written}\n    def setup", 1
    )
    notebook.run(cell).ok()
    url, key = notebook.run("print(Asked.local_url, Asked.key)").ok().text.split()

    assert httpx.post(f"{url}/", json={}).status_code == status
    assert httpx.post(f"{url}/", json={}, headers={"authorization": f"Key {key}"}).status_code == 200
    (record,) = (app for app in json.loads(command(state, "apps", "--json").stdout) if app["alias"] == "asked")
    assert record["auth"] == auth


def test_another_auth_takes_effect_in_the_runners_that_are_there(notebook: Kernel) -> None:
    notebook.run(versioned("Opened", "x")).ok()
    pid = notebook.run("Opened.hi()[1]").ok().result
    url = notebook.run("print(Opened.local_url)").ok().text.strip()
    for options, status in (("--auth public", 200), ("--auth private", 401), ("--auth public", 200), ("", 401)):
        notebook.run(versioned("Opened", "x", options=options)).ok()
        assert httpx.post(f"{url}/", json={}).status_code == status
    assert notebook.run("Opened.hi()[1]").ok().result == pid


# --- %fal -------------------------------------------------------------------------------------------------------------
def test_the_commands_list_print_and_stop(notebook: Kernel, state: Path) -> None:
    notebook.run(versioned("Listed", "x", setup="print('set up')")).ok()
    notebook.run("Listed.hi()").ok()
    assert "Listed" in notebook.run("%fal apps").ok().text
    assert "listed-" in notebook.run("%fal runners").ok().text
    assert "set up" in notebook.run("%fal logs Listed").ok().text
    doctor = json.loads(notebook.run("%fal doctor --json").ok().text)
    assert {"gateway", "template", "runner", "kernel"} <= {p["role"] for p in doctor["processes"]}
    assert "listed" in notebook.run("%fal stop Listed").ok().text
    assert not runners(state, "listed")
    gone = notebook.run("Listed.hi()")
    assert gone.status == "error"
    assert notebook.run("%fal kill nosuch").status == "error"


def test_a_kernel_gets_the_new_name_of_its_notebook(state: Path, tmp_path: Path) -> None:
    def rename(running: Kernel, name: str) -> None:
        asked = (
            f'getattr(__import__("sys").modules.get("fal_jupyter.notebook.session"), "rename_notebook", str)("{name}")'
        )
        sent = running.client.execute("", silent=True, store_history=False, user_expressions={"named": asked})
        reply = running.client.get_shell_msg(timeout=60)
        while reply["parent_header"]["msg_id"] != sent:
            reply = running.client.get_shell_msg(timeout=60)
        assert name in reply["content"]["user_expressions"]["named"]["data"]["text/plain"]

    def owners() -> set[str]:
        apps = json.loads(command(state, "apps", "--json").stdout)
        return {app["owner_name"] for app in apps if app["alias"] == "called"}

    with kernel(state, tmp_path, env={"JPY_SESSION_NAME": "/home/me/first.ipynb"}) as running:
        rename(running, "before.ipynb")  # the extension is not loaded: nothing happens
        running.run("%load_ext fal_jupyter").ok()
        running.run(versioned("Called", "one")).ok()
        assert owners() == {"first.ipynb"}
        rename(running, "second.ipynb")
        assert owners() == {"second.ipynb"}
        running.run("import fal_jupyter.notebook.session as s\nclient = s.current_session().client").ok()
        holders = running.run("{one['holder'] for one in client.control.ask('GET', '/admin/keys')[1]}").ok().result
        assert ("second.ipynb" in holders, "first.ipynb" in holders) == (True, False)
        with kernel(state, tmp_path) as other:
            other.run("%load_ext fal_jupyter").ok()
            refused = other.run(versioned("Called", "two"))
            assert "belongs to second.ipynb" in refused.traceback
        running.run("client.connections.drop_lease(); _ = client.ensure()").ok()  # as after the end of a gateway
        assert owners() == {"second.ipynb"}


def test_revisions_count_what_starts_new_runners_and_begin_anew_with_the_kernel(
    notebook: Kernel, state: Path, tmp_path: Path
) -> None:
    counted = versioned("Counted", "one")
    for _ in range(2):  # the gateway stays, by the first kernel
        with kernel(state, tmp_path) as running:
            running.run("%load_ext fal_jupyter").ok()
            running.run(counted).ok()
            assert "r1, nothing changed" in running.run(counted).ok().shown
            running.run("%fal stop Counted").ok()
            assert "r2" in running.run(counted).ok().shown
