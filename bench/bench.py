"""fal_jupyter against FastAPI + uvicorn, LitServe and BentoML, and against its own aims (``make bench``).

Each round visits every server, so that what else the machine does hits all alike. Figures are medians over the rounds with
their spread; only ratios carry to other machines. Load comes from a process of its own: ``wrk`` where it is installed,
else ``load.py``. Writes ``bench/RESULTS.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import in_kernel
import servers
from servers import BODY, HERE, Server

CONNECTIONS = (1, 16)
MEBIBYTE = 1 << 20

WRK_SCRIPT = """
wrk.method, wrk.body = "POST", os.getenv("BENCH_BODY")
for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\\n]+): ([^\\n]+)") do wrk.headers[name] = value end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nJSON{"rps":%f,"p50_ms":%f,"p99_ms":%f,"requests":%d,"errors":%d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, e.status + e.connect + e.read + e.timeout))
end
"""


@dataclass
class Report:
    """What goes into RESULTS.md: sections in order, and how each aim was met."""

    sections: list[str] = field(default_factory=list)
    aims: list[tuple[str, bool, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def aim(
        self, what: str, found: float, at_least: float | None = None, at_most: float | None = None, unit: str = ""
    ) -> None:
        """Hold a figure against its aim."""
        met = (at_least is None or found >= at_least) and (at_most is None or found <= at_most)
        wanted = f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}"
        self.aims.append((what, met, f"{found:.2f}{unit} (aim {wanted}{unit})"))


@dataclass
class Options:
    """How long and with what."""

    rounds: int
    seconds: float
    client: str


def spread(values: list[float], form: str = ",.2f") -> str:
    """``median (lowest–highest)``."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def load(server: Server, path: str, connections: int, options: Options) -> dict[str, float]:
    """One measurement."""
    url = f"{server.url}{path}"
    if options.client == "wrk":
        headers = "\n".join([*server.headers, "Content-Type: application/json"])
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(WRK_SCRIPT)
            script.flush()
            command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(options.seconds))}s", "-s", script.name, url]
            environment = dict(os.environ, BENCH_BODY=BODY, BENCH_HEADERS=headers)
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        figures: dict[str, float] = json.loads(out.partition("JSON")[2])
    else:
        command = [sys.executable, str(HERE / "load.py"), url, "--body", BODY]
        command += ["--connections", str(connections), "--seconds", str(options.seconds)]
        for header in server.headers:
            command += ["--header", header]
        figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    if figures["errors"]:
        raise SystemExit(f"{server.name} {path} at {connections} connections: {figures['errors']:.0f} failed requests")
    return figures


