"""A queued request's life, and its status at each moment; deliveries to webhooks."""

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


def test_a_running_job_has_the_status_that_clients_expect() -> None:
    queued = job()
    assert queued.view(3, URLS, None) == {"status": "IN_QUEUE", "request_id": "id-1", **URLS, "queue_position": 3}
    queued.start(101.0)
    queued.print(1, "a\nb", "T1")
    queued.print(2, "x\n", "T2")
    assert queued.view(0, URLS, None)["logs"] is None
    view = queued.view(0, URLS, list(queued.logs))
    assert [(line["message"], line["level"]) for line in view["logs"]] == [("a", "STDOUT"), ("x", "STDERR")]
    assert queued.end(200, "", "", 103.5, "T3")
    assert not queued.end(500, "late", "", 104.0, "T4")
    done = queued.view(0, URLS, list(queued.logs))
    assert (done["status"], done["metrics"]) == ("COMPLETED", {"inference_time": 2.5})
    assert [line["message"] for line in done["logs"]] == ["a", "x", "b"]  # its last line had no end
    assert "error" not in done
    with pytest.raises(IllegalJobTransition):
        queued.start(105.0)


def test_a_failed_job_is_completed_with_its_error() -> None:
    failed = job()
    failed.start(101.0)
    failed.end(503, "503 Service Unavailable", "runner_disconnected", 102.0, "T")
    done = failed.view(0, URLS, [])
    assert (done["status"], done["error"], done["error_type"]) == (
        "COMPLETED",
        "503 Service Unavailable",
        "runner_disconnected",
    )
    invalid = job()
    invalid.end(422, "422 Unprocessable Entity", "", 102.0, "T")
    assert invalid.view(0, URLS, [])["error_type"] == "bad_request"
    assert invalid.metrics() == {"inference_time": None}  # it never ran
    raised = job()
    raised.end(500, "500 Internal Server Error", "", 102.0, "T")
    assert raised.view(0, URLS, [])["error_type"] == "runner_server_error"


def test_a_job_that_is_tried_again_waits_and_keeps_its_log() -> None:
    retried = job()
    retried.start(101.0)
    retried.print(1, "half a line", "T1")
    retried.try_again("retrying", "T2")
    assert (retried.view(0, URLS, None)["status"], retried.metrics()) == ("IN_QUEUE", {"inference_time": None})
    retried.start(105.0)
    retried.end(200, "", "", 106.0, "T3")
    assert [line["message"] for line in retried.logs] == ["half a line", "retrying"]
    assert retried.metrics() == {"inference_time": 1.0}  # of its last attempt


@pytest.mark.parametrize(("started", "asked"), [(False, "dropped"), (True, "forced")])
def test_a_cancelled_job_is_over_for_its_caller_whatever_its_runner_does(started: bool, asked: str) -> None:
    cancelled = job()
    if started:
        cancelled.start(101.0)
    assert cancelled.cancel(102.0, "T", force=True) == asked
    assert (cancelled.state, cancelled.status, cancelled.error_type) == (JobState.COMPLETED, 499, "client_cancelled")
    cancelled.start(103.0)  # it was on its way to a runner already
    assert not cancelled.end(200, "", "", 104.0, "T")
    assert cancelled.status == 499
    assert cancelled.cancel(105.0, "T") == "over"


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [(200, "", ("", "")), (499, "", ("client_cancelled", "the request was cancelled")), (500, "x", ("x", "500"))],
)
def test_a_running_job_that_is_cancelled_ends_as_its_app_ends_it(
    status: int, error_type: str, expected: tuple[str, str]
) -> None:
    running = job()
    running.start(101.0)
    assert [running.cancel(102.0, "T"), running.cancel(102.0, "T")] == ["asked", "asked"]
    assert running.state is JobState.IN_PROGRESS
    assert running.end(status, "500" if status == 500 else "", error_type, 104.0, "T")
    assert (running.status, running.error_type, running.error, running.cancelled) == (status, *expected, False)
    assert running.cancel(105.0, "T") == "over"


def test_a_job_whose_runner_was_dead_already_waits_again() -> None:
    requeued = job()
    requeued.start(101.0)
    requeued.put_back()
    assert requeued.state is JobState.IN_QUEUE
    requeued.put_back()
    requeued.start(105.0)
    assert (requeued.state, requeued.started) == (JobState.IN_PROGRESS, 101.0)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.text("ab\n", max_size=20)), max_size=60), st.integers(0, 40))
