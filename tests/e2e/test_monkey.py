"""Kernels, serves and callers come and go in one state directory, while every process gets SIGKILL, SIGTERM, SIGINT and SIGSTOP.

The seed decides who does what and when; how it meets with the machine's own timing differs from run to run. ``MONKEY_SEED=7
MONKEY_SECONDS=300 pytest -m long tests/e2e/test_monkey.py`` runs one seed for longer.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from jupyter_core.utils import ensure_event_loop

from fal_jupyter.domain import errors
from tests.support.kernel import Cell, Kernel, KernelEnded
from tests.support.serve import Served, command
from tests.support.state import is_running, processes_of, state_directory

SECONDS = float(os.environ.get("MONKEY_SECONDS", "60"))
SEEDS = [int(os.environ["MONKEY_SEED"])] if "MONKEY_SEED" in os.environ else [1, 2, 3]
HANG = 150.0  # seconds in which everything has to be answered; the longest limit of the product on the way is 60 s
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
TOLD = {401, 404, 421, 503, 504}  # what a caller may hear while gateways, owners and runners end
TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)", re.MULTILINE)
APP = """
class {name}(fal.App):
    app_name = "{alias}"
    max_multiplexing = 4
    request_timeout = 25
    startup_timeout = 40

    def setup(self):
        {setup}

    @fal.endpoint("/")
    def who(self, seconds: float = 0.0) -> str:
        import time
        time.sleep(seconds)
        return "{alias}:{version}"

    @fal.realtime("/talk")
    def talk(self, word: dict) -> dict:
        return {{"who": "{alias}:{version}"}}
