"""Calls, streams and responses, each driven in a thread and on an event loop, against a gateway that is a list of responses."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from fal_jupyter.client.calls.streaming import Streamed
from fal_jupyter.client.connection import http
from fal_jupyter.client.connection.answer import AnswerReader
from fal_jupyter.client.connection.control_connection import ControlConnection
from fal_jupyter.client.connection.flows import Flow, Item, Stream, in_thread, iterate, iterate_async, run, run_async
from fal_jupyter.client.connection.framed_call import framed_call
from fal_jupyter.client.connection.ongoing_calls import Calls
from fal_jupyter.client.connection.response import open_response, read_whole
from fal_jupyter.client.connection.socket_io import receive
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS
from fal_jupyter.domain.errors import GatewayError, GatewayUnreachable, RequestError
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import EndRecord, Timing
from fal_jupyter.protocol.frames import Kind

REQUEST = http.request("POST", "/run/me/app/", b"{}")
UNREAD = None  # in place of a response: the gateway ends before it reads the request


def chunked(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", "transfer-encoding: chunked", *headers])
    return f"{head}\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


TIMING: Timing = {"queue_ms": 0, "start_ms": 0, "transfer_ms": 0.5, "run_ms": 1.5, "stream_ms": 0, "total_ms": 2}
END: EndRecord = {"request_id": "r", "status": 200, "revision": 1, "runner": "hello-1", "timing": TIMING}


def framed(*values: object, status: int = 200, kind: str = "application/jsonl") -> bytes:
    head = json.dumps({"status": status, "headers": [["content-type", kind]]}).encode()
    body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    end = frames.encode(Kind.END_BODY, 1, json.dumps(END).encode())
    return chunked(frames.encode_message(Kind.RESPONSE, 1, head, body, end=False) + end)


ENDING = chunked(
    b'{"detail": "ending"}', "content-type: application/json", "x-fal-error-type: gateway_ending", status="503 No"
)


class Gateways:
    """One gateway after the other, each of which has one response."""

    def __init__(self, *responses: bytes | None) -> None:
        self._responses = list(responses)
        self.dialled = 0
        self.forgotten = 0
        self.awaited = 0
        self.kept: list[socket.socket] = []
        self.open: list[socket.socket] = []
        _MADE.append(self)

    def idle(self) -> socket.socket | None:
        return self.kept.pop() if self.kept else None

    def dial(self) -> socket.socket:
        if not self._responses:
            raise GatewayUnreachable("no gateway is left")
        response = self._responses.pop(0)
        ours, theirs = socket.socketpair()
        self.dialled += 1
        self.open.append(ours)
        if response is UNREAD:
            theirs.close()
        else:
            threading.Thread(target=_respond, args=(theirs, response), daemon=True).start()
        return ours

    def release(self, sock: socket.socket, *, reusable: bool) -> None:
        if reusable:
            self.kept.append(sock)
        else:
            sock.close()

    def forget(self, gateway: int) -> None:
        self.forgotten += 1

    def await_end(self, gateway: int) -> None:
        self.awaited += 1


def _respond(sock: socket.socket, response: bytes) -> None:
    with sock, suppress(BrokenPipeError, ConnectionResetError):  # the client may hang up at any moment
        received = b""
        while not received.endswith(REQUEST[-6:]):
            if not (data := sock.recv(65536)):
                return
            received += data
        for i in range(0, len(response), 7):
            sock.sendall(response[i : i + 7])
        if response.endswith(b"0\r\n\r\n"):
            sock.recv(1)  # until the client hangs up


_MADE: list[Gateways] = []


@pytest.fixture(autouse=True)
def hung_up() -> Iterator[None]:
    yield
    while _MADE:
        for sock in _MADE.pop().open:
            sock.close()


Driver = Callable[[Flow[object]], object]
DRIVERS: dict[str, Driver] = {"thread": run, "loop": lambda flow: asyncio.run(run_async(flow))}


async def _all(stream: Stream[object, None]) -> list[object]:
    return [value async for value in iterate_async(stream)]


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Driver:
    return DRIVERS[request.param]


@pytest.fixture(params=["thread", "loop"])
def values_of(request: pytest.FixtureRequest) -> Callable[[Stream[object, None]], list[object]]:
    in_loop = request.param == "loop"
    return lambda stream: asyncio.run(_all(stream)) if in_loop else list(iterate(stream))


def body_of(driver: Driver, gateways: Gateways, calls: Calls | None = None) -> bytes:
    reader = driver(framed_call(gateways, REQUEST, lambda: AnswerReader(None, ""), calls=calls))
    assert isinstance(reader, AnswerReader)
    return reader.finish().body


def test_a_call_reads_its_answer_and_keeps_the_connection(driver: Driver) -> None:
    gateways = Gateways(framed(1))

    assert body_of(driver, gateways) == b"1\n"
    assert gateways.kept == gateways.open


@pytest.mark.parametrize("first", [UNREAD, ENDING])
def test_a_request_that_a_gateway_has_not_begun_goes_to_the_next_one(driver: Driver, first: bytes | None) -> None:
    gateways = Gateways(first, framed(2))

    assert body_of(driver, gateways) == b"2\n"
    assert (gateways.awaited, gateways.forgotten) == ((1, 0) if first is UNREAD else (0, 1))


def test_an_idle_connection_that_was_closed_unread_is_not_waited_for(driver: Driver) -> None:
    gateways = Gateways(framed(3))
    ours, theirs = socket.socketpair()
    theirs.close()
    gateways.kept.append(ours)

    assert body_of(driver, gateways) == b"3\n"
    assert (gateways.awaited, gateways.dialled) == (0, 1)


def test_a_request_that_may_have_begun_is_not_repeated(driver: Driver) -> None:
    gateways = Gateways(framed(1)[:40], framed(2))

    with pytest.raises(RequestError, match="not repeated"):
        body_of(driver, gateways)
    assert (gateways.dialled, gateways.open[0].fileno()) == (1, -1)


def test_gateways_are_tried_a_bounded_number_of_times(driver: Driver) -> None:
    gateways = Gateways(*[UNREAD] * (MOST_GATEWAYS + 1))

    with pytest.raises(RequestError, match="not repeated"):
        body_of(driver, gateways)
    assert gateways.dialled == MOST_GATEWAYS


def test_the_last_refusal_is_the_answer(driver: Driver) -> None:
    assert body_of(driver, Gateways(*[ENDING] * MOST_GATEWAYS)) == b'{"detail": "ending"}'


def test_an_error_of_dialling_is_raised_as_it_is(driver: Driver) -> None:
    with pytest.raises(GatewayUnreachable, match="no gateway is left"):
        body_of(driver, Gateways())


def test_cancelled_calls_send_nothing(driver: Driver) -> None:
    calls, gateways = Calls(), Gateways(framed(1))
    calls.cancel()

    with pytest.raises(RequestError, match="cancelled"):
        body_of(driver, gateways, calls)
    assert gateways.open[0].fileno() == -1


def test_calls_are_cancelled_by_another_thread(driver: Driver) -> None:
    calls, gateways = Calls(), Gateways(framed(1)[:60].ljust(60) + b"0\r\n\r\n")
    threading.Timer(0.1, calls.cancel).start()

    with pytest.raises(RequestError, match="cancelled"):
        body_of(driver, gateways, calls)


def test_a_stream_gives_values_as_they_come(values_of: Callable[[Stream[object, None]], list[object]]) -> None:
    finished: list[int] = []
    gateways = Gateways(ENDING, framed({"a": 1}, "b"))
    stream = Streamed(gateways, "app", REQUEST, None, lambda answer: finished.append(answer.status), "App.stream.x")

    assert values_of(stream._values()) == [{"a": 1}, "b"]
    assert finished == [200]


def test_leaving_a_stream_closes_its_connection() -> None:
    gateways = Gateways(framed(*range(1000))[:-5])
    stream = Streamed(gateways, "app", REQUEST, None, lambda answer: None, "App.stream.x")

    for value in stream:
        assert value == 0
        break
    assert gateways.open[0].fileno() == -1
    with pytest.raises(RequestError, match="begun already"):
        next(iter(stream))


def test_leaving_a_stream_on_a_loop_closes_its_connection() -> None:
    gateways = Gateways(framed(*range(1000))[:-5])
    stream = Streamed(gateways, "app", REQUEST, None, lambda answer: None, "App.stream.x")

    async def first() -> object:
        values = aiter(stream)
        value = await anext(values)
        await values.aclose()  # type: ignore[attr-defined]
        return value

    assert asyncio.run(first()) == 0
    assert gateways.open[0].fileno() == -1


def test_a_cancelled_task_closes_the_connection() -> None:
    gateways = Gateways(framed(1)[:60].ljust(60) + b"0\r\n\r\n")

    async def call() -> None:
        call = framed_call(gateways, REQUEST, lambda: AnswerReader(None, ""))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await run_async(call)

    asyncio.run(call())
    assert gateways.open[0].fileno() == -1


def test_a_connection_that_a_cancelled_task_waits_for_is_closed_when_it_is_there() -> None:
    class SlowGateways(Gateways):
        dialling, go_on = threading.Event(), threading.Event()

        def dial(self) -> socket.socket:
            self.dialling.set()
            assert self.go_on.wait(20)
            return super().dial()

    gateways = SlowGateways(framed(1))

    async def call() -> None:
        task = asyncio.ensure_future(run_async(framed_call(gateways, REQUEST, lambda: AnswerReader(None, ""))))
        await asyncio.to_thread(gateways.dialling.wait, 20)
        task.cancel()
        await asyncio.wait({task})
        gateways.go_on.set()

    asyncio.run(call())  # which waits for its threads
    assert gateways.open[0].fileno() == -1


def test_an_interrupt_is_raised_inside_the_flow_first() -> None:
    closed: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield from in_thread(_interrupted)
        except KeyboardInterrupt:
            closed.append("inside")
            raise

    with pytest.raises(KeyboardInterrupt):
        run(flow())
    assert closed == ["inside"]


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_a_wait_ends_without_data(driver: Driver) -> None:
    ours, theirs = socket.socketpair()

    with ours, theirs, pytest.raises(TimeoutError):
        driver(receive(ours, deadline=0.0))


def test_a_body_of_pieces_is_sent_whole_to_a_slow_reader(driver: Driver) -> None:
    class Pieces:
        def __len__(self) -> int:
            return 40 * 300_000

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x" * 300_000] * 40)

    ours, theirs = socket.socketpair()
    sizes: list[int] = []

    def take() -> None:
        received, request = 0, http.request("POST", "/", Pieces())
        while received < len(request):
            received += len(theirs.recv(100_000))
        sizes.append(received - len(request))
        theirs.sendall(chunked(b"{}"))

    thread = threading.Thread(target=take)
    thread.start()
    connection, body = driver(read_whole(ours, http.request("POST", "/", Pieces()), 30))  # type: ignore[misc]
    thread.join()
    ours.close()
    theirs.close()

    assert isinstance(connection, ControlConnection)
    assert (connection.status, body, sizes) == (200, b"{}", [0])


def test_a_response_is_read_by_both_kinds_of_loops() -> None:
    for read in (lambda r: b"".join(r), lambda r: asyncio.run(_joined(r)), lambda r: r.read()):
        gateways = Gateways(chunked(b"some text"))
        response = run(open_response(gateways.dial(), REQUEST))
        assert (response.status, read(response)) == (200, b"some text")
        assert gateways.open[0].fileno() == -1


async def _joined(response: object) -> bytes:
    return b"".join([piece async for piece in response])  # type: ignore[attr-defined]


def test_a_response_that_breaks_off_is_an_error_of_the_gateway() -> None:
    response = run(open_response(Gateways(chunked(b"some text")[:-12]).dial(), REQUEST))

    with pytest.raises(GatewayError, match="within a response"):
        response.read()


def test_the_values_of_a_stream_are_passed_over_by_a_driver_that_wants_its_end(driver: Driver) -> None:
    def stream() -> Stream[int, str]:
        yield Item(1)
        yield Item(2)
        return "end"

    assert driver(stream()) == "end"  # type: ignore[arg-type]
