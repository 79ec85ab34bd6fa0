"""The states of a proxied request: the tables as data, and random lives of requests against a pretend caller and a pretend runner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_jupyter.domain.transitions import IllegalTransition
from fal_jupyter.gateway.http.response_writer import Headers
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_body import RequestBody
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.gateway.requests.request_states import (
    BODY,
    DELIVERY,
    RESPONSE,
    BodyEvent,
    BodyState,
    DeliveryEvent,
    DeliveryState,
    ResponseEvent,
    ResponseState,
)
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import WINDOW, Decoder, Frame, Kind
from tests.support.examples import examples
from tests.support.transition_tables import assert_transition_table
from tests.support.virtual_loop import VirtualLoop, virtual_loop

TABLES: list[tuple[Any, type[StrEnum], type[StrEnum], StrEnum]] = [
    (DELIVERY, DeliveryState, DeliveryEvent, DeliveryState.RECEIVING),
    (RESPONSE, ResponseState, ResponseEvent, ResponseState.PENDING),
    (BODY, BodyState, BodyEvent, BodyState.RECEIVING),
]


@pytest.mark.parametrize(("table", "states", "events", "first"), TABLES, ids=["delivery", "response", "body"])
def test_every_state_has_a_row_and_is_reached_and_every_missing_pair_raises(
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]], states: type[StrEnum], events: type[StrEnum], first: StrEnum
) -> None:
    assert_transition_table(table, states, events, first)


def test_what_is_over_stays_over_and_a_caller_that_left_does_not_come_back() -> None:
    over = {ResponseState.COMPLETE, ResponseState.CLOSED}
    left = {ResponseState.DISCONNECTED, ResponseState.CLOSED}
    for kept in (over, left):
        assert {after for state in kept for after in RESPONSE[state].values()} <= kept


def test_a_second_end_of_a_body_raises_and_changes_nothing() -> None:
    body = RequestBody(unbounded=False)
    body.feed(b"x")
    body.end()
    for again in (body.end, body.discard_end):
        with pytest.raises(IllegalTransition):
            again()
        assert body.is_read
        assert body.bytes_received == 1


class Caller:
    """A response writer that checks the order of its calls, as the protocol of one says it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.calls: list[str] = []
        self.received = 0
        self.full: asyncio.Future[None] | None = None
        self.on_close_callback: Callable[[], None] | None = None

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        assert "respond" not in self.calls
        assert "finish" not in self.calls
        self.calls.append("respond")
        self.received += len(body)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        assert "respond" in self.calls
        assert "finish" not in self.calls
        self.received += len(data)
        return self.full

    def backed_up(self) -> bool:
        return self.full is not None

    def finish(self) -> None:
        assert "respond" in self.calls
        assert "finish" not in self.calls
        self.calls.append("finish")

    def drop(self) -> None:
        self.calls.append("drop")

    def on_close(self, callback: Callable[[], None]) -> None:
        self.on_close_callback = callback


class Runner:
    """The gateway's channel to a runner, as far as a request uses it; it counts the credit in both directions."""

    def __init__(self) -> None:
        self.streams: dict[int, Any] = {}
        self.dead = False
        self.request_bytes = self.credit_returned = self.ends = 0
        self.granted = WINDOW
        self.decoder = Decoder()

    def open(self, receiver: object) -> int:
        self.streams[1] = receiver
        return 1

    def close_stream(self, stream: int) -> None:
        self.streams.pop(stream, None)

    def send(self, data: bytes, payload: bytes = b"") -> bool:
        if self.dead:
            return False
        for frame in self.decoder.feed(data + payload):
            if frame.kind == Kind.REQUEST:
                _, body, end = frames.decode_message(frame.payload)
                self.request_bytes += len(body)
                self.ends += end
            elif frame.kind == Kind.BODY:
                assert not self.ends
                self.request_bytes += len(frame.payload)
            elif frame.kind == Kind.END_BODY:
                self.ends += 1
            elif frame.kind == Kind.WINDOW:
                self.credit_returned += int.from_bytes(frame.payload, "big")
        assert self.ends <= 1
        assert self.request_bytes <= self.granted
        return True


