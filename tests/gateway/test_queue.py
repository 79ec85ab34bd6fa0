"""The queue over the gateway's port, by the rules that fal's clients follow."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fal_jupyter import settings
from fal_jupyter.domain.queue.jobs import Job
from fal_jupyter.domain.queue.webhooks import signed_message
from fal_jupyter.gateway.queue.queue import Queue, QueuedCall
from fal_jupyter.gateway.queue.webhooks import Webhooks
from tests.clients.waiting import until
from tests.support.queue_caller import Caller
from tests.support.serve import Served, served
from tests.support.webhook_receiver import WebhookReceiver

APP = """
import asyncio
import sys
import time
from pathlib import Path

import fal
from fal.exceptions import RequestCancelledException
from fastapi import HTTPException, Request, Response
from pydantic import BaseModel


class In(BaseModel):
    text: str = "none"
    release: str = ""


class Jobs(fal.App):
    max_concurrency = 1
    min_concurrency = 1

    @fal.endpoint("/")
    def run(self, input: In) -> dict:
        print("begins", input.text)
        if input.release:
            while not Path(input.release).exists():
                time.sleep(0.01)
        print("ends", input.text, file=sys.stderr)
        return {"text": input.text}

    @fal.endpoint("/sub/x")
    def sub(self, request: Request, input: In) -> dict:
        return {"sub": input.text, "query": str(request.query_params)}

    @fal.endpoint("/slow")
    async def slow(self, request: Request) -> dict:
        self.sleeping = asyncio.create_task(asyncio.sleep(60))
        self.loop, self.id = asyncio.get_running_loop(), request.headers["x-fal-request-id"]
        print("sleeps")
        try:
            await self.sleeping
        except asyncio.CancelledError:
            raise RequestCancelledException("stopped by /slow/cancel")
        return {}

    @fal.endpoint("/slow/cancel")
    def cancel_slow(self, request: Request) -> dict:
        print("same id", request.headers["x-fal-request-id"] == self.id)
        self.loop.call_soon_threadsafe(self.sleeping.cancel)
        Path(self.stopped).touch()
        return {}

    @fal.endpoint("/told")
    def told(self, stopped: str) -> dict:
        self.stopped = stopped
        return {}

    @fal.endpoint("/fails")
    def fails(self) -> dict:
        raise ValueError("nobody shall read this")

    @fal.endpoint("/bytes")
    def octets(self) -> Response:
        return Response(b"\\x00\\x01", media_type="application/octet-stream", headers={"x-own": "1"})

    @fal.endpoint("/written")
    def written(self, request: Request) -> Response:
        text = {"NaN": '{"x": NaN}', "1e999": '{"x": 1e999}', "deep": "[" * 50_000 + "]" * 50_000}[request.query_params["what"]]
        return Response(text, media_type="application/json")