"""


class World:
    """What all have in common: the state directory, the time, and what was found."""

    def __init__(self, state: Path, folder: Path, seed: int) -> None:
        self.state, self.folder, self.seed = state, folder, seed
        self.began, self.over = time.monotonic(), threading.Event()
        self.story: list[str] = []
        self.found: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.kernels: set[int] = set()
        self.serves: set[int] = set()
        self.interrupts: Counter[int] = Counter()  # SIGINTs to each kernel

    def chance(self, who: str) -> random.Random:
        return random.Random(f"{self.seed} {who}")

    def note(self, who: str, what: str) -> None:
        self.story.append(f"{time.monotonic() - self.began:7.2f} {who}: {what}")

    def find(self, who: str, what: str) -> None:
        self.note(who, f"FOUND {what}")
        self.found.append(f"{who}: {what}")

    def run(self, who: str, life: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                life()
            except Exception:
                self.find(who, traceback.format_exc())
            finally:
                ensure_event_loop().close()  # jupyter_client makes one for each thread, and closes none

        thread = threading.Thread(target=guarded, name=who, daemon=True)
        thread.start()
        return thread


class Notebook:
    """A kernel with one app, which it defines, calls and defines again; now and then another kernel takes its place."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.chance = world, name, world.chance(name)
        self.version = 0
        self.may_answer: set[int] = set()
        self.must_tell = False

    def live(self) -> None:
        while not self.world.over.is_set():
            folder = self.world.folder / self.name
            folder.mkdir(exist_ok=True)
            kernel = Kernel(self.world.state, folder, env={"IPYTHONDIR": str(folder)})
            self.world.kernels.add(kernel.pid)
            try:
                self._use(kernel)
            except KernelEnded:  # SIGINT met it between two requests
                self._interrupted(kernel, 0, "the kernel ended")
            finally:
                self.world.kernels.discard(kernel.pid)
                if is_running(kernel.pid):
                    os.kill(kernel.pid, signal.SIGCONT)
                if self.chance.random() < 0.5:
                    self.world.note(self.name, "kernel killed")
                    kernel.kill()
                else:
                    self.world.note(self.name, "kernel shut down")
                kernel.close()

    def _use(self, kernel: Kernel) -> None:
        self.may_answer = set()
        for _ in range(20):  # the monkey may interrupt it
            if self._run(kernel, "%load_ext fal_jupyter\nimport fal_jupyter, fal").status == "ok":
                break
        while not self._define(kernel, "pass") and not self.world.over.is_set():
            pass
        for _ in range(self.chance.randint(5, 40)):
            if self.world.over.is_set():
                return
            kind = self.chance.choices(
                ("call", "map", "submit", "stream", "talk", "define", "broken", "fork"), (10, 2, 3, 2, 3, 3, 1, 2)
            )[0]
            if kind == "define":
                self._define(kernel, "pass")
            elif kind == "broken":
                self._define(kernel, 'raise OSError("no weights")')
            else:
                self._call(kernel, kind)

    def _run(self, kernel: Kernel, code: str) -> Cell:
        interrupts = self.world.interrupts[kernel.pid]
        cell = kernel.run_probed(code, timeout=HANG)
        if cell.status == "none":
            self._interrupted(kernel, interrupts, f"no reply to {code.splitlines()[-1].strip()[:60]!r}")
        shown = f"{cell.status} {cell.ename} {cell.evalue[:150]} {cell.result} {cell.text[-200:]!r}"
        self.world.note(self.name, f"{code.splitlines()[-1].strip()[:60]!r} took {cell.seconds:.1f}: {shown}")
        self.world.outcomes[f"cell {cell.status} {cell.ename}"] += 1
        if cell.ename == "KeyboardInterrupt":
            return cell  # the monkey's; it may come in the middle of an import
        if cell.status == "error" and cell.ename not in OURS:
            self.world.find(self.name, f"a raw error: {cell.ename}: {cell.evalue}\n{cell.traceback}")
        for text in (cell.text, cell.traceback):
            mine = (
                "no weights" in text or "KeyboardInterrupt" in text
            )  # the user's error, or the monkey's in the middle of C code
            if "Traceback (most recent call last)" in text and not mine:
                self.world.find(self.name, f"a traceback: {text}")
        return cell

    def _interrupted(self, kernel: Kernel, before: int, what: str) -> None:
        """Only a SIGINT outside of a cell's code excuses what ipykernel does here."""
        self.world.note(self.name, what)
        self.world.outcomes["kernel ended" if what == "the kernel ended" else "cell without reply"] += 1
        if self.world.interrupts[kernel.pid] == before:
            self.world.find(self.name, f"{what}, and it was not interrupted")

    def _define(self, kernel: Kernel, setup: str) -> bool:
        """Run the cell; gives whether there is a class to call now."""
        self.version += 1
        body = APP.format(name="Mine", alias=self.name, version=self.version, setup=setup)
        cell = self._run(kernel, f"%%fal_app --quiet{body}\nprint('defined')")
        if cell.status == "ok":
            self.may_answer, self.must_tell = {self.version}, False
            if setup != "pass":
                self.world.find(self.name, "a setup() that raises was told as success")
        else:
            self.must_tell = cell.ename == "SetupFailed" and setup != "pass"
            self.may_answer.add(self.version)  # an interrupted or refused start may still become one
        return cell.status == "ok" or cell.ename == "SetupFailed"

    def _call(self, kernel: Kernel, kind: str) -> None:
        seconds = self.chance.choice((0, 0, 0.02, 0.5))
        code = {
            "call": f"print(Mine.who(seconds={seconds}))",
            "map": f"print(*Mine.who.map([{seconds}] * 6, concurrency=3), sep='\\n')",
            "submit": f"print(Mine.submit.who(seconds={seconds}).get())",
            "stream": f"print(*Mine.stream.who(seconds={seconds}))",
            "talk": "with Mine.realtime.talk() as ws:\n    ws.send({'word': 1})\n    answer = ws.recv()\n"
            "print(answer['who'] if answer is not None else '(ended)')",
            "fork": "import multiprocessing\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool: print(*pool.map(Mine.who, [0, 0]), sep='\\n')",
        }[kind]
        cell = self._run(kernel, code)
        answers = [line for line in cell.text.splitlines() if line.startswith(f"{self.name}:")]
        for line in answers:
            number = int(line.partition(":")[2])
            if number not in self.may_answer:
                self.world.find(self.name, f"{line} answered, and {sorted(self.may_answer)} were defined")
            if (
                self.must_tell
                and number < self.version
                and "is still serving, not its latest definition" not in cell.text
            ):
                self.world.find(self.name, f"{line} answered unannounced; {self.version} was defined and failed")
        if (
            cell.status == "ok" and not answers and "(ended)" not in cell.text
        ):  # a session that its runner ended in order
            self.world.find(self.name, f"no answer and no error: {cell.text!r}")


