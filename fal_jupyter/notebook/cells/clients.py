"""``fal_jupyter.fal_client()`` and related functions: fal's own client, connected to this process's gateway by default."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from fal_jupyter.client import fal_client as adapters
from fal_jupyter.notebook.session import current_session

if TYPE_CHECKING:
    from fal_jupyter.client.fal_client import AsyncClient, SyncClient


def fal_client(base: str | None = None, key: str | None = None) -> SyncClient:
    """Return a ``fal_client.SyncClient`` connected to the local gateway; the ``fal_client`` module itself is unchanged.

    Loopback addresses bypass proxies; any other *base* uses the proxies of the environment, as fal_client does.

    Args:
        base: a gateway's address, ``http://127.0.0.1:PORT``; by default this process's gateway, which is started if necessary.
        key: ``id:secret``; by default this process's key, or for another gateway what fal_client finds (``FAL_KEY`` …).

    Raises:
        BadSetting: *base* is not an address, or *key* is not a key.
        UserError: fal-client is not installed.
        GatewayError: no gateway could be reached or started.
    """
    return adapters.sync_client(*_base_and_key(base, key))


def fal_client_async(base: str | None = None, key: str | None = None) -> AsyncClient:
    """Return a ``fal_client.AsyncClient`` connected to the local gateway; see :func:`fal_client`."""
    return adapters.async_client(*_base_and_key(base, key))


def redirect_fal_client(base: str | None = None, key: str | None = None) -> AbstractContextManager[None]:
    """Send ``fal_client.run(…)``, ``fal_client.subscribe(…)`` and the module's other functions to the local gateway.

    Applies to all threads of the process for the duration of the ``with`` block. Where a proxy is configured, ``NO_PROXY`` covers
    loopback addresses meanwhile. See :func:`fal_client` for the arguments.
    """
    return adapters.redirected(*_base_and_key(base, key))


def _base_and_key(base: str | None, key: str | None) -> tuple[str, str | None]:
    client = current_session().client
    if base is None:
        return client.base, key or client.key
    lease = client.lease
    is_own = lease is not None and lease.base == adapters.checked(base)
    return base, key or (client.key if is_own else None)
