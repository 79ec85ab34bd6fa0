"""Inputs too large for memory: small values are always shown, long texts are stored for the owner, bounded, and nothing is left behind."""

from __future__ import annotations

import errno
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.gateway.storage import kept_inputs
from fal_jupyter.gateway.storage.kept_inputs import KeptInput, KeptInputs
from fal_jupyter.protocol.feed import BODY_BOUND, Body, RequestState
from fal_jupyter.settings import read as read_settings
from tests.support.serve import Served

PHOTO = "data:image/jpeg;base64,/9j/" + "QUJD" * 75_000
LARGE = "data:image/jpeg;base64,/9j/" + "QUJE" * 2_000_000


def whole(client: Client, request_id: str) -> tuple[int, bytes]:
    answer = client.control.open("GET", f"/admin/requests/{request_id}/input")
    return answer.status, b"".join(answer)


@pytest.fixture
def client(wide: Served) -> Client:
    return Client(read_settings({"FAL_JUPYTER_STATE": str(wide.state)}))


def requests_of(client: Client) -> list[RequestState]:
    snapshot = client.control.snapshot()
    assert snapshot is not None
    return snapshot["requests"]


@pytest.mark.parametrize("photo", [PHOTO, LARGE], ids=["300 kB", "8 MB"])
def test_a_photo_is_left_out_of_the_record_and_given_to_the_owner(wide: Served, client: Client, photo: str) -> None:
    sent = {"name": photo, "width": 0, "seed": 2**63}
    answer = wide.request("/?width=0", sent)
    request_id = answer.headers["x-fal-request-id"]
    body = client.control.request(request_id)["input"]
    assert body is not None
    (left_out,) = body["left_out"]
    assert json.loads(body["text"]) == {**sent, "name": left_out["text"]}
    assert (body["truncated"], body["whole"], left_out["size"]) == (True, True, len(photo))
    assert len(body["text"]) < 300
    status, data = whole(client, request_id)
    assert (status, json.loads(data)) == (200, sent)


def test_the_input_of_a_failed_call_is_kept_too(wide: Served, client: Client) -> None:
    answer = wide.request("/", {"name": 7, "photo": PHOTO})
    assert answer.status == 422
    body = client.control.request(answer.headers["x-fal-request-id"])["input"]
    assert body is not None
    assert json.loads(body["text"])["name"] == 7


def test_a_call_of_a_panel_is_kept_like_any_other(wide: Served, client: Client) -> None:
    body = json.dumps({"name": PHOTO}).encode()
    _, made = client.control.ask("POST", "/admin/apps/wide/calls?path=/&method=POST", body)
    request_id = json.loads(json.dumps(made))["request_id"]
    b"".join(client.control.open("GET", f"/admin/requests/{request_id}/answer"))
    assert whole(client, request_id) == (200, body)


def test_a_raw_body_has_no_outline_and_is_kept_whole(wide: Served, client: Client) -> None:
    data = os.urandom(1 << 20)
    answer = wide.request("/digest", data)
    body = client.control.request(answer.headers["x-fal-request-id"])["input"]
    assert body is not None
    assert "left_out" not in body
    assert (body["truncated"], body["whole"]) == (True, True)
    assert whole(client, answer.headers["x-fal-request-id"]) == (200, data)


def test_a_small_body_is_as_it_was(wide: Served, client: Client) -> None:
    answer = wide.request("/", {"name": "x" * 5000})
    request_id = answer.headers["x-fal-request-id"]
    body = client.control.request(request_id)["input"]
    assert body is not None
    assert not {"left_out", "whole"} & body.keys()
    assert whole(client, request_id)[0] == 404


