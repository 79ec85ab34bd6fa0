"""An HTTP connection without a network: its tables as data, and streams of requests against a pretend transport, read back by h11."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_jupyter.domain.transitions import IllegalTransition
from fal_jupyter.gateway.http.connection.deadlines import Awaited, ReadDeadlines
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.connection.request_parser import ParsedHead
from fal_jupyter.gateway.http.connection.response_framing import ResponseFraming
from fal_jupyter.gateway.http.connection.states import (
    CONNECTION,
    PARSER,
    RECEIVE,
    SEND,
    ConnectionEvent,
    ConnectionState,
    ParserEvent,
    ParserState,
    ReceiveEvent,
    ReceiveState,
    SendEvent,
    SendState,
)
from fal_jupyter.gateway.http.messages import LINGER, RequestHeaders
from fal_jupyter.gateway.http.server import HttpListener
from tests.support.examples import examples
from tests.support.transition_tables import assert_transition_table
from tests.support.virtual_loop import VirtualLoop, virtual_loop

READ_TIMEOUT, IDLE_TIMEOUT, SEND_TIMEOUT = 10.0, 100.0, 20.0
TABLES: list[tuple[Any, type[StrEnum], type[StrEnum], StrEnum]] = [
    (CONNECTION, ConnectionState, ConnectionEvent, ConnectionState.OPEN),
    (PARSER, ParserState, ParserEvent, ParserState.IDLE),
    (RECEIVE, ReceiveState, ReceiveEvent, ReceiveState.RECEIVING),
    (SEND, SendState, SendEvent, SendState.PENDING),
]


@pytest.mark.parametrize(
    ("table", "states", "events", "first"), TABLES, ids=["connection", "parser", "receive", "send"]
)
def test_every_state_has_a_row_and_is_reached_and_every_missing_pair_raises(
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]], states: type[StrEnum], events: type[StrEnum], first: StrEnum
) -> None:
    assert_transition_table(table, states, events, first)


def test_a_connection_that_does_not_parse_any_more_never_parses_again() -> None:
    assert all(ConnectionState.OPEN not in moves.values() for moves in CONNECTION.values())


# --- deadlines and framing ------------------------------------------------------------------------------------------
def test_each_thing_that_is_awaited_has_its_deadline() -> None:
    deadlines = ReadDeadlines(READ_TIMEOUT, IDLE_TIMEOUT)
    deadlines.bytes_received(0, 1000.0)
    deadlines.begin_head()
    deadlines.begin_body()
    deadlines.bytes_received(1, 1004.0)
    left = {awaited: deadlines.seconds_left(awaited, 1004.0) for awaited in Awaited}
    assert left == {
        Awaited.REQUEST: IDLE_TIMEOUT,
        Awaited.HEAD: READ_TIMEOUT - 4,  # another byte of it buys no time
        Awaited.BODY: READ_TIMEOUT - 4 + 1 / 1024,
        Awaited.NOTHING: READ_TIMEOUT,
    }
    deadlines.bytes_received(1 << 30, 1005.0)
    assert deadlines.seconds_left(Awaited.BODY, 1005.0) == READ_TIMEOUT  # never more than that
    deadlines.resume(1050.0)
    assert deadlines.seconds_left(Awaited.BODY, 1050.0) == READ_TIMEOUT
    assert deadlines.seconds_left(Awaited.REQUEST, 1050.0) == IDLE_TIMEOUT


@pytest.mark.parametrize(
    ("status", "headers", "http10", "is_head", "head_has", "body", "end"),
    [
        (200, [("content-length", "3")], False, False, b"content-length: 3", b"abc", b""),
        (200, [], False, False, b"transfer-encoding: chunked", b"3\r\nabc\r\n", b"0\r\n\r\n"),
        (200, [], True, False, b"connection: close", b"abc", b""),
        (200, [("content-length", "3")], True, False, b"connection: keep-alive", b"abc", b""),
        (200, [("content-length", "9")], False, True, b"content-length: 9", b"", b""),
        (304, [("content-length", "9")], False, False, b"304 Not Modified", b"", b""),
        (101, [], False, False, b"101 Switching Protocols", b"abc", b""),
        (599, [("connection", "close")], False, False, b"connection: close", b"3\r\nabc\r\n", b"0\r\n\r\n"),
    ],
    ids=["length", "chunked", "until close", "old with length", "HEAD", "no body", "switched", "close"],
)
def test_a_body_is_delimited_as_its_head_announces(
    status: int, headers: list[tuple[str, str]], http10: bool, is_head: bool, head_has: bytes, body: bytes, end: bytes
) -> None:
    framing = ResponseFraming(True, http10, is_head)
    first = framing.begin(status, headers, b"abc")
    assert head_has in first
    assert first.endswith(b"\r\n\r\n" + body)
    assert framing.body(b"") == b""
    assert framing.end() == end


def test_a_body_of_another_length_than_announced_is_an_error() -> None:
    framing = ResponseFraming(True, False, False)
    framing.begin(200, [("content-length", "3")], b"ab")
    with pytest.raises(ValueError, match="less body"):
        framing.end()
    with pytest.raises(ValueError, match="more body"):
        framing.body(b"cd")


# --- a connection ---------------------------------------------------------------------------------------------------
class Transport(asyncio.Transport):
    """Records what is written, and never sends it unless a test says so."""

    def __init__(self, loop: VirtualLoop, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self.loop = loop
        self.written = b""
        self.closed = self.aborted = self.eof = self.reading_paused = False
        self.protocol: Any = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "nothing is written after the end"
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def pause_reading(self) -> None:
        assert not self.reading_paused
        self.reading_paused = True

    def resume_reading(self) -> None:
        assert self.reading_paused
        self.reading_paused = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


class Handler:
    """Answers each request with its method, its target and its body, when a test (or *at_once*) says so."""

    upgrades = False

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.cycle = cycle
        self.line = b""
        self.body = b""
        self.wait: asyncio.Future[None] | None = None
        self.finished = self.disconnected = False
        self.fails_in = ""

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        if self.fails_in == "begin":
            raise RuntimeError
        self.line = f"{method} {target} ".encode()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self.fails_in == "data_received":
            raise RuntimeError
        self.body += chunk
        return self.wait

    def finish(self) -> None:
        if self.fails_in == "finish":
            raise RuntimeError
        self.finished = True

    def answer(self) -> None:
        self.cycle.respond(200, [], self.line)
        self.cycle.write(self.body)
        self.cycle.finish()

    def on_connection_close(self) -> None:
        assert not self.disconnected
        self.disconnected = True


class AnsweringHandler(Handler):
    def finish(self) -> None:
        super().finish()
        self.answer()


class Server:
    """One connection with its handlers."""

    def __init__(
        self, loop: VirtualLoop, handler: type[Handler] = Handler, prepare: Callable[[Handler], object] = lambda _: None
    ) -> None:
        self.loop, self.handlers = loop, list[Handler]()
        self.ours, self.theirs = socket.socketpair()

        def new_handler(cycle: RequestResponseCycle, _head: ParsedHead) -> Handler:
            self.handlers.append(handler(cycle))
            prepare(self.handlers[-1])
            return self.handlers[-1]

        self.listener = HttpListener(new_handler, READ_TIMEOUT, IDLE_TIMEOUT, 10, send_timeout=SEND_TIMEOUT)
        self.connection = self.listener.connection()
        self.transport = Transport(loop, self.ours)
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    def feed(self, data: bytes) -> None:
        """As much as the connection reads, a piece at a time."""
        assert not self.transport.reading_paused
        if not self.transport.closed:
            self.connection.data_received(data)
        self.loop.advance()

    def close(self) -> None:
        if not self.transport.closed:
            self.transport.abort()
        self.loop.advance(1000)
        self.ours.close()
        self.theirs.close()
        assert not self.listener.connections


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with virtual_loop() as virtual:
        yield virtual


@pytest.fixture
def server(loop: VirtualLoop) -> Iterator[Server]:
    server = Server(loop)
    yield server
    server.close()


def answers(requests: list[str], data: bytes) -> list[tuple[int, bytes]]:
    """Read the answers to requests of these methods as h11's client does: statuses and bodies."""
    if not data:
        return []
    client = h11.Connection(h11.CLIENT)
    client.receive_data(data)
    client.receive_data(b"")
    read: list[tuple[int, bytes]] = []
    for method in requests:
        client.send(h11.Request(method=method, target="/", headers=[("host", "h")]))
        client.send(h11.EndOfMessage())
        status, body = 0, b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.ConnectionClosed):
                return read
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
        read.append((status, body))
        if client.their_state is h11.MUST_CLOSE:
            break
        client.start_next_cycle()
    return read


