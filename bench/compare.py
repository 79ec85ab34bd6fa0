"""Two trees side by side, in CPU time: ``bench/compare.py OLD NEW``, each a checkout with a ``.venv`` of its own.

What a request costs a gateway and a runner in CPU microseconds (user and system). The two take turns, slice by slice, so that what
changes with the hour is alike for both. The ratio is of medians; below 1, NEW is cheaper. Other work on the machine still counts, since
it empties caches and shares cores: where the last column is wide, the ratio says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop
from load import load
from servers import BODY, stopping

CASES = (("async", 1), ("async", 32), ("sync", 1))
ROLES = ("gateway", "runner")


class Tree:
    """One checkout's gateway and its runner, at work."""

    def __init__(self, place: Path, ready: dict[str, str], processes: list[dict[str, str | int]]) -> None:
        self.name, self.url, self.key = str(place), ready["url"], ready["key"]
        self.pids = {role: next(int(p["pid"]) for p in processes if p["role"] == role) for role in ROLES}

    def slice(self, path: str, connections: int, seconds: float) -> dict[str, float]:
        """Keep the tree busy; gives each process's CPU microseconds per request, and ``both``."""
        before = {role: cpu_ns(pid) for role, pid in self.pids.items()}
        header = [f"Authorization: Key {self.key}"]
        found = uvloop.run(load(f"{self.url}/{path}", header, BODY.encode(), connections, seconds))
        if found["errors"]:
            raise SystemExit(f"{self.name}: {found['errors']} requests to /{path} failed")
        spent = {role: (cpu_ns(pid) - before[role]) / 1000 / found["requests"] for role, pid in self.pids.items()}
        return spent | {"both": sum(spent.values())}


def cpu_ns(pid: int) -> int:
    """CPU time of another process, all threads (the clock of clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


@contextmanager
def serving(place: Path) -> Iterator[Tree]:
    """Serve a tree's ``bench/app.py`` in a state directory of its own."""
    command = [str(place / ".venv/bin/python"), "-P", "-m", "fal_jupyter.cli.main"]
    with tempfile.TemporaryDirectory(prefix="fal-bench-", ignore_cleanup_errors=True) as folder:
        environment = dict(os.environ, FAL_JUPYTER_STATE=f"{folder}/state")
        process = subprocess.Popen(
            [*command, "serve", f"{place}/bench/app.py::Bench", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        with stopping(process):
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            doctor = subprocess.run([*command, "doctor", "--json"], capture_output=True, text=True, env=environment)
            yield Tree(place, ready, json.loads(doctor.stdout)["processes"])


def compare(old: Tree, new: Tree, path: str, connections: int, slices: int, seconds: float) -> None:
    """Print one line per process, and one for both."""
    taken: dict[Tree, list[dict[str, float]]] = {old: [], new: []}
    for turn in range(slices + 1):
        for tree in (old, new) if turn % 2 else (new, old):
            spent = tree.slice(path, connections, seconds)
            if turn:  # the first one is to warm up
                taken[tree].append(spent)
    for role in (*ROLES, "both"):
        a, b = (statistics.median(spent[role] for spent in taken[tree]) for tree in (old, new))
        turns = [n[role] / o[role] for o, n in zip(taken[old], taken[new], strict=True)]
        low, _, high = statistics.quantiles(turns)
        print(
            f"| {path} | {connections} | {role} | {a:.1f} | {b:.1f} | {b / a:.3f} | {low:.3f} to {high:.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--slices", type=int, default=20, help="of each tree in each case (20)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of one slice (0.4)")
    o = parser.parse_args()
    with ExitStack() as stack:
        old, new = (stack.enter_context(serving(place.resolve())) for place in (o.old, o.new))
        print("| endpoint | connections | process | old µs | new µs | ratio | middle half of the turns |")
        print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
        for path, connections in CASES:
            compare(old, new, path, connections, o.slices, o.seconds)


if __name__ == "__main__":
    main()
