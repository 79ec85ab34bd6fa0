"""Where ``fal.apps`` and ``fal.app.AppClient`` send requests: the hosts of the environment, or this process's gateway."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fal_jupyter import gateway_offer, outbound_http
from fal_jupyter.domain.environments.runner_variables import calls_the_cloud
from fal_jupyter.domain.errors import UserError
from fal_jupyter.fal import flags

if TYPE_CHECKING:
    import httpx

_HOSTS = ("FAL_RUN_HOST", "FAL_QUEUE_RUN_HOST", "FAL_WS_RUN_HOST")
_PATIENCE = 60.0  # seconds for the answer to a request that is not a stream


@dataclass(frozen=True, slots=True)
class Destination:
    """The addresses of one gateway (or of fal's platform), without a slash at the end, and the header that opens it.

    Attributes:
        run: of direct requests. queue: of queued ones. realtime: of websockets of endpoints. speaker: of HTTP over a websocket.
        authorization: value of the header; "" for none.
    """

    run: str
    queue: str
    realtime: str
    speaker: str
    authorization: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        return {"Authorization": self.authorization} if self.authorization else {}


def reached() -> Destination:
    """Return where requests of this process go.

    Raises:
        UserError: the environment names no host, and nothing in this process uses a gateway.
        GatewayError: this process's gateway cannot be reached or started.
    """
    if any(os.environ.get(name) for name in _HOSTS):
        return _of_environment()
    offer = gateway_offer.offered()
    if offer is not None:
        return at_gateway(*offer.reach())
    if calls_the_cloud(os.environ):  # a runner with a key of the cloud has no hosts of a gateway
        return _of_environment()
    raise UserError(
        "this process uses no gateway, so there is none to send requests to",
        hint='set the variables of a gateway, in a shell: eval "$(fal-jupyter env)"',
    )


def at_gateway(base: str, key: str) -> Destination:
    """Return the addresses of the gateway at *base*, opened with *key*."""
    websockets = "ws" + base.removeprefix("http")
    return Destination(f"{base}/run", f"{base}/queue", f"{websockets}/run", f"{websockets}/ws", f"Key {key}")


def _of_environment() -> Destination:
    run = os.environ.get("FAL_RUN_HOST") or flags.FAL_RUN_HOST
    queue = os.environ.get("FAL_QUEUE_RUN_HOST") or f"queue.{run}"
    speaker = os.environ.get("FAL_WS_RUN_HOST") or f"ws.{run}"
    return Destination(
        f"https://{run}", f"https://{queue}", f"wss://{run}", f"wss://{speaker}", authorization_of_environment()
    )


def authorization_of_environment() -> str:
    """Return the header's value for the key of the environment, or ""."""
    key, secret = os.environ.get("FAL_KEY_ID", ""), os.environ.get("FAL_KEY_SECRET", "")
    both = os.environ.get("FAL_KEY") or (f"{key}:{secret}" if key and secret else "")
    return f"Key {both}" if both else ""


def http(user: str) -> Any:
    """Import httpx for *user* (``fal.apps``).

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("httpx")
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise UserError(
            f"{user} needs the package httpx, which is not installed here", hint="pip install httpx"
        ) from None


def http_client(user: str = "fal.apps") -> httpx.Client:
    """Return the one client of this process; it never asks a proxy for a loopback address.

    Raises:
        UserError: httpx is not installed; the sentence is about *user*.
    """
    http(user)
    return _client_of(os.getpid())


@lru_cache(maxsize=1)
def _client_of(process: int) -> httpx.Client:
    """Make the client of *process*: a forked child must not send on its parent's connections."""
    return outbound_http.httpx_client(http("fal.apps").Client, user_agent="fal_jupyter", timeout=_PATIENCE)
