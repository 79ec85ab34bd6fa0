"""What is measured: one function for each part of ``--only``, which puts its figures into a report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import in_kernel
import proxy
import servers
from clients import Figures, Options, load, warm_up
from report import Report, ratios, spread
from servers import Connection, Server, Unusable

CONNECTIONS = (1, 16)
MEBIBYTE = 1 << 20
IDLE_SECONDS = 10
CALLERS, CALLS, WORK = 8, 80, 0.05
US, FASTAPI, LITSERVE = "fal_jupyter", "FastAPI + uvicorn", "LitServe"

Rows = dict[tuple[str, int, str], list[Figures]]  # kind of endpoint, connections, server → each round's figures


def few(options: Options) -> int:
    """Rounds of what takes long."""
    return min(3, options.rounds)


# --- requests a second ------------------------------------------------------------------------------------------------
def peers(report: Report, options: Options) -> None:
    """The same trivial endpoint by everybody."""
    rows: Rows = {}
    with ExitStack() as stack:
        found = _start_all(report, options, stack)
        for number in range(options.rounds):
            for connections in CONNECTIONS:
                for server in list(found) if number % 2 else found[::-1]:
                    try:
                        _visit(server, connections, options, rows, number + 1)
                    except Unusable as error:
                        if server.name in (US, FASTAPI):
                            raise
                        report.miss(f"{server.name}: {error}")
                        found.remove(server)
                        rows = {key: value for key, value in rows.items() if key[2] != server.name}
    _report_peers(report, rows, options)


def _start_all(report: Report, options: Options, stack: ExitStack) -> list[Server]:
    """Whoever can be started, warmed up; LitServe and BentoML may be missing."""
    found: list[Server] = []
    for start, optional in (
        (servers.ours, False), (servers.fastapi, False), (servers.litserve, True), (servers.bentoml, True),
    ):  # fmt: skip
        try:
            server = stack.enter_context(start())
            for path in server.paths.values():
                server.check(path)
                warm_up(server, path, options)
        except Unusable as error:
            if not optional:
                raise
            report.miss(f"{start.__name__} is not in the table: {error}")
            continue
        found.append(server)
        report.commands[server.name] = server.command
        if server.version:
            report.versions[server.name] = server.version
    return found


def _visit(server: Server, connections: int, options: Options, rows: Rows, number: int) -> None:
    for kind, path in server.paths.items():
        figures = load(server, path, connections, options)
        rows.setdefault((kind, connections, server.name), []).append(figures)
        print(
            f"round {number}/{options.rounds}  {kind:5} {connections:2} connections  {server.name:18}"
            f"{figures['rps']:8.0f} requests/s  p50 {figures['p50_ms']:.2f} ms",
            flush=True,
        )


def _report_peers(report: Report, rows: Rows, options: Options) -> None:
    def each(kind: str, connections: int, name: str, key: str) -> list[float]:
        return [figures[key] for figures in rows[kind, connections, name]]

    for kind in ("async", "sync"):
        report.hold(f"rps {kind}", ratios(each(kind, 16, US, "rps"), each(kind, 16, FASTAPI, "rps")))
        report.hold(f"p50 {kind}", ratios(each(kind, 1, US, "p50_ms"), each(kind, 1, FASTAPI, "p50_ms")))
    if ("sync", 16, LITSERVE) in rows:
        report.hold("rps litserve", ratios(each("sync", 16, US, "rps"), each("sync", 16, LITSERVE, "rps")))
        report.hold("p50 litserve", ratios(each("sync", 1, US, "p50_ms"), each("sync", 1, LITSERVE, "p50_ms")))
    lines = []
    for key in sorted(rows, key=lambda key: (key[1], key[0])):
        kind, connections, name = key
        rps, p50, p99 = (each(*key, figure) for figure in ("rps", "p50_ms", "p99_ms"))
        ratio = spread(ratios(rps, each(kind, connections, FASTAPI, "rps")))
        ratio = f"**{ratio}**" if name == US else "1" if name == FASTAPI else ratio
        lines.append([kind, str(connections), name, spread(rps, ",.0f"), spread(p50), spread(p99), ratio])
    report.section(
        "Requests a second",
        'The same endpoint (a pydantic body `{"name": …}`, an answer `{"text": …}`): a `fal.App` behind `fal-jupyter serve`'
        " (one runner, `max_multiplexing = 32`, by key), FastAPI behind one uvicorn process (uvloop, httptools, no access"
        " log), LitServe (its ZeroMQ queue, no batching) and BentoML (no access log, no metrics, uvloop) with one worker"
        f" each. Our requests pass two processes, FastAPI's one. {options.rounds} interleaved rounds of {options.seconds:g} s"
        f" each; load by {options.client}, one thread, keep-alive.",
        ["endpoint", "connections", "server", "requests/s", "p50, ms", "p99, ms", "requests/s × FastAPI"],
        lines,
    )


# --- the other figures ------------------------------------------------------------------------------------------------
def cell(report: Report, options: Options) -> None:
    """A call from a cell, beside raw HTTP to the same app."""
    call, raw, http = [], [], []
    with in_kernel.notebook() as running:
        server = running.server("Bench")
        warm_up(server, "/async", options)
        for _ in range(options.rounds):
            ours, same_process = in_kernel.calls(running)
            call.append(ours)
            raw.append(same_process)
            http.append(load(server, "/async", 1, options)["p50_ms"])
    report.hold("cell", ratios(call, http))
    report.section(
        "A call from a cell",
        f'{in_kernel.CALLS_EACH:,} calls `Bench.greet(name="Ada")` one after the other in one cell of a real kernel, beside'
        f" raw HTTP at one connection to the same app; {options.rounds} rounds.",
        ["who asks", "p50, ms", "a call takes ×"],
        [
            ["`Bench.greet(…)` in a cell", spread(call, ".3f"), "1"],
            [f"raw HTTP, {options.client}", spread(http, ".3f"), f"**{spread(ratios(call, http))}**"],
            ["raw HTTP, a Python socket in the same kernel", spread(raw, ".3f"), spread(ratios(call, raw))],
        ],
    )


def body(report: Report, options: Options) -> None:
    """16 MiB of JSON there and back."""
    data = json.dumps({"text": "x" * (16 * MEBIBYTE)}).encode()
    times = max(2, 2 * options.rounds)
    found: dict[str, list[float]] = {US: [], FASTAPI: []}
    with servers.ours() as us, servers.fastapi() as peer:
        connections = {server.name: Connection(server) for server in (us, peer)}
        for number in range(times + 1):
            for name, connection in connections.items():
                began = time.perf_counter()
                answer = connection.post("/echo", data)
                taken = time.perf_counter() - began
                if len(answer) < 16 * MEBIBYTE:
                    raise Unusable(f"{name} answered {len(answer)} bytes")
                if number:  # the first is a warm-up
                    found[name].append((len(data) + len(answer)) / taken / 1e6)
        for connection in connections.values():
            connection.close()
    ratio = ratios(found[US], found[FASTAPI])
    report.hold("body", ratio)
    report.section(
        "Large bodies",
        "A JSON string of 16 MiB both ways through an async endpoint that returns its argument, one connection,"
        f" {times} times in turn; both ways are counted.",
        ["server", "MB/s", "× FastAPI"],
        [[US, spread(found[US], ".0f"), f"**{spread(ratio)}**"], [FASTAPI, spread(found[FASTAPI], ".0f"), "1"]],
    )


def start(report: Report, options: Options) -> None:
    """From running a cell to the first answer of its app."""
    found: dict[str, list[float]] = {}
    for _ in range(few(options)):
        with in_kernel.notebook() as running:
            for name, values in in_kernel.starts(running, 5).items():
                found.setdefault(name, []).extend(values)
    report.hold("start", found["plain"])
    report.hold("start torch", found["torch"])
    report.section(
        "From the cell to the first answer",
        "`%%fal_app` with a new class and one call of it over HTTP, in a gateway that already serves an app; five classes"
        f" in a row in each of {few(options)} notebooks. The kernel has imported torch before.",
        ["the new app", "ms"],
        [
            ["plain", f"**{spread(found['plain'], ',.0f')}**"],
            ["imports torch, makes a tensor", f"**{spread(found['torch'], ',.0f')}**"],
            ["the gateway's very first with torch", spread(found["first torch"], ",.0f")],
        ],
    )


def share(report: Report, options: Options) -> None:
    """Eight callers on two runners of 50 ms work."""
    with servers.ours(target="app.py::Pair") as us:
        assert us.state is not None
        state = us.state
        servers.wait_until(
            lambda: servers.fal_jupyter(state, "apps")[0]["runners"].get("IDLE") == 2, "two idle runners"
        )
        shares = [CALLS / 2 * WORK / _time_of_calls(us) * 100 for _ in range(options.rounds)]
    report.hold("share", shares)
    report.section(
        "Two runners shared by eight callers",
        f"{CALLS} calls of {WORK * 1000:.0f} ms work by {CALLERS} callers, each with its connection, on two runners that"
        f" take one call at a time; ideal {CALLS / 2 * WORK:g} s; {options.rounds} rounds.",
        ["", "share of the ideal, %", "seconds"],
        [[US, f"**{spread(shares, '.1f')}**", spread([CALLS / 2 * WORK / share * 100 for share in shares])]],
    )


def _time_of_calls(server: Server) -> float:
    def caller(connection: Connection) -> None:
        for _ in range(CALLS // CALLERS):
            connection.post("/", b"{}")

    connections = [Connection(server) for _ in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        began = time.perf_counter()
        list(pool.map(caller, connections))
        taken = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return taken


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:"))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(report: Report, options: Options) -> None:
    """What an app costs that nobody calls."""
    cpu: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    with servers.ours() as us:
        assert us.state is not None
        us.check("/async")
        time.sleep(2)
        for _ in range(few(options)):
            pids = servers.processes(us.state)  # anew each time: a runner that nobody calls may end
            began, before = time.perf_counter(), {role: _cpu(pid) for role, pid in pids.items()}
            time.sleep(IDLE_SECONDS)
            passed = time.perf_counter() - began
            for role, pid in pids.items():
                if not servers.runs(pid):
                    raise Unusable(f"the {role} ended while idle")
                cpu.setdefault(role, []).append((_cpu(pid) - before[role]) / passed * 100)
                memory.setdefault(role, []).append(_memory(pid))
    report.hold("idle cpu", cpu["gateway"])
    report.hold("idle memory", memory["gateway"])
    report.section(
        "Idle",
        f"One app that nobody calls, behind `fal-jupyter serve`; {few(options)} × {IDLE_SECONDS} s. Memory is the"
        " proportional set size: what processes share is counted in parts.",
        ["process", "CPU, %", "memory, MB"],
        [[role, spread(cpu[role]), spread(memory[role], ".1f")] for role in cpu],
    )


def many(report: Report, options: Options) -> None:
    """A gateway before and after a hundred apps more are served by it."""
    with in_kernel.notebook() as crowded, in_kernel.notebook() as other:
        pair = {"crowded": crowded.server("Bench"), "other": other.server("Bench")}
        before = _both(pair, options)
        began = time.perf_counter()
        in_kernel.add_many(crowded)
        took = time.perf_counter() - began
        after = _both(pair, options)
    kept = [a / b * 100 for a, b in zip(after["crowded"], before["crowded"], strict=True)]
    drift = [a / b * 100 for a, b in zip(after["other"], before["other"], strict=True)]
    report.hold("many", kept)
    report.section(
        "Many apps",
        f"16 busy connections on one app, before and after its gateway serves 100 apps more, whose runners have ended"
        f" (they were added, and ended, in {took:.1f} s). A second gateway, to which nothing is added, is measured in turn:"
        f" what changes there is the machine. {options.rounds} rounds of {options.seconds:g} s.",
        ["gateway", "requests/s before", "after", "kept, %"],
        [
            ["100 apps more", spread(before["crowded"], ",.0f"), spread(after["crowded"], ",.0f"), f"**{spread(kept, '.0f')}**"],
            ["nothing added", spread(before["other"], ",.0f"), spread(after["other"], ",.0f"), spread(drift, ".0f")],
        ],
    )  # fmt: skip


def _both(pair: dict[str, Server], options: Options) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in pair}
    for server in pair.values():
        warm_up(server, "/async", options)
    for _ in range(options.rounds):
        for name, server in pair.items():
            found[name].append(load(server, "/async", 16, options)["rps"])
    return found


PARTS: dict[str, Callable[[Report, Options], None]] = {
    "peers": peers, "cell": cell, "body": body, "start": start, "share": share, "idle": idle, "many": many,
    "proxy": proxy.proxy,
}  # fmt: skip
