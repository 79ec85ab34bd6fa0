"""fal_jupyter against FastAPI + uvicorn: the same endpoint, the same machine, one interleaved run (``make bench``).

Each round visits every server with every kind of endpoint (async, sync) at 1 and at 16 connections, so that what else
the machine does hits all alike. The figures are medians over the rounds; only the ratios carry to other machines. The
load comes from a process of its own: ``wrk`` where it is installed, else ``load.py``. Writes ``bench/RESULTS.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
BODY = json.dumps({"name": "Ada"})
ANSWER = {"text": "Hello, Ada"}
START_LIMIT = 60  # seconds
KINDS = ("async", "sync")
CONNECTIONS = (1, 16)
US, PEER = "fal_jupyter", "FastAPI + uvicorn"
AIM = 1.0

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
class Server:
    """Somebody who answers POST ``{url}/async`` and ``{url}/sync``; *headers* go with each request."""

    name: str
    url: str
    headers: list[str] = field(default_factory=list)


@contextmanager
def stopping(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ours() -> Iterator[Server]:
    """``fal-jupyter serve`` in a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-") as place:
        process = subprocess.Popen(
            [sys.executable, "-m", "fal_jupyter.cli.main", "serve", f"{HERE / 'app.py'}::Bench", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, FAL_JUPYTER_STATE=f"{place}/state"),
        )
        with stopping(process):
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("fal-jupyter serve ended before it was ready; see above")
            ready = json.loads(line)
            yield Server(US, ready["url"].rstrip("/"), [f"Authorization: Key {ready['key']}"])


@contextmanager
def peer() -> Iterator[Server]:
    """One uvicorn process with its fastest loop and parser, without an access log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen([sys.executable, "-m", "uvicorn", "peer:app", *options], text=True, cwd=HERE)
    with stopping(process):
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("uvicorn did not start; see above") from None
                time.sleep(0.05)
        yield Server(PEER, f"http://127.0.0.1:{port}")


def check(server: Server, kind: str) -> None:
    """Refuse to measure a server that answers something else."""
    headers = dict(header.split(": ", 1) for header in server.headers)
    request = urllib.request.Request(
        f"{server.url}/{kind}", BODY.encode(), {**headers, "Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        got = json.load(answer)
    if got != ANSWER:
        raise SystemExit(f"{server.name} /{kind} answered {got}, not {ANSWER}")


def load(server: Server, kind: str, connections: int, seconds: float, client: str) -> dict[str, float]:
    """One measurement."""
    url = f"{server.url}/{kind}"
    if client == "wrk":
        headers = "\n".join([*server.headers, "Content-Type: application/json"])
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(WRK_SCRIPT)
            script.flush()
            command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script.name, url]
            environment = dict(os.environ, BENCH_BODY=BODY, BENCH_HEADERS=headers)
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        figures: dict[str, float] = json.loads(out.partition("JSON")[2])
    else:
        command = [sys.executable, str(HERE / "load.py"), url, "--body", BODY]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
        for header in server.headers:
            command += ["--header", header]
        figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    if figures["errors"]:
        raise SystemExit(f"{server.name} /{kind} at {connections} connections: {figures['errors']:.0f} failed requests")
    return figures


Rows = dict[tuple[str, int, str], list[dict[str, float]]]


def measure(rounds: int, seconds: float, client: str) -> Rows:
    rows: Rows = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(ours()), stack.enter_context(peer())]
        for server in servers:
            for kind in KINDS:
                check(server, kind)
                load(server, kind, 16, 1, client)  # warm up
        for number in range(rounds):
            for kind in KINDS:
                for connections in CONNECTIONS:
                    for server in servers if number % 2 else reversed(servers):
                        figures = load(server, kind, connections, seconds, client)
                        rows.setdefault((kind, connections, server.name), []).append(figures)
                        print(
                            f"round {number + 1}/{rounds}  {kind:5} {connections:2} connections  {server.name:18}"
                            f"{figures['rps']:8.0f} requests/s  p50 {figures['p50_ms']:.2f} ms",
                            flush=True,
                        )
    return rows


def table(rows: Rows) -> str:
    lines = [
        "| endpoint | connections | server | requests/s | p50, ms | p99, ms | requests/s against FastAPI + uvicorn |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in KINDS:
        for connections in CONNECTIONS:
            middle = {
                name: {
                    key: statistics.median(r[key] for r in rows[kind, connections, name])
                    for key in ("rps", "p50_ms", "p99_ms")
                }
                for name in (US, PEER)
            }
            for name in (US, PEER):
                m = middle[name]
                ratio = f"**{m['rps'] / middle[PEER]['rps']:.2f}**" if name == US else "1"
                figures = f"{m['rps']:,.0f} | {m['p50_ms']:.2f} | {m['p99_ms']:.2f}"
                lines.append(f"| {kind} | {connections} | {name} | {figures} | {ratio} |")
    return "\n".join(lines)


def machine() -> str:
    names = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    kind = " / ".join(sorted(names)) or platform.machine()
    return f"{cores} cores of {kind}, {memory:.0f} GiB, Linux {platform.release()}"


def report(rows: Rows, rounds: int, seconds: float, client: str, load_before: float) -> str:
    packages = ("fal_jupyter", "tornado", "uvloop", "fastapi", "pydantic", "uvicorn", "httptools")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"""# Requests a second

Written by `make bench`: the same endpoint (a pydantic body `{{"name": …}}`, an answer `{{"text": …}}`) as a `fal.App`
behind `fal-jupyter serve` (one runner, `max_multiplexing = 32`, by key) and as FastAPI behind one uvicorn process
(uvloop, httptools, no access log). Our requests pass two processes, gateway and runner, theirs one. The aim is a
ratio of {AIM} or more at 16 connections. At one connection the async endpoint loses: each request crosses one process more.

{table(rows)}

Medians of {rounds} interleaved rounds of {seconds:g} s. Load: {client}, one thread, keep-alive, on the same machine.

* {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {machine()}, load average before the run {load_before:.2f}
* Python {platform.python_version()}; {versions}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--client", choices=("wrk", "load.py"), default="wrk" if shutil.which("wrk") else "load.py")
    parser.add_argument("--to", type=Path, default=HERE / "RESULTS.md")
    o = parser.parse_args()
    load_before = os.getloadavg()[0]
    text = report(measure(o.rounds, o.seconds, o.client), o.rounds, o.seconds, o.client, load_before)
    o.to.write_text(text)
    print(f"\n{text}\nwritten: {o.to}")


if __name__ == "__main__":
    main()
