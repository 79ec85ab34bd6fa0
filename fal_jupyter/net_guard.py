"""Which addresses our processes connect to on a caller's word: public ones, and others only where their owner allows it."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8, ::1 and their mapped forms."""
    return _plain(address).is_loopback


def is_public(address: str) -> bool:
    """True if the address is one of the public internet: not private, link-local, shared, multicast or reserved."""
    plain = _plain(address)
    return plain.is_global and not plain.is_multicast


def may_connect(address: str, *, loopback: bool, private: bool) -> bool:
    """True if connections to *address* are permitted.

    Args:
        loopback: this machine's own addresses may be.
        private: everything may be.
    """
    return private or is_public(address) or (loopback and is_loopback(address))


def _plain(address: str) -> Address:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        for inner in (parsed.ipv4_mapped, parsed.sixtofour, parsed.teredo[1] if parsed.teredo else None):
            if inner is not None:
                return inner
        if parsed in ipaddress.IPv6Network("64:ff9b::/96"):  # NAT64: the last four bytes are an IPv4 address
            return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed


def addresses_of(host: str, port: int) -> list[str]:
    """Resolve *host*.

    Raises:
        OSError: it has no address.
    """
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))
