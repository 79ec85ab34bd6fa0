"""``Hello.stream.chat(...)``: an endpoint's answer while it is being made, to a plain loop or an asynchronous one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from fal_jupyter.client.calls.events import EventDecoder, decoder_for
from fal_jupyter.client.calls.interrupts import one_line
from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection.answer import Answer, AnswerReader, OnOutput
from fal_jupyter.client.connection.ongoing_calls import lost, refused_by_ending, refused_waiting
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent, aopen, areceive, receive, send
from fal_jupyter.domain.errors import GatewayError, RequestError

if TYPE_CHECKING:
    from fal_jupyter.client.connection.interface import GatewayConnections

READ = 64 * 1024
Finished = Callable[[Answer], None]


class _Pieces(AnswerReader):
    """An answer whose body is handed on as it comes."""

    def __init__(self, on_output: OnOutput | None, where_the_rest_is: str) -> None:
        super().__init__(on_output, where_the_rest_is)
        self._decoder_of_events: EventDecoder | None = None

    def values(self) -> Iterator[Any]:
        """Give the values that have come since the last call; a failed answer has none."""
        answer = self.answer
        if not answer.status or answer.status >= 400:
            return
        if self._decoder_of_events is None:
            self._decoder_of_events = decoder_for(answer.header("content-type"))
        parts, self._parts = self._parts, []
        for part in parts:
            yield from self._decoder_of_events.feed(part)

    def last_values(self) -> Iterator[Any]:
        """The answer is complete: give what was left."""
        yield from self.values()
        if self._decoder_of_events is not None and not self.answer.aborted:
            yield from self._decoder_of_events.end()


class Streamed:
    """The pieces of one answer: iterate over it once, with ``for`` or ``async for``. Leaving the loop ends the request.

    The request is made when the loop begins.

    Raises:
        RequestError: while it is iterated over: the endpoint failed, before its first piece or after it.
    """

    def __init__(
        self,
        client: GatewayConnections,
        alias: str,
        request: http.Request,
        on_output: OnOutput | None,
        finished: Finished,
        name: str,
    ) -> None:
        self._client, self._request, self._finished, self._name = client, request, finished, name
        self._new_reader = partial(_Pieces, on_output, f"%fal logs {alias} has the last of them")
        self._reader = self._new_reader()
        self._begun = False

    def __repr__(self) -> str:
        return f"<stream {self._name}(): iterate over it>"

    def _begin(self) -> None:
        if self._begun:
            raise RequestError(f"the stream {self._name}() was begun already", hint="call it again for another one")
        self._begun = True

    def __iter__(self) -> Iterator[Any]:
        with one_line(f"{self._name}()"):
            yield from self._values()

    def _values(self) -> Iterator[Any]:
        self._begin()
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            head = http.Reader()
            with self._client.dial() as sock:
                gateway = connect.peer_pid(sock)
                try:
                    send(sock, self._request, gateway)
                    while not head.done:
                        data = receive(sock, READ, gateway, unanswered=0 if head.begun else len(self._request))
                        if not data:
                            self._ended(head)
                            break
                        yield from self._take(head, data)
                except ConnectionError as error:
                    if isinstance(error, NotSent) and gateways_left:
                        self._client.await_end(gateway)
                        continue
                    raise lost() from None
            if not (gateways_left and self._is_refused(head, gateway)):
                break
        yield from self._end()

    async def __aiter__(self) -> AsyncIterator[Any]:
        with one_line(f"{self._name}()"):
            self._begin()
            for gateways_left in reversed(range(MOST_GATEWAYS)):
                head = http.Reader()
                sock = await asyncio.to_thread(self._client.dial)
                gateway = connect.peer_pid(sock)
                writer: asyncio.StreamWriter | None = None
                try:
                    reader, writer = await aopen(sock, self._request, gateway)
                    while not head.done:
                        unanswered = 0 if head.begun else len(self._request)
                        data = await areceive(reader, READ, gateway, unanswered=unanswered)
                        if not data:
                            self._ended(head)
                            break
                        for value in self._take(head, data):
                            yield value
                except ConnectionError as error:
                    if isinstance(error, NotSent) and gateways_left:
                        await asyncio.to_thread(self._client.await_end, gateway)
                        continue
                    raise lost() from None
                finally:
                    if writer is not None:
                        writer.close()
                if not (gateways_left and self._is_refused(head, gateway)):
                    break
            for value in self._end():
                yield value

    def _is_refused(self, head: http.Reader, gateway: int) -> bool:
        """True where an ending gateway refused it, so that the next one is asked."""
        if not (refused_by_ending(head) or refused_waiting(self._reader.answer)):
            return False
        self._reader = self._new_reader()
        self._client.forget(gateway)
        return True

    def _ended(self, head: http.Reader) -> None:
        try:
            head.end()
        except GatewayError:
            raise lost() from None

    def _take(self, head: http.Reader, data: bytes) -> Iterator[Any]:
        self._reader.feed_from(head, data)
        yield from self._reader.values()

    def _end(self) -> Iterator[Any]:
        last = list(self._reader.last_values())
        answer = self._reader.finish()
        yield from last
        self._finished(answer)