class Events:
    """The engine, as far as a request reports to it."""

    def __init__(self) -> None:
        self.arrived = self.aborted = self.finished = 0

    def request_arrived(self, request: ProxiedRequest) -> None:
        self.arrived += 1

    def request_aborted(self, request: ProxiedRequest) -> None:
        self.aborted += 1

    def request_finished(self, request: ProxiedRequest, *, replace: bool) -> None:
        self.finished += 1

    def response_began(self, request: ProxiedRequest) -> None: ...
    def drain_output(self, request: ProxiedRequest) -> None: ...
    def request_printed(self, request: ProxiedRequest, stream: int, text: str) -> None: ...
    def cookie_set(self, request: ProxiedRequest, name: str) -> None: ...
    def keep_input(self, request: ProxiedRequest) -> None: ...
    def runner_header(self, request: ProxiedRequest, name: str, value: str) -> None: ...
    def remark(self, request: ProxiedRequest, text: str) -> None: ...
    def without_secrets(self, request: ProxiedRequest, text: str) -> str:
        return text


def response(size: int, *, end: bool) -> Frame:
    head = msgspec.json.encode({"status": 200, "headers": []})
    return Frame(Kind.RESPONSE, 1, frames.encode_message(Kind.RESPONSE, 1, head, b"r" * size, end=end)[9:])


class Life:
    """One request; each method is one thing that can happen to it, where it can happen."""

    def __init__(self, loop: VirtualLoop, *, framed: bool) -> None:
        self.loop, self.caller, self.runner, self.events = loop, Caller(loop), Runner(), Events()
        description = RequestDescription(id="r", alias="a", head=b"{}", framed=framed, owned=framed)
        self.request = ProxiedRequest(self.events, self.caller, description)  # type: ignore[arg-type]
        self.sent = self.answered = 0
        self.paused: Any = None
        self.body_over = self.left = self.answer_begun = False

    def body(self, size: int) -> None:
        if not self.body_over and not self.left and (self.paused is None or self.paused.done()):
            took = self.request.is_open
            self.paused = self.request.receive(b"b" * size)
            self.sent += size if took else 0

    def end(self, _: int) -> None:
        if not self.body_over and not self.left:
            self.body_over = True
            self.request.end_of_body()

    def dispatch(self, _: int) -> None:
        if self.events.arrived and not self.request.dispatched and self.request.is_open:
            if self.request.undelivered:
                self.request.requeue()
            self.request.dispatch(self.runner, "a-1", 1)  # type: ignore[arg-type]

    def dispatch_to_dead(self, _: int) -> None:
        self.runner.dead = True
        self.dispatch(0)
        self.runner.dead = False

    def grant(self, size: int) -> None:
        self.runner.granted += size
        self._frame(Frame(Kind.WINDOW, 1, size.to_bytes(4, "big")))

    def answer(self, size: int) -> None:
        if not self.answer_begun and self.runner.streams:
            self.answer_begun, self.answered = True, size
            self._frame(response(size, end=False))

    def whole_answer(self, size: int) -> None:
        if not self.answer_begun:
            self.answer_begun = bool(self.runner.streams)
            self._frame(response(min(size, 300_000), end=True))

    def more(self, size: int) -> None:
        if self.answer_begun and self.runner.streams:
            self.answered += size
            self._frame(Frame(Kind.BODY, 1, b"m" * size))

    def over(self, broken: int) -> None:
        if self.answer_begun:
            self._frame(Frame(Kind.END_BODY, 1, b"\1" if broken % 2 else b""))

    def output(self, size: int) -> None:
        self._frame(Frame(Kind.OUTPUT, 1, b"\1" + b"o" * (size % 1000)))

    def broken(self, _: int) -> None:
        if self.runner.streams:
            self.request.on_broken(Frame(Kind.BODY, 1, b""))

    def _frame(self, frame: Frame) -> None:
        if (receiver := self.runner.streams.get(1)) is not None:
            receiver.on_frame(frame)

    def fail(self, status: int) -> None:
        self.request.fail(400 + status % 200, "request_timeout", "late")

    def cancel(self, _: int) -> None:
        if not self.request.finished:
            self.request.cancel_by_owner()

    def leave(self, _: int) -> None:
        if not self.left:
            self.left = True
            self.request.disconnect()

    def block(self, _: int) -> None:
        if self.caller.full is None:
            self.caller.full = self.loop.create_future()

    def unblock(self, _: int) -> None:
        if self.caller.full is not None:
            self.caller.full.set_result(None)
            self.caller.full = None

    def wait(self, seconds: int) -> None:
        self.loop.advance(seconds % 30)

    def check(self) -> None:
        """What holds whatever happens."""
        if "drop" in self.caller.calls:  # its connection ends
            self.leave(0)
        assert self.events.arrived <= 1
        assert self.events.finished <= 1
        assert self.runner.request_bytes <= self.sent
        assert self.runner.credit_returned <= self.answered
        if self.left:
            assert not self.request.is_open
        if self.paused is not None and not self.request.is_open:
            assert self.paused.done()  # nobody waits for ever to send a body that nobody reads