# --- requests a second ------------------------------------------------------------------------------------------------
def peers(report: Report, options: Options) -> None:
    """The same trivial endpoint by everybody."""
    starts: list[Callable[[], object]] = [servers.ours, servers.fastapi]
    missing = servers.missing_peers()
    for name in ("litserve", "bentoml"):
        if name in missing:
            report.notes.append(f"{name} is not in the table: its environment could not be made")
        else:
            starts.append(getattr(servers, name))
    rows: dict[tuple[str, int, str], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        found: list[Server] = [stack.enter_context(start()) for start in starts]  # type: ignore[arg-type, misc]
        for server in found:
            if server.version:
                report.versions[server.name] = server.version
            for path in server.paths.values():
                server.check(path)
                load(server, path, 16, Options(1, 1, options.client))  # warm up
        for number in range(options.rounds):
            for connections in CONNECTIONS:
                for server in found if number % 2 else reversed(found):
                    for kind, path in server.paths.items():
                        figures = load(server, path, connections, options)
                        rows.setdefault((kind, connections, server.name), []).append(figures)
                        print(
                            f"round {number + 1}/{options.rounds}  {kind:5} {connections:2} connections  {server.name:18}"
                            f"{figures['rps']:8.0f} requests/s  p50 {figures['p50_ms']:.2f} ms",
                            flush=True,
                        )
    _peers_report(report, rows, options)


def _peers_report(report: Report, rows: dict[tuple[str, int, str], list[dict[str, float]]], options: Options) -> None:
    def middle(kind: str, connections: int, name: str, key: str) -> float:
        return statistics.median(figures[key] for figures in rows[kind, connections, name])

    us, peer = "fal_jupyter", "FastAPI + uvicorn"
    lines = [
        "| endpoint | connections | server | requests/s (spread) | p50, ms (spread) | p99, ms | × FastAPI |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, connections, name in sorted(rows, key=lambda key: (key[1], key[0])):
        figures = rows[kind, connections, name]
        ratio = middle(kind, connections, name, "rps") / middle(kind, connections, peer, "rps")
        shown = f"**{ratio:.2f}**" if name == us else f"{ratio:.2f}"
        rps, p50 = spread([f["rps"] for f in figures], ",.0f"), spread([f["p50_ms"] for f in figures])
        p99 = middle(kind, connections, name, "p99_ms")
        lines.append(f"| {kind} | {connections} | {name} | {rps} | {p50} | {p99:.2f} | {shown} |")
    for kind in ("async", "sync"):
        report.aim(
            f"requests/s, {kind}, 16 connections, × FastAPI",
            middle(kind, 16, us, "rps") / middle(kind, 16, peer, "rps"),
            at_least=1.0,
        )
        report.aim(
            f"p50, {kind}, 1 connection, × FastAPI",
            middle(kind, 1, us, "p50_ms") / middle(kind, 1, peer, "p50_ms"),
            at_most=1.2,
        )
    if ("sync", 16, "LitServe") in rows:
        ratio = middle("async", 16, us, "rps") / middle("sync", 16, "LitServe", "rps")
        report.aim("requests/s, 16 connections, × LitServe", ratio, at_least=6)
        ratio = middle("async", 1, us, "p50_ms") / middle("sync", 1, "LitServe", "p50_ms")
        report.aim("p50, 1 connection, × LitServe", ratio, at_most=0.333)
    report.sections.append(
        '## Requests a second\n\nThe same endpoint (a pydantic body `{"name": …}`, an answer `{"text": …}`): a `fal.App` behind'
        " `fal-jupyter serve` (one runner, `max_multiplexing = 32`, by key), FastAPI behind one uvicorn process (uvloop,"
        " httptools, no access log), LitServe and BentoML with one worker each. Our requests pass two processes, FastAPI's"
        f" one.\n\n{chr(10).join(lines)}\n\nMedians of {options.rounds} interleaved rounds of {options.seconds:g} s."
        f" Load: {options.client}, one thread, keep-alive."
    )


# --- the other figures ------------------------------------------------------------------------------------------------
def cell(report: Report, options: Options) -> None:
    """A call from a cell beside a raw HTTP request of the same process."""
    pairs = in_kernel.calls(options.rounds)
    ratio = statistics.median(call / raw for call, raw in pairs)
    report.aim("call from a cell, p50, × raw HTTP", ratio, at_most=1.5)
    report.sections.append(
        "## A call from a cell\n\n"
        f'`Bench.greet(Name(name="Ada"))` in a kernel: p50 {spread([c for c, _ in pairs])} ms; the bytes of the same request on a'
        f" socket of the same process: {spread([r for _, r in pairs])} ms. Ratio **{ratio:.2f}** (1,000 calls each, {options.rounds} rounds)."
    )


def body(report: Report, options: Options) -> None:
    """16 MiB of JSON there and back."""
    data = json.dumps({"text": "x" * (16 * MEBIBYTE)}).encode()
    found: dict[str, list[float]] = {}
    room = bytearray(len(data) + 1024)
    with servers.ours() as us, servers.fastapi() as peer:
        callers = [(server, server.connect()) for server in (us, peer)]
        for number in range(5 * options.rounds + 1):
            for server, connection in callers:
                began = time.perf_counter()
                connection.request("POST", server.target("/echo"), data, server.all_headers())
                answer = connection.getresponse()
                size = 0
                while read := answer.readinto(memoryview(room)[size:]):
                    size += read
                taken = time.perf_counter() - began
                if size < 16 * MEBIBYTE:
                    raise SystemExit(f"{server.name} answered {answer.status} and {size} bytes")
                if number:  # the first is a warm-up
                    found.setdefault(server.name, []).append(2 * len(data) / taken / 1e6)
    ours, theirs = found.values()
    ratio = statistics.median(ours) / statistics.median(theirs)
    report.aim("16 MiB body, MB/s, × FastAPI", ratio, at_least=1.0)
    report.sections.append(
        "## Large bodies\n\nA JSON string of 16 MiB both ways through an endpoint that returns its argument, one kept connection:"
        f" fal_jupyter {spread(ours, '.0f')} MB/s, FastAPI + uvicorn {spread(theirs, '.0f')} MB/s. Ratio **{ratio:.2f}**."
    )


def start(report: Report, options: Options) -> None:
    """From running a cell to the first answer of its app."""
    found = in_kernel.starts(max(5, options.rounds))
    plain, torch = statistics.median(found["plain"]), statistics.median(found["torch"])
    report.aim("second app, start to first answer", plain, at_most=100, unit=" ms")
    report.aim("torch app, start to first answer", torch, at_most=300, unit=" ms")
    report.sections.append(
        "## From the cell to the first answer\n\nIn a warm gateway, `%%fal_app` with a new class and one call of it:"
        f" {spread(found['plain'], '.0f')} ms; with a class that uses torch: {spread(found['torch'], '.0f')} ms, and the"
        f" very first of those, for which the template imports torch, {found['first torch'][0]:,.0f} ms."
    )


def share(report: Report, options: Options) -> None:
    """Eight callers on two runners of 50 ms work."""
    shares = []
    with servers.ours(target="app.py::Pair") as us:
        while '"IDLE": 2' not in json.dumps(_apps(us)):
            time.sleep(0.1)
        for _ in range(options.rounds):
            with ThreadPoolExecutor(8) as callers:
                began = time.perf_counter()
                list(callers.map(lambda _: us.request("/", b"{}"), range(80)))
                shares.append(80 / 2 * 0.05 / (time.perf_counter() - began) * 100)
    report.aim(
        "8 callers on 2 runners of 50 ms work, share of the ideal", statistics.median(shares), at_least=97, unit=" %"
    )
    report.sections.append(
        "## Two runners shared by eight callers\n\n80 calls of 50 ms by 8 callers on 2 runners: "
        f"**{spread(shares, '.1f')} %** of the ideal (a new connection for each call)."
    )


def _apps(server: Server) -> object:
    return json.loads(_command(server, "apps", "--json"))


def _command(server: Server, *words: str) -> str:
    command = [sys.executable, "-m", "fal_jupyter.cli.main", *words]
    environment = dict(os.environ, FAL_JUPYTER_STATE=str(server.state))
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:"))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(report: Report, options: Options) -> None:
    """What an app costs that nobody calls."""
    seconds = 20
    with servers.ours() as us:
        us.check("/async")
        pids = {p["role"]: p["pid"] for p in json.loads(_command(us, "doctor", "--json"))["processes"]}
        time.sleep(2)
        before = {role: _cpu(pid) for role, pid in pids.items()}
        time.sleep(seconds)
        cpu = {role: (_cpu(pid) - before[role]) / seconds * 100 for role, pid in pids.items()}
        memory = {role: _memory(pid) for role, pid in pids.items()}
    report.aim("idle CPU, all processes", sum(cpu.values()), at_most=0.5, unit=" %")
    report.aim("gateway, proportional memory", memory["gateway"], at_most=60, unit=" MB")
    rows = "\n".join(f"| {role} | {memory[role]:.0f} | {cpu[role]:.2f} |" for role in pids)
    report.sections.append(
        f"## Idle\n\nOne app that nobody calls, {seconds} s:\n\n| process | proportional memory, MB | CPU, % |\n| --- | ---: | ---: |\n{rows}"
    )


def many(report: Report, options: Options) -> None:
    """One gateway with a hundred apps more, beside one without."""
    found: dict[str, list[float]] = {"alone": [], "among 100": []}
    with in_kernel.with_app() as alone, in_kernel.with_app() as crowded:
        in_kernel.add_many(crowded)
        pair = {}
        for name, running in (("alone", alone), ("among 100", crowded)):
            url, key = running.address("Bench")
            pair[name] = Server(name, url.rstrip("/"), {"async": "/async"}, [f"Authorization: Key {key}"])
            load(pair[name], "/async", 16, Options(1, 1, options.client))
        for number in range(options.rounds):
            for name in found if number % 2 else reversed(found):
                found[name].append(load(pair[name], "/async", 16, options)["rps"])
    kept = statistics.median(found["among 100"]) / statistics.median(found["alone"]) * 100
    report.aim("requests/s kept with 100 apps more in the gateway", kept, at_least=90, unit=" %")
    report.sections.append(
        "## Many apps\n\n16 busy connections on one app: "
        f"{spread(found['alone'], ',.0f')} requests/s alone in its gateway, {spread(found['among 100'], ',.0f')} with 100"
        f" apps more: **{kept:.0f} %** kept."
    )


PARTS: dict[str, Callable[[Report, Options], None]] = {
    "peers": peers, "cell": cell, "body": body, "start": start, "share": share, "idle": idle, "many": many,
}  # fmt: skip


# --- the report ---------------------------------------------------------------------------------------------------------
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


def text(report: Report, load_before: float) -> str:
    """The whole of RESULTS.md."""
    lost = [f"* **{what}: {found}**" for what, met, found in report.aims if not met]
    met = [f"* {what}: {found}" for what, was_met, found in report.aims if was_met]
    packages = ("fal_jupyter", "tornado", "uvloop", "fastapi", "pydantic", "uvicorn", "httptools", "ipykernel")
    versions = {name: version(name) for name in packages} | report.versions
    parts = ["# Figures\n\nWritten by `make bench`. Only the ratios carry to other machines."]
    if lost:
        parts.append("## Where we lose, or miss an aim\n\n" + "\n".join(lost))
    parts.append("## Aims that are met\n\n" + "\n".join(met))
    parts += report.sections
    notes = [
        f"* {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {machine()}, load average before the run {load_before:.2f}",
        f"* Python {platform.python_version()}; {', '.join(f'{name} {number}' for name, number in versions.items())}",
        "* Command: `make bench`, which runs `bench/bench.py`; parts of it: `bench/bench.py --only cell,body`",
        *(f"* {note}" for note in report.notes),
    ]
    parts.append("## The run\n\n" + "\n".join(notes))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--client", choices=("wrk", "load.py"), default="wrk" if shutil.which("wrk") else "load.py")
    parser.add_argument("--to", type=Path, default=HERE / "RESULTS.md")
    o = parser.parse_args()
    load_before = os.getloadavg()[0]
    report, options = Report(), Options(o.rounds, o.seconds, o.client)
    for part in o.only.split(","):
        print(f"{part}: {(PARTS[part].__doc__ or '').strip()}", flush=True)
        PARTS[part](report, options)
    written = text(report, load_before)
    o.to.write_text(written)
    print(f"\n{written}\nwritten: {o.to}")


if __name__ == "__main__":
    main()
