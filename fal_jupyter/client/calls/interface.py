"""What calls need of the client."""

from __future__ import annotations

from typing import Protocol

from fal_jupyter.client.connection.connector import GatewayConnector
from fal_jupyter.client.connection.control_client import ControlClient
from fal_jupyter.settings import Settings


class CallingClient(Protocol):
    """The gateway, as calls use it (:class:`fal_jupyter.client.client.Client`)."""

    settings: Settings
    connections: GatewayConnector
    control: ControlClient
