"""A request in the runner: its body, its answer and its task move by tables; what the tables forbid raises."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from fal_jupyter.protocol.frames import CHUNK, WINDOW, Kind
from fal_jupyter.runner.output.capture import OutputCapture
from fal_jupyter.runner.requests.body_reader import BodyReaderState
from fal_jupyter.runner.requests.request_stream import RequestHead, Stream


class Channel:
    """Records what is sent, as frames' kinds."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []

    def send(self, data: bytes, more: bytes = b"") -> None:
        self.kinds.append(Kind(data[4]))


def stream_of(body: bytes = b"", *, end: bool = True) -> tuple[Stream, Channel]:
    channel: Any = Channel()
    head = RequestHead("id", "POST", "/", "", [])
    return Stream(1, channel, OutputCapture(channel), head, body, end), channel


START = {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_a_body_is_received_then_read_and_may_be_put_back() -> None:
    async def read() -> list[Any]:
        stream, _ = stream_of(b"a", end=False)
        seen: list[Any] = [stream.body.state, stream.body.arrived_at_once()]
        stream.push(b"b", True)
        seen += [stream.body.state, stream.began > 0]
        collected = await stream.body.collect(0)
        seen += [bytes(collected or b""), stream.body.state]
        stream.body.put_back(b"ab")
        seen += [stream.body.arrived_at_once(), (await stream.receive())["body"], stream.body.state]
        return seen

    assert asyncio.run(read()) == [
        BodyReaderState.RECEIVING, None, BodyReaderState.RECEIVED, True, b"ab", BodyReaderState.READ, b"ab", b"ab", BodyReaderState.READ,
    ]  # fmt: skip


def test_a_body_that_is_still_arriving_cannot_be_put_back() -> None:
    stream, _ = stream_of(b"a", end=False)

    with pytest.raises(RuntimeError, match="cannot be received after it was received"):
        stream_of(b"a")[0].body.put_back(b"a")
    assert stream.body.state is BodyReaderState.RECEIVING


def test_a_reader_that_waits_is_woken_by_a_piece_and_by_a_disconnect() -> None:
    async def read() -> list[str]:
        stream, _ = stream_of(b"", end=False)
        await stream.receive()
        reading = asyncio.ensure_future(stream.receive())
        await asyncio.sleep(0)
        stream.push(b"x", False)
        first = await reading
        reading = asyncio.ensure_future(stream.receive())
        await asyncio.sleep(0)
        stream.cancel()
        return [first["body"].decode(), (await reading)["type"]]

    assert asyncio.run(read()) == ["x", "http.disconnect"]


def test_an_answer_starts_once_and_ends_once() -> None:
    async def answer() -> list[Any]:
        stream, channel = stream_of()
        await stream.send(dict(START))
        before = stream.is_started
        await stream.send(body(b"a", more=True))
        middle = (stream.is_started, stream.is_complete)
        await stream.send(body(b"b"))
        return [before, middle, stream.is_complete, channel.kinds]

    assert asyncio.run(answer()) == [
        False, (True, False), True, [Kind.RESPONSE, Kind.BODY, Kind.END_BODY],
    ]  # fmt: skip


def test_a_body_before_its_start_is_an_error_and_nothing_is_sent() -> None:
    stream, channel = stream_of()

    with pytest.raises(RuntimeError, match=r"came before http\.response\.start"):
        asyncio.run(stream.send(body(b"a")))
    assert not stream.is_started
    assert channel.kinds == []


def test_a_short_answer_cannot_follow_another_one() -> None:
    stream, _ = stream_of()
    stream.answer_json(b"1")

    assert stream.is_complete
    stream.fail()  # of ours, after the answer: nothing more goes out


def test_a_request_that_is_cancelled_before_it_runs_never_runs() -> None:
    stream, _ = stream_of()
    stream.end_by_force()

    with pytest.raises(asyncio.CancelledError):
        stream.begin()


def test_a_request_that_is_cancelled_while_it_runs_has_its_task_cancelled() -> None:
    async def run() -> bool:
        stream, _ = stream_of()
        stream.begin()
        stream.task = asyncio.ensure_future(asyncio.sleep(60))
        await asyncio.sleep(0)
        stream.end_by_force()
        await asyncio.wait([stream.task])
        return stream.task.cancelled()

    assert asyncio.run(run())


def test_a_long_answer_waits_for_credit_and_stops_when_its_caller_disconnects() -> None:
    async def answer() -> list[Any]:
        stream, channel = stream_of()
        await stream.send(dict(START))
        sending = asyncio.ensure_future(stream.send(body(bytes(WINDOW + 2 * CHUNK))))
        await asyncio.sleep(0)
        waits = not sending.done()
        stream.add_credit(CHUNK)
        await asyncio.sleep(0)
        still = not sending.done()
        stream.cancel()
        await sending
        return [waits, still, channel.kinds[0], channel.kinds[-1]]

    assert asyncio.run(answer()) == [True, True, Kind.RESPONSE, Kind.END_BODY]


def test_a_large_answer_is_sent_without_a_copy_of_it() -> None:
    data = bytes(8 << 20)

    async def send() -> int:
        stream, _ = stream_of()
        stream.add_credit(len(data))
        await stream.send(START)
        tracemalloc.start()
        await stream.send(body(data))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert asyncio.run(send()) < len(data) // 4
