"""Which answers may hold something to look at."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.requests.outputs import may_give_output


@pytest.mark.parametrize(
    ("status", "content_type", "may"),
    [
        (200, "application/json", True), (201, "Application/Problem+JSON; charset=utf-8", True), (200, "text/event-stream", True),
        (200, "image/png", True), (200, "audio/wav", True), (200, "video/mp4", True),
        (200, "text/html", False), (200, "", False), (404, "application/json", False), (101, "image/png", False),
    ],
)  # fmt: skip
def test_a_successful_answer_of_json_events_or_media_may_give_an_output(
    status: int, content_type: str, may: bool
) -> None:
    assert may_give_output(status, content_type) is may
