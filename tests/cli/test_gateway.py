"""``fal-jupyter gateway``, and what ``FAL_JUPYTER_LOG_LEVEL`` makes processes say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fixtures import file_fixture
from tests.support.kernel import kernel
from tests.support.serve import COMMAND, command, served
from tests.support.state import is_running, processes_of, state_directory

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
APP = """
import fal

class Hello(fal.App):
    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""


hello = file_fixture("hello", "hello.py", APP, "::Hello")


@contextmanager
def foreground(state: Path, errors: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run ``fal-jupyter gateway --json``; gives its process and that of the gateway. Standard error goes to a file."""
    with errors.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, "gateway", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=dict(os.environ, FAL_JUPYTER_STATE=str(state)),
        )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["pid"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)


def test_a_gateway_in_the_foreground_logs_to_the_terminal_until_ctrl_c(state: Path, tmp_path: Path, hello: str) -> None:
    errors = tmp_path / "errors"
    with foreground(state, errors, "--debug") as (process, pid):
        with served(state, hello) as app:
            assert app.request("/").status == 200
        second = command(state, "gateway")
        assert (second.returncode, is_running(pid)) == (1, True)  # it outlives the app, and nobody takes its place
        assert f"a gateway is already running in {state} (process {pid})" in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
        assert not is_running(pid)
    shown, filed = errors.read_text(), (state / "logs" / "gateway.log").read_text()
    for line in (
        f"gateway {pid} serves {state}",
        "published hello revision 1",
        "ended: POST /, status 200",
        f"gateway {pid} ends",
    ):
        assert line in shown
        assert line in filed
    assert "DEBUG fal_jupyter.template" in shown  # a template has the gateway's standard error


def test_a_gateway_holds_no_pipe_of_the_process_that_started_it(state: Path) -> None:
    """Other tests run commands with files as their streams, whose end nobody waits for."""
    code = "import os; from fal_jupyter import settings; from fal_jupyter.client.connection import connect; connect.ensure_gateway(settings.read(os.environ))"
    variables = dict(os.environ, FAL_JUPYTER_STATE=str(state))

    subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, timeout=60, check=True)

    assert any("fal_jupyter.gateway" in command for command in processes_of(state).values())


def test_the_example_of_contributing_shows_the_log(tmp_path: Path) -> None:
    block = next(b for b in CONTRIBUTING.read_text().split("```")[1::2] if "fal-jupyter gateway --debug" in b)
    with state_directory() as state:
        env = dict(os.environ, TMPDIR=str(state.parent), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        process = subprocess.Popen(
            ["bash", "-c", block.removeprefix("sh\n")],
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            start_new_session=True,
        )
        assert process.stderr is not None
        shown = ""
        while "Ctrl-C ends it" not in shown:
            line = process.stderr.readline()
            assert line, shown
            shown += line
        os.killpg(process.pid, signal.SIGINT)
        shown += process.communicate(timeout=40)[1]
    assert "INFO fal_jupyter.gateway gateway" in shown
    assert shown.endswith(" ends\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
def test_whatever_ends_the_command_ends_its_gateway(state: Path, tmp_path: Path, number: signal.Signals) -> None:
    with foreground(state, tmp_path / "errors") as (process, pid):
        process.send_signal(number)
        assert process.wait(40) == 0
        assert not is_running(pid)
    assert "DEBUG" not in (tmp_path / "errors").read_text()


def test_a_bad_level_is_one_sentence(state: Path) -> None:
    env = dict(os.environ, FAL_JUPYTER_STATE=str(state), FAL_JUPYTER_LOG_LEVEL="verbose")
    done = subprocess.run([*COMMAND, "apps"], capture_output=True, text=True, env=env, timeout=60)

    assert done.returncode == 1
    assert done.stderr == (
        "fal-jupyter: FAL_JUPYTER_LOG_LEVEL is 'verbose', but it is one of DEBUG, INFO, WARNING, ERROR, CRITICAL\n"
        "set FAL_JUPYTER_LOG_LEVEL=INFO, or leave it unset\n"
    )


def test_with_a_level_serve_and_its_runner_log_and_without_one_they_do_not(state: Path, hello: str) -> None:
    with served(state, hello) as app:
        app.request("/")
        assert "DEBUG" not in app.stop()[2]
    assert "DEBUG" not in (state / "logs" / "gateway.log").read_text()
    with served(state, hello, env={"FAL_JUPYTER_LOG_LEVEL": "debug"}) as app:
        app.request("/")
        assert "DEBUG fal_jupyter.runner ready:" in command(state, "logs", "hello").stdout
        assert "DEBUG fal_jupyter.client started the gateway" in app.stop()[2]
    assert "DEBUG fal_jupyter.engine request" in (state / "logs" / "gateway.log").read_text()
    assert "DEBUG fal_jupyter.template" in (state / "logs" / "gateway.err").read_text()


@pytest.mark.long  # serve has the same above
def test_with_a_level_a_kernel_logs_to_the_standard_error_of_its_cells(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path, env={"FAL_JUPYTER_LOG_LEVEL": "DEBUG"}) as notebook:
        notebook.run("%load_ext fal_jupyter").ok()
        cell = notebook.run(f"%%fal_app --quiet\n{APP}").ok()
        assert "DEBUG fal_jupyter.client lease" in cell.text