"""


@pytest.fixture(scope="module")
def jobs(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("jobs") / "jobs.py"
    path.write_text(APP)
    with served(shared_state, f"{path}::Jobs") as one:
        one.request("/", {"text": "warm"})
        yield one


@pytest.fixture
def caller(jobs: Served) -> Caller:
    return Caller(jobs)


@pytest.fixture
def running_job(caller: Caller, tmp_path: Any) -> Iterator[dict[str, Any]]:
    """A job that has the only runner until its file is there."""
    release = tmp_path / "release"
    job = caller.submit({"text": "held", "release": str(release)})
    caller.wait(job, "IN_PROGRESS")
    yield job | {"release": release}
    release.touch()
    caller.wait(job)


def test_a_job_from_its_submission_to_its_result(caller: Caller) -> None:
    job = caller.submit({"text": "é" * 1000})
    assert job["status"] == "IN_QUEUE"
    assert job["queue_position"] == 0
    base = f"http://{caller.host}/queue/{caller.app}/requests/{job['request_id']}"
    assert (job["response_url"], job["status_url"], job["cancel_url"]) == (base, f"{base}/status", f"{base}/cancel")
    done = caller.wait(job)
    assert [(entry["message"], entry["level"]) for entry in done["logs"]] == [
        (f"begins {'é' * 1000}", "STDOUT"),
        (f"ends {'é' * 1000}", "STDERR"),
    ]
    assert done["metrics"]["inference_time"] >= 0
    assert "error" not in done
    for path in ("", "/", "/response"):
        status, result, headers = caller.ask("GET", urlsplit(base).path + path)
        assert (status, result, headers["x-fal-request-id"]) == (200, {"text": "é" * 1000}, job["request_id"])


def test_logs_are_sent_on_request(caller: Caller) -> None:
    job = caller.submit()
    for logs, wanted in (("1", True), ("true", True), ("TRUE", True), ("0", False), ("false", False)):
        response = caller.wait(job, logs=logs)  # type: ignore[arg-type]
        assert bool(response["logs"]) is wanted
    assert caller.ask("GET", f"{caller.app}/requests/{job['request_id']}/status")[1]["logs"] is None


def test_positions_priorities_and_states(caller: Caller, running_job: dict[str, Any]) -> None:
    low = caller.submit({"text": "low"}, x_fal_queue_priority="low")
    first, second = caller.submit({"text": "1"}), caller.submit({"text": "2"})
    found = [caller.wait(job, "IN_QUEUE")["queue_position"] for job in (low, first, second)]
    assert found == [2, 0, 1]
    status, response, _ = caller.ask("GET", f"{caller.app}/requests/{first['request_id']}")
    assert (status, response["detail"]) == (400, "Request is still in progress")
    running_job["release"].touch()
    ends = [caller.wait(job)["logs"][0]["timestamp"] for job in (first, second, low)]
    assert ends == sorted(ends)


def test_a_waiting_job_is_cancelled_at_once(caller: Caller, running_job: dict[str, Any]) -> None:
    job = caller.submit({"text": "never"})
    path = urlsplit(job["cancel_url"]).path
    status, response, _ = caller.ask("PUT", path)
    assert (status, response) == (202, {"status": "CANCELLATION_REQUESTED"})
    done = caller.wait(job)
    assert (done["error_type"], done["logs"]) == ("client_cancelled", [])
    status, response, headers = caller.ask("GET", urlsplit(job["response_url"]).path)
    assert (status, response["error_type"], headers["x-fal-error-type"]) == (
        499,
        "client_cancelled",
        "client_cancelled",
    )
    assert caller.ask("PUT", path)[:2] == (400, {"status": "ALREADY_COMPLETED"})


def test_a_forced_cancellation_ends_a_running_job_at_once(caller: Caller, running_job: dict[str, Any]) -> None:
    assert caller.ask("PUT", urlsplit(running_job["cancel_url"]).path + "?force=1")[0] == 202
    assert caller.wait(running_job)["error_type"] == "client_cancelled"


def test_the_cancel_endpoint_of_a_running_job_gets_its_id_and_decides(caller: Caller, tmp_path: Path) -> None:
    caller.wait(caller.submit({"stopped": str(tmp_path / "stopped")}, "/told"))
    job = caller.submit(below="/slow")
    until(lambda: caller.wait(job, "IN_PROGRESS")["logs"])
    status, response, _ = caller.ask("PUT", urlsplit(job["cancel_url"]).path)
    assert (status, response) == (202, {"status": "CANCELLATION_REQUESTED"})
    done = caller.wait(job)
    assert (done["error_type"], [line["message"] for line in done["logs"]]) == (
        "client_cancelled",
        ["sleeps", "same id True"],
    )
    status, response, _ = caller.ask("GET", urlsplit(job["response_url"]).path)
    assert (status, response["detail"]) == (499, "stopped by /slow/cancel")
    assert caller.ask("PUT", urlsplit(job["cancel_url"]).path)[:2] == (400, {"status": "ALREADY_COMPLETED"})


def test_a_disconnect_is_reported_to_the_cancel_endpoint(caller: Caller, tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    caller.wait(caller.submit({"stopped": str(mark)}, "/told"))
    connection = http.client.HTTPConnection(caller.host, timeout=30)
    connection.request("POST", f"/run/{caller.app}/slow", b"{}", {"authorization": f"Key {caller.key}"})
    waiting = caller.submit()
    caller.wait(waiting, "IN_QUEUE")
    connection.close()
    until(mark.exists)
    caller.wait(waiting)


def test_an_app_without_a_cancel_endpoint_runs_on_and_its_result_can_be_had(
    caller: Caller, running_job: dict[str, Any]
) -> None:
    for _ in range(2):
        status, response, _ = caller.ask("PUT", urlsplit(running_job["cancel_url"]).path)
        assert (status, response) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert caller.wait(running_job, "IN_PROGRESS")["status"] == "IN_PROGRESS"
    running_job["release"].touch()
    assert "error" not in caller.wait(running_job)
    status, response, _ = caller.ask("GET", urlsplit(running_job["response_url"]).path)
    assert (status, list(response)) == (200, ["text"])


def test_a_failed_job_is_completed_and_its_result_is_the_failure(caller: Caller) -> None:
    job = caller.submit(below="/fails")
    done = caller.wait(job)
    assert done["error"]
    status, response, _ = caller.ask("GET", urlsplit(job["response_url"]).path)
    assert status == 500
    assert "nobody" not in json.dumps(response)
    wrong = caller.submit({"text": 5})
    assert caller.wait(wrong)["error"]
    status, response, _ = caller.ask("GET", urlsplit(wrong["response_url"]).path)
    assert (status, response["detail"][0]["loc"]) == (422, ["body", "text"])


def test_addresses_of_all_forms_reach_the_app(caller: Caller, jobs: Served) -> None:
    owner, alias = caller.app.split("/")
    job = caller.submit({"text": "s"}, "/sub/x?a=1&b=%C3%A9")
    assert f"/{alias}/requests/" in job["status_url"]
    assert "?" not in job["status_url"]
    caller.wait(job)
    for form in (f"{caller.app}/requests/", f"{caller.app}/sub/x/requests/", f"workflows/{caller.app}/requests/"):
        assert caller.ask("GET", form + job["request_id"])[1] == {"sub": "s", "query": "a=1&b=%C3%A9"}
    for path in (f"workflows/{caller.app}/", f"comfy/{caller.app}", f"{owner}-{alias}"):
        assert caller.ask("POST", path, {"text": "x"})[0] == 200
    for path in (f"/run/workflows/{caller.app}/", f"/run/{owner}-{alias}", f"/run/{caller.app}/sub/x/"):
        assert caller.ask("POST", path, {"text": "x"})[0] == 200
    assert caller.ask("GET", caller.app.replace(alias, "other") + f"/requests/{job['request_id']}")[0] == 404


def test_answers_of_every_kind_come_as_they_were(caller: Caller) -> None:
    job = caller.submit(below="/bytes")
    caller.wait(job)
    status, body, headers = caller.ask("GET", urlsplit(job["response_url"]).path)
    assert (status, body, headers["content-type"], headers["x-own"]) == (
        200,
        b"\x00\x01",
        "application/octet-stream",
        "1",
    )


def test_no_input_is_an_empty_object(caller: Caller) -> None:
    status, job, _ = caller.ask("POST", caller.app, content_type="application/json", content_length="0")
    assert status == 200
    caller.wait(job)
    assert caller.ask("GET", urlsplit(job["response_url"]).path)[1] == {"text": "none"}


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "{app}", None, 401),
        ("POST", "{app}", "fjk_nobody:x", 401),
        ("POST", "{app}-other", "own", 404),
        ("GET", "{app}/requests/00000000-0000-0000-0000-000000000000", "own", 404),
        ("GET", "{app}/requests/00000000-0000-0000-0000-000000000000/status", "own", 404),
        ("GET", "{app}/requests/00000000-0000-0000-0000-000000000000/status/stream", "own", 404),
        ("PUT", "{app}/requests/00000000-0000-0000-0000-000000000000/cancel", "own", 404),
        ("GET", "{app}/requests/00000000-0000-0000-0000-000000000000/status", None, 401),
        ("PUT", "{app}/requests/00000000-0000-0000-0000-000000000000/status", "own", 405),
        ("GET", "{app}/requests/00000000-0000-0000-0000-000000000000/cancel", "own", 405),
        ("GET", "{app}/../x/requests/1", "own", 400),
    ],
)
def test_what_is_refused(caller: Caller, method: str, path: str, key: str | None, status: int) -> None:
    found, response, headers = caller.ask(method, path.format(app=caller.app), key=key)
    assert found == status
    assert response["detail"]
    assert headers["x-fal-request-id"]
    assert headers["content-type"].startswith("application/json")


def test_an_invalid_priority_is_refused(caller: Caller) -> None:
    status, response, _ = caller.ask("POST", caller.app, {}, x_fal_queue_priority="high")
    assert (status, response["error_type"]) == (400, "bad_request")


def test_a_status_stream_sends_each_state_and_each_line_once(caller: Caller, running_job: dict[str, Any]) -> None:
    job = caller.submit({"text": "streamed"})
    events: list[dict[str, Any]] = []
    opened = threading.Event()

    def follow() -> None:
        connection = http.client.HTTPConnection(caller.host, timeout=30)
        path = urlsplit(job["status_url"]).path + "/stream?logs=1"
        connection.request("GET", path, headers={"authorization": f"Key {caller.key}"})
        answer = connection.getresponse()
        assert answer.getheader("content-type") == "text/event-stream"
        for line in answer:
            if line.startswith(b"data: "):
                events.append(json.loads(line[6:]))
                opened.set()
        connection.close()

    reader = threading.Thread(target=follow)
    reader.start()
    assert opened.wait(20)
    running_job["release"].touch()
    reader.join(20)
    states = [event["status"] for event in events]
    assert [state for n, state in enumerate(states) if states[:n][-1:] != [state]] == [
        "IN_QUEUE",
        "IN_PROGRESS",
        "COMPLETED",
    ]
    lines = [entry["message"] for event in events for entry in event.get("logs") or ()]
    assert lines == ["begins streamed", "ends streamed"]


# --- webhooks ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("below", "status", "error"), [("", "OK", None), ("/fails", "ERROR", "Invalid status code: 500")]
)
def test_a_result_is_delivered_to_its_webhook_signed(
    caller: Caller, receiver: WebhookReceiver, below: str, status: str, error: str | None
) -> None:
    hook = f"{receiver.url}/hook?a=1&b=é x"
    _, job, _ = caller.ask("POST", f"{caller.app}{below}?fal_webhook={quote(hook, safe='')}", {"text": "w"})
    delivery = receiver.next()
    headers, body = delivery.headers, delivery.body
    payload = json.loads(body)
    assert (payload["request_id"], payload["status"], payload["error"]) == (job["request_id"], status, error)
    assert payload["payload"] == ({"text": "w"} if not below else payload["payload"])
    assert delivery.path.startswith("/hook?a=1&b=")
    parts = [headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")]
    key = caller.ask("GET", "/rest/.well-known/jwks.json", key=None)[1]["keys"][0]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
    public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), signed_message(*parts, body))  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize(
    ("what", "reason"),
    [("NaN", "the answer has NaN, "), ("1e999", "or a number too large "), ("deep", "nested too deeply")],
)
def test_an_answer_that_not_every_receiver_reads_is_delivered_without_payload(
    caller: Caller, receiver: WebhookReceiver, what: str, reason: str
) -> None:
    below = f"/written?what={what}&fal_webhook={quote(receiver.url, safe='')}"
    _, job, _ = caller.ask("POST", caller.app + below, {})
    payload = json.loads(receiver.next().body, parse_constant=pytest.fail)
    assert (payload["status"], payload["payload"]) == ("OK", None)
    assert reason in payload["payload_error"]
    connection = http.client.HTTPConnection(caller.host, timeout=30)
    connection.request("GET", urlsplit(job["response_url"]).path, headers={"authorization": f"Key {caller.key}"})
    assert connection.getresponse().read()[:6] == {"NaN": b'{"x": ', "1e999": b'{"x": ', "deep": b"[[[[[["}[what]
    connection.close()


def test_a_delivery_is_test_a_delivery_is_made_once_in_a_thread_for_all_attempts(
    tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    class Call(QueuedCall):
        def body(self) -> bytes:
            threads.append(threading.get_ident())
            return super().body()

    freed: list[bool] = []

    def no_wait(attempt: int) -> float | None:
        freed.append(answer() is None)
        return 0.0 if attempt < 3 else None

    monkeypatch.setattr(f"{Webhooks.__module__}.wait_after", no_wait)
    call = Call(Job("id", "a", 0.0), None, Queue(None, settings.read()))  # type: ignore[arg-type]
    call.respond(200, [("content-type", "application/json")], b'{"text": "\xc3\xa9"}')
    call.job.end(200, "", "", 0.0, "")
    answer = weakref.ref(call)
    receiver.failures = 2
    webhooks = Webhooks(tmp_path / "key", "me", allow_private=False, most_bytes=10_000)

    async def deliver() -> None:
        nonlocal call
        webhooks.watch(call, receiver.url)
        del call
        await asyncio.gather(*webhooks._tasks)

    asyncio.run(deliver())
    assert threads
    assert threading.get_ident() not in threads
    assert len(threads) == 1
    assert [json.loads(receiver.next().body)["payload"] for _ in range(3)] == [{"text": "é"}] * 3
    assert freed == [True, True]  # between the attempts only the delivery is in memory


@pytest.mark.parametrize(
    "hook",
    [
        "ftp://127.0.0.1/x",
        "nonsense",
        "http://user:pw@127.0.0.1/",
        "http://10.0.0.1/x",
        "http://[fe80::1]/",
        "http://169.254.169.254/latest",
    ],
)
def test_an_address_that_no_result_may_go_to_is_refused(caller: Caller, hook: str) -> None:
    status, response, _ = caller.ask("POST", f"{caller.app}?fal_webhook={quote(hook, safe='')}", {})
    assert (status, response["error_type"]) == (400, "bad_request")
    assert "fal_webhook" in response["detail"]


def test_a_caller_of_the_port_does_not_influence_urls(jobs: Served) -> None:
    caller = Caller(jobs)
    response = caller.submit({"text": "x"}, x_fal_jupyter_base="https://evil.example")
    assert response["status_url"].startswith(f"http://{caller.host}/queue/")
