"""A thousand requests and twenty redefinitions, in the long form ten times as many: memory, descriptors and processes are back where they were."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.kernel import Kernel
from tests.support.serve import doctor
from tests.support.state import processes_of
from tests.support.wire import Wire, head

CELL = """
import fal

class Leaky(fal.App):
    max_multiplexing = 4

    def setup(self):
        self.state = list(range(1000))

    @fal.endpoint("/")
    async def hi(self, name: str) -> str:
        return f"revision {NUMBER}: {name}"
"""


def private(pid: int) -> int:
    """Bytes that only this process has."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Dirty:", "Private_Clean:")))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Count:
    """What the gateway, its template and the kernel hold now, and how many processes there are."""

    def __init__(self, state: Path, kernel: int) -> None:
        processes = doctor(state)["processes"]
        pids = {p["role"]: p["pid"] for p in processes if p["role"] in ("gateway", "template")} | {"kernel": kernel}
        self.memory = {role: private(pid) for role, pid in pids.items()}
        self.descriptors = {role: descriptors(pid) for role, pid in pids.items()}
        self.processes = len(processes_of(state))
        self.pids = pids


def redefine(notebook: Kernel, first: int, times: int) -> None:
    code = (
        f"for number in range({first}, {first + times}):\n"
        f"    get_ipython().run_cell_magic('fal_app', '', {CELL!r}.replace('NUMBER', str(number)))\n"
    )
    cell = notebook.run(code, timeout=110).ok()
    assert "Traceback" not in cell.text
    assert f"revision {first + times - 1}: x" in notebook.run("Leaky.hi('x')").ok().result


def call(notebook: Kernel, times: int) -> None:
    """Calls over the port, on a few connections, and a tenth as many from the cell."""
    output = notebook.run("import json; print(json.dumps([Leaky.url, Leaky.key]))").ok().text
    url, key = json.loads(output.strip().splitlines()[-1])
    port = int(url.split(":")[2].split("/")[0])
    path = "/" + url.split("/", 3)[3].rstrip("/") + "/"
    body = b'{"name": "x"}'
    data = head("POST", path, port, key, f"Content-Length: {len(body)}", "Content-Type: application/json") + body
    for _ in range(10):
        with closing(Wire(port)) as wire:
            for _ in range(times // 10):
                wire.send(data)
                assert wire.reply().status == 200
    notebook.run(f"for _ in range({times // 10}): Leaky.hi('x')").ok()


def settle(state: Path, kernel: int, processes: int) -> Count:
    """Count when the runners of former revisions are gone."""
    deadline = time.monotonic() + 20
    while True:
        count = Count(state, kernel)
        if count.processes <= processes or time.monotonic() > deadline:
            return count
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("redefinitions", "requests", "megabytes", "files_open"),
    [(8, 400, 3, 4), (200, 10_000, 12, 10)],
)
def test_requests_and_redefinitions_leave_nothing(
    notebook: Kernel, state: Path, redefinitions: int, requests: int, megabytes: int, files_open: int
) -> None:
    redefine(notebook, 0, 20)
    call(notebook, 1000)
    before = settle(state, notebook.pid, 4)

    redefine(notebook, 100, redefinitions)
    call(notebook, requests)

    after = settle(state, notebook.pid, before.processes)
    assert after.pids == before.pids
    assert after.processes == before.processes
    for role, number in after.descriptors.items():
        assert number <= before.descriptors[role] + files_open, (role, before.descriptors, after.descriptors)
    for role, size in after.memory.items():
        assert size - before.memory[role] < megabytes << 20, (role, before.memory, after.memory)
    print(json.dumps({"before": before.memory, "after": after.memory, "fds": [before.descriptors, after.descriptors]}))
    files = sum(f.stat().st_size for f in state.rglob("*") if f.is_file())
    assert files < 10 << 20
