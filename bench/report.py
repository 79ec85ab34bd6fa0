"""The aims, how figures are held against them, and the text of ``RESULTS.md``."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("fal_jupyter", "tornado", "uvloop", "fastapi", "pydantic", "uvicorn", "httptools", "ipykernel", "torch")


@dataclass(frozen=True)
class Aim:
    """One figure and where it has to be: ``sense`` is ``≥`` or ``≤``."""

    what: str
    sense: str
    limit: float
    unit: str = ""

    def met(self, found: float) -> bool:
        return found >= self.limit if self.sense == "≥" else found <= self.limit

    def __str__(self) -> str:
        return f"{self.sense} {self.limit:.3g}{self.unit}"


AIMS = {
    "rps async": Aim("requests/s, async, 16 connections, × FastAPI", "≥", 1.0),
    "rps sync": Aim("requests/s, sync, 16 connections, × FastAPI", "≥", 1.0),
    "p50 async": Aim("p50, async, 1 connection, × FastAPI", "≤", 1.2),
    "p50 sync": Aim("p50, sync, 1 connection, × FastAPI", "≤", 1.2),
    "rps litserve": Aim("requests/s, sync, 16 connections, × LitServe", "≥", 6.0),
    "p50 litserve": Aim("p50, sync, 1 connection, × LitServe", "≤", 1 / 3),
    "cell": Aim("call from a cell, p50, × raw HTTP at 1 connection", "≤", 1.5),
    "body": Aim("16 MiB both ways, MB/s, × FastAPI", "≥", 1.0),
    "start": Aim("one more app, start to first answer", "≤", 100, " ms"),
    "start torch": Aim("one more torch app, start to first answer", "≤", 300, " ms"),
    "rps proxy": Aim("requests/s through a Jupyter server, 16 connections, × jupyter-server-proxy", "≥", 2.0),
    "p50 proxy": Aim("p50 through a Jupyter server, 16 connections, × jupyter-server-proxy", "≤", 0.5),
    "share": Aim("8 callers on 2 runners of 50 ms work, share of the ideal", "≥", 97, " %"),
    "idle cpu": Aim("idle, CPU of the gateway", "≤", 0.5, " %"),
    "idle memory": Aim("idle, proportional memory of the gateway", "≤", 60, " MB"),
    "many": Aim("requests/s kept with 100 apps more in the gateway", "≥", 90, " %"),
}


@dataclass
class Report:
    """What goes into RESULTS.md: sections in order, the figures that have aims, and what could not be measured."""

    sections: list[str] = field(default_factory=list)
    found: dict[str, list[float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def hold(self, aim: str, values: list[float]) -> None:
        """Hold a figure, of each round, against its aim; its median counts."""
        self.found[aim] = values

    def miss(self, what: str) -> None:
        """Something is not measured: said on the terminal and first in the file."""
        print(f"NOT MEASURED: {what}", file=sys.stderr, flush=True)
        self.missing.append(what)

    def section(self, title: str, text: str, header: list[str], rows: list[list[str]]) -> None:
        """A heading, a few sentences and a table; the first column is text, the others are figures."""
        lines = [" | ".join(header), " | ".join(["---", *["---:"] * (len(header) - 1)]), *(" | ".join(r) for r in rows)]
        self.sections.append(f"## {title}\n\n{text}\n\n" + "\n".join(f"| {line} |" for line in lines))


def spread(values: list[float], form: str = ",.2f") -> str:
    """``median (lowest–highest)``."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Each round's own ratio, so that what else the machine did in that round hits both sides."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def machine() -> str:
    """Cores, memory and kernel."""
    names = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    kind = " / ".join(sorted(names)) or platform.machine()
    return f"{cores} cores of {kind}, {memory:.0f} GiB, Linux {platform.release()}"


def render(report: Report, run: str, load_before: float, load_after: float) -> str:
    """The whole of RESULTS.md."""
    held = {name: (AIMS[name], statistics.median(values), values) for name, values in report.found.items()}
    lost = [(aim, values) for aim, middle, values in held.values() if not aim.met(middle)]
    won = [(aim, values) for aim, middle, values in held.values() if aim.met(middle)]
    parts = ["# Figures"]
    if lost or report.missing:
        lines = [f"* **lost: {_line(aim, values)}**" for aim, values in lost]
        parts.append("## Where we lose\n\n" + "\n".join(lines + [f"* not measured: {what}" for what in report.missing]))
    parts.append(
        "Written by `make bench`: medians, with the spread over the rounds. Only the ratios carry to other machines."
    )
    if won:
        parts.append("## Aims that are met\n\n" + "\n".join(f"* {_line(aim, values)}" for aim, values in won))
    versions = {name: version(name) for name in PACKAGES} | report.versions
    notes = [
        f"* {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {machine()}",
        f"* load average before the run {load_before:.2f}, after it {load_after:.2f}",
        f"* Python {platform.python_version()}; {', '.join(f'{name} {number}' for name, number in versions.items())}",
        f"* `{run}`; one part alone: `.venv/bin/python bench/bench.py --only cell`",
        *(f"* {name}: `{command}`" for name, command in report.commands.items()),
    ]
    return "\n\n".join([*parts, *report.sections, "## The run\n\n" + "\n".join(notes)]) + "\n"


def _line(aim: Aim, values: list[float]) -> str:
    return f"{aim.what}: {spread(values)}{aim.unit}, aim {aim}"
