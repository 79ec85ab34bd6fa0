"""fal's own Python client with a gateway: checks that it is installed, and validates the address."""

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
    """Make a ``fal_client.SyncClient`` that uses the gateway at *base*.

    Args:
        base: ``http://127.0.0.1:PORT``, or any address below which the gateway's routes are.
        key: ``id:secret``; None lets fal_client find one as usual (``FAL_KEY`` …).

    Raises:
        BadSetting: *base* is not an address, or *key* is not a key.
        UserError: fal-client is not installed, or its internals have changed.
    """
    client: SyncClient = _redirected().GatewayClient(key=checked_key(key), base=checked(base))
    return client


def async_client(base: str, key: str | None) -> AsyncClient:
    """Make a ``fal_client.AsyncClient`` that uses the gateway at *base*; see :func:`sync_client`."""
    client: AsyncClient = _redirected().AsyncGatewayClient(key=checked_key(key), base=checked(base))
    return client


def redirected(base: str, key: str | None) -> AbstractContextManager[None]:
    """Redirect ``fal_client.run(…)`` and the module's other functions to the gateway at *base*, in the whole process.

    Raises:
        BadSetting, UserError: as :func:`sync_client`.
    """
    context: AbstractContextManager[None] = _redirected().PatchedFalClient(checked(base), checked_key(key))
    return context


def checked(base: object) -> str:
    """Return *base* without a trailing slash and surrounding white space.

    Raises:
        BadSetting: it is not the address of a gateway.
    """
    address = base.strip() if isinstance(base, str) else ""
    try:
        parts = urlsplit(address)  # which silently drops line breaks inside
        whole = bool(parts.hostname) and not parts.query and not parts.fragment
        good = _is_one_word(address) and parts.scheme in ("http", "https") and whole
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise BadSetting(f"{base!r} is not the address of a gateway", hint="base='http://127.0.0.1:PORT'", where="base")
    return address.rstrip("/")


def checked_key(key: object) -> str | None:
    """Return *key* without surrounding white space: one that was read from a file ends with a line break.

    A header cannot hold any other character, and fal_client retries many times before it reports that.

    Raises:
        BadSetting: it is not a key. The message does not show it, since it may be printed in a notebook.
    """
    if key is None:
        return None
    if not isinstance(key, str):
        problem = f"a key is a string, and this is of type {type(key).__name__}"
    elif not key.strip():
        problem = "the key is empty"
    elif not _is_one_word(key.strip()):
        problem = "the key has a space, a control character or a letter beyond ASCII in it, which no key has"
    else:
        return key.strip()
    raise BadSetting(problem, hint="key='id:secret', as fal-jupyter keys create prints it", where="key")


def _is_one_word(text: str) -> bool:
    """True for visible ASCII characters only."""
    return text.isascii() and text.isprintable() and " " not in text


def _redirected() -> Any:
    """Import the module with the classes, after checking that fal_client has the expected internals."""
    try:
        package = importlib.import_module("fal_client")
    except ModuleNotFoundError as error:
        if error.name != "fal_client":
            raise
        raise UserError("fal-client, the Python client of fal, is not installed here", hint=_INSTALL) from None
    version = getattr(package, "__version__", "unknown")
    try:
        module = importlib.import_module("fal_jupyter.client.fal_client_redirected")
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"fal-client {version} differs from {MEASURED}, the tested version: {error}", hint=_INSTALL
        ) from None
    if version != MEASURED:
        message = f"fal-client {version} is not the tested version ({MEASURED}); if calls fail: {_INSTALL}"
        warnings.warn(message, stacklevel=4)
    return module
