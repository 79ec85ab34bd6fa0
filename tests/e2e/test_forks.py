"""Processes that a kernel or script forks: they call its apps through its gateway, keep nothing alive and say nothing false."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.serve import runners
from tests.support.state import processes_of, wait_for_end

PLUS = """%%fal_app --quiet
class Plus(fal.App):
    max_multiplexing = 4

    @fal.endpoint("/")
    def one(self, i: int) -> int:
        return i + 1

    @fal.endpoint("/bad")
    def bad(self, i: int) -> int:
        raise OSError("no luck")
"""
FAILURES = """
class Never(fal.App):
    @fal.endpoint("/")
    def hi(self) -> int:
        return 1

for calling in (lambda i: Never.hi(), Plus.bad):
    def one(i): return calling(i)
    with fork.Pool(1) as pool:
        try:
            pool.map(one, [0])
        except Exception as error:
            print(type(error).__name__, getattr(error, "status", ""), str(error).splitlines()[0])
"""
# Since Python 3.12 a fork beside threads warns, and a kernel always has threads.
QUIET = "import warnings; warnings.filterwarnings('ignore', '.* is multi-threaded', DeprecationWarning)"
SETUP = f"""
{QUIET}
import multiprocessing, os, signal, sys, threading
from concurrent.futures import ProcessPoolExecutor

fork = multiprocessing.get_context("fork")

def call(i):
    return Plus.one(i=i)

def in_child(function):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        print(function(), flush=True)
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
"""
LOADER = """
from torch.utils.data import DataLoader

class Numbers:
    def __len__(self): return 4
    def __getitem__(self, i): return Plus.one(i=i)

print([i for batch in DataLoader(Numbers(), num_workers=2) for i in batch.tolist()])
"""
CALLS = (
    "with fork.Pool(2) as pool: print(pool.map(call, range(4)))",
    "with ProcessPoolExecutor(2, fork) as pool: print([*pool.map(call, range(4))])",
    "in_child(lambda: [*map(call, range(4))])",
    "in_child(lambda: [Plus.submit.one(i).get() for i in range(4)])",
    "in_child(lambda: [value for i in range(4) for value in Plus.stream.one(i)])",
    "in_child(lambda: Plus.one.map(range(4)))",
    "in_child(lambda: in_child(lambda: [*map(call, range(4))]) or [1, 2, 3, 4])",
)
WHILE_CALLING = """
over, answers = threading.Event(), set()

def go():
    while not over.is_set():
        answers.add(Plus.one(i=1))

