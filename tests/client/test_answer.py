from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.client.connection.answer import OUTPUT_BOUND, Answer, AnswerReader
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import EndRecord, ErrorDescription, Timing
from fal_jupyter.protocol.frames import Kind


def response(body: bytes, status: int = 200) -> bytes:
    head = json.dumps({"status": status, "headers": [["X-A", "b"], ["x-a", "second"]]}).encode()
    return frames.encode_message(Kind.RESPONSE, 1, head, body, end=False)


def output(text: str | bytes, stream: int = 1) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return frames.encode(Kind.OUTPUT, 1, bytes([stream]) + data)


ERROR: ErrorDescription = {"type": "E", "message": "m", "text": "E: m", "frames": [], "phase": "request"}
TIMING: Timing = {"queue_ms": 0, "start_ms": 0, "transfer_ms": 0.5, "run_ms": 1.5, "stream_ms": 0, "total_ms": 2}
END: EndRecord = {"request_id": "r", "status": 201, "revision": 1, "runner": "hello-1", "timing": TIMING}


def end(**more: object) -> bytes:
    return frames.encode(Kind.END_BODY, 1, json.dumps({**END, **more}).encode())


def read(pieces: list[bytes]) -> tuple[Answer, list[tuple[int, str]]]:
    printed: list[tuple[int, str]] = []
    reader = AnswerReader(lambda stream, text: printed.append((stream, text)), "the rest is there")
    for piece in pieces:
        reader.feed(piece)
    return reader.finish(), printed


@given(st.lists(st.integers(0, 10_000), max_size=10))
def test_a_framed_answer_is_read_however_it_is_cut(places: list[int]) -> None:
    error = frames.encode(Kind.ERROR, 1, json.dumps(ERROR).encode())
    body = frames.encode(Kind.BODY, 1, b" and more")
    data = output("one\n") + response(b"first", 201) + output("two\n", 2) + body + error + end(aborted=True)
    ends = sorted({place % len(data) for place in places} | {0, len(data)})

    answer, printed = read([data[a:b] for a, b in itertools.pairwise(ends)])

    assert (answer.status, answer.body, answer.header("x-a")) == (201, b"first and more", "b")
    assert printed == [(1, "one\n"), (2, "two\n")]
    assert answer.error == ERROR
    assert (answer.end, answer.aborted) == (END, True)


def test_a_header_that_is_not_there_is_empty() -> None:
    answer, _ = read([response(b""), end()])

    assert (answer.header("x-b"), answer.aborted, answer.error) == ("", False, None)


def test_a_flood_of_output_is_cut_and_counted() -> None:
    line = "x" * 99 + "\n"
    _, printed = read([output(line * 1000)] * 10 + [response(b""), end()])

    shown, notice = "".join(text for _, text in printed[:-1]), printed[-1]
    assert shown == (line * 10_000)[:OUTPUT_BOUND]
    assert notice[0] == 2
    assert f"{10_000 - OUTPUT_BOUND // 100:,} more lines ({1_000_000 - OUTPUT_BOUND:,} characters)" in notice[1]
    assert "the rest is there" in notice[1]


@pytest.mark.parametrize("text", ["", "a", "x" * OUTPUT_BOUND])
def test_output_within_the_limit_is_shown_completely_without_a_notice(text: str) -> None:
    _, printed = read([output(text), response(b""), end()])

    assert "".join(shown for _, shown in printed) == text
    assert [notice for _, notice in printed if "more lines" in notice] == []


def test_output_that_is_no_text_is_shown_with_marks() -> None:
    _, printed = read([output(b"a\xff"), end()])

    assert printed == [(1, "a\ufffd")]


def test_without_a_listener_output_goes_nowhere() -> None:
    reader = AnswerReader(None, "")
    reader.feed(output("x" * (OUTPUT_BOUND + 1)) + response(b"ok") + end())

    assert reader.finish().body == b"ok"