class Serving:
    """``fal-jupyter serve`` again and again with a new version of its file, its callers, and its end."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.chance, self.version = world, name, world.chance(name), 0

    def live(self) -> None:
        while not self.world.over.is_set():
            self.version += 1
            path = self.world.folder / f"{self.name}.py"
            body = APP.format(name="Served", alias=self.name, version=self.version, setup="pass")
            path.write_text(f"import fal\n{body}")
            try:
                serving = Served(self.world.state, f"{path}::Served")
            except AssertionError as ended:
                self._judge(str(ended))
                continue
            self.world.serves.add(serving.process.pid)
            try:
                for _ in range(self.chance.randint(1, 25)):
                    if self.world.over.is_set() or serving.process.poll() is not None:
                        break
                    self._ask(serving)
            finally:
                self._end(serving)

    def _ask(self, serving: Served) -> None:
        seconds = self.chance.choice((0, 0, 0.05, 1.0))
        try:
            answer = serving.request("/", {"seconds": seconds}, timeout=HANG)
        except TimeoutError:
            self.world.find(self.name, "a caller was not answered")
            return
        except (OSError, ValueError) as error:  # the gateway was killed, or the answer's connection with it
            self.world.outcomes[f"caller {type(error).__name__}"] += 1
            return
        self.world.outcomes[f"caller {answer.status}"] += 1
        if answer.status == 200:
            if answer.json != f"{self.name}:{self.version}":
                self.world.find(self.name, f"{answer.json} answered, and {self.version} is served")
        elif answer.status not in TOLD or not answer.json.get("detail"):
            self.world.find(self.name, f"a caller got {answer.status}: {answer.body[:300]!r}")

    def _end(self, serving: Served) -> None:
        number = self.chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        self.world.serves.discard(serving.process.pid)
        with suppress(ProcessLookupError):
            os.kill(serving.process.pid, signal.SIGCONT)
        status, _, output = serving.stop(number, timeout=HANG)
        self.world.note(self.name, f"{number.name}: {status} {output[-200:]!r}")
        self.world.outcomes[f"serve {status}"] += 1
        if status not in (0, 1, -signal.SIGKILL):
            self.world.find(self.name, f"serve ended with {status}: {output}")
        self._judge(output)

    def _judge(self, output: str) -> None:
        self.world.note(self.name, output[-300:])
        if "Traceback" in output:
            self.world.find(self.name, f"a traceback: {output}")


class Looking:
    """Somebody at a terminal."""

    def __init__(self, world: World) -> None:
        self.world, self.chance = world, world.chance("looking")

    def live(self) -> None:
        while not self.world.over.wait(self.chance.uniform(0.2, 3)):
            verb = self.chance.choice((["apps"], ["runners"], ["doctor"], ["logs", "n1"], ["stop", "n2"], ["env"]))
            done = command(self.world.state, *verb, timeout=HANG)
            self.world.outcomes[f"{verb[0]} {done.returncode}"] += 1
            if "Traceback" in done.stderr or (done.returncode and not done.stderr.startswith("fal-jupyter: ")):
                self.world.find("looking", f"{verb}: {done.returncode} {done.stderr}")


class Chaos:
    """Signals to whoever is there."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.chance = world, world.chance(name)

    def live(self) -> None:
        while not self.world.over.wait(self.chance.uniform(0.1, 3.0)):
            role = self.chance.choice(("gateway", "template", "template", "runner", "runner", "serve", "kernel"))
            pids = sorted(self._of(role))
            if not pids:
                continue
            pid = self.chance.choice(pids)
            kinds = [signal.SIGSTOP, signal.SIGINT]
            if role != "kernel":
                kinds += [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]
            number = self.chance.choice(kinds)
            for_seconds = self.chance.choice((0.2, 2.0, 7.0, 18.0))
            self.world.note("chaos", f"{number.name} to the {role} {pid}")
            if role == "kernel" and number == signal.SIGINT:
                self.world.interrupts[pid] += 1
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                if number == signal.SIGSTOP:
                    self.world.over.wait(for_seconds)
                    os.kill(pid, signal.SIGCONT)
                    self.world.note("chaos", f"SIGCONT to the {role} {pid}")

    def _of(self, role: str) -> set[int]:
        if role in ("serve", "kernel"):
            return set(self.world.serves if role == "serve" else self.world.kernels)
        everything = processes_of(self.world.state)
        templates = {pid for pid, arguments in everything.items() if "runner.template" in arguments}
        if role == "gateway":
            return {pid for pid, arguments in everything.items() if "fal_jupyter.gateway" in arguments}
        runners = {pid for pid in templates if _parent(pid) in templates}
        return runners if role == "runner" else templates - runners


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


