"""One gateway a state directory: how it is found and started, what it refuses, when it ends, what it lists."""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import file_fixture, state_fixture
from tests.support.serve import Served, command, doctor, runners, served
from tests.support.state import is_running, processes_of, state_directory, wait_for_end

HELLO = """
import os
from pathlib import Path
import fal

print("read by", os.getpid())


class Hello(fal.App):
    def setup(self):
        print("setting up")

    @fal.endpoint("/")
    def hi(self, name: str = "world") -> dict:
        '''Greets.'''
        return {"text": f"Hello, {name}"}

    @fal.endpoint("/process")
    def process(self) -> dict:
        started = Path("/proc/self/environ").read_bytes().decode().split("\\0")
        return {"started": started, "now": dict(os.environ), "command": Path("/proc/self/cmdline").read_text()}


    @fal.endpoint("/leak")
    def leak(self) -> dict:
        print("token is", os.environ["HF_TOKEN"], "flag is", os.environ["MY_FLAG"])
        raise ValueError(f"cannot use {os.environ['HF_TOKEN']}")


class Second(Hello):
    app_name = "second"  # a subclass inherits its parent's, as in the real package


class Broken(fal.App):
    def setup(self):
        print("about to break")
        raise RuntimeError("no weights")

    @fal.endpoint("/")
    def hi(self) -> dict:
        return {}
"""


state = state_fixture()


hello = file_fixture("hello", "hello.py", HELLO, scope="module")


@pytest.fixture(scope="module")
def app(hello: str) -> Iterator[Served]:
    """``Hello`` in a gateway for all tests that leave both as they are; they serve other classes beside it."""
    env = {"HF_TOKEN": "hf_verysecret", "MY_FLAG": "on", "ONLY_FIRST": "1"}
    with state_directory() as state, served(state, f"{hello}::Hello", env=env) as running:
        yield running


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a serve that was refused."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


# --- found or started -------------------------------------------------------------------------------------------------
STARTER = """
import sys
from fal_jupyter.client.client import Client
client = Client(idle_exit=0.0)
print(client.ensure().granted["gateway_pid"], client.base, flush=True)
sys.stdin.read()
"""


@pytest.mark.long
@pytest.mark.parametrize("count", [6, 20])
def test_starters_at_once_end_with_one_gateway(state: Path, count: int) -> None:
    environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        for _ in range(count)
    ]
    try:
        lines = {starter.stdout.readline() for starter in starters if starter.stdout}
        assert len(lines) == 1, lines
        gateways = [pid for pid, line in processes_of(state).items() if "fal_jupyter.gateway" in line]
        assert len(gateways) == 1
    finally:
        for starter in starters:
            starter.communicate()
    assert not wait_for_end(gateways, 10)


@pytest.mark.long
def test_a_path_too_long_for_a_socket_address_works(tmp_path: Path, hello: str) -> None:
    with state_directory() as short:
        state = short / ("long" * 30) / "state"
        with served(state, f"{hello}::Hello") as app:
            assert app.request("/", {"name": "Ada"}).json == {"text": "Hello, Ada"}
            assert len(json.loads(command(state, "runners", "--json").stdout)) == 1
            everything = set(processes_of(state))
            assert len(everything) >= 3
        assert not wait_for_end(everything, 10)


@pytest.mark.long  # tests/e2e/test_kill_matrix.py goes on after a killed gateway
def test_what_a_killed_gateway_left_is_replaced(state: Path, hello: str) -> None:
    state.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(state / "gateway.sock"))
    (state / "gateway.lock").touch()
    with served(state, f"{hello}::Hello") as app:
        assert app.request("/", {}).json == {"text": "Hello, world"}
        assert stat.S_IMODE((state / "gateway.sock").stat().st_mode) == 0o600


def test_a_file_in_place_of_the_socket_is_refused_and_not_removed(state: Path, hello: str) -> None:
    state.mkdir(mode=0o700)
    (state / "gateway.sock").write_text("precious")
    output = refused(command(state, "serve", f"{hello}::Hello"))
    assert str(state / "gateway.sock") in output
    assert "remove it" in output
    assert (state / "gateway.sock").read_text() == "precious"


def test_a_program_that_is_no_gateway_on_the_socket_is_named_as_such(state: Path, hello: str) -> None:
    state.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(state / "gateway.sock"))
        foreign.listen()
        serve = subprocess.Popen(
            [sys.executable, "-m", "fal_jupyter.cli.main", "serve", f"{hello}::Hello"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, FAL_JUPYTER_STATE=str(state)),
        )  # fmt: skip
        foreign.settimeout(30)
        connections = [foreign.accept()[0] for _ in range(2)]  # is anybody there; the lease
        connections[1].sendall(b"220 mail.example ESMTP\r\n")
        out, err = serve.communicate(timeout=30)
        for connection in connections:
            connection.close()
    assert (serve.returncode, out) == (1, "")
    assert "not a fal_jupyter gateway" in err
    assert "FAL_JUPYTER_STATE" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_state_directory_that_others_can_write_is_refused(state: Path, hello: str, mode: int) -> None:
    state.mkdir()
    state.chmod(mode)
    output = refused(command(state, "serve", f"{hello}::Hello"))
    assert f"chmod 700 {state}" in output
    assert not list(state.iterdir())


