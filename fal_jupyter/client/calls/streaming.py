"""``Hello.stream.chat(...)``: an endpoint's answer while it is produced, in a plain or an asynchronous loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

from fal_jupyter.client.calls.events import EventDecoder, decoder_for
from fal_jupyter.client.calls.interrupts import one_line
from fal_jupyter.client.connection import http
from fal_jupyter.client.connection.answer import Answer, AnswerReader, OnOutput
from fal_jupyter.client.connection.flows import Item, Stream, iterate, iterate_async
from fal_jupyter.client.connection.framed_call import CallConnections, framed_call
from fal_jupyter.domain.errors import RequestError

Finished = Callable[[Answer], None]


class _StreamReader(AnswerReader):
    """An answer whose body is passed on as it arrives."""

    def __init__(self, on_output: OnOutput | None, where_the_rest_is: str) -> None:
        super().__init__(on_output, where_the_rest_is)
        self._decoder_of_events: EventDecoder | None = None

    def values(self) -> Iterator[object]:
        """Yield the values that have arrived since the last call; a failed answer has none."""
        answer = self.answer
        if not answer.status or answer.status >= 400:
            return
        if self._decoder_of_events is None:
            self._decoder_of_events = decoder_for(answer.header("content-type"))
        parts, self._parts = self._parts, []
        for part in parts:
            yield from self._decoder_of_events.feed(part)

    def last_values(self) -> Iterator[object]:
        """Yield the remaining values of a complete answer."""
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
        connections: CallConnections,
        alias: str,
        request: http.Request,
        on_output: OnOutput | None,
        finished: Finished,
        name: str,
    ) -> None:
        self._connections, self._request, self._finished, self._name = connections, request, finished, name
        self._new_reader = partial(_StreamReader, on_output, f"%fal logs {alias} has the last of them")
        self._begun = False

    def __repr__(self) -> str:
        return f"<stream {self._name}(): iterate over it>"

    def __iter__(self) -> Iterator[Any]:
        with one_line(f"{self._name}()"):
            yield from iterate(self._values())

    async def __aiter__(self) -> AsyncIterator[Any]:
        with one_line(f"{self._name}()"):
            async with aclosing(iterate_async(self._values())) as values:
                async for value in values:
                    yield value

    def _values(self) -> Stream[object, None]:
        if self._begun:
            raise RequestError(f"the stream {self._name}() was begun already", hint="call it again for another one")
        self._begun = True
        reader = yield from framed_call(self._connections, self._request, self._new_reader)
        last = list(reader.last_values())
        answer = reader.finish()
        for value in last:
            yield Item(value)
        self._finished(answer)
