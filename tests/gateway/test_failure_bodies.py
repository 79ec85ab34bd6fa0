"""Bodies of failures: valid UTF-8 and JSON whatever text an exception has."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fal_jupyter.gateway.http.event_stream import EventStream
from fal_jupyter.gateway.http.response_writer import failure, failure_body, sound_json


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
    assert body.isascii()
    assert json.loads(sound_json({"detail": detail})) == {"detail": read}


def test_so_do_they_the_error_of_a_stream_and_of_a_refusal() -> None:
    event = EventStream().error("id", "", "\ud800").decode()

    assert msgspec.json.decode(event.partition("data: ")[2])["detail"] == "\ufffd"
    assert msgspec.json.decode(failure(500, "", "\ud800")[1])["detail"] == "\ufffd"