@contextmanager
def _witness(state: Path, folder: Path) -> Iterator[Kernel]:
    """A kernel that lives through it all: what it holds at the end is compared with what it held at the beginning."""
    folder.mkdir()
    kernel = Kernel(state, folder, env={"IPYTHONDIR": str(folder)})
    try:
        kernel.run("%load_ext fal_jupyter").ok()
        kernel.run("%%fal_app --quiet" + APP.format(name="Steady", alias="steady", version=1, setup="pass")).ok()
        yield kernel
    finally:
        kernel.close()


HELD = """
import gc, json, os
gc.collect()
print(Steady.who())
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(json.dumps([len(os.listdir('/proc/self/fd')), int(status['VmRSS'].split()[0]), int(status['Threads'])]))
"""


def _held(kernel: Kernel) -> list[int]:
    lines = kernel.run(HELD, timeout=HANG).ok().text.splitlines()
    assert lines[-2] == "steady:1", lines
    found: list[int] = json.loads(lines[-1])
    return found


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 4 * HANG)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", SEEDS)
def test_no_caller_gets_a_wrong_answer_or_none(seed: int, tmp_path: Path) -> None:
    print(f"MONKEY_SEED={seed} MONKEY_SECONDS={SECONDS:g}")
    with state_directory(grace=40) as state, _witness(state, tmp_path / "witness") as witness:
        world = World(state, tmp_path, seed)
        before = _held(witness)
        lives = {name: Notebook(world, name).live for name in ("n1", "n2")}
        lives |= {name: Serving(world, name).live for name in ("s1", "s2")}
        lives |= {name: Chaos(world, name).live for name in ("c1", "c2", "c3")} | {"looking": Looking(world).live}
        threads = [world.run(name, life) for name, life in lives.items()]
        world.over.wait(SECONDS)
        world.over.set()
        for thread in threads:
            thread.join(2 * HANG)
            if thread.is_alive():
                world.find(thread.name, "it hangs")
        for pid in processes_of(state):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        try:
            after = _held(witness)
        except AssertionError as error:
            world.find("witness", str(error))
            after = before
        if after[0] > before[0] + 8 or after[1] > 1.5 * before[1] or after[2] > before[2] + 4:
            world.find("witness", f"descriptors, memory and threads were {before} and are {after}")
        for path in (state / "logs").iterdir():
            if path.name.startswith("gateway."):
                world.story.append(f"--- {path.name}\n{path.read_text(errors='replace')}")
                for traceback in TRACEBACK.finditer(path.read_text(errors="replace")):
                    if not traceback[1].startswith("KeyboardInterrupt"):  # SIGINT before it is up
                        world.find(path.name, traceback[0][-3000:])
        size = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
        names = sorted(str(path.relative_to(state)) for path in state.rglob("*"))
        if size > 64 << 20 or len(names) > 60:
            world.find("state directory", f"{size} bytes in {names}")
        print(dict(world.outcomes))
        Path(os.environ.get("MONKEY_STORY", os.devnull)).write_text("\n".join(world.story))
        assert not world.found, f"seed {seed}:\n" + "\n".join(world.found)
        assert is_running(witness.pid)
