"""What this process has of a gateway: the package offers it, and ``fal.apps`` and ``fal.app.AppClient``, on a lower floor, ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, Protocol


class ServedApp(Protocol):
    """An app that this process serves."""

    @property
    def local_url(self) -> str:
        """Where it is called."""

    def stop(self) -> object:
        """End it."""


class GatewayOffer(NamedTuple):
    """A way to this process's gateway.

    Attributes:
        reach: gives the gateway's address (``http://127.0.0.1:PORT``) and this process's key; starts a gateway if there is none.
        serve: serves a class, and gives its handle once a runner is ready.
    """

    reach: Callable[[], tuple[str, str]]
    serve: Callable[[type], ServedApp]


_offers: list[GatewayOffer] = []


def offer(what: GatewayOffer) -> None:
    """Offer *what* to this process, in place of an earlier offer."""
    _offers[:] = [what]


def offered() -> GatewayOffer | None:
    """Return the offer; None in a runner, whose app is served already and has its addresses in the environment."""
    return None if os.environ.get("IS_ISOLATE_AGENT") or not _offers else _offers[0]