def test_the_calls_of_a_load_share_the_long_text_that_they_repeat(wide: Served, client: Client) -> None:
    body = json.dumps({"name": PHOTO, "width": 3}).encode()
    known = {one["id"] for one in requests_of(client)}
    b"".join(client.control.open("POST", "/admin/apps/wide/load?path=/&method=POST&calls=6&at_once=3", (), body))
    made = [one["id"] for one in requests_of(client) if one["id"] not in known and one["origin"] == "load"]
    assert len(made) == 6
    for request_id in made:
        recorded = client.control.request(request_id)["input"]
        assert recorded is not None
        assert (json.loads(recorded["text"])["width"], recorded["whole"]) == (3, True)
        assert whole(client, request_id) == (200, body)


def test_only_the_owner_gets_an_input(wide: Served, client: Client) -> None:
    answer = wide.request("/", {"name": PHOTO})
    path = f"/admin/requests/{answer.headers['x-fal-request-id']}/input"
    request = urllib.request.Request(wide.ready["base"] + path, headers={"Authorization": f"Key {wide.ready['key']}"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=10)


# --- the store ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def inputs(tmp_path: Path) -> Iterator[KeptInputs]:
    made = KeptInputs(tmp_path, 1 << 20)
    yield made
    made.close()
    made._executor.shutdown(wait=True)
    assert made.texts.size == 0
    assert not list(tmp_path.iterdir())


def keep(inputs: KeptInputs, value: object) -> KeptInput:
    made = inputs.begin("application/json")
    made.add(json.dumps(value).encode())
    made.end()
    settle(inputs)
    return made


def settle(inputs: KeptInputs) -> None:
    waiting = inputs.run(lambda: None)
    assert waiting is not None
    waiting.result(10)


def read(made: KeptInput) -> object:
    pieces = made.open()
    if pieces is None:
        return None
    try:
        return json.loads(b"".join(kept_inputs.read(pieces)))
    finally:
        kept_inputs.close(pieces)


def described(made: KeptInput) -> Body:
    return made.describe(Body(content_type="", size=BODY_BOUND + 1, text="{", base64="", truncated=True))


def text_of(mark: str, size: int = 400_000) -> str:
    return mark * size


def test_the_oldest_texts_go_first_and_leave_the_small_values(inputs: KeptInputs) -> None:
    first, second, third = (keep(inputs, {"mark": mark, "text": text_of(mark)}) for mark in "abc")
    assert read(first) is None
    assert described(first)["whole"] is False
    assert json.loads(described(first)["text"])["mark"] == "a"
    assert read(second) == {"mark": "b", "text": text_of("b")}
    assert read(third) == {"mark": "c", "text": text_of("c")}
    assert inputs.texts.size == 800_000


def test_one_text_of_many_inputs_is_stored_once_until_the_last_of_them_has_gone(inputs: KeptInputs) -> None:
    made = [keep(inputs, {"n": number, "text": text_of("a")}) for number in range(3)]
    assert inputs.texts.size == 400_000
    for one in made[:2]:
        one.release()
    settle(inputs)
    assert read(made[2]) == {"n": 2, "text": text_of("a")}
    made[2].release()
    settle(inputs)
    assert inputs.texts.size == 0
    assert read(made[2]) is None


def test_a_text_that_was_used_again_is_not_the_oldest(inputs: KeptInputs) -> None:
    first = keep(inputs, text_of("a"))
    keep(inputs, text_of("b"))
    keep(inputs, text_of("a"))
    keep(inputs, text_of("c"))
    assert read(first) == text_of("a")


@pytest.mark.parametrize(
    "again",
    ["a" * 200_000 + "b" * 200_000, "a" * 399_999 + "b", "a" * 300_000, "a" * 500_000],
    ids=["other half", "other last byte", "shorter", "longer"],
)
def test_a_text_that_only_begins_like_a_stored_one_is_kept_as_it_is(inputs: KeptInputs, again: str) -> None:
    first, second = keep(inputs, text_of("a")), keep(inputs, again)
    assert read(first) == text_of("a")
    assert read(second) == again
    assert inputs.texts.size == 400_000 + len(again)


def test_a_text_that_is_sent_again_is_compared_and_not_written(
    inputs: KeptInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(inputs, text_of("a"))
    monkeypatch.setattr(inputs.texts, "create", None)  # it must not be called
    assert read(keep(inputs, text_of("a"))) == text_of("a")


def test_a_stored_text_that_is_dropped_while_one_is_compared_with_it_is_copied(inputs: KeptInputs) -> None:
    first, second = keep(inputs, text_of("a")), inputs.begin("application/json")
    data = json.dumps(text_of("a")).encode()
    second.add(data[:300_000])
    second._submit()
    first.release()
    second.add(data[300_000:])
    second.end()
    settle(inputs)
    assert (read(first), read(second)) == (None, text_of("a"))


def test_the_thread_is_not_woken_for_each_piece(inputs: KeptInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[kept_inputs.Job] = []
    monkeypatch.setattr(inputs, "run", ran.append)
    made = inputs.begin("application/json")
    for _ in range(64):
        made.add(b"x" * (64 << 10))
    made.end()
    assert len(ran) == 6  # four of a MiB, one for the rest, one for the end


def test_a_text_larger_than_all_room_is_not_stored_and_drops_no_other(inputs: KeptInputs) -> None:
    first = keep(inputs, text_of("a"))
    large = keep(inputs, {"width": 3, "text": text_of("x", 3 << 20)})
    assert (read(large), json.loads(described(large)["text"])["width"]) == (None, 3)
    assert read(first) == text_of("a")


@pytest.mark.parametrize("when", ["create", "write", "flush"])
def test_a_full_disk_costs_the_long_texts_only(inputs: KeptInputs, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            if when == "write":
                raise OSError(errno.ENOSPC, "no space left on device")
            return self.file.write(data)

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "no space left on device")

        def close(self) -> None:
            self.file.close()

    create = inputs.texts.create

    def full() -> IO[bytes]:
        if when == "create":
            raise OSError(errno.ENOSPC, "no space left on device")
        return Full(create())  # type: ignore[return-value]

    monkeypatch.setattr(inputs.texts, "create", full)
    made = keep(inputs, {"width": 3, "text": text_of("a")})
    assert read(made) is None
    assert json.loads(described(made)["text"])["width"] == 3
    monkeypatch.undo()
    assert read(keep(inputs, text_of("b"))) == text_of("b")


def test_no_more_than_a_part_of_what_is_free_is_taken(inputs: KeptInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    assert read(keep(inputs, text_of("a", 500_000))) is None
    assert read(keep(inputs, text_of("a", 10_000))) == text_of("a", 10_000)


def test_a_body_that_never_becomes_complete_is_dropped(inputs: KeptInputs) -> None:
    made = inputs.begin("application/json")
    made.add(b'{"text": "' + b"x" * 100_000)
    made.release()
    made.add(b"more")
    made.end()
    settle(inputs)
    assert (made.is_settled, read(made), inputs.texts.size) == (False, None, 0)


def test_a_thread_that_does_not_keep_up_costs_the_input_and_no_memory(inputs: KeptInputs) -> None:
    gate, piece = threading.Event(), b"x" * (16 << 20)
    inputs.run(lambda: void(gate.wait(10)))
    made = inputs.begin("application/json")
    for _ in range(6):
        made.add(piece)
    gate.set()
    made.end()
    settle(inputs)
    assert (made.is_settled, inputs._pending, inputs.texts.size) == (False, 0, 0)


def void(_: object) -> None:
    """A result that is not looked at."""


def test_the_files_have_no_name_and_belong_to_the_user_alone(inputs: KeptInputs, tmp_path: Path) -> None:
    made = keep(inputs, text_of("a"))
    pieces = made.open()
    assert pieces is not None
    try:
        (descriptor,) = (one for one in pieces if isinstance(one, int))
        status = os.fstat(descriptor)
        assert (status.st_mode & 0o777, status.st_nlink) == (0o600, 0)
        assert not list(tmp_path.iterdir())
        made.release()
        settle(inputs)
        assert len(b"".join(kept_inputs.read(pieces))) == 400_002  # who reads it already reads on
    finally:
        kept_inputs.close(pieces)
