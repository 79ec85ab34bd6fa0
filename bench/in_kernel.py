"""What is measured where users are: inside a notebook kernel. Each function gives figures; ``%%fal_app`` cells are real ones."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

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
    assert sock.recv(65536).startswith(b"HTTP/1.1 200")

ada = Name(name="Ada")
call = lambda: Bench.greet(ada)
p50(raw, 300), p50(call, 300)
print("FIGURES" + json.dumps([[p50(call, 1000), p50(raw, 1000)] for _ in range(ROUNDS)]))
"""

STARTS = """
import json, time
shell, taken = get_ipython(), []
for number in range(ROUNDS):
    source = SOURCE.replace("CLASS", f"NAME{number}").replace("OPTIONS", "")
    began = time.perf_counter()
    shell.run_cell_magic("fal_app", "", source)
    eval(f"NAME{number}.CALL")
    taken.append((time.perf_counter() - began) * 1000)
print("FIGURES" + json.dumps(taken))
"""

MANY = """
APP = SOURCE
shell = get_ipython()
for number in range(100):
    source = APP.replace("CLASS", f"Many{number}").replace("OPTIONS", "min_concurrency = 0; keep_alive = 0")
    shell.run_cell_magic("fal_app", "", source)
"""


class Notebook:
    """A kernel with the extension loaded, in a state directory of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.manager = KernelManager()
        self.manager.start_kernel(env=dict(os.environ, FAL_JUPYTER_STATE=str(state)))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(60)
        self.run("%load_ext fal_jupyter")

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
            raise SystemExit(f"a cell failed:\n{text}")
        _, found, figures = text.rpartition("FIGURES")
        return json.loads(figures.splitlines()[0]) if found else None

    def address(self, name: str) -> tuple[str, str]:
        """URL and key of an app."""
        url, key = self.run(f"import json; print('FIGURES' + json.dumps([{name}.url, {name}.key]))")
        return url, key


@contextmanager
def notebook() -> Iterator[Notebook]:
    """A kernel for the time of a ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="fal-bench-") as place:
        running = Notebook(Path(place) / "state")
        try:
            yield running
        finally:
            running.client.stop_channels()
            running.manager.shutdown_kernel()


def calls(rounds: int) -> list[tuple[float, float]]:
    """p50 in ms of a call from a cell and of a raw HTTP request of the same process, each round."""
    with notebook() as running:
        running.run("%%fal_app\n" + APP.replace("CLASS", "Bench").replace("OPTIONS", ""))
        return [(call, raw) for call, raw in running.run(CALLS.replace("ROUNDS", str(rounds)))]


def starts(rounds: int) -> dict[str, list[float]]:
    """ms from running a cell with a new app to its first answer, in a warm gateway; the first torch app apart."""
    with notebook() as running:
        running.run("%%fal_app\n" + APP.replace("CLASS", "Bench").replace("OPTIONS", ""))

        def several(source: str, name: str, call: str, times: int) -> list[float]:
            code = f"SOURCE = {source!r}\n" + STARTS.replace("ROUNDS", str(times)).replace("NAME", name)
            found: list[float] = running.run(code.replace("CALL", call))
            return found

        plain = several(APP, "Second", "greet(name='Ada')", rounds)
        running.run("import torch")
        first = several(TORCH, "FirstTorch", "total()", 1)
        torch = several(TORCH, "Torch", "total()", rounds)
    return {"plain": plain, "first torch": first, "torch": torch}


def add_many(running: Notebook) -> None:
    """A hundred apps more, which nobody calls: their runners end at once."""
    running.run(MANY.replace("SOURCE", repr(APP)))


@contextmanager
def with_app() -> Iterator[Notebook]:
    """A notebook that serves ``Bench``."""
    with notebook() as running:
        running.run("%%fal_app\n" + APP.replace("CLASS", "Bench").replace("OPTIONS", ""))
        yield running
