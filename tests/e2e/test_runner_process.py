"""A runner's process as user code finds it: its random state, child processes, ``__main__``, loop and start-time variables."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.serve import doctor, served
from tests.support.state import state_directory, wait_for_end


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with state_directory() as state, kernel(state, tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


DICE = """%%fal_app
import os, random, tempfile, uuid
import numpy as np
import torch
from random import choices, randint, random as chance
from secrets import choice
from numpy.random import normal
SYSTEM, RNG, WRITTEN = random.SystemRandom(), np.random.default_rng(), np.random.RandomState(3)
SHARED = np.random.mtrand._rand  # what sklearn.utils.check_random_state(None) gives
class Dice(fal.App):
    def setup(self):
        self.seeded = np.random.RandomState(7).randint(2**31)
        if {seed}:
            torch.manual_seed(7); np.random.seed(7); random.seed(7)
    @fal.endpoint("/")
    def roll(self) -> list:
        name = os.path.basename(tempfile.mktemp())
        return [int(torch.randint(0, 2**31, (1,))), int(np.random.randint(2**31)), random.getrandbits(31), str(uuid.uuid4()), name, self.seeded]
    @fal.endpoint("/drawn")
    def drawn(self) -> list:
        of_torch = torch.rand(1, generator=torch.default_generator).item()
        functions = [randint(0, 2**62), chance(), choices(range(10**9))[0], normal(), SHARED.rand(), of_torch]
        return [*functions, choice(range(10**9)), SYSTEM.random(), RNG.random(), WRITTEN.rand()]
    @fal.endpoint("/die")
    def die(self) -> int:
        os._exit(1)
"""
ROLL = """
rolled = []
while True:
    rolled.append(Dice.roll() + Dice.drawn())
    if len(rolled) == 2:
        break
    try:
        Dice.die()
    except fal_jupyter.RequestError:
        pass
print([len(set(column)) for column in zip(*rolled)])
"""


WITHOUT_TORCH = {
    "import torch\n": "",
    "torch.manual_seed(7); ": "",
    "int(torch.randint(0, 2**31, (1,)))": "0",
    "torch.rand(1, generator=torch.default_generator).item()": "0",
}


@pytest.mark.parametrize(
    "torch", [False, pytest.param(True, marks=pytest.mark.long)], ids=["without torch", "with torch"]
)
def test_each_runner_draws_random_numbers_of_its_own_unless_setup_seeds_them(notebook: Kernel, torch: bool) -> None:
    dice, each = DICE, 1
    if torch:
        pytest.importorskip("torch")
        each = 2  # numbers of two runners
    else:
        for with_torch, without in WITHOUT_TORCH.items():
            assert with_torch in dice
            dice = dice.replace(with_torch, without)
    cell = notebook.run("import fal_jupyter\nlen(In)").ok().result
    shown = notebook.run(dice.format(seed=False)).ok().shown
    assert notebook.run(ROLL).ok().text == f"[{each}, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, {each}, 2, 2, 1, 1]\n"
    assert shown.count("is a random generator") == 1
    assert f"warning: RNG (cell [{cell}]) is a random generator that is sent with its state" in shown

    notebook.run(dice.format(seed=True)).ok()
    assert notebook.run(ROLL).ok().text == "[1, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1]\n"


CHILDREN = """%%fal_app
import inspect, math, os, pickle, signal, time, typing
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

def square(x): return x * x * FACTOR
FACTOR = 1

class Thing:
    beside: "Thing"
    def __init__(self, v): self.v = v

class Children(fal.App):
    app_name = "children"
    keep_alive = 300
    request_timeout = 60

    @fal.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()

    @fal.endpoint("/pickle")
    def by_name(self) -> list:
        hints = typing.get_type_hints(Thing)
        return [pickle.loads(pickle.dumps(Thing(3))).v, hints["beside"] is Thing, inspect.getsource(square).split("(")[0]]

    @fal.endpoint("/pool")
    def pool(self, context: str) -> list:
        with mp.get_context(context).Pool(2) as pool:
            return pool.map_async(square, [1, 2]).get(50)

    @fal.endpoint("/executor")
    def executor(self, context: str) -> list:
        with ProcessPoolExecutor(2, mp_context=mp.get_context(context)) as pool:
            return [thing.v for thing in pool.map(Thing, [1, 2], timeout=50)]

    @fal.endpoint("/terminate")
    def terminate(self) -> int:
        process = mp.get_context("fork").Process(target=time.sleep, args=(60,))
        process.start()
        process.terminate()
        process.join()
        return process.exitcode

    @fal.endpoint("/fork")
    async def fork(self, how: str) -> list:
        child = os.fork()
        if child == 0 and how == "raise":
            raise ValueError("in the child")
        return [os.getpid(), child]

    @fal.endpoint("/fork-in-thread")
    def fork_in_thread(self) -> list:
        return [os.getpid(), os.fork()]

    @fal.endpoint("/wait")
    def wait(self, child: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.fixture(scope="module")
def children(notebook: Kernel) -> Kernel:
    notebook.run(CHILDREN).ok()
    notebook.run("runner = Children.pid()").ok()
    return notebook


@pytest.mark.parametrize("context", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.long)])
def test_names_of_the_notebook_are_found_by_pickle_and_by_every_kind_of_child(children: Kernel, context: str) -> None:
    assert children.run("print(Children.by_name())").ok().text == "[3, True, 'def square']\n"
    code = f"print(Children.pool(context='{context}'), Children.executor(context='{context}'))"
    assert children.run(code).ok().text == "[1, 4] [1, 2]\n"


