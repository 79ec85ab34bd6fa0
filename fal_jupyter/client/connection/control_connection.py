"""One request to the gateway and its response, without IO: parses the bytes of the response."""

from __future__ import annotations

import json
from typing import Any

from fal_jupyter.client.connection import http
from fal_jupyter.domain.errors import GatewayError
from fal_jupyter.protocol.api import ENDING, H_ERROR_TYPE


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


def checked(status: int, value: object) -> Any:
    """Return *value*, the JSON of a response.

    Raises:
        GatewayError: it reports a failure of the gateway.
    """
    if status == 500 and isinstance(value, dict) and value.get("error_type") == "internal_error":
        raise GatewayError(value["detail"], hint=value.get("hint", ""))
    return value


def decoded(status: int, body: bytes) -> Any:
    """Return the value of a response's body (:func:`checked`)."""
    return checked(status, json.loads(body))
