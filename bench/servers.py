"""The servers that are compared, each started in a process of its own and ended with its context."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv-peers"
START_LIMIT = 60  # seconds
BODY = json.dumps({"name": "Ada"})
ANSWER = {"text": "Hello, Ada"}


class Unusable(SystemExit):
    """A server cannot be measured."""


class Connection:
    """One keep-alive connection to a server."""

    def __init__(self, server: Server) -> None:
        where = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        self._prefix, self._name = where.path.rstrip("/"), server.name
        self._headers = dict(header.split(": ", 1) for header in server.headers) | {"Content-Type": "application/json"}

    def post(self, path: str, body: bytes) -> bytes:
        """One request; gives the answer's body."""
        self._connection.request("POST", self._prefix + path, body, self._headers)
        answer = self._connection.getresponse()
        found = answer.read()
        if answer.status != 200:
            raise Unusable(f"{self._name} {path} answered {answer.status}: {found[:500]!r}")
        return found

    def close(self) -> None:
        self._connection.close()


@dataclass
class Server:
    """Somebody who answers POST ``{url}{path}`` for each of *paths* (kind of endpoint → path)."""

    name: str
    url: str
    paths: dict[str, str]
    headers: list[str] = field(default_factory=list)
    version: str = ""
    state: Path | None = None
    command: str = ""

    def check(self, path: str) -> None:
        """Refuse to measure a server that answers something else."""
        connection = Connection(self)
        got = json.loads(connection.post(path, BODY.encode()))
        connection.close()
        if got != ANSWER:
            raise Unusable(f"{self.name} {path} answered {got}, not {ANSWER}")


def fal_jupyter(state: Path, *words: str) -> Any:
    """What ``fal-jupyter … --json`` says of a state directory."""
    command = [sys.executable, "-m", "fal_jupyter.cli.main", *words, "--json"]
    environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def processes(state: Path) -> dict[str, int]:
    """Role → process id of those that belong to a state directory with one app."""
    return {process["role"]: process["pid"] for process in fal_jupyter(state, "doctor")["processes"]}


def wait_until(true: Callable[[], bool], what: str, limit: float = 30) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + limit
    while not true():
        if time.monotonic() > deadline:
            raise Unusable(f"not in {limit:.0f} s: {what}")
        time.sleep(0.1)


def runs(pid: int) -> bool:
    """Whether a process is there and not only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end_gateway(pid: int) -> None:
    """End a gateway, which would wait ten minutes for the next notebook."""
    try:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not runs(pid), "the gateway's end", 10)
    except ProcessLookupError:
        pass  # it has ended
    except Unusable:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def stopping(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a server, its workers too, with the ``with`` block."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass  # then as below
        try:
            os.killpg(process.pid, signal.SIGKILL)  # workers that stayed behind
        except ProcessLookupError:
            pass  # none
        process.wait()


@contextmanager
def ours(*options: str, target: str = "app.py::Bench") -> Iterator[Server]:
    """``fal-jupyter serve`` in a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-", ignore_cleanup_errors=True) as place:
        state = Path(place) / "state"
        process = subprocess.Popen(
            [sys.executable, "-m", "fal_jupyter.cli.main", "serve", f"{HERE / target}", "--json", *options],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, FAL_JUPYTER_STATE=str(state)),
            start_new_session=True,
        )
        with stopping(process):
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise Unusable("fal-jupyter serve ended before it was ready; see above")
            ready = json.loads(line)
            yield Server(
                "fal_jupyter",
                ready["url"].rstrip("/"),
                {"async": "/async", "sync": "/sync"},
                [f"Authorization: Key {ready['key']}"],
                state=state,
                command=f"fal-jupyter serve bench/{target}",
            )


@contextmanager
def fastapi() -> Iterator[Server]:
    """One uvicorn process with its fastest loop and parser, without an access log."""
    words = ["uvicorn", "peer:app", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    paths = {"async": "/async", "sync": "/sync"}
    yield from _peer(
        "FastAPI + uvicorn", Path(sys.executable), ["-m", *words, "--log-level", "warning"], "--port", paths
    )


@contextmanager
def litserve() -> Iterator[Server]:
    """LitServe, one worker."""
    yield from _peer("LitServe", _python("litserve"), ["litserve_app.py"], None, {"sync": "/predict"}, "litserve")


@contextmanager
def bentoml() -> Iterator[Server]:
    """BentoML, one worker, an async endpoint."""
    words = ["-m", "bentoml", "serve", "bentoml_app:Bench", "--host", "127.0.0.1"]
    yield from _peer("BentoML", _python("bentoml"), words, "--port", {"async": "/predict"}, "bentoml")


def _python(peer: str) -> Path:
    python = PEERS / peer / "bin" / "python"
    if not (PEERS / peer / ".ready").exists():
        raise Unusable(f"its environment {python.parent.parent} could not be made (make .venv-peers/{peer}/.ready)")
    return python


def _peer(
    name: str, python: Path, words: list[str], option: str | None, paths: dict[str, str], package: str = ""
) -> Iterator[Server]:
    """Run a peer on a free port, which is its last argument, after *option*."""
    port = free_port()
    arguments = [*words, *([option] if option else [])]
    with running([str(python), *arguments, str(port)], port, BENTOML_DO_NOT_TRACK="True"):
        found = version_in(python, package) if package else ""
        command = shlex.join(["python", *arguments, "PORT"])
        yield Server(name, f"http://127.0.0.1:{port}", paths, version=found, command=f"cd bench; {command}")


def version_in(python: Path, package: str) -> str:
    """A package's version in another environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    """Run a server until something answers on its port."""
    process = subprocess.Popen(
        command,
        text=True,
        cwd=HERE,
        env=dict(os.environ, **environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with stopping(process):
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except urllib.error.HTTPError:
                break  # it speaks HTTP
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Unusable(f"it did not start: {' '.join(command)}") from None
                time.sleep(0.1)
        yield