def test_a_state_directory_of_another_user_is_refused(state: Path, hello: str) -> None:
    place = state
    if os.getuid() == 0:
        state.mkdir(mode=0o700)
        os.chown(state, 12345, 12345)
    else:
        place = Path("/usr")
    output = refused(command(place, "serve", f"{hello}::Hello"))
    assert "another user" in output
    assert "FAL_JUPYTER_STATE" in output


def test_a_state_directory_that_is_a_file_is_refused(state: Path, hello: str) -> None:
    state.write_text("")
    assert str(state) in refused(command(state, "serve", f"{hello}::Hello"))


def test_a_client_of_another_protocol_is_refused(app: Served) -> None:
    newer = (
        "from fal_jupyter.client.connection import lease\nlease.PROTOCOL = 999\n"
        "from fal_jupyter.client.client import Client\n"
        "try:\n    Client().ensure()\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", newer], capture_output=True, text=True, timeout=60,
        env=dict(os.environ, FAL_JUPYTER_STATE=str(app.state)),
    )  # fmt: skip
    assert completed.stdout.startswith("VersionSkew"), completed
    assert "999" in completed.stdout
    assert re.search(r"kill \d+, or set FAL_JUPYTER_STATE", completed.stdout)
    assert app.request("/", {}).status == 200


# --- the port ---------------------------------------------------------------------------------------------------------
def test_a_port_that_is_taken_is_one_sentence(state: Path, hello: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        output = refused(command(state, "serve", f"{hello}::Hello", "--port", str(port)))
    assert str(port) in output
    assert "--port" in output


def test_two_serves_share_gateway_and_port_and_the_port_lives_as_long_as_the_last(state: Path, hello: str) -> None:
    with served(state, f"{hello}::Second") as second:
        with served(state, f"{hello}::Hello", "--port", "0") as first:
            assert first.ready["base"] == second.ready["base"]
            assert first.ready["key"] != second.ready["key"]
            other = refused(command(state, "serve", f"{hello}::Hello", "--name", "x", "--port", "1"))
            assert "already" in other
        status, out, _ = first.stop()
        assert (status, out) == (0, "")
        assert second.request("/", {"name": "Bob"}).json == {"text": "Hello, Bob"}
        everything = set(processes_of(state))
    second.stop()
    assert not wait_for_end(everything, 20)
    with pytest.raises(OSError, match="refused"):
        second.request("/", {})


def test_the_gateway_listens_on_loopback_only(app: Served) -> None:
    port = int(app.ready["base"].rsplit(":", 1)[1])
    listening = [
        line.split()[1].split(":") for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:] if line.split()[3] == "0A"
    ]  # fmt: skip
    assert [address for address, number in listening if int(number, 16) == port] == ["0100007F"]


# --- serve ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)], ids=lambda s: s.name
)
def test_serve_prints_one_json_line_and_ends_with_status_0(state: Path, hello: str, number: signal.Signals) -> None:
    app = Served(state, f"{hello}::Hello")
    assert set(app.ready) == {"app", "base", "url", "key", "endpoints"}
    owner, alias = app.ready["app"].split("/")
    assert alias == "hello"
    assert app.ready["base"].startswith("http://127.0.0.1:")
    assert app.ready["url"] == f"{app.ready['base']}/run/{owner}/hello"
    assert sorted(app.ready["endpoints"]) == ["/", "/leak", "/process"]
    assert len(app.ready["key"].split(":")) == 2
    everything = set(processes_of(state))
    status, out, err = app.stop(number)
    assert (status, out) == (0, "")
    assert "read by" in err  # what the file prints
    assert "setting up" in err  # what its setup() prints
    assert not wait_for_end(everything, 20)


