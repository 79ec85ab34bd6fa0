"""``fal_client.SyncClient``'s queue, as installed, against the gateway."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fal_client
import httpx
import pytest

from tests.clients.waiting import until
from tests.support.serve import Served

Client = fal_client.SyncClient


class BusyApp:
    """The app that takes one request at a time, held by one until :meth:`release`."""

    def __init__(self, client: Client, app: str, gate: Path, name: str) -> None:
        self._client, self._app, self._gate = client, app, gate
        self.job = client.submit(app, {"name": name, "gate": str(gate)})
        until(lambda: isinstance(self.job.status(), fal_client.InProgress))

    def release(self) -> None:
        self._gate.touch()
        self.job.get()

    def order(self) -> list[str]:
        """The names of the requests that began, in order."""
        found: list[str] = self._client.run(self._app, {}, path="/order")
        return found


@pytest.fixture
def busy_app(client: Client, queued: str, tmp_path: Path, name: str) -> Iterator[BusyApp]:
    found = BusyApp(client, queued, tmp_path / "gate", name)
    yield found
    found.release()


def test_subscribe_reports_the_id_then_the_states_then_the_result(client: Client, app: str) -> None:
    ids: list[str] = []
    updates: list[fal_client.Status] = []
    result = client.subscribe(
        app,
        {"prompt": "a cat"},
        path="/valid",
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=updates.append,
        interval=0.01,
    )

    assert result == {"prompt": "a cat", "steps": 1}
    assert len(ids) == 1
    assert isinstance(updates[-1], fal_client.Completed)
    ranks = [[fal_client.Queued, fal_client.InProgress, fal_client.Completed].index(type(u)) for u in updates]
    assert ranks == sorted(ranks)


def test_a_job_seen_completed_has_all_its_logs_and_its_metrics(client: Client, app: str) -> None:
    job = client.submit(app, {"prompt": "a dog"}, path="/valid")
    job.get()
    done = job.status(with_logs=True)

    assert isinstance(done, fal_client.Completed)
    assert done.logs is not None
    assert [line["message"] for line in done.logs] == ["drawing a dog", "done"]
    assert {line["source"] for line in done.logs} == {"USER"}
    assert isinstance(done.metrics["inference_time"], float)
    assert (done.error, done.error_type) == (None, None)
    without = job.status()
    assert isinstance(without, fal_client.Completed)
    assert not without.logs


def test_submit_returns_urls_that_can_be_requested(client: Client, many: Served, app: str) -> None:
    job = client.submit(f"{app}/sub/x", {"n": 1})
    base = f"{many.ready['base']}/queue/{app}/requests/{job.request_id}"

    assert (job.response_url, job.status_url, job.cancel_url) == (base, f"{base}/status", f"{base}/cancel")
    assert not urlsplit(job.status_url).query
    assert job.get() == {"input": {"n": 1}, "path": "/sub/x"}


def test_a_job_is_found_by_its_id_by_another_client(
    client: Client, client_of: Callable[..., Client], many: Served, app: str
) -> None:
    job = client.submit(app, {"n": 1}, path="/sub/x")
    other = client_of(many.ready["base"], many.ready["key"])

    assert other.result(app, job.request_id) == {"input": {"n": 1}, "path": "/sub/x"}
    assert isinstance(other.status(f"{app}/sub/x", job.request_id), fal_client.Completed)
    handle = other.get_handle(app, job.request_id)
    assert handle.get() == job.get()
    names = ("response_url", "status_url", "cancel_url")
    assert [getattr(handle, name) for name in names] == [getattr(job, name) for name in names]  # our addresses


def test_positions_count_down_to_nought(client: Client, queued: str, busy_app: BusyApp, name: str) -> None:
    jobs = [client.submit(queued, {"name": f"{name}-{n}"}) for n in range(3)]
    states = [job.status() for job in jobs]
    busy_app.release()

    assert [s.position for s in states if isinstance(s, fal_client.Queued)] == [0, 1, 2]
    assert [job.get()["name"] for job in jobs] == [f"{name}-{n}" for n in range(3)]


def test_low_priority_waits_for_the_normal_ones(client: Client, queued: str, busy_app: BusyApp, name: str) -> None:
    low = client.submit(queued, {"name": f"{name} low"}, priority="low")
    normal = client.submit(queued, {"name": f"{name} normal"}, priority="normal")
    busy_app.release()
    low.get()
    normal.get()

    assert [word.removeprefix(f"{name} ") for word in busy_app.order() if word.startswith(f"{name} ")] == [
        "normal",
        "low",
    ]


@pytest.mark.parametrize(("path", "body", "status"), [("/valid", {}, 422), ("/teapot", {"name": "q"}, 418)])
def test_a_job_that_failed_is_completed_and_its_result_raises_as_run_does(
    client: Client, app: str, path: str, body: dict[str, Any], status: int
) -> None:
    job = client.submit(app, body, path=path)
    with pytest.raises(fal_client.FalClientHTTPError) as queued:
        job.get()
    with pytest.raises(fal_client.FalClientHTTPError) as run:
        client.run(app, body, path=path)
    done = job.status()

    assert isinstance(done, fal_client.Completed)
    assert done.error
    assert queued.value.status_code == run.value.status_code == status
    assert queued.value.message == run.value.message


def test_a_job_that_raised_is_completed_with_500_and_ran_once(
    client: Client, app: str, asked: Callable[[str], Any], name: str
) -> None:
    job = client.submit(app, {"name": name}, path="/fails", headers={"X-Fal-No-Retry": "1"})
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        job.get()

    assert raised.value.status_code == 500
    assert raised.value.response_headers["x-fal-request-id"] == job.request_id
    assert asked(name) == 1


def test_a_result_that_is_not_there_yet_is_refused(client: Client, many: Served, busy_app: BusyApp) -> None:
    answer = httpx.get(busy_app.job.response_url, headers={"Authorization": f"Key {many.ready['key']}"})
    busy_app.release()

    assert (answer.status_code, answer.json()["detail"]) == (400, "Request is still in progress")


@pytest.mark.parametrize("what", ["status", "result", "cancel"])
def test_an_unknown_id_raises_404(client: Client, app: str, what: str) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        getattr(client, what)(app, "00000000-0000-4000-8000-000000000000")

    assert raised.value.status_code == 404


def test_a_job_is_known_under_its_own_app_only(client: Client, app: str, queued: str) -> None:
    job = client.submit(app, {}, path="/sub/x")
    job.get()
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client.status(queued, job.request_id)

    assert raised.value.status_code == 404


def test_a_job_cancelled_in_the_queue_never_runs(client: Client, queued: str, busy_app: BusyApp, name: str) -> None:
    job = client.submit(queued, {"name": f"{name} never"})
    job.cancel()
    until(lambda: isinstance(job.status(), fal_client.Completed), 1)
    busy_app.release()
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        job.get()

    assert raised.value.error_type == "client_cancelled"
    assert f"{name} never" not in busy_app.order()


def test_a_job_cancelled_while_it_runs_completes_and_its_place_is_free(
    client: Client, queued: str, tmp_path: Path, name: str
) -> None:
    busy_app = BusyApp(client, queued, tmp_path / "never", name)
    client.cancel(queued, busy_app.job.request_id)
    until(lambda: isinstance(busy_app.job.status(), fal_client.Completed))
    done = busy_app.job.status()

    assert isinstance(done, fal_client.Completed)
    assert done.error
    assert client.run(queued, {"name": "next"}, timeout=10, start_timeout=10) == {"name": "next"}


def test_a_completed_job_cannot_be_cancelled_and_keeps_its_result(client: Client, app: str) -> None:
    job = client.submit(app, {"n": 1}, path="/sub/x")
    before = job.get()
    for _ in range(2):
        with pytest.raises(fal_client.FalClientHTTPError, match="ALREADY_COMPLETED") as raised:
            job.cancel()

        assert raised.value.status_code == 400
    assert job.get() == before


def test_a_client_that_loses_patience_cancels_its_job(client: Client, queued: str, tmp_path: Path, name: str) -> None:
    ids: list[str] = []
    with pytest.raises(fal_client.FalClientTimeoutError) as raised:
        client.subscribe(
            queued, {"name": name, "gate": str(tmp_path / "never")}, client_timeout=1.5, on_enqueue=ids.append
        )

    assert raised.value.request_id == ids[0]
    until(lambda: isinstance(client.status(queued, ids[0]), fal_client.Completed))


def test_a_job_that_is_not_started_in_time_ends_with_504(
    client: Client, queued: str, busy_app: BusyApp, name: str
) -> None:
    job = client.submit(queued, {"name": f"{name} late"}, start_timeout=1.2)
    until(lambda: isinstance(job.status(), fal_client.Completed), 6)
    busy_app.release()
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        job.get()

    assert raised.value.status_code == 504
    assert raised.value.response_headers["x-fal-request-timeout-type"] == "user"
    assert f"{name} late" not in busy_app.order()


def test_twenty_subscribers_at_once_each_get_their_own(client: Client, app: str) -> None:
    def one(number: int) -> int:
        found: int = client.subscribe(app, {"n": number}, path="/sub/x")["input"]["n"]
        return found

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(60))) == list(range(60))


def test_many_who_poll_do_not_hold_up_a_job(client: Client, app: str, busy_app: BusyApp) -> None:
    all_poll, answered = threading.Barrier(21), threading.Event()

    def poll() -> None:
        busy_app.job.status()
        all_poll.wait(60)
        while not answered.is_set():
            busy_app.job.status()

    with ThreadPoolExecutor(20) as pool:
        polls = [pool.submit(poll) for _ in range(20)]
        try:
            all_poll.wait(60)
            assert client.run(app, {"n": 1}, path="/sub/x")["input"] == {"n": 1}
        finally:
            answered.set()
        for polling in polls:
            polling.result(30)
