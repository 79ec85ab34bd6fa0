"""fal's own Python client against a gateway: whether it can be had here, and for which address."""

from __future__ import annotations

import importlib
import warnings
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fal_jupyter.domain.errors import BadSetting, UserError

if TYPE_CHECKING:
    from fal_client import AsyncClient as AsyncClient
    from fal_client import SyncClient as SyncClient

MEASURED = "1.0.3"  # the version of fal-client that the checks of tests/clients run with
_INSTALL = f"pip install fal-client=={MEASURED}"


def sync_client(base: str, key: str | None) -> SyncClient:
    """Make a ``fal_client.SyncClient`` that talks to the gateway at *base*.

    Args:
        base: ``http://127.0.0.1:PORT``, or any address below which the gateway's routes are.
        key: ``id:secret``; None lets fal_client find one as it always does (``FAL_KEY`` …).

    Raises:
        BadSetting: *base* is no address.
        UserError: fal-client is not installed, or is not what it was.
    """
    made: SyncClient = _redirected().GatewayClient(key=key, base=checked(base))
    return made


def async_client(base: str, key: str | None) -> AsyncClient:
    """Make a ``fal_client.AsyncClient`` that talks to the gateway at *base*; see :func:`sync_client`."""
    made: AsyncClient = _redirected().AsyncGatewayClient(key=key, base=checked(base))
    return made


def turned(base: str, key: str | None) -> AbstractContextManager[None]:
    """Send what ``fal_client.run(…)`` and the module's other functions say to the gateway at *base*, in the whole process.

    Raises:
        BadSetting, UserError: as :func:`sync_client`.
    """
    made: AbstractContextManager[None] = _redirected().Turned(checked(base), key)
    return made


def checked(base: str) -> str:
    """Give *base* without a slash at its end.

    Raises:
        BadSetting: it is no address of a gateway.
    """
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise BadSetting(f"{base!r} is no address of a gateway", hint="base='http://127.0.0.1:PORT'", where="base")
    return base.rstrip("/")


def _redirected() -> Any:
    """The module with the classes, once fal_client is found to be what they are made for."""
    try:
        package = importlib.import_module("fal_client")
    except ModuleNotFoundError as error:
        if error.name != "fal_client":
            raise
        raise UserError("fal-client, the Python client of fal, is not installed here", hint=_INSTALL) from None
    version = getattr(package, "__version__", "unknown")
    try:
        found = importlib.import_module("fal_jupyter.client.fal_client_redirected")
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"fal-client {version} is not built as {MEASURED} is, the version that was measured: {error}", hint=_INSTALL
        ) from None
    if version != MEASURED:
        told = (
            f"fal-client {version} is not the version that was measured ({MEASURED}); if a call goes astray: {_INSTALL}"
        )
        warnings.warn(told, stacklevel=4)
    return found