threads = [threading.Thread(target=go) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(3):
    with fork.Pool(3) as pool:
        assert pool.map(call, range(9)) == [*range(1, 10)]
over.set()
for thread in threads: thread.join()
print(answers)
"""
OTHER = """
def other():
    class Other(fal.App):
        @fal.endpoint("/")
        def two(self) -> int:
            return 2

    fal_jupyter.serve(Other, quiet=True)
    answers = [Other.two(), Plus.one(i=1)]
    fal_jupyter.app(Other).stop()
    return answers
in_child(other)
print(Plus.one(i=2), flush=True)  # a fork copies what is not flushed
"""
GONE = """
pid = fal_jupyter.app(Plus).client.lease.gateway
os.kill(pid, signal.SIGKILL)
fal_jupyter.app(Plus).client.lease.wait_for_gateway(10)
in_child(lambda: Plus.one(i=1))
from fal_jupyter.client.client import Client
other = Client(fal_jupyter.app(Plus).client.settings)
other.ensure()
in_child(lambda: Plus.one(i=1))  # a gateway runs, and the app is not there
print(Plus.one(i=2), flush=True)  # a fork copies what is not flushed
in_child(lambda: Plus.one(i=3))
other.close()
"""


def gateways(state: Path) -> list[int]:
    return [pid for pid, line in processes_of(state).items() if "fal_jupyter.gateway" in line]


@pytest.mark.long
def test_workers_of_a_torch_data_loader_call_an_app_of_their_kernel(notebook: Kernel) -> None:
    pytest.importorskip("torch")
    notebook.run(PLUS).ok()
    notebook.run("import fal_jupyter" + SETUP).ok()
    assert notebook.run(LOADER).ok().text == "[1, 2, 3, 4]\n"


def test_forked_processes_of_a_kernel_call_its_app(state: Path, notebook: Kernel) -> None:
    notebook.run(PLUS).ok()
    notebook.run("import fal_jupyter" + SETUP).ok()
    assert notebook.run("print(Plus.one(i=0))").ok().text == "1\n"
    for cell in CALLS:
        output = notebook.run(cell).ok()
        assert set(output.text.splitlines()) == {"[1, 2, 3, 4]"}, (cell, output.text)
    failures = notebook.run(FAILURES).ok().text.splitlines()
    assert failures[0] == "NotServed 404 Never is not served, so Never.hi has nothing to reach", failures
    assert failures[1].startswith("RequestError 500 "), failures
    assert notebook.run(WHILE_CALLING).ok().text == "{2}\n"
    assert notebook.run(OTHER).ok().text.splitlines() == ["[2, 2]", "3"]
    assert len(gateways(state)) == 1
    output = notebook.run(GONE).ok().text.splitlines()
    ended = "the gateway has ended, and this process was forked from the one that publishes the apps"
    assert [line for line in output if line.startswith("the gateway has")] == [ended] * 2, output
    assert "call an app in that process" in output[0] + output[1]
    assert [line for line in output if line.isdigit()] == ["3", "4"]
    assert sum("published again" in line for line in output) == 1


@pytest.mark.long
def test_a_forked_process_that_outlives_its_kernel_keeps_no_app(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path) as notebook:
        notebook.run(f"%load_ext fal_jupyter\n{QUIET}\nimport fal_jupyter, os, time").ok()
        notebook.run(PLUS).ok()
        cell = (
            "Plus.one(i=1)\nchild = os.fork()\n"
            "if not child:\n    Plus.one(i=1)\n    time.sleep(60)\n    os._exit(0)\n"
            "print(child)"
        )
        child = int(notebook.run(cell).ok().text)
        runner = runners(state)[0]["pid"]
        notebook.kill()
        assert not wait_for_end([runner], 10), "the runner outlives its owner"
        os.kill(child, signal.SIGKILL)


SPAWNED = """
import fal_jupyter, gc, json, multiprocessing, sys
from fal_jupyter import fal, forks
from fal_jupyter.client.client import Client


class Plus(fal.App):
    @fal.endpoint("/")
    def one(self, i: int) -> int:
        return i + 1


def call(i):
    try:
        return Plus.one(i=i)
    except Exception as error:
        return str(error)


if __name__ == "__main__":
    fal_jupyter.serve(Plus, quiet=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        hint = pool.map(call, range(1))[0]
    known = len(forks._objects)
    for _ in range(20):
        client = Client(fal_jupyter.app(Plus).client.settings)
        client.ensure()
        client.close()
    del client
    gc.collect()
    print(json.dumps([hint, Plus.one(i=1), len(forks._objects) - known]))
"""


@pytest.mark.long
def test_a_spawned_process_gets_a_hint_and_closed_clients_leave_no_hook(state: Path, tmp_path: Path) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(SPAWNED)
    environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    hint, answer, left = json.loads(done.stdout)
    assert "this process was spawned" in hint
    assert "Plus.one.map(...)" in hint
    assert (answer, left) == (2, 0)


WIDE = """
import os, resource
import fal_jupyter
from fal_jupyter import fal

resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]


class Plus(fal.App):
    @fal.endpoint("/")
    def one(self, i: int) -> int:
        return i + 1


fal_jupyter.serve(Plus, quiet=True)
read, write = os.pipe()
if not (child := os.fork()):
    try:
        result = str(Plus.one(i=1))
    except BaseException as error:
        result = repr(error)
    os.write(write, result.encode())
    os._exit(0)
os.waitpid(child, 0)
print(os.read(read, 1000).decode(), Plus.one(i=2))
"""


@pytest.mark.long
def test_a_process_with_many_descriptors_and_its_forked_child_can_call(state: Path, tmp_path: Path) -> None:
    script = tmp_path / "wide.py"
    script.write_text(WIDE)
    environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 3\n", "")
