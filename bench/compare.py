"""Two trees side by side: ``bench/compare.py OLD NEW``, each a checkout with a ``.venv`` of its own.

What a request costs a gateway and a runner, what a call from a cell costs the kernel too, and what 16 MiB both ways cost: CPU
microseconds (user and system), and the wall time that a caller sees. The two trees take turns, slice by slice, so that what
changes with the hour is alike for both. The ratio is of medians; below 1, NEW is cheaper. Other work on the machine still counts, since
it empties caches and shares cores: where the last column is wide, the ratio says nothing. Wall times suffer most from it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop
from in_kernel import Notebook, serve_bench
from load import load
from servers import BODY, Connection, Server, stopping

CASES = (("async", 1), ("async", 32), ("sync", 1))
ROLES = ("gateway", "runner")
CALLS_EACH, BODIES_EACH = 400, 2  # in a slice
MEBIBYTES = 16

Slice = Callable[
    ["Tree"], dict[str, float]
]  # who → microseconds; "both" and "all" are sums of CPU times, "wall" is none

CALLS = """
import json, time

def calls(pids, number):
    pids = {**pids, "kernel": 0}
    cpu = lambda pid: time.clock_gettime_ns((~pid << 3) | 2) if pid else time.process_time_ns()
    before, taken = {role: cpu(pid) for role, pid in pids.items()}, []
    for _ in range(number):
        began = time.perf_counter()
        Bench.greet(name="Ada")
        taken.append(time.perf_counter() - began)
    spent = {role: (cpu(pid) - before[role]) / 1000 / number for role, pid in pids.items()}
    print("FIGURES" + json.dumps({**spent, "all": sum(spent.values()), "wall": sorted(taken)[number // 2] * 1e6}))
"""


class Tree:
    """One checkout at work: its gateway and runner, and a kernel where one is needed."""

    def __init__(self, place: Path, pids: dict[str, int]) -> None:
        self.name, self.pids = str(place), pids
        self.url, self.key = "", ""
        self.notebook: Notebook | None = None

    def spent(self, work: Callable[[], int]) -> dict[str, float]:
        """Each process's CPU microseconds for one of the requests that *work* makes and counts, and ``both``."""
        before = {role: cpu_ns(pid) for role, pid in self.pids.items()}
        number = work()
        spent = {role: (cpu_ns(pid) - before[role]) / 1000 / number for role, pid in self.pids.items()}
        return spent | {"both": sum(spent.values())}


def cpu_ns(pid: int) -> int:
    """CPU time of another process, all threads (the clock of clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def _found_pids(command: list[str], environment: dict[str, str]) -> dict[str, int]:
    doctor = subprocess.run([*command, "doctor", "--json"], capture_output=True, text=True, env=environment)
    processes = json.loads(doctor.stdout)["processes"]
    return {role: next(int(p["pid"]) for p in processes if p["role"] == role) for role in ROLES}


def _command(place: Path) -> list[str]:
    return [str(place / ".venv/bin/python"), "-P", "-m", "fal_jupyter.cli.main"]


@contextmanager
def serving(place: Path) -> Iterator[Tree]:
    """Serve a tree's ``bench/app.py`` in a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-", ignore_cleanup_errors=True) as folder:
        environment = dict(os.environ, FAL_JUPYTER_STATE=f"{folder}/state")
        process = subprocess.Popen(
            [*_command(place), "serve", f"{place}/bench/app.py::Bench", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        with stopping(process):
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            tree = Tree(place, _found_pids(_command(place), environment))
            tree.url, tree.key = ready["url"].rstrip("/"), ready["key"]
            yield tree


@contextmanager
def in_kernel(place: Path) -> Iterator[Tree]:
    """Serve the app ``Bench`` from a cell of a kernel of the tree."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-", ignore_cleanup_errors=True) as folder:
        state = Path(folder) / "state"
        running = Notebook(state, python=place / ".venv/bin/python")
        try:
            running.open()
            serve_bench(running)
            running.run(CALLS)
            tree = Tree(place, _found_pids(_command(place), dict(os.environ, FAL_JUPYTER_STATE=str(state))))
            tree.notebook = running
            yield tree
        finally:
            running.close()


# --- the slices -------------------------------------------------------------------------------------------------------
def requests(path: str, connections: int, seconds: float) -> Slice:
    """Requests over HTTP."""

    def slice_of(tree: Tree) -> dict[str, float]:
        header = [f"Authorization: Key {tree.key}"]

        def work() -> int:
            found = uvloop.run(load(f"{tree.url}/{path}", header, BODY.encode(), connections, seconds))
            if found["errors"]:
                raise SystemExit(f"{tree.name}: {found['errors']} requests to /{path} failed")
            p50.append(found["p50_ms"] * 1000)
            return round(found["requests"])

        p50: list[float] = []
        return tree.spent(work) | {"wall": p50[0]}

    return slice_of


def calls(tree: Tree) -> dict[str, float]:
    """Calls from a cell, one after the other."""
    assert tree.notebook is not None
    figures: dict[str, float] = tree.notebook.run(f"calls({tree.pids}, {CALLS_EACH})")
    return figures


def bodies(tree: Tree) -> dict[str, float]:
    """Large bodies both ways over HTTP."""
    server = Server(tree.name, tree.url, {}, [f"Authorization: Key {tree.key}"])
    data, taken = json.dumps({"text": "x" * (MEBIBYTES << 20)}).encode(), []

    def work() -> int:
        connection = Connection(server)
        for _ in range(BODIES_EACH):
            began = time.perf_counter()
            answer = connection.post("/echo", data)
            taken.append((time.perf_counter() - began) * 1e6)
            if len(answer) != len(data) - 1:  # without the space
                raise SystemExit(f"{tree.name}: /echo answered {len(answer)} bytes")
        connection.close()
        return BODIES_EACH

    return tree.spent(work) | {"wall": statistics.median(taken)}


def compare(old: Tree, new: Tree, name: str, slice_of: Slice, slices: int) -> None:
    """Print one line per process, their sum, and the wall time."""
    taken: dict[Tree, list[dict[str, float]]] = {old: [], new: []}
    for turn in range(slices + 1):
        for tree in (old, new) if turn % 2 else (new, old):
            spent = slice_of(tree)
            if turn:  # the first one is to warm up
                taken[tree].append(spent)
    for role in taken[old][0]:
        a, b = (statistics.median(spent[role] for spent in taken[tree]) for tree in (old, new))
        turns = [n[role] / o[role] for o, n in zip(taken[old], taken[new], strict=True)]
        low, _, high = statistics.quantiles(turns)
        print(f"| {name} | {role} | {a:.1f} | {b:.1f} | {b / a:.3f} | {low:.3f} to {high:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--slices", type=int, default=20, help="of each tree in each case (20)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of one slice of requests (0.4)")
    parser.add_argument("--only", nargs="+", choices=("requests", "cell", "bodies"), help="some of the cases")
    o = parser.parse_args()
    parts = o.only or ("requests", "cell", "bodies")
    places = [place.absolute() for place in (o.old, o.new)]
    print("| what | of | old µs | new µs | ratio | middle half of the turns |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    if "requests" in parts or "bodies" in parts:
        with ExitStack() as stack:
            old, new = (stack.enter_context(serving(place)) for place in places)
            for path, connections in CASES if "requests" in parts else ():
                name = f"{path}, {connections} connection{'s' * (connections > 1)}"
                compare(old, new, name, requests(path, connections, o.seconds), o.slices)
            if "bodies" in parts:
                compare(old, new, f"{MEBIBYTES} MiB both ways", bodies, o.slices)
    if "cell" in parts:
        with ExitStack() as stack:
            old, new = (stack.enter_context(in_kernel(place)) for place in places)
            compare(old, new, "a call from a cell", calls, o.slices)


if __name__ == "__main__":
    main()
