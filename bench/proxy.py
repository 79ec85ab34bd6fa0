"""Our way through Jupyter's login beside jupyter-server-proxy's, to the same app at the same gateway.

Part of ``bench.py`` (:func:`proxy`), or alone: ``.venv/bin/python bench/proxy.py``. Two plain Jupyter servers run at once, one with
our extension only, one with jupyter-server-proxy only, which passes on to the gateway's Unix socket; callers send Jupyter's token.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import servers
from clients import Figures, Options, load, warm_up
from report import Report, ratios, spread
from servers import PEERS, Server, Unusable

TOKEN = "bench"
CONNECTIONS = (1, 16)
OURS, PEER, DIRECT = "fal_jupyter's extension", "jupyter-server-proxy", "the gateway itself, by key"
_OTHERS = ("jupyterlab", "notebook", "notebook_shim", "jupyter_lsp", "jupyter_server_terminals", "nbclassic")


def proxy(report: Report, options: Options) -> None:
    """The same app through a Jupyter server, by us and by jupyter-server-proxy."""
    rows = measure(options)

    def each(connections: int, name: str, key: str) -> list[float]:
        return [figures[key] for figures in rows[connections, name]]

    report.hold("rps proxy", ratios(each(16, OURS, "rps"), each(16, PEER, "rps")))
    report.hold("p50 proxy", ratios(each(16, OURS, "p50_ms"), each(16, PEER, "p50_ms")))
    lines = []
    for connections, name in rows:
        rps, p50, p99 = (each(connections, name, figure) for figure in ("rps", "p50_ms", "p99_ms"))
        ratio = spread(ratios(rps, each(connections, PEER, "rps")))
        ratio = f"**{ratio}**" if name == OURS else "1" if name == PEER else ratio
        lines.append([str(connections), name, spread(rps, ",.0f"), spread(p50), spread(p99), ratio])
    report.section(
        "Through a Jupyter server",
        "The async endpoint of the first table, asked with Jupyter's token through two Jupyter servers that pass on to the same"
        " gateway's Unix socket: one with our extension, one with jupyter-server-proxy. Both check who asks, write the same log and"
        f" count the same metrics. {options.rounds} interleaved rounds of {options.seconds:g} s; load by {options.client}.",
        ["connections", "who passes on", "requests/s", "p50, ms", "p99, ms", f"requests/s × {PEER}"],
        lines,
    )


def measure(options: Options) -> dict[tuple[int, str], list[Figures]]:
    """Give each round's figures by connections and name."""
    rows: dict[tuple[int, str], list[Figures]] = {}
    with servers.ours() as direct:
        assert direct.state is not None
        path = urlsplit(direct.url).path  # /run/owner/alias
        with _ours(direct.state) as ours, _peer(direct.state) as peer:
            found = [
                _server(OURS, f"{ours}/fal{path}"),
                _server(PEER, f"{peer}/bench{path}"),
                Server(DIRECT, direct.url, {"async": "/async"}, direct.headers),
            ]
            for server in found:
                server.check("/async")
                warm_up(server, "/async", options)
            for number in range(options.rounds):
                for connections in CONNECTIONS:
                    for server in found if number % 2 else found[::-1]:
                        figures = load(server, "/async", connections, options)
                        rows.setdefault((connections, server.name), []).append(figures)
                        print(
                            f"round {number + 1}/{options.rounds}  {connections:2} connections  {server.name:26}"
                            f"{figures['rps']:8.0f} requests/s  p50 {figures['p50_ms']:.2f} ms",
                            flush=True,
                        )
    return dict(sorted(rows.items(), key=lambda row: (row[0][0], [OURS, PEER, DIRECT].index(row[0][1]))))


def _server(name: str, url: str) -> Server:
    return Server(name, url, {"async": "/async"}, [f"Authorization: token {TOKEN}"])


@contextmanager
def _ours(state: Path) -> Iterator[str]:
    with _jupyter(Path(sys.executable), "fal_jupyter", {}, FAL_JUPYTER_STATE=str(state)) as url:
        yield url


@contextmanager
def _peer(state: Path) -> Iterator[str]:
    python = PEERS / PEER / "bin" / "python"
    if not python.exists():
        if importlib.util.find_spec("jupyter_server_proxy") is None:
            raise Unusable(f"{PEER} is not installed (make .venv-peers/{PEER}/.ready)")
        python = Path(sys.executable)
    config = {
        "ServerProxy": {
            "servers": {"bench": {"command": [], "unix_socket": str(state / "gateway.sock"), "timeout": 30}}
        }
    }
    with _jupyter(python, "jupyter_server_proxy", config) as url:
        yield url


@contextmanager
def _jupyter(python: Path, extension: str, config: dict[str, object], **environment: str) -> Iterator[str]:
    """A Jupyter server with one extension."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-", ignore_cleanup_errors=True) as place:
        directory, port = Path(place), servers.free_port()
        others = dict.fromkeys((*_OTHERS, "fal_jupyter", "jupyter_server_proxy"), False)
        server = {
            "ip": "127.0.0.1", "port": port, "port_retries": 0, "allow_root": True, "open_browser": False,
            "root_dir": place, "jpserver_extensions": others | {extension: True},
        }  # fmt: skip
        written = {"ServerApp": server, "IdentityProvider": {"token": TOKEN}, **config}
        (directory / "jupyter_server_config.json").write_text(json.dumps(written))
        directories = {f"JUPYTER_{kind}_DIR": place for kind in ("CONFIG", "DATA", "RUNTIME")}
        command = [str(python), "-m", "jupyter_server"]
        with servers.running(command, port, **directories, **environment):
            yield f"http://127.0.0.1:{port}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--client", choices=("wrk", "load.py"), default="wrk" if shutil.which("wrk") else "load.py")
    o = parser.parse_args()
    report = Report()
    proxy(report, Options(o.rounds, o.seconds, o.client))
    print("\n".join(report.sections))
    for name, values in report.found.items():
        print(f"{name}: {spread(values)}")


if __name__ == "__main__":
    main()