def request(method: str, target: str, body: bytes, framing: str) -> bytes:
    if framing == "chunked":
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
        return f"{method} {target} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" if framing == "h2c" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: h\r\n{offer}Content-Length: {len(body)}\r\n\r\n".encode() + body


REQUESTS = st.tuples(
    st.sampled_from(["POST", "PUT", "HEAD"]),
    st.sampled_from(["/", "/a?b=c"]),
    st.binary(max_size=40),
    st.sampled_from(["length", "chunked", "h2c"]),
)
BROKEN = {
    "nothing": b"",
    "a control character": b"\x00",
    "CONNECT": b"CONNECT h:1 HTTP/1.1\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\n\r\n",
    "a long head": b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
}


@settings(max_examples=examples(200))
@given(
    requests=st.lists(REQUESTS, max_size=4),
    end=st.sampled_from(list(BROKEN)),
    cuts=st.lists(st.integers(1, 60), max_size=30),
)
def test_however_the_bytes_are_cut_each_request_gets_its_answer_and_what_is_none_gets_a_refusal_behind_them(
    requests: list[tuple[str, str, bytes, str]], end: str, cuts: list[int]
) -> None:
    broken = BROKEN[end]
    data = b"".join(request(*parts) for parts in requests) + broken
    with virtual_loop() as loop:
        server = Server(loop, AnsweringHandler)
        for size in cuts:
            server.feed(data[:size])
            data = data[size:]
        server.feed(data)
        sent = server.transport.written
        server.close()
    expected = [
        (200, b"" if method == "HEAD" else f"{method} {target} ".encode() + body)
        for method, target, body, _ in requests
    ]
    read = answers([method for method, *_ in requests] + (["GET"] if broken else []), sent)
    assert read[: len(requests)] == expected
    if broken:
        ((status, _),) = read[len(requests) :]
        assert status in ({400, 405} if end == "an unknown method" else {400})  # 405 where its line is in one packet
        assert server.transport.eof
    else:
        assert not server.transport.eof