def test_output_is_delivered_once_and_in_whole_lines(prints: list[tuple[int, str]], start: int) -> None:
    printing = job()
    for stream, text in prints:
        printing.print(stream, text, "T")
    printing.end(200, "", "", 1.0, "T")
    for stream, level in ((1, "STDOUT"), (2, "STDERR")):
        lines = [line["message"] for line in printing.logs if line["level"] == level]
        printed = "".join(text for which, text in prints if which == stream)
        assert lines == (printed.split("\n") if printed and not printed.endswith("\n") else printed.split("\n")[:-1])
    rest, total = printing.lines_from(start)
    assert (total, rest) == (len(printing.logs), printing.logs[start:])


def test_the_log_is_bounded_and_no_line_is_delivered_twice() -> None:
    printing = job()
    printing.print(1, "".join(f"{n}\n" for n in range(MOST_LINES + 10)), "T")
    assert (len(printing.logs), printing.dropped_lines, printing.logs[0]["message"]) == (MOST_LINES, 10, "10")
    lines, total = printing.lines_from(MOST_LINES + 8)
    assert ([line["message"] for line in lines], total) == ([str(MOST_LINES + 8), str(MOST_LINES + 9)], MOST_LINES + 10)
    assert len(printing.lines_from(0)[0]) == MOST_LINES


def test_a_log_has_a_limit_of_characters_too_and_a_line_without_end_becomes_several() -> None:
    printing = job()
    printing.print(1, "x" * (LONGEST_LINE * 2 + 5), "T")
    assert [len(line["message"]) for line in printing.logs] == [LONGEST_LINE, LONGEST_LINE]
    printing.print(1, "y\n", "T")
    assert printing.logs[2]["message"] == "xxxxxy"
    assert printing.log_bytes == 2 * LONGEST_LINE + 6 + 3 * ENTRY
    for _ in range(20):
        printing.print(2, "z" * LONGEST_LINE + "\n", "T")
    assert (printing.log_size, len(printing.logs), printing.dropped_lines) == (MOST_LOG, MOST_LOG // LONGEST_LINE, 7)
    assert printing.lines_from(22) == (printing.logs[-1:], 23)
    printing.end(200, "", "", 1.0, "T")
    printing.print(1, "late\n", "T")
    assert printing.logs[-1]["message"] == "z" * LONGEST_LINE


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


BEYOND_JSON = {"payload": None, "payload_error": "the answer has NaN, Infinity or a number too large for a double"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"a":"\xc3\xa9"}', {"status": "OK", "error": None, "payload": {"a": "é"}}),
        (422, b'{"detail":[]}', {"status": "ERROR", "error": "Invalid status code: 422", "payload": {"detail": []}}),
        (200, b"", {"status": "OK", "payload": None}),
        (200, b"\x00", {"status": "OK", "payload": None, "payload_error": "the answer is image/png, not JSON"}),
        (200, b"[" * 100_000 + b"]" * 100_000, {"payload": None, "payload_error": "the answer is nested too deeply"}),
        *(
            (200, b'{"x": %b}' % number, BEYOND_JSON)
            for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 400)
        ),
    ],
)
def test_a_webhook_delivery_has_the_content_of_the_result(status: int, body: bytes, expected: dict[str, Any]) -> None:
    delivered = json.loads(delivery("id", status, "image/png", body), parse_constant=pytest.fail)
    assert expected.items() <= delivered.items()
    assert (delivered["request_id"], delivered["gateway_request_id"]) == ("id", "id")
    assert ("payload_error" in delivered) == ("payload_error" in expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_a_result_is_delivered_as_its_app_wrote_it(encoding: str) -> None:
    text = r'{"a": [1.10, -0, 1E5, 12345678901234567890123, "\ud83d\uDE00 \\ud800 \u00e9 한 😀"], "a": null} '
    assert b',"payload":' + text.encode() + b"}" in delivery("id", 200, "application/json", text.encode(encoding))


def test_half_a_character_in_a_result_is_delivered_as_valid_utf8() -> None:
    delivered = delivery("id", 200, "application/json", b'{"a": "\\uD800\xed\xa0\x80", "b": "\\ud83d\\ude00"}')
    assert json.loads(delivered.decode())["payload"] == {"a": "\ufffd\ufffd", "b": "😀"}


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
