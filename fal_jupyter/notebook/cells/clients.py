"""``fal_jupyter.fal_client()`` and its like: fal's own client, with this process's gateway and key unless others are named."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from fal_jupyter.client import fal_client as adapters
from fal_jupyter.notebook import session

if TYPE_CHECKING:
    from fal_jupyter.client.fal_client import AsyncClient, SyncClient


def fal_client(base: str | None = None, key: str | None = None) -> SyncClient:
    """Give a ``fal_client.SyncClient`` that talks to the local gateway, on all of its routes; the module stays as it is.

    It never asks a proxy for a loopback address; for any other *base* it goes by the proxies of the environment, as it always does.

    Args:
        base: a gateway's address, ``http://127.0.0.1:PORT``; without one this process's own gateway, started if need be.
        key: ``id:secret``. Without one this process's own key, or for another's *base* what fal_client finds (``FAL_KEY`` …).

    Raises:
        BadSetting: *base* is no address, or *key* no key.
        UserError: fal-client is not installed.
        GatewayError: no gateway can be had.
    """
    return adapters.sync_client(*_place(base, key))


def fal_client_async(base: str | None = None, key: str | None = None) -> AsyncClient:
    """Give a ``fal_client.AsyncClient`` that talks to the local gateway; see :func:`fal_client`."""
    return adapters.async_client(*_place(base, key))


def redirect_fal_client(base: str | None = None, key: str | None = None) -> AbstractContextManager[None]:
    """Send ``fal_client.run(…)``, ``fal_client.subscribe(…)`` and the module's other functions to the local gateway.

    It holds for the whole process, all threads, as long as the ``with`` block lasts, and so does a ``NO_PROXY`` for loopback
    addresses where a proxy is set; see :func:`fal_client` for the arguments.
    """
    return adapters.turned(*_place(base, key))


def _place(base: str | None, key: str | None) -> tuple[str, str | None]:
    client = session.current().client
    if base is None:
        return client.base, key or client.key
    lease = client.lease
    ours = lease is not None and lease.base == adapters.checked(base)
    return base, key or (client.key if ours else None)
