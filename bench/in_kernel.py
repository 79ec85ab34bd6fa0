"""What is measured where users are: inside a notebook kernel. Each function gives figures; ``%%fal_app`` cells are real ones."""

from __future__ import annotations

import json
import os
import string
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager
from servers import Server, end_gateway, fal_jupyter, processes, wait_until

APP = """
import fal
from pydantic import BaseModel

class Name(BaseModel):
    name: str

class Greeting(BaseModel):
    text: str

class CLASS(fal.App):
    max_multiplexing = 32
    OPTIONS

    @fal.endpoint("/async")
    async def greet(self, body: Name) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")
"""

CALLS_EACH = 2000

TORCH = """
import fal, torch

class CLASS(fal.App):
    def setup(self):
        self.weights = torch.ones(64, 64)

    @fal.endpoint("/")
    def total(self) -> float:
        return float((self.weights @ self.weights).sum())
"""

CALLS = """
import json, socket, time
from urllib.parse import urlsplit

def p50(work, times):
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2] * 1000

where = urlsplit(Bench.url)
sock = socket.create_connection((where.hostname, where.port))
data = b'{"name": "Ada"}'
head = (f"POST {where.path.rstrip('/')}/async HTTP/1.1\\r\\nHost: {where.netloc}\\r\\nAuthorization: Key {Bench.key}\\r\\n"
        f"Content-Type: application/json\\r\\nContent-Length: {len(data)}\\r\\n\\r\\n").encode()

def raw():
    sock.sendall(head + data)
    answer = sock.recv(65536)
    while b"Hello, Ada" not in answer:
        answer += sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")

def call():
    Bench.greet(name="Ada")

p50(raw, 200), p50(call, 200)
print("FIGURES" + json.dumps([p50(call, TIMES), p50(raw, TIMES)]))
"""

STARTS = """
import json, time
shell, taken = get_ipython(), []
for name in NAMES:
    source = SOURCE.replace("CLASS", name).replace("OPTIONS", "")
    began = time.perf_counter()
    shell.run_cell_magic("fal_app", "", source)
    eval(f"{name}.CALL")
    taken.append((time.perf_counter() - began) * 1000)
print("FIGURES" + json.dumps(taken))
"""

MANY = """
shell = get_ipython()
for name in NAMES:
    source = SOURCE.replace("CLASS", name).replace("OPTIONS", "min_concurrency = 0; keep_alive = 0")
    shell.run_cell_magic("fal_app", "", source)
"""


class Notebook:
    """A kernel with the extension loaded, in a state directory of its own; of another environment if *python* is one's."""

    def __init__(self, state: Path, python: Path | None = None) -> None:
        self.state = state
        self.manager = KernelManager()
        if python is not None:
            assert self.manager.kernel_spec is not None
            self.manager.kernel_spec.argv[0] = str(python)
        # what goes wrong in a cell comes as a message; the kernel's own chatter is not needed
        environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
        # a folder of its own: the package in the working directory would come before that of *python*
        self.manager.start_kernel(env=environment, cwd=str(state.parent), stderr=subprocess.DEVNULL)
        self.client = self.manager.client()

    def open(self) -> None:
        """Wait for the kernel and load the extension."""
        self.client.start_channels()
        self.client.wait_for_ready(60)
        self.run("%load_ext fal_jupyter")

    def close(self) -> None:
        """End the kernel and its gateway."""
        gateway = processes(self.state).get("gateway")
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        if gateway:
            end_gateway(gateway)

    def run(self, code: str) -> Any:
        """Run a cell; gives the figures that it prints."""
        printed: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "error":
                printed.append("\n".join(message["content"]["traceback"]))

        reply = self.client.execute_interactive(code, output_hook=hook, timeout=300)
        text = "".join(printed)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"a cell failed:\n{text}")
        _, found, figures = text.rpartition("FIGURES")
        return json.loads(figures.splitlines()[0]) if found else None

    def apps(self) -> list[dict[str, Any]]:
        """What the gateway serves."""
        found: list[dict[str, Any]] = fal_jupyter(self.state, "apps")
        return found

    def server(self, name: str) -> Server:
        """An app with the endpoint ``/async``, for a load."""
        url, key = self.run(f"import json; print('FIGURES' + json.dumps([{name}.url, {name}.key]))")
        return Server(name, url.rstrip("/"), {"async": "/async"}, [f"Authorization: Key {key}"])


@contextmanager
def notebook() -> Iterator[Notebook]:
    """A kernel that serves the app ``Bench``, for the time of a ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-", ignore_cleanup_errors=True) as place:
        running = Notebook(Path(place) / "state")
        try:
            running.open()
            serve_bench(running)
            yield running
        finally:
            running.close()


def serve_bench(running: Notebook) -> None:
    """Serve the app ``Bench`` from a cell."""
    running.run("%%fal_app\n" + APP.replace("CLASS", "Bench").replace("OPTIONS", ""))


def calls(running: Notebook) -> tuple[float, float]:
    """p50 in ms of calls of ``Bench`` from a cell, and of raw requests of the same process."""
    call, raw = running.run(CALLS.replace("TIMES", str(CALLS_EACH)))
    return call, raw


def starts(running: Notebook, times: int) -> dict[str, list[float]]:
    """ms from running a cell with a new app to its first answer, in a warm gateway; the first torch app apart."""

    def several(source: str, names: list[str], call: str) -> list[float]:
        code = f"SOURCE, NAMES = {source!r}, {names}\n" + STARTS.replace("CALL", call)
        found: list[float] = running.run(code)
        return found

    plain = several(APP, _names("Plain", times), "greet(name='Ada')")
    running.run("import torch")  # the kernel's own import is none of ours
    first = several(TORCH, ["First"], "total()")
    torch = several(TORCH, _names("Torch", times), "total()")
    _expect_apps(running, 2 * times + 2)
    return {"plain": plain, "first torch": first, "torch": torch}


def add_many(running: Notebook) -> None:
    """A hundred apps more, which nobody calls; waits until their runners have ended."""
    running.run(f"SOURCE, NAMES = {APP!r}, {_names('Many', 100)}\n" + MANY)
    _expect_apps(running, 101)
    wait_until(
        lambda: not any(app["runners"] for app in running.apps() if app["class_name"] != "Bench"),
        "the end of the runners of 100 apps",
    )


def _names(stem: str, times: int) -> list[str]:
    """Class names that are apps of their own: digits do not count in an app's name, so these end with two letters."""
    letters = string.ascii_uppercase
    return [f"{stem}{letters[n // 26]}{letters[n % 26]}" for n in range(times)]


def _expect_apps(running: Notebook, number: int) -> None:
    if (found := len(running.apps())) != number:
        raise RuntimeError(f"{found} apps are served, not {number}")