def test_pipelined_requests_wait_and_reading_waits_with_them(loop: VirtualLoop, server: Server) -> None:
    server.feed(request("POST", "/1", b"one", "length") + request("POST", "/2", b"two", "chunked"))
    assert [handler.line for handler in server.handlers] == [b"POST /1 "]
    assert server.transport.reading_paused
    loop.advance(READ_TIMEOUT * 3)  # nobody is late: it is the gateway's turn
    server.handlers[0].answer()
    loop.advance()
    assert not server.transport.reading_paused
    server.handlers[1].answer()
    assert answers(["POST", "POST"], server.transport.written) == [(200, b"POST /1 one"), (200, b"POST /2 two")]


def test_a_refusal_waits_for_the_answers_before_it(loop: VirtualLoop, server: Server) -> None:
    server.feed(request("POST", "/1", b"one", "length") + b"\x00 nonsense\r\n\r\n")
    assert server.transport.written == b""
    assert server.transport.reading_paused
    server.handlers[0].answer()
    assert [status for status, _ in answers(["POST", "GET"], server.transport.written)] == [200, 400]
    assert server.transport.eof
    server.feed(b"x" * 1000)  # discarded
    assert not server.transport.closed
    loop.advance(LINGER)
    assert server.transport.aborted


@pytest.mark.parametrize(
    ("sent", "seconds", "status"),
    [
        (b"", IDLE_TIMEOUT, 0),
        (b"POST / HT", READ_TIMEOUT, 408),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n1", READ_TIMEOUT, 408),
    ],
    ids=["idle", "head", "body"],
)
def test_a_caller_that_sends_nothing_more_is_not_waited_for(
    loop: VirtualLoop, server: Server, sent: bytes, seconds: float, status: int
) -> None:
    if sent:
        server.feed(sent)
    loop.advance(seconds - 0.1)
    assert not server.transport.closed
    assert server.transport.written == b""
    loop.advance(0.3)
    assert [response for response, _ in answers(["GET"], server.transport.written)] == ([status] if status else [])
    assert server.transport.closed or server.transport.eof
    assert all(handler.disconnected for handler in server.handlers)


