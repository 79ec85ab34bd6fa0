"""Scaling of real runners: under a burst, by hand, back to nothing, and beyond what may wait."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.serve import Served, command, runners, served
from tests.support.wire import head, port_of

APP = """
import os
import time
import asyncio
from pathlib import Path
import fal


class Worker(fal.App):
    max_concurrency = 3
    keep_alive = 1

    @fal.endpoint("/")
    def work(self, number: int) -> dict:
        time.sleep(0.02)
        return {"number": number, "pid": os.getpid()}


class Mixed(fal.App):
    max_concurrency = 1
    max_multiplexing = 2
    min_concurrency = 1

    @fal.endpoint("/slow")
    async def slow(self, gate: str) -> str:
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
        return "slow"

    @fal.endpoint("/fast")
    async def fast(self) -> str:
        return "fast"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "apps.py"
    path.write_text(APP)
    return str(path)


@pytest.fixture(scope="module")
def notebook(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernel(shared_state, tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


def scaling(state: Path, app: str, *words: str) -> dict[str, Any]:
    done = command(state, "scale", app, *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_burst_scales_up_then_down_to_zero_and_no_request_is_lost(shared_state: Path, file: str) -> None:
    state = shared_state
    with served(state, f"{file}::Worker") as app:
        for _ in range(2):  # from the first runner, then from none: a cold start
            with ThreadPoolExecutor(40) as callers:
                answers = list(callers.map(lambda n: app.request("/", {"number": n}), range(200)))
            assert Counter(a.status for a in answers) == {200: 200}
            assert [a.json["number"] for a in answers] == list(range(200))
            assert 2 <= len({a.json["pid"] for a in answers}) <= 3
            assert len(runners(state)) <= 3
            while runners(state):  # keep_alive is over: none is left
                Event().wait(0.05)
        decided = " ".join(d["decided"] for d in scaling(state, "Worker")["decisions"])
        assert re.search(r"\d+ calls? waited [^.;]*so \d+ w(as|ere) wanted", decided)
        assert "was idle for keep_alive (1 s)" in decided


@pytest.mark.long
def test_slow_callers_do_not_hold_fast_ones(state: Path, file: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with served(state, f"{file}::Mixed") as app, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(app.request, "/slow", {"gate": str(gate)})
        for _ in range(20):
            assert app.request("/fast", {}).json == "fast"
        assert not slow.done()
        gate.touch()
        assert slow.result(20).json == "slow"


async def flood(app: Served, calls: int, body: bytes) -> Counter[tuple[int, bool]]:
    """So many calls at once, each on a connection of its own; counts (status, has Retry-After)."""
    port = port_of(app.ready["base"])
    path = f"/run/{app.ready['app']}/slow"
    length, kind = f"Content-Length: {len(body)}", "Content-Type: application/json"
    data = head("POST", path, port, app.ready["key"], length, kind, "Connection: close") + body
    gate = Path(json.loads(body)["gate"])
    refused = 0

    async def one() -> tuple[int, bool]:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        status = int(answer.split(b" ", 2)[1])
        refused += status == 503
        if refused == calls - 1002:
            gate.touch()  # all that may wait do wait, the others have been told: now let them go on
        return status, b"retry-after:" in answer.lower()

    return Counter(await asyncio.gather(*(one() for _ in range(calls))))


@pytest.mark.long
def test_requests_beyond_the_queue_limit_get_retry_after_and_leave_no_trace(
    state: Path, file: str, tmp_path: Path
) -> None:
    with served(state, f"{file}::Mixed") as app:
        gateway = json.loads(command(state, "doctor", "--json").stdout)["gateway"]["pid"]

        def held() -> tuple[int, int]:
            resident = int(Path(f"/proc/{gateway}/statm").read_text().split()[1]) * 4096
            return resident, len(list(Path(f"/proc/{gateway}/fd").iterdir()))

        before, sizes = 0, []
        for round_ in range(4):
            body = json.dumps({"gate": str(tmp_path / f"gate{round_}")}).encode()
            counted = asyncio.run(flood(app, 1300, body))
            assert counted == {(200, False): 1002, (503, True): 298}  # two at work, a thousand waiting
            sizes.append(held()[0])
            before = before or held()[1]
        assert held()[1] <= before + 5
        assert sizes[-1] - sizes[0] < 4 << 20, sizes  # an ended connection is freed at once: 1,300 of them hold 7 MB
        assert app.request("/fast", {}).json == "fast"


def test_scaling_by_hand_acts_at_once_and_outlives_a_new_revision(notebook: Kernel, shared_state: Path) -> None:
    state = shared_state
    cell = (
        "%%fal_app\nimport os, time\nclass Hand(fal.App):\n    max_concurrency = 1\n"
        "    @fal.endpoint('/')\n    def pid(self) -> int:\n        time.sleep(0.05)\n        return os.getpid()\n"
    )
    notebook.run(cell).ok()
    crowd = "len(set(Hand.pid.map([()] * 30, concurrency=10)))"
    assert notebook.run(crowd).ok().result == "1"

    shown = notebook.run("%fal scale Hand --max 3 --min 3").ok().text
    assert re.search(r"max_concurrency\s+3\s+by hand \(the class: 1\)", shown)
    while len([r for r in runners(state) if r["state"] == "IDLE"]) != 3:
        Event().wait(0.05)
    assert notebook.run(crowd).ok().result == "3"

    changed = notebook.run(cell.replace("return os", "return 0 + os")).ok()
    assert "scaled by hand: min_concurrency 3, max_concurrency 3" in changed.shown
    assert "%fal scale Hand --reset" in changed.shown

    record = notebook.run(
        "import fal_jupyter\nfal_jupyter.app(Hand).scale(min_concurrency=0, keep_alive=0)['scaling']"
    ).ok()
    assert "'min_concurrency': 0" in record.result
    while runners(state):
        Event().wait(0.05)

    notebook.run("%fal scale Hand --reset").ok()
    assert scaling(state, "Hand")["overrides"] == {}
    assert notebook.run(crowd).ok().result == "1"

    notebook.run("%fal scale Hand --request-start-timeout 0.06").ok()
    late = notebook.run(crowd)
    assert "no runner had it within 0.06 s (request_start_timeout)" in late.traceback
    assert notebook.run("fal_jupyter.app(Hand).scale(request_start_timeout=0)['overrides']").ok().result == (
        "{}"
    )  # as the class has it
    assert notebook.run(crowd).ok().result == "1"

    notebook.run("%fal scale Hand --max 4 --min 0").ok()
    rewritten = notebook.run(
        cell.replace("return os", "return 1 * os").replace("max_concurrency = 1", "max_concurrency = 4")
    ).ok()
    assert "max_concurrency" not in rewritten.shown  # the class says it now
    assert scaling(state, "Hand")["overrides"] == {"min_concurrency": 0}  # without it, a runner would be kept warm


def test_what_cannot_be_is_refused_with_the_reason_and_changes_nothing(notebook: Kernel, shared_state: Path) -> None:
    state = shared_state
    notebook.run(
        "%%fal_app\nclass Firm(fal.App):\n    max_concurrency = 2\n    @fal.endpoint('/')\n    def hi(self) -> int: return 1\n"
    ).ok()
    before = scaling(state, "Firm")
    for line, words in (
        ("%fal scale Firm --min 5", ["min_concurrency is 5", "max_concurrency is 2"]),
        ("%fal scale Firm --max 0", ["max_concurrency", "1 or more"]),
        ("%fal scale Firm --multiplex x", ["--multiplex", "non-negative integer"]),
        ("%fal scale Firm --reset --max 3", ["--reset"]),
        ("%fal scale Nobody --max 3", ["Nobody"]),
        ("import fal_jupyter\nfal_jupyter.app(Firm).scale(max_concurency=3)", ["max_concurency", "max_concurrency"]),
        ("fal_jupyter.app(Firm).scale(max_concurrency=2.5)", ["whole number"]),
    ):
        wrong = notebook.run(line)
        assert wrong.status == "error", line
        for word in words:
            assert word in wrong.traceback, wrong.traceback
        assert "Traceback" not in wrong.traceback
    after = scaling(state, "Firm")
    assert (after["scaling"], after["overrides"]) == (before["scaling"], {})


def test_explain_shows_the_state_and_the_deciding_rule(shared_state: Path, file: str) -> None:
    state = shared_state
    with served(state, f"{file}::Worker") as app:
        began = time.monotonic()
        with ThreadPoolExecutor(20) as callers:
            list(callers.map(lambda n: app.request("/", {"number": n}), range(60)))
        output = command(state, "scale", "Worker", "--explain").stdout
        assert re.search(r"\d+ waiting, \d+ in flight.*so \d+ w(as|ere) wanted", output)
        assert "now: 0 waiting, 0 in flight" in output
        decisions = scaling(state, "Worker")["decisions"]
        assert all(0 <= d["seconds_ago"] <= time.monotonic() - began + 60 for d in decisions)
