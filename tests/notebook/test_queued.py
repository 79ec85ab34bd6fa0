"""Requests in the queue from cells of a real kernel: submitted, followed, awaited, cancelled, and found again by another process."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.webhook_receiver import WebhookReceiver

APP = """%%fal_app
import sys, time
from pathlib import Path
from fastapi import HTTPException, Request
from pydantic import BaseModel

class Words(BaseModel):
    text: str

class Jobs(fal.App):
    max_concurrency = 1
    min_concurrency = 1

    @fal.endpoint("/")
    def generate(self, prompt: str, gate: str = "") -> Words:
        print("begins", prompt)
        while gate and not Path(gate).exists():
            time.sleep(0.01)
        print("ends", prompt, file=sys.stderr)
        return Words(text=prompt[::-1])

    @fal.endpoint("/fails")
    def fails(self) -> dict:
        raise ValueError("of my own")

    @fal.endpoint("/refuses")
    def refuses(self) -> dict:
        raise HTTPException(418, "short and stout")

    @fal.endpoint("/sent")
    def sent(self, request: Request, n: int) -> dict:
        return {"hint": request.headers.get("x-fal-runner-hint"), "mine": request.headers.get("x-mine"), "query": str(request.query_params), "n": n}
"""


@pytest.fixture(scope="module")
def jobs(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


def test_an_output_that_cannot_be_printed_is_not_a_gateway_that_has_ended(jobs: Kernel) -> None:
    refused = jobs.run(
        "class Closed:\n"
        "    def write(self, text): raise BrokenPipeError(32, 'Broken pipe')\n"
        "    def flush(self): pass\n"
        "job, standard = Jobs.submit.generate('abc'), sys.stdout\n"
        "sys.stdout = Closed()\n"
        "try: job.get()\n"
        "finally: sys.stdout = standard\n"
    )
    assert refused.ename == "BrokenPipeError"
    assert jobs.run("job.get().text").ok().result == "'cba'"


def test_a_request_is_in_the_queue_at_once_and_its_value_is_a_calls(jobs: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cell = jobs.run(
        f"job = Jobs.submit.generate('abc', gate={str(gate)!r})\n"
        "print(job)\n"
        "for status in job.iter_events():\n"
        "    if type(status).__name__ == 'InProgress': break\n"
        "print(job, job.status())\n"
        f"Path({str(gate)!r}).touch()\n"
        "value = job.get()\n"
        "print(type(value).__name__, value.text, job.get().text)\n"
        "print(job)\n"
    ).ok()
    lines = cell.text.splitlines()
    assert re.fullmatch(r"<request [0-9a-f-]{36} of Jobs.generate: submitted>", lines[0])
    assert lines[1].endswith("of Jobs.generate: in progress> InProgress(logs=None)")
    assert sorted(lines[2:4]) == ["begins abc", "ends abc"]
    assert lines[4:5] == ["Words cba cba"]
    assert lines[5].endswith("of Jobs.generate: completed>")
    assert {o["name"] for o in cell.outputs if o["output_type"] == "stream"} == {"stdout", "stderr"}
    assert cell.calls, "its timing is under the cell"


def test_events_report_every_change_with_all_lines_so_far(jobs: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cell = jobs.run(
        f"first = Jobs.submit.generate('one', gate={str(gate)!r})\n"
        "second = Jobs.submit.generate('two')\n"
        "print(type(second.status()).__name__, second.status().position, second)\n"
        f"import threading\nthreading.Timer(0.2, Path({str(gate)!r}).touch).start()\n"
        "seen = list(second.iter_events(with_logs=True))\n"
        "print([type(s).__name__ for s in seen][0], type(seen[-1]).__name__)\n"
        "print([l['message'] for l in seen[-1].logs], seen[-1].metrics['inference_time'] >= 0, seen[-1].error)\n"
        "print(all(l['source'] == 'USER' for l in second.status(with_logs=True).logs))\n"
    ).ok()
    lines = cell.text.splitlines()
    assert lines[0].startswith("Queued 0 <request ")
    assert lines[0].endswith(": queued, 0 before it>")
    assert lines[1:] == ["Queued Completed", "['begins two', 'ends two'] True None", "True"]


def test_a_job_can_be_awaited_and_followed_asynchronously(jobs: Kernel) -> None:
    cell = jobs.run(
        "import asyncio\n"
        "values = await asyncio.gather(*(Jobs.submit.generate(str(n)) for n in (12, 34)))\n"
        "print([v.text for v in values])\n"
        "print([type(s).__name__ async for s in Jobs.submit.generate('x').iter_events()][-1])\n"
    ).ok()
    assert "['21', '43']" in cell.text
    assert "begins 12" in cell.text
    assert cell.text.splitlines()[-1] == "Completed"


@pytest.mark.parametrize("way", ["job.get()", "await job", "Jobs.submit.result(job.request_id)"])
def test_a_failure_is_a_calls_failure_with_the_users_traceback(jobs: Kernel, way: str) -> None:
    failed = jobs.run(f"job = Jobs.submit.fails()\n{way}")
    assert (failed.ename, failed.status) == ("RequestError", "error")
    assert 'raise ValueError("of my own")' in failed.traceback
    assert "Cell In[" in failed.traceback
    cell = jobs.run(
        "try:\n    job.get()\nexcept Exception as e: print(e.status, e.error_type, e.request_id == job.request_id)\n"
        "print(job.status().error, job.status().error_type)"
    ).ok()
    assert cell.text.splitlines() == ["500 runner_server_error True", "500 Internal Server Error runner_server_error"]


def test_an_answer_with_an_error_status_is_one_sentence(jobs: Kernel) -> None:
    failed = jobs.run("Jobs.submit.refuses().get()")
    assert failed.evalue.startswith("Jobs.refuses answered 418: short and stout")


def test_options_have_the_names_of_fal_client(jobs: Kernel) -> None:
    cell = jobs.run(
        "say = Jobs.submit(priority='low', start_timeout=20, hint='h1', headers={'x-mine': '1'})\n"
        "print(say.sent(n=3).get())\n"
        "print(Jobs.submit.sent(n=4).get())\n"
    ).ok()
    assert cell.text.splitlines() == [
        "{'hint': 'h1', 'mine': '1', 'query': '', 'n': 3}",
        "{'hint': None, 'mine': None, 'query': '', 'n': 4}",
    ]


def test_low_priority_waits_for_normal_ones(jobs: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cell = jobs.run(
        f"Jobs.submit.generate('first', gate={str(gate)!r})\n"
        "low = Jobs.submit(priority='low').generate('low')\n"
        "normal = Jobs.submit.generate('normal')\n"
        "print(low.status().position, normal.status().position)\n"
        f"Path({str(gate)!r}).touch()\nlow.get() and None"
    ).ok()
    assert cell.text.splitlines()[0] == "1 0"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("Jobs.submit(priority='high')", "priority is 'normal' or 'low', not 'high'"),
        ("Jobs.submit(prompt='x')", "arguments go behind an endpoint's name: Jobs.submit.fails(...)"),
        ("Jobs.submit('x')", "Jobs.submit(...) takes how to queue"),
        (
            "Jobs.submit(start_timeout=0.05).generate('x')",
            "x-fal-request-timeout must be a number of seconds above 0.1",
        ),
        ("Jobs.submit(webhook_url='ftp://x').generate('x')", "webhook"),
        ("Jobs.submit(headers={'x': 'a\\nb'}).generate('x')", "a header contains a line break"),
        ("Jobs.submit.generate()", "missing a required argument: 'prompt'"),
        ("Jobs.submit.nothing()", "Jobs.submit has no endpoint 'nothing'; there are: fails, generate, refuses, sent"),
        ("Jobs.submit.get_handle('../x')", "'../x' is not a request id"),
        ("Jobs.submit.get_handle('0-0').get()", "no request 0-0 of"),
        ("Jobs.submit.status('0-0')", "no request 0-0 of"),
        ("Jobs.submit.cancel('0-0')", "no request 0-0 of"),
    ],
)
def test_what_cannot_be_is_one_sentence(jobs: Kernel, written: str, message: str) -> None:
    failed = jobs.run(written)
    assert message in failed.evalue
    assert "queued.py" not in failed.traceback or failed.ename == "AttributeError"


def test_the_namespace_lists_its_endpoints(jobs: Kernel) -> None:
    assert jobs.run("Jobs.submit").ok().result == "<Jobs.submit: fails, generate, refuses, sent>"
    names = "['cancel', 'fails', 'generate', 'get_handle', 'refuses', 'result', 'sent', 'status']"
    assert jobs.run("print(dir(Jobs.submit))").ok().text == f"{names}\n"


def test_cancelling_drops_what_waits_and_ends_what_runs(jobs: Kernel, tmp_path: Path) -> None:
    cell = jobs.run(
        f"running = Jobs.submit.generate('runs', gate={str(tmp_path / 'never')!r})\n"
        "for s in running.iter_events():\n    if type(s).__name__ == 'InProgress': break\n"
        "waiting = Jobs.submit.generate('waits')\n"
        "for job in (waiting, running):\n"
        "    job.cancel(force=job is running)\n"
        "    try:\n        job.get()\n    except Exception as e: print(e.status, e.error_type, e)\n"
        "    print(job)\n"
        "try:\n    running.cancel()\nexcept Exception as e: print(e.status, e)\n"
        "print(Jobs.hi if False else Jobs.submit.generate('after').get().text)\n"
    ).ok()
    lines = [line for line in cell.text.splitlines() if not line.startswith(("begins", "ends"))]
    assert lines[0] == "499 client_cancelled Jobs.generate answered 499: the request was cancelled"
    assert lines[1].endswith("failed: the request was cancelled>")
    assert lines[2] == lines[0]
    assert lines[4:] == ["400 Jobs.generate answered 400: the request is over already", "retfa"]


def test_an_interrupt_stops_the_waiting_and_not_the_request(jobs: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cell = jobs.start(f"job = Jobs.submit.generate('kept', gate={str(gate)!r})\njob.get()")
    jobs.finish(cell, until=lambda c: "begins kept" in c.text)
    jobs.interrupt()
    stopped = jobs.finish(cell)
    assert stopped.ename == "KeyboardInterrupt"
    assert "is still running: job.get() waits for it again" in stopped.traceback
    gate.touch()
    again = jobs.run("job.get().text").ok()
    assert again.result == "'tpek'"
    assert again.text == "ends kept\n"  # its first line was shown by the first wait


def test_a_webhook_gets_the_result(jobs: Kernel, receiver: WebhookReceiver) -> None:
    address = f"{receiver.url}/?a=1&b=2"
    cell = jobs.run(f"print(Jobs.submit(webhook_url={address!r}).generate('hook').request_id)").ok()
    delivered = json.loads(receiver.next().body)
    assert (delivered["request_id"], delivered["status"], delivered["payload"]) == (
        cell.text.strip(),
        "OK",
        {"text": "kooh"},
    )


def test_another_kernel_finds_a_request_by_its_id(jobs: Kernel, state: Path, tmp_path: Path) -> None:
    cell = jobs.run("job = Jobs.submit.generate('abc')\njob.get()\nprint(job.request_id, job.response_url)").ok()
    request_id, url = cell.text.splitlines()[-1].split()
    assert url.endswith(f"/jobs/requests/{request_id}")
    with kernel(state, tmp_path) as other:
        other.run("%load_ext fal_jupyter").ok()
        other.run(APP.replace("%%fal_app", "%%fal_app --take-over")).ok()
        found = other.run(
            f"job = Jobs.submit.get_handle({request_id!r})\nprint(job.status().error)\nvalue = job.get()\nprint(type(value).__name__, value.text)\nprint(job)"
        ).ok()
        lines = found.text.splitlines()
        assert lines[0] == "None"
        assert lines[-2:] == ["Words cba", f"<request {request_id} of Jobs.generate: completed>"]
        assert other.run(f"Jobs.submit.result({request_id!r}).text").ok().result == "'cba'"


@pytest.mark.long  # a rare fault: tests/e2e/test_ending.py has a notebook whose gateway ends
def test_a_gateway_that_ended_has_no_queue_any_more(state: Path, tmp_path: Path) -> None:
    with kernel(state.parent / "alone", tmp_path) as alone:
        alone.run("%load_ext fal_jupyter").ok()
        alone.run(APP).ok()
        cell = alone.run(
            "import os, signal, fal_jupyter\n"
            f"job = Jobs.submit.generate('x', gate={str(tmp_path / 'never')!r})\n"
            "client = fal_jupyter.app(Jobs).client\n"
            "events = iter(job.iter_events())\nnext(events)\n"
            "os.kill(client.lease.granted['gateway_pid'], signal.SIGKILL)\n"
            "try:\n    list(events)\nexcept Exception as e: print(e.status, e)\n"
            "print(Jobs.submit.generate('again').get().text)\n"
            "try:\n    job.get()\nexcept Exception as e: print(e.status, e)\n",
            timeout=120,
        ).ok()
    lines = [line for line in cell.text.splitlines() if not line.startswith(("begins", "ends", "["))]
    assert lines[0] == "503 the gateway has ended, and its queue with it"
    assert "niaga" in lines
    assert lines[-2:] == [lines[0], "submit it again: a new gateway is started for it"]