def test_signals_of_a_child_do_not_reach_its_runner(children: Kernel) -> None:
    code = "print({Children.terminate() for _ in range(5)}, len({runner} | {Children.pid() for _ in range(5)}))"
    assert children.run(code).ok().text == "{-15} 1\n"


def test_a_child_that_returns_from_the_endpoint_ends_and_no_caller_hangs(children: Kernel) -> None:
    for call, status in (("fork(how='return')", 0), ("fork(how='raise')", 1), ("fork_in_thread()", 0)):
        cell = children.run(
            f"parent, child = Children.{call}\nprint(parent == runner, Children.wait(child=child))"
        ).ok()
        assert f"True {status}\n" in cell.text, (call, cell.text)
    assert children.run("print(Children.pid() == runner)").ok().text == "True\n"


NESTED = """%%fal_app
import asyncio
import anyio
class Nested{name}(fal.App):
    app_name = "nested"
    {setup}
    @fal.endpoint("/")
    async def go(self) -> list:
        async def five(): return 5
        {patch}
        return [type(asyncio.get_running_loop()).__module__, asyncio.run(five())]
    @fal.endpoint("/thread")
    def in_thread(self) -> list:
        async def six(): return 6
        return [asyncio.run(six()), anyio.from_thread.run(six), anyio.run(six)]
"""
PATCH = "import nest_asyncio2; nest_asyncio2.apply()"


def test_an_app_that_patches_its_loop_has_one_that_can_be_patched(notebook: Kernel) -> None:
    late = "__import__('nest' + '_asyncio2').apply()"  # no source says so
    for setup, patch in (("", PATCH), (f"def setup(self): {late}", "")):
        notebook.run(NESTED.format(name=len(patch), setup=setup, patch=patch)).ok()
        called = f"Nested{len(patch)}"
        assert notebook.run(f"print({called}.go(), {called}.in_thread(), {called}.go())").ok().text == (
            "['asyncio.unix_events', 5] [6, 6, 6] ['asyncio.unix_events', 5]\n"
        )
    notebook.run("%env FAL_JUPYTER_LOOP=asyncio").ok()
    notebook.run(NESTED.format(name="Asked", setup="", patch=late)).ok()
    assert notebook.run("print(NestedAsked.go()[1])").ok().text == "5\n"
    notebook.run("import os; del os.environ['FAL_JUPYTER_LOOP']").ok()


LEAVING = """%%fal_app
import os, sys, time
from multiprocessing.util import Finalize
class Leaving(fal.App):
    def setup(self):
        Finalize(None, time.sleep, (3600,), exitpriority=1)
    @fal.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()
    @fal.endpoint("/leave")
    def leave(self) -> None:
        sys.exit(0)
"""


def test_a_runner_ends_though_its_code_would_not_let_it(notebook: Kernel) -> None:
    notebook.run(LEAVING).ok()
    cell = notebook.run(
        "first = Leaving.pid()\ntry: Leaving.leave()\nexcept Exception as e: print(e.status)\nprint(Leaving.pid() != first)"
    )
    assert cell.ok().text.endswith("True\n"), cell.text


STARTED = """%%fal_app
import os, sys, tempfile
class Started(fal.App):
    @fal.endpoint("/")
    def go(self) -> list:
        with tempfile.NamedTemporaryFile() as file:
            return [os.path.dirname(file.name), tempfile.gettempdir(), sys.flags.hash_randomization, os.environ.get("MPLBACKEND")]
"""


def test_start_time_variables_of_a_cell_act_and_names_of_missing_modules_do_not(
    notebook: Kernel, tmp_path: Path
) -> None:
    notebook.run(f"import os\nos.environ |= dict(TMPDIR={str(tmp_path)!r}, PYTHONHASHSEED='0', MPLBACKEND='agg')").ok()
    notebook.run(STARTED).ok()
    assert notebook.run("print(Started.go())").ok().text == f"{[str(tmp_path), str(tmp_path), 0, 'agg']}\n"

    notebook.run(
        "del os.environ['TMPDIR'], os.environ['PYTHONHASHSEED']\nos.environ['MPLBACKEND'] = 'module://not_here.backend'"
    ).ok()
    notebook.run(STARTED).ok()
    output = notebook.run("import tempfile; print(Started.go() == [tempfile.gettempdir()] * 2 + [1, None])").ok().text
    assert output == "True\n"


SHARED = """
import multiprocessing as mp, os
from multiprocessing.shared_memory import SharedMemory
import fal
class Shared(fal.App):
    app_name = "shared"
    keep_alive = 300
    def setup(self):
        self.memory = SharedMemory(create=True, size=1024)
    @fal.endpoint("/")
    def names(self) -> list:
        self.lock = mp.get_context("spawn").Lock()
        return [os.getpid(), os.getppid(), self.memory.name, "sem." + self.lock._semlock.name.strip("/")]
"""


@pytest.mark.long
def test_shared_memory_and_semaphores_go_with_their_runner_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "shared.py"
    path.write_text(SHARED)
    others = SharedMemory(create=True, size=16)
    try:
        with state_directory() as state, served(state, f"{path}::Shared") as app:
            gateway = doctor(state)["gateway"]["pid"]
            for end in ("runner", "template", "gateway"):
                runner, template, *names = app.request("/", {}).json
                assert all(Path("/dev/shm", name).exists() for name in names)
                os.kill({"runner": runner, "template": template, "gateway": gateway}[end], signal.SIGKILL)
                assert not wait_for_end([runner], 20)
                wait_until_gone(names)
        assert Path("/dev/shm", others.name).exists()
    finally:
        others.close()
        others.unlink()


def wait_until_gone(names: list[str]) -> None:
    deadline = time.monotonic() + 10
    while left := [name for name in names if Path("/dev/shm", name).exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
