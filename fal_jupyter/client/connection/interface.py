"""What calls need of the client: connections to the gateway that holds this process's lease."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Protocol

from fal_jupyter.client.connection.http import Body
from fal_jupyter.client.connection.watching import RawAnswer
from fal_jupyter.protocol.feed import RequestDetail
from fal_jupyter.settings import Settings


class GatewayConnections(Protocol):
    """Connections to the gateway, as calls see them (:class:`fal_jupyter.client.client.Client`)."""

    settings: Settings

    def dial(self) -> socket.socket:
        """Connect to the gateway; where it has ended, another one is started.

        Raises:
            GatewayError: none can be had.
        """

    def forget(self, gateway: int) -> None:
        """The gateway of that process id is ending: the next question goes to another one."""

    def await_end(self, gateway: int) -> None:
        """A new connection to *gateway* broke off unread: wait a moment for its end."""

    def exchange(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: Body = b""
    ) -> RawAnswer:
        """Ask the data plane; gives the answer as soon as its head is here.

        Raises:
            OSError, GatewayError: the gateway ended in the middle, or none can be had.
        """

    def ask_raw(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> RawAnswer:
        """Ask the control plane; gives the answer as soon as its head is here.

        Raises:
            OSError: no gateway runs.
        """

    def request(self, request_id: str) -> RequestDetail:
        """What is known of one request.

        Raises:
            NotServed: it is not kept any more, or no gateway runs.
        """
