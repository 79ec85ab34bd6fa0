"""A queued request's life, and what is told of it at each moment; deliveries to webhooks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.queue.jobs import ENTRY, LONGEST_LINE, MOST_LINES, MOST_LOG, IllegalJobTransition, Job, JobState
from fal_jupyter.domain.queue.webhooks import ATTEMPTS, WITHIN, delivery, signed_message, wait_after
from fal_jupyter.domain.spec import AppSpec, EndpointSpec

URLS = {"status_url": "S", "response_url": "R", "cancel_url": "C"}


def job() -> Job:
    return Job("id-1", "echo", 100.0)


def test_a_job_runs_and_tells_at_each_moment_what_the_clients_need() -> None:
    one = job()
    assert one.view(3, URLS, None) == {"status": "IN_QUEUE", "request_id": "id-1", **URLS, "queue_position": 3}
    one.start(101.0)
    one.print(1, "a\nb", "T1")
    one.print(2, "x\n", "T2")
    assert one.view(0, URLS, None)["logs"] is None
    told = one.view(0, URLS, list(one.logs))
    assert [(line["message"], line["level"]) for line in told["logs"]] == [("a", "STDOUT"), ("x", "STDERR")]
    assert one.end(200, "", "", 103.5, "T3")
    assert not one.end(500, "late", "", 104.0, "T4")
    done = one.view(0, URLS, list(one.logs))
    assert (done["status"], done["metrics"]) == ("COMPLETED", {"inference_time": 2.5})
    assert [line["message"] for line in done["logs"]] == ["a", "x", "b"]  # its last line had no end
    assert "error" not in done
    with pytest.raises(IllegalJobTransition):
        one.start(105.0)


def test_a_failed_job_is_completed_with_its_error() -> None:
    one = job()
    one.start(101.0)
    one.end(503, "503 Service Unavailable", "runner_disconnected", 102.0, "T")
    done = one.view(0, URLS, [])
    assert (done["status"], done["error"], done["error_type"]) == (
        "COMPLETED",
        "503 Service Unavailable",
        "runner_disconnected",
    )
    other = job()
    other.end(422, "422 Unprocessable Entity", "", 102.0, "T")
    assert other.view(0, URLS, [])["error_type"] == "bad_request"
    assert other.metrics() == {"inference_time": None}  # it never ran
    raised = job()
    raised.end(500, "500 Internal Server Error", "", 102.0, "T")
    assert raised.view(0, URLS, [])["error_type"] == "runner_server_error"


def test_a_job_that_is_tried_again_waits_and_keeps_its_log() -> None:
    one = job()
    one.start(101.0)
    one.print(1, "half a line", "T1")
    one.try_again("retrying", "T2")
    assert (one.view(0, URLS, None)["status"], one.metrics()) == ("IN_QUEUE", {"inference_time": None})
    one.start(105.0)
    one.end(200, "", "", 106.0, "T3")
    assert [line["message"] for line in one.logs] == ["half a line", "retrying"]
    assert one.metrics() == {"inference_time": 1.0}  # of its last attempt


@pytest.mark.parametrize(("started", "asked"), [(False, "dropped"), (True, "forced")])
def test_a_cancelled_job_is_over_for_its_caller_whatever_its_runner_does(started: bool, asked: str) -> None:
    one = job()
    if started:
        one.start(101.0)
    assert one.cancel(102.0, "T", force=True) == asked
    assert (one.state, one.status, one.error_type) == (JobState.COMPLETED, 499, "client_cancelled")
    one.start(103.0)  # it was on its way to a runner already
    assert not one.end(200, "", "", 104.0, "T")
    assert one.status == 499
    assert one.cancel(105.0, "T") == "over"


@pytest.mark.parametrize(
    ("status", "error_type", "told"),
    [(200, "", ("", "")), (499, "", ("client_cancelled", "the request was cancelled")), (500, "x", ("x", "500"))],
)
def test_a_running_job_that_is_cancelled_ends_as_its_app_ends_it(
    status: int, error_type: str, told: tuple[str, str]
) -> None:
    one = job()
    one.start(101.0)
    assert [one.cancel(102.0, "T"), one.cancel(102.0, "T")] == ["asked", "asked"]
    assert one.state is JobState.IN_PROGRESS
    assert one.end(status, "500" if status == 500 else "", error_type, 104.0, "T")
    assert (one.status, one.error_type, one.error, one.cancelled) == (status, *told, False)
    assert one.cancel(105.0, "T") == "over"


def test_a_job_whose_runner_was_dead_already_waits_again() -> None:
    one = job()
    one.start(101.0)
    one.put_back()
    assert one.state is JobState.IN_QUEUE
    one.put_back()
    one.start(105.0)
    assert (one.state, one.started) == (JobState.IN_PROGRESS, 101.0)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.text("ab\n", max_size=20)), max_size=60), st.integers(0, 40))
def test_whatever_is_printed_is_told_once_and_in_whole_lines(prints: list[tuple[int, str]], told: int) -> None:
    one = job()
    for stream, text in prints:
        one.print(stream, text, "T")
    one.end(200, "", "", 1.0, "T")
    for stream, level in ((1, "STDOUT"), (2, "STDERR")):
        lines = [line["message"] for line in one.logs if line["level"] == level]
        printed = "".join(text for which, text in prints if which == stream)
        assert lines == (printed.split("\n") if printed and not printed.endswith("\n") else printed.split("\n")[:-1])
    rest, total = one.lines_from(told)
    assert (total, rest) == (len(one.logs), one.logs[told:])


def test_only_so_many_lines_are_kept_and_none_is_told_twice() -> None:
    one = job()
    one.print(1, "".join(f"{n}\n" for n in range(MOST_LINES + 10)), "T")
    assert (len(one.logs), one.dropped_lines, one.logs[0]["message"]) == (MOST_LINES, 10, "10")
    lines, total = one.lines_from(MOST_LINES + 8)
    assert ([line["message"] for line in lines], total) == ([str(MOST_LINES + 8), str(MOST_LINES + 9)], MOST_LINES + 10)
    assert len(one.lines_from(0)[0]) == MOST_LINES


def test_a_log_has_a_limit_of_characters_too_and_a_line_without_end_becomes_several() -> None:
    one = job()
    one.print(1, "x" * (LONGEST_LINE * 2 + 5), "T")
    assert [len(line["message"]) for line in one.logs] == [LONGEST_LINE, LONGEST_LINE]
    one.print(1, "y\n", "T")
    assert one.logs[2]["message"] == "xxxxxy"
    assert one.log_bytes == 2 * LONGEST_LINE + 6 + 3 * ENTRY
    for _ in range(20):
        one.print(2, "z" * LONGEST_LINE + "\n", "T")
    assert (one.log_size, len(one.logs), one.dropped_lines) == (MOST_LOG, MOST_LOG // LONGEST_LINE, 7)
    assert one.lines_from(22) == (one.logs[-1:], 23)
    one.end(200, "", "", 1.0, "T")
    one.print(1, "late\n", "T")
    assert one.logs[-1]["message"] == "z" * LONGEST_LINE


# --- webhooks ----------------------------------------------------------------------------------------------------------
def test_deliveries_are_tried_again_later_and_later_within_two_hours() -> None:
    waits = [wait for n in range(1, ATTEMPTS) if (wait := wait_after(n)) is not None]
    assert len(waits) == ATTEMPTS - 1
    assert waits == sorted(waits)
    assert WITHIN * 0.5 < sum(waits) < WITHIN
    assert wait_after(ATTEMPTS) is None


def test_what_is_signed_are_four_lines() -> None:
    body = b'{"a": 1}'
    digest = hashlib.sha256(body).hexdigest()
    assert signed_message("id", "me", "1700000000", body) == f"id\nme\n1700000000\n{digest}".encode()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b'{"a":"\xc3\xa9"}', {"status": "OK", "error": None, "payload": {"a": "é"}}),
        (422, b'{"detail":[]}', {"status": "ERROR", "error": "Invalid status code: 422", "payload": {"detail": []}}),
        (200, b"", {"status": "OK", "payload": None}),
        (200, b"\x00", {"status": "OK", "payload": None, "payload_error": "the answer is image/png and no JSON"}),
    ],
)
def test_a_delivery_tells_what_the_result_would_have_told(status: int, body: bytes, told: dict[str, Any]) -> None:
    found = json.loads(delivery("id", status, "image/png", body))
    assert told.items() <= found.items()
    assert (found["request_id"], found["gateway_request_id"]) == ("id", "id")
    assert ("payload_error" in found) == ("payload_error" in told)


# --- addresses of endpoints --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/b", "/b/"),
        ("/b/", "/b/"),
        ("/c", "/c"),
        ("/c/", "/c/"),
        ("/", "/"),
        ("/x/", "/x/"),
        ("", "/"),
    ],
)
def test_a_slash_at_the_end_of_a_path_is_no_reason_to_redirect(asked: str, path: str) -> None:
    endpoints = tuple(EndpointSpec(name=f"e{n}", path=p) for n, p in enumerate(("/", "/a", "/b/", "/c", "/c/")))
    assert AppSpec(class_name="A", alias="a", endpoints=endpoints).path_of(asked) == path