def test_a_caller_that_takes_nothing_is_hung_up_on_and_one_that_takes_a_little_is_not(
    loop: VirtualLoop, server: Server
) -> None:
    server.feed(request("GET", "/", b"", "length"))
    cycle = server.handlers[0].cycle
    cycle.respond(200, [], b"x" * 1000)
    server.connection.pause_writing()
    assert cycle.backed_up()
    wait = cycle.write(b"y")
    assert wait is not None
    for _ in range(3):
        server.transport.written = server.transport.written[1:]  # it takes a byte
        loop.advance(SEND_TIMEOUT - 0.1)
        assert not server.transport.closed
    loop.advance(SEND_TIMEOUT * 2)
    assert server.transport.aborted
    assert wait.done()
    assert server.handlers[0].disconnected


@pytest.mark.parametrize("place", ["begin", "data_received", "finish"])
def test_a_handler_that_raises_gives_500_and_no_request_behind_it_waits_for_ever(
    loop: VirtualLoop, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    def prepare(handler: Handler) -> None:
        if len(server.handlers) == 2:
            handler.fails_in = place

    server = Server(loop, prepare=prepare)
    server.feed(b"".join(request("POST", f"/{n}", b"body", "length") for n in range(4)))
    server.handlers[0].answer()
    loop.advance()
    assert [status for status, _ in answers(["POST", "POST"], server.transport.written)] == [200, 500]
    assert server.transport.eof
    assert len(server.handlers) == 2
    assert server.handlers[1].disconnected == (place != "begin")
    assert "could not be handled" in caplog.text
    server.close()


def test_a_response_begins_once_and_ends_once(server: Server) -> None:
    server.feed(request("GET", "/", b"", "length"))
    cycle = server.handlers[0].cycle
    with pytest.raises(IllegalTransition):
        cycle.finish()
    cycle.respond(200, [("content-length", "0")], b"")
    with pytest.raises(IllegalTransition):
        cycle.respond(200, [("content-length", "0")], b"")
    cycle.finish()
    with pytest.raises(IllegalTransition):
        cycle.finish()
    assert answers(["GET"], server.transport.written) == [(200, b"")]


def test_a_handler_may_answer_after_its_caller_left(loop: VirtualLoop, server: Server) -> None:
    server.feed(request("POST", "/", b"x", "length"))
    server.transport.abort()
    loop.advance()
    assert server.handlers[0].disconnected
    server.handlers[0].answer()
    assert server.transport.written == b""


def test_a_body_that_its_handler_does_not_take_is_not_read(loop: VirtualLoop, server: Server) -> None:
    server.feed(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
    first, second = server.handlers[0].wait, loop.create_future()
    server.handlers[0].wait = second
    server.feed(b"abc")
    assert first is None
    assert server.transport.reading_paused
    loop.advance(READ_TIMEOUT * 2)
    second.set_result(None)
    loop.advance()
    assert not server.transport.reading_paused
    server.feed(b"defghi")
    assert server.handlers[0].finished
    server.handlers[0].answer()
    assert answers(["POST"], server.transport.written) == [(200, b"POST / abcdefghi")]


class StreamHandler(Handler):
    upgrades = True


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def test_after_a_handshake_bytes_are_not_parsed_and_no_deadline_applies(loop: VirtualLoop) -> None:
    server = Server(loop, StreamHandler)
    server.feed(HANDSHAKE + b"\x81\x00")
    server.feed(b"GET / HTTP/1.1\r\n\r\n")
    loop.advance(IDLE_TIMEOUT * 3)
    (handler,) = server.handlers
    assert handler.cycle.handshake
    assert handler.body == b"\x81\x00GET / HTTP/1.1\r\n\r\n"
    assert not handler.finished
    assert not server.transport.closed
    server.close()
    assert handler.disconnected


def test_a_handshake_behind_a_request_that_is_not_answered_is_refused(loop: VirtualLoop, server: Server) -> None:
    server.feed(request("GET", "/", b"", "length") + HANDSHAKE)
    server.handlers[0].answer()
    loop.advance()
    assert [status for status, _ in answers(["GET", "GET"], server.transport.written)] == [200, 400]
    assert len(server.handlers) == 1


def test_the_maximum_of_connections_is_enforced_and_an_idle_one_ends_with_the_port(loop: VirtualLoop) -> None:
    server = Server(loop)
    server.listener.max_connections = 1
    second = Transport(loop, server.ours)
    second.protocol = server.listener.connection()
    second.protocol.connection_made(second)
    assert [status for status, _ in answers(["GET"], second.written)] == [503]
    loop.advance()
    server.listener.close_idle()
    assert server.transport.closed
    server.close()