def test_a_failing_setup_is_a_traceback_on_standard_error_and_status_1(hello: str) -> None:
    with state_directory() as state:  # of its own, so that every process in it is this command's
        done = command(state, "serve", f"{hello}::Broken", "--json")
        assert (done.returncode, done.stdout) == (1, "")
        assert "RuntimeError: no weights" in done.stderr
        assert 'raise RuntimeError("no weights")' in done.stderr
        assert "about to break" in done.stderr
        assert "fal_jupyter/" not in done.stderr.split("Traceback")[1].split("fal-jupyter:")[0]
        assert not wait_for_end(set(processes_of(state)), 20)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("x = 1", "app.py::Nope", "no fal.App class"),
        ("import fal\nclass A(fal.App):\n    pass", "app.py::A", "endpoint"),
        ("import fal\nclass A(fal.App)\n    pass", "app.py::A", "SyntaxError"),
        ("1 / 0", "app.py::A", "ZeroDivisionError"),
        ("raise SystemExit(7)", "app.py::A", "SystemExit"),
        (HELLO, "app.py", "app.py::Hello"),
        (HELLO, "app.py::Hell", "Hello"),
        (HELLO, "gone.py::Hello", "gone.py"),
    ],
    ids=["no app", "no endpoint", "syntax error", "raises", "exits", "several", "misspelt", "no file"],
)
def test_a_file_that_cannot_be_served_is_a_clear_error(
    state: Path, tmp_path: Path, text: str, target: str, message: str
) -> None:
    (tmp_path / "app.py").write_text(text)
    done = command(state, "serve", str(tmp_path / target), "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr, done.stderr
    assert "fal_jupyter/" not in done.stderr


# --- listings ---------------------------------------------------------------------------------------------------------
def test_the_listings_have_the_fields_that_programs_read(state: Path, hello: str) -> None:
    with served(state, f"{hello}::Hello") as app:
        assert app.request("/", {}).status == 200

        listed = json.loads(command(state, "runners", "--json").stdout)
        assert [set(r) for r in listed] == [
            {"app", "runner_id", "pid", "state", "devices", "served", "in_flight", "revision"}
        ]
        assert (listed[0]["app"], listed[0]["state"], listed[0]["served"]) == (app.ready["app"], "IDLE", 1)
        assert is_running(listed[0]["pid"])

        doctor = json.loads(command(state, "doctor", "--json").stdout)
        assert set(doctor["gateway"]) >= {"pid", "socket", "port", "version"}
        assert doctor["gateway"]["socket"] == str(state / "gateway.sock")
        assert f":{doctor['gateway']['port']}" in app.ready["base"]
        assert all(set(p) >= {"pid", "role", "app"} for p in doctor["processes"])
        assert sorted(p["role"] for p in doctor["processes"]) == ["gateway", "runner", "serve", "template"]
        assert {p["pid"] for p in doctor["processes"]} == set(processes_of(state))
        assert doctor["problems"] == []

        logs = json.loads(command(state, "logs", "hello", "--json").stdout)
        assert "setting up" in [record["text"] for record in logs]
        apps = json.loads(command(state, "apps", "--json").stdout)
        assert [a["app"] for a in apps] == [app.ready["app"]]
        for verb in (["apps"], ["runners"], ["doctor"], ["logs", "Hello"]):
            done = command(state, *verb)
            assert (done.returncode, done.stderr) == (0, "")
            assert "hello" in done.stdout


def test_stop_and_kill_by_class_name_or_alias(app: Served, hello: str) -> None:
    state = app.state
    with served(state, f"{hello}::Second") as second:
        (runner,) = [one for one in runners(state) if one["app"] == second.ready["app"]]
        assert command(state, "kill", runner["runner_id"]).returncode == 0
        assert not wait_for_end([runner["pid"]], 20)
        assert second.request("/", {}).status == 200  # a new one serves
        assert command(state, "stop", "Second").returncode == 0
        assert second.request("/", {}).status == 404
        wrong = command(state, "stop", "second")
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert "second" in wrong.stderr


def test_commands_without_a_gateway_start_none(state: Path) -> None:
    for name in ("apps", "runners"):
        assert json.loads(command(state, name, "--json").stdout) == []
    assert command(state, "requests").stdout == "No request is known yet.\n"
    assert json.loads(command(state, "doctor", "--json").stdout)["gateway"] is None
    assert command(state, "stop", "nobody").returncode == 1
    assert not processes_of(state)


# --- leases -----------------------------------------------------------------------------------------------------------
OWNER = """
import ctypes, os, sys
import fal, fal_jupyter

class Owned(fal.App):
    @fal.endpoint("/")
    def hi(self) -> dict:
        return {}

if __name__ == "__main__":
    fal_jupyter.serve(Owned)
    libc = ctypes.CDLL(None)
    child = libc.fork()  # a C library's fork: Python's fork hooks do not run, every descriptor stays open in the child
    if child == 0:
        libc.pause()
    print(child, flush=True)
    sys.stdin.read()
"""


def test_a_forked_child_that_holds_the_connection_open_does_not_keep_the_apps(app: Served, tmp_path: Path) -> None:
    assert ctypes.CDLL(None).fork
    script = tmp_path / "owner.py"
    script.write_text("from fal_jupyter import fal\nfal.install()\n" + OWNER)
    owner = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, FAL_JUPYTER_STATE=str(app.state)),
    )  # fmt: skip
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    try:
        owned = [one["pid"] for one in runners(app.state) if one["app"].endswith("/owned")]
        assert len(owned) == 1
        owner.kill()
        owner.wait()
        assert is_running(child)
        assert not wait_for_end(owned, 10)
    finally:
        os.kill(child, signal.SIGKILL)
        owner.communicate()


