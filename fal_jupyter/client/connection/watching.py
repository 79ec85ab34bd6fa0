"""What panels and tests look at: the feed, one request's record, and raw questions to the control plane."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.ongoing_calls import refused_by_ending
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent, areceive, receive, send, silent
from fal_jupyter.domain.errors import GatewayError, NotServed
from fal_jupyter.protocol.api import (
    A_APPS,
    A_DOCTOR,
    A_FEED,
    A_HELLO,
    A_RUNNERS,
    A_SNAPSHOT,
    AppRecord,
    ErrorDescription,
    Hello,
    LogRecord,
    RunnerRecord,
)
from fal_jupyter.protocol.feed import FeedLine, Picture, RequestDetail
from fal_jupyter.settings import Settings

READ = 256 * 1024
PATIENCE = 60.0  # for an answer of the control plane, which never waits for user code


class RawAnswer:
    """An answer of the control plane as it comes. Closing it hangs up, from any thread.

    Args:
        sock: a new connection, which this closes.

    Attributes:
        status, headers: of its head, names in lower case. gateway: the process that answers.

    Raises:
        NotSent: the gateway ended before it read anything of the request.
        OSError, GatewayError: it broke later.
    """

    def __init__(
        self, sock: socket.socket, method: str, target: str, headers: Iterable[tuple[str, str]], body: http.Body
    ) -> None:
        self._socket = sock
        self.gateway = connect.peer_pid(sock)
        self._reader = http.Reader()
        self._first = b""
        try:
            request = http.request(method, target, body, headers)
            send(sock, request, self.gateway)
            while not self._reader.begun:
                self._first += self._receive(len(request))
        except BaseException:
            self._socket.close()
            raise
        self.status, self.headers = self._reader.status, self._reader.headers

    def _receive(self, unanswered: int = 0) -> bytes:
        data = receive(self._socket, READ, self.gateway, unanswered=unanswered)
        if not data:
            self._reader.end()
            return b""
        return self._reader.feed(data)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The same on asyncio."""
        reader, writer = await asyncio.open_unix_connection(sock=self._socket)
        try:
            if self._first:
                yield self._first
            while not self._reader.done:
                data = await areceive(reader, READ, self.gateway)
                if not data:
                    self._reader.end()
                elif piece := self._reader.feed(data):
                    yield piece
        finally:
            writer.close()

    def __iter__(self) -> Iterator[bytes]:
        """The body's pieces as they come.

        Raises:
            GatewayError: it broke off.
        """
        try:
            if self._first:
                yield self._first
            while not self._reader.done:
                try:
                    piece = self._receive()
                except OSError as error:
                    raise GatewayError(f"the gateway's answer broke off: {error}") from None
                if piece:
                    yield piece
        finally:
            self._socket.close()

    def value(self) -> Any:
        """Wait for the whole body and read it as JSON.

        Raises:
            GatewayError: it broke off, or the gateway failed.
        """
        return _checked(self.status, json.loads(b"".join(self)))

    @property
    def refused(self) -> bool:
        """True where an ending gateway answered by itself: nothing has begun."""
        return refused_by_ending(self._reader)

    def drop(self) -> None:
        """Close the connection; only the thread that reads may call it."""
        self._socket.close()

    def close(self) -> None:
        """Hang up; who reads meanwhile gets a GatewayError."""
        try:
            self._socket.shutdown(2)
        except OSError:
            pass  # it has ended by itself


def _checked(status: int, answer: Any) -> Any:
    """Give *answer*.

    Raises:
        GatewayError: it says that the gateway failed.
    """
    if status == 500 and isinstance(answer, dict) and answer.get("error_type") == "internal_error":
        raise GatewayError(answer["detail"], hint=answer.get("hint", ""))
    return answer


