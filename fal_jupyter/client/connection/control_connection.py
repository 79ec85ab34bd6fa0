"""One request to the gateway and its response, without IO: parses the bytes of the response."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from fal_jupyter.client.connection import http
from fal_jupyter.domain.errors import GatewayError
from fal_jupyter.protocol.api import ENDING, H_ERROR_TYPE

T = TypeVar("T")


class ControlConnection:
    """The state of one request on a connection.

    The driver sends :attr:`request`, then passes received data to :meth:`receive_data`, until :attr:`done`. Nothing here reads a
    socket, so the synchronous and the asynchronous client share it.

    Attributes:
        request: the bytes to send.
    """

    def __init__(self, request: http.Request) -> None:
        self.request = request
        self._response = http.ResponseParser()

    @property
    def status(self) -> int:
        """The response's status; 0 until its head has arrived."""
        return self._response.status

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers, names in lower case."""
        return self._response.headers

    @property
    def unanswered(self) -> int:
        """Length of the request until the first byte of its response; 0 afterwards."""
        return 0 if self._response.status else len(self.request)

    @property
    def done(self) -> bool:
        """True once the response is complete."""
        return self._response.done

    @property
    def reusable(self) -> bool:
        """True if another request may follow on the connection."""
        return self._response.reusable

    @property
    def refused(self) -> bool:
        """True if the gateway refused because it is shutting down: the request has not begun, so it can be sent to the next one."""
        return self.status == 503 and self.headers.get(H_ERROR_TYPE) == ENDING

    @property
    def is_plain_json(self) -> bool:
        """True if the response is JSON instead of frames: the gateway refused it before it reached the app."""
        return self.headers.get("content-type") == "application/json"

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the connection, ``b""`` at its end; returns those of the response's body among them.

        Raises:
            GatewayError: it ended within the response.
            ValueError: this is not HTTP.
        """
        if data:
            return self._response.feed(data)
        self._response.end()
        return b""


class AppHolder(msgspec.Struct, frozen=True):
    """The owner of an app that another one would publish."""

    name: str
    pid: int


class ErrorResponse(msgspec.Struct, frozen=True):
    """A response of the control plane with a status of 400 or more: what its JSON says."""

    detail: str = ""
    hint: str = ""
    error_type: str = ""
    holder: AppHolder | None = None
    status: int = 0


class StartOutcome(msgspec.Struct):
    """What a gateway reports once it serves, or cannot: then the name of the error's class, its message and its hint."""

    ok: bool
    kind: str = ""
    error: str = ""
    hint: str = ""


def decoded(body: bytes, kind: type[T]) -> T:
    """Decode JSON that the gateway sent.

    Raises:
        ValueError: *body* is not JSON.
        GatewayError: *body* is not a *kind*.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise GatewayError(
            f"the gateway's response is not what this version of fal_jupyter expects: {error}",
            hint="it is of another version: end the gateway's process, which fal-jupyter doctor lists, and run the app's cell again",
        ) from None
    except msgspec.DecodeError as error:  # before msgspec 0.21 it is no ValueError
        raise ValueError(str(error)) from None


def record_or_error(status: int, body: bytes, kind: type[T]) -> T | ErrorResponse:
    """Decode a response of the control plane.

    Raises:
        ValueError: *body* is not JSON.
        GatewayError: the gateway failed, or the response is not a *kind*.
    """
    if status < 400:
        return decoded(body, kind)
    error = msgspec.structs.replace(decoded(body, ErrorResponse), status=status)
    if status == 500 and error.error_type == "internal_error":
        raise GatewayError(error.detail, hint=error.hint)
    return error
