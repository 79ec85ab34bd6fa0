"""The servers that are compared, each started in a process of its own and ended with its context."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv-peers"
START_LIMIT = 60  # seconds
BODY = json.dumps({"name": "Ada"})
ANSWER = {"text": "Hello, Ada"}


@dataclass
class Server:
    """Somebody who answers POST ``{url}{path}`` for each of *paths* (kind of endpoint → path)."""

    name: str
    url: str
    paths: dict[str, str]
    headers: list[str] = field(default_factory=list)
    version: str = ""
    state: Path | None = None

    def request(self, path: str, body: bytes) -> bytes:
        """One POST; gives the answer's body."""
        request = urllib.request.Request(f"{self.url}{path}", body, self.all_headers())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            found: bytes = answer.read()
            return found

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is kept."""
        return http.client.HTTPConnection(urlsplit(self.url).netloc)

    def target(self, path: str) -> str:
        """What a request line names."""
        return urlsplit(self.url).path + path

    def all_headers(self) -> dict[str, str]:
        """What goes with each request."""
        return {**dict(header.split(": ", 1) for header in self.headers), "Content-Type": "application/json"}

    def check(self, path: str) -> None:
        """Refuse to measure a server that answers something else."""
        got = json.loads(self.request(path, BODY.encode()))
        if got != ANSWER:
            raise SystemExit(f"{self.name} {path} answered {got}, not {ANSWER}")


@contextmanager
def stopping(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def ours(*options: str, target: str = "app.py::Bench") -> Iterator[Server]:
    """``fal-jupyter serve`` in a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-") as place:
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
                raise SystemExit("fal-jupyter serve ended before it was ready; see above")
            ready = json.loads(line)
            yield Server(
                "fal_jupyter",
                ready["url"].rstrip("/"),
                {"async": "/async", "sync": "/sync"},
                [f"Authorization: Key {ready['key']}"],
                state=state,
            )


@contextmanager
def fastapi() -> Iterator[Server]:
    """One uvicorn process with its fastest loop and parser, without an access log."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "peer:app",
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    with running([*command, "--no-access-log", "--log-level", "warning"], port):
        yield Server("FastAPI + uvicorn", f"http://127.0.0.1:{port}", {"async": "/async", "sync": "/sync"})


@contextmanager
def litserve() -> Iterator[Server]:
    """LitServe, one worker."""
    port, python = free_port(), PEERS / "litserve" / "bin" / "python"
    with running([str(python), str(HERE / "litserve_app.py"), str(port)], port):
        yield Server(
            "LitServe", f"http://127.0.0.1:{port}", {"sync": "/predict"}, version=version_in(python, "litserve")
        )


@contextmanager
def bentoml() -> Iterator[Server]:
    """BentoML, one worker, an async endpoint."""
    port, python = free_port(), PEERS / "bentoml" / "bin" / "python"
    command = [str(python), "-m", "bentoml", "serve", "bentoml_app:Bench", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, BENTOML_DO_NOT_TRACK="True"):
        yield Server(
            "BentoML", f"http://127.0.0.1:{port}", {"async": "/predict"}, version=version_in(python, "bentoml")
        )


def missing_peers() -> list[str]:
    """The peers whose environments could not be made."""
    return [name for name in ("litserve", "bentoml") if not (PEERS / name / ".ready").exists()]


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
                    raise SystemExit(f"it did not start: {' '.join(command)}") from None
                time.sleep(0.1)
        yield