class Watching:
    """The part of the client that looks. None of it starts a gateway."""

    settings: Settings

    def ask_raw(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> RawAnswer:
        """Ask the control plane; gives the answer as soon as its head is here.

        Raises:
            OSError: no gateway runs.
        """
        headers = tuple(headers)
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            try:
                return RawAnswer(self._dial(), method, target, headers, body)
            except NotSent:
                if not gateways_left:
                    raise
        raise AssertionError("unreachable")

    def _dial(self) -> socket.socket:
        return connect.dial(self.settings)

    def _ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
        """Ask for JSON; gives status and value. What a gateway that ended has not read is asked of the next one.

        Raises:
            OSError: no gateway runs, or it ended later.
            GatewayError: it failed, or is stopped.
        """
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            try:
                return self._ask_one(method, target, body)
            except NotSent:
                if not gateways_left:
                    raise
        raise AssertionError("unreachable")

    def _ask_one(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        with self._dial() as sock:
            gateway, deadline = connect.peer_pid(sock), time.monotonic() + PATIENCE
            try:
                request = http.request(method, target, body)
                send(sock, request, gateway)
                reader, found = http.Reader(), bytearray()
                while not reader.done:
                    unanswered = 0 if reader.begun else len(request)
                    data = receive(sock, READ, gateway, deadline=deadline, unanswered=unanswered)
                    if not data:
                        raise ConnectionResetError("the gateway ended")
                    found += reader.feed(data)
                answer = json.loads(bytes(found)) if found else None
                if answer is not None and refused_by_ending(reader):
                    raise ConnectionRefusedError(answer["detail"])
                return reader.status, _checked(reader.status, answer)
            except TimeoutError:
                raise silent(gateway, PATIENCE) from None
            except ValueError:
                raise leases.NotAGateway("who listens on the gateway's socket is no gateway of fal_jupyter") from None

    def _read_only(self, target: str, otherwise: Any) -> Any:
        """Ask without ever starting a gateway; *otherwise* where there is none."""
        try:
            status, answer = self._ask("GET", target)
        except OSError:
            return otherwise
        if status == 404:
            raise NotServed(str(answer["detail"]))
        return answer

    def hello(self) -> Hello | None:
        """Who answers, or None."""
        found: Hello | None = self._read_only(A_HELLO, None)
        return found

    def apps(self) -> list[AppRecord]:
        """All apps of this user's gateway."""
        found: list[AppRecord] = self._read_only(A_APPS, [])
        return found

    def runners(self) -> list[RunnerRecord]:
        """All runners."""
        found: list[RunnerRecord] = self._read_only(A_RUNNERS, [])
        return found

    def logs(self, alias: str, *, lines: int = 100, request: str = "", runner: str = "") -> list[LogRecord]:
        """An app's last lines."""
        query = urlencode({"lines": lines, "request": request, "runner": runner})
        found: list[LogRecord] = self._read_only(f"{A_APPS}/{quote(alias)}/logs?{query}", [])
        return found

    def doctor(self) -> dict[str, Any] | None:
        """The gateway and its processes, or None."""
        found: dict[str, Any] | None = self._read_only(A_DOCTOR, None)
        return found

    def snapshot(self) -> FeedLine | None:
        """Everything that runs, or None where no gateway does."""
        try:
            answer = self.ask_raw("GET", A_SNAPSHOT)
        except OSError:
            return None
        found: FeedLine = answer.value()
        return found if answer.status == 200 else None

    def feed(self) -> Iterator[FeedLine]:
        """The feed's lines as they come, until the gateway ends.

        Raises:
            OSError: no gateway runs.
        """
        rest = b""
        for piece in self.ask_raw("GET", A_FEED):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def request(self, request_id: str) -> RequestDetail:
        """What is known of one request.

        Raises:
            NotServed: it is not kept any more, or no gateway runs.
        """
        status, found = self.ask("GET", f"/admin/requests/{quote(request_id, safe='')}")
        if status != 200:
            raise NotServed(str(found["detail"]))
        detail: RequestDetail = found
        return detail

    def failure_of(self, request_id: str) -> ErrorDescription | None:
        """What user code raised while it worked for a request of ours, or None where nothing is known of it."""
        try:
            return self.request(request_id)["error"]
        except NotServed:
            return None

    def picture(self, alias: str) -> Picture | None:
        """An app as a saved notebook shows it, or None where it does not run."""
        try:
            status, found = self.ask("GET", f"/admin/apps/{quote(alias, safe='')}/picture")
        except NotServed:
            return None
        return found if status == 200 else None

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
        """Ask the control plane for JSON; gives status and value.

        Raises:
            NotServed: no gateway runs.
        """
        try:
            answer = self.ask_raw(method, target, (), body)
        except OSError:
            raise NotServed("no gateway is running") from None
        return answer.status, json.loads(b"".join(answer))
