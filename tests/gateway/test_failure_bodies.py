"""Bodies of failures: valid UTF-8 and JSON whatever text an exception has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fal_jupyter.gateway.http.event_stream import EventStream
from fal_jupyter.gateway.http.response_writer import failure, failure_body
from fal_jupyter.gateway.record_json import encode_record


@pytest.mark.parametrize(
    ("detail", "read"),
    [
        ("half \ud800 of one", "half \ufffd of one"),
        ("\ud83d\ude00 and \U0001f600", "\U0001f600 and \U0001f600"),
        (r"a path \ud800", r"a path \ud800"),
        ([{"msg": "\udfff", "loc": ["\ud800"]}], [{"msg": "\ufffd", "loc": ["\ufffd"]}]),
    ],
)
def test_strict_parsers_read_a_failure(detail: Any, read: Any) -> None:
    body = failure_body("id", "bad", detail)

    assert msgspec.json.decode(body) == {"detail": read, "request_id": "id", "error_type": "bad"}  # refuses halves
    assert body.isascii()  # some clients split events at line separators beyond ASCII


def test_so_do_they_the_error_of_a_stream_and_of_a_refusal() -> None:
    event = EventStream().error("id", "", "\ud800").decode()

    assert msgspec.json.decode(event.partition("data: ")[2])["detail"] == "\ufffd"
    assert msgspec.json.decode(failure(500, "", "\ud800")[1])["detail"] == "\ufffd"


class Record(msgspec.Struct):
    path: str


def test_records_of_answers_and_of_the_feed_have_no_half_character() -> None:
    assert msgspec.json.decode(encode_record({"apps": [Record("caf\udce9")]})) == {"apps": [{"path": "caf\ufffd"}]}
    assert msgspec.json.decode(encode_record({"apps": [Record("café")]})) == {"apps": [{"path": "café"}]}
