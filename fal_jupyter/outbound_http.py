"""Rules for all outbound HTTP requests, except those to the gateway's own socket, with any HTTP library.

* A loopback address is never reached through a proxy (:func:`is_loopback_url`, :func:`websocket_options`, :func:`httpx_client`).
* A URL from a caller may lead to public addresses only, and the connection uses the address that was checked, even if the
  name resolves to another one later (:func:`permitted_addresses`, :func:`connect`).

The HTTP client depends on the process. The gateway's event loop uses Tornado's client (webhooks). An app's process uses
``http.client``: its environment is the user's, so no library is added that the app does not require. Where fal's API returns
``httpx.Response``, httpx is used.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urlsplit

from fal_jupyter import net_guard
from fal_jupyter.domain.environments.runner_variables import LOOPBACK

if TYPE_CHECKING:
    import httpx

_RESERVED = "%/:=&?~+!$,;'@()*[]"  # characters that have a meaning in a URL (the fragment's has none in a request)


class NotPermitted(OSError):
    """The host resolves to an address that a caller may not name."""


class NoAddress(OSError):
    """The host does not resolve."""


def is_loopback_url(url: str) -> bool:
    """True if *url* is on this machine, so that no proxy can lead to it."""
    return urlsplit(url).hostname in LOOPBACK


def websocket_options(url: str) -> dict[str, None]:
    """Return the option of ``websockets`` that bypasses proxies for a loopback address."""
    return {"proxy": None} if is_loopback_url(url) else {}


def httpx_client(library: type[httpx.Client], *, user_agent: str, timeout: float) -> httpx.Client:
    """Create a client that bypasses proxies for loopback addresses and uses those of the environment otherwise."""
    direct = {f"all://{f'[{name}]' if ':' in name else name}": None for name in LOOPBACK}
    return library(headers={"User-Agent": user_agent}, timeout=timeout, mounts=direct)


def encoded(url: str, *, keep: str = "") -> str:
    """Percent-encode what may not stand in a URL, or in a part of one; *keep* stays besides the reserved characters."""
    return quote(url, safe=_RESERVED + keep, errors="replace")


def host_and_port(parts: SplitResult) -> tuple[str, int]:
    """Return where *parts* leads, with the scheme's port where the URL has none.

    Raises:
        ValueError: the port is not one.
    """
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def permitted_addresses(host: str, port: int, *, loopback: bool, private: bool, every: bool = True) -> list[str]:
    """Resolve *host* to addresses that may be connected to. Blocks for as long as the resolver does.

    Args:
        loopback: this machine's own addresses are permitted.
        private: all addresses are permitted.
        every: refuse the host where one of its addresses is not permitted; otherwise leave that one out.

    Raises:
        NoAddress: it does not resolve.
        NotPermitted: it has no address that is permitted, or *every* is asked for and one is not.
    """
    try:
        addresses = net_guard.addresses_of(host, port)
    except (OSError, ValueError) as error:  # a ValueError: no name that could have an address
        raise NoAddress(f"{host} does not resolve: {error}") from error
    permitted = [address for address in addresses if net_guard.may_connect(address, loopback=loopback, private=private)]
    if not permitted or (every and len(permitted) < len(addresses)):
        raise NotPermitted(f"{host} resolves to an address that is not permitted")
    return permitted


def connect(parts: SplitResult, *, private: bool, connect_timeout: float, read_timeout: float) -> socket.socket:
    """Connect to the host of *parts*, with TLS for https, at an address that was checked.

    Raises:
        ValueError: the port is not one.
        NoAddress, NotPermitted: see :func:`permitted_addresses`.
        OSError: no address can be reached; the error of the last one.
    """
    host, port = host_and_port(parts)
    unreachable: OSError = NoAddress(f"{host} does not resolve")
    for address in permitted_addresses(host, port, loopback=False, private=private):
        try:
            sock = socket.create_connection((address, port), timeout=connect_timeout)
        except OSError as error:
            unreachable = error
            continue
        sock.settimeout(read_timeout)
        if parts.scheme != "https":
            return sock
        try:
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
    raise unreachable