MOVES = [name for name in vars(Life) if not name.startswith("_") and name != "check"]


@settings(max_examples=examples(300))
@given(
    framed=st.booleans(),
    moves=st.lists(
        st.tuples(st.sampled_from(MOVES), st.sampled_from([0, 1, 7, 70_000, 600_000, 1_100_000])), max_size=40
    ),
)
def test_whatever_happens_to_a_request_its_answer_is_sent_once_and_no_side_gets_more_than_its_credit(
    framed: bool, moves: list[tuple[str, int]]
) -> None:
    with virtual_loop() as loop:
        life = Life(loop, framed=framed)
        for name, number in moves:
            getattr(life, name)(number)
            life.check()
        life.wait(29)
        life.check()
        if life.request.finished and life.body_over and not life.left:  # the connection is free, or it ended
            assert {"finish", "drop"} & set(life.caller.calls)


@pytest.mark.parametrize("framed", [False, True], ids=["http", "framed"])
def test_a_body_beyond_the_limit_gets_no_second_response_when_the_gateway_has_answered(framed: bool) -> None:
    with virtual_loop() as loop:
        life = Life(loop, framed=framed)
        life.body(1_100_000)
        life.fail(29)
        assert not life.request.reject_body()
        assert life.caller.calls == ["respond", "drop"]
        assert life.request.record.status == 429


def test_a_second_head_of_an_answer_raises_and_is_not_sent() -> None:
    with virtual_loop() as loop:
        life = Life(loop, framed=False)
        life.end(0)
        life.dispatch(0)
        life.answer(5)
        with pytest.raises(IllegalTransition):
            life.request.on_frame(response(5, end=False))
        assert life.caller.calls == ["respond"]


@pytest.mark.parametrize("framed", [False, True], ids=["http", "framed"])
@pytest.mark.parametrize("begun", [False, True], ids=["before-the-head", "within-the-body"])
def test_a_caller_that_hung_up_has_no_part_in_what_its_runner_does_afterwards(
    framed: bool, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with virtual_loop() as loop:
        monkeypatch.setattr(time, "monotonic", loop.time)
        life = Life(loop, framed=framed)
        life.end(0)
        life.dispatch(0)
        if begun:
            life.answer(5)
        loop.advance(1)
        life.leave(0)
        loop.advance(29)
        if begun:
            life.over(0)
        else:
            life.whole_answer(5)
        assert life.events.finished == 1
        assert life.request.timing()["total_ms"] == 1000


@given(
    sizes=st.lists(st.sampled_from([0, 1, 5, frames.CHUNK, frames.INLINE + 1, 700_000]), max_size=5),
    before=st.integers(0, 5),
    grants=st.lists(st.sampled_from([1, 3, 100_000, WINDOW]), max_size=6),
)
@settings(max_examples=examples(60), deadline=None)
def test_a_body_is_forwarded_whole_and_in_order_however_it_and_the_credit_come(
    sizes: list[int], before: int, grants: list[int]
) -> None:
    class Stream:
        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def send_request(self, head: bytes, body: bytes, *, end: bool) -> bool:
            self.sent = [body]
            return True

        def send_body(self, data: bytes | memoryview) -> None:
            self.sent.append(bytes(data))

        def end_body(self) -> None:
            self.sent.append(b"the end")

    pieces = [bytes([65 + at]) * size for at, size in enumerate(sizes)]
    body, stream = RequestBody(unbounded=False), Stream()
    for piece in pieces[:before]:
        body.feed(piece)
    assert body.send_first(stream, b"head")  # type: ignore[arg-type]
    for piece in pieces[before:]:
        body.feed(piece)
    for credit in grants:
        body.grant(credit)
    body.end()
    body.grant(1 << 30)
    assert b"".join(stream.sent) == b"".join(pieces) + b"the end"
    assert max(map(len, stream.sent)) <= frames.CHUNK