# --- how runners start ------------------------------------------------------------------------------------------------
def templates(state: Path) -> list[int]:
    return [one["pid"] for one in doctor(state)["processes"] if one["role"] == "template"]


def test_runners_are_forked_from_the_template(app: Served) -> None:
    assert "fal_jupyter.runner.template" in app.request("/process", {}).json["command"]


@pytest.mark.long  # tests/e2e/test_runner_process.py sets such variables in a cell
def test_variables_that_act_at_the_start_of_a_process_come_with_a_template_and_an_edit_leaves_none_behind(
    state: Path, hello: str
) -> None:
    with served(state, f"{hello}::Second", env={"OMP_NUM_THREADS": None}) as other:  # keeps the gateway
        for threads in "34":
            env = {"OMP_NUM_THREADS": threads, "LD_LIBRARY_PATH": "/opt/none"}
            with served(state, f"{hello}::Hello", env=env) as app:
                process = app.request("/process", {}).json
            assert "fal_jupyter.runner.template" in process["command"]
            assert {f"OMP_NUM_THREADS={threads}", "LD_LIBRARY_PATH=/opt/none"} <= {*process["started"]}
            assert env.items() <= process["now"].items()
        process = other.request("/process", {}).json
        assert "fal_jupyter.runner.template" in process["command"]
        assert not [text for text in process["started"] if text.startswith("OMP_NUM_THREADS=")]
        assert len(templates(state)) == 2  # the other's, and the last


@pytest.mark.long
def test_libraries_use_the_thread_counts_of_the_apps_variables(app: Served, tmp_path: Path) -> None:
    path = tmp_path / "threads.py"
    path.write_text(
        "import fal, numpy, threadpoolctl\n\n\nclass Threads(fal.App):\n    @fal.endpoint('/')\n"
        "    def count(self) -> list:\n"
        "        return [one['num_threads'] for one in threadpoolctl.threadpool_info() if one['user_api'] == 'blas']\n"
    )
    cores = len(os.sched_getaffinity(0))
    for env, wanted in (
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "2"}, 2),
        ({}, cores),
    ):
        plain = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"))
        with served(app.state, f"{path}::Threads", env=plain | env) as counting:
            assert {*counting.request("/", {}).json} == {wanted}


@pytest.mark.long
def test_a_template_with_a_second_thread_does_not_fork(state: Path, tmp_path: Path, hello: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    env = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    with served(state, f"{hello}::Hello", env=env) as app:
        assert "fal_jupyter.runner.spawned" in app.request("/process", {}).json["command"]


def test_each_app_has_the_environment_of_its_own_owner_not_of_who_started_the_gateway(app: Served, hello: str) -> None:
    with served(app.state, f"{hello}::Second", env={"MY_FLAG": "second"}) as second:
        now = second.request("/process", {}).json["now"]
        assert now["MY_FLAG"] == "second"
        assert "ONLY_FIRST" not in now
    assert app.request("/process", {}).json["now"]["MY_FLAG"] == "on"


def test_the_environment_reaches_runners_but_never_a_command_line_or_a_log(app: Served) -> None:
    now = app.request("/process", {}).json["now"]
    assert (now["HF_TOKEN"], now["MY_FLAG"]) == ("hf_verysecret", "on")
    assert now["FAL_JUPYTER_STATE"] == str(app.state)
    assert not [line for line in processes_of(app.state).values() if "hf_verysecret" in line]
    assert app.request("/leak", {}).status == 500
    output = command(app.state, "logs", "hello").stdout
    assert "token is [redacted HF_TOKEN] flag is on" in output
    assert "cannot use [redacted HF_TOKEN]" in output
    logs = [path for path in app.state.rglob("*") if path.is_file()]
    assert not [path for path in logs if b"hf_verysecret" in path.read_bytes()]


@pytest.mark.long
def test_the_gateway_may_open_more_files_than_user_code(state: Path, hello: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = min(512, soft)
    app = Served(state, f"{hello}::Hello", prefix=["prlimit", f"--nofile={allowed}:{hard}"])
    try:
        roles = {p["role"]: p["pid"] for p in json.loads(command(state, "doctor", "--json").stdout)["processes"]}
        assert resource.prlimit(roles["gateway"], resource.RLIMIT_NOFILE)[0] == min(hard, 65536)
        assert resource.prlimit(roles["runner"], resource.RLIMIT_NOFILE)[0] == allowed
    finally:
        app.stop()
