"""Who calls the servers: a load from a process of its own, and plain keep-alive connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace

from servers import BODY, HERE, Server, Unusable

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

Figures = dict[str, float]  # rps, p50_ms, p99_ms, requests, errors


@dataclass(frozen=True)
class Options:
    """How long and with what."""

    rounds: int
    seconds: float
    client: str


def load(server: Server, path: str, connections: int, options: Options) -> Figures:
    """One measurement: *connections* busy callers for a while."""
    measure = _wrk if options.client == "wrk" else _load_py
    figures = measure(f"{server.url}{path}", server.headers, connections, options.seconds)
    if figures["errors"]:
        raise Unusable(f"{server.name} {path} at {connections} connections: {figures['errors']:.0f} failed requests")
    if not figures["requests"]:
        raise Unusable(f"{server.name} {path} at {connections} connections: no answer")
    return figures


def warm_up(server: Server, path: str, options: Options) -> None:
    """A second of load that does not count."""
    load(server, path, 16, replace(options, seconds=1))


def _wrk(url: str, headers: list[str], connections: int, seconds: float) -> Figures:
    lines = "\n".join([*headers, "Content-Type: application/json"])
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT)
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script.name, url]
        environment = dict(os.environ, BENCH_BODY=BODY, BENCH_HEADERS=lines)
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    figures: Figures = json.loads(out.partition("JSON")[2])
    return figures


def _load_py(url: str, headers: list[str], connections: int, seconds: float) -> Figures:
    command = [sys.executable, str(HERE / "load.py"), url, "--body", BODY]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    for header in headers:
        command += ["--header", header]
    figures: Figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return figures
