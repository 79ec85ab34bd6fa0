"""The route that JavaScript's ``proxyUrl`` wants: ``/proxy``, any method, with fal's address in a header.

Nothing is forwarded: the request is taken as if it had come for our own route, so that its answer is that route's, byte for
byte and as it comes.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fal_jupyter.protocol.api import CDN, QUEUE, REST, RUN, SPEAK

PROXY = "/proxy"
H_TARGET = "x-fal-target-url"
OF_HOST = {
    "fal.run": RUN,
    "queue.fal.run": QUEUE,
    "ws.fal.run": SPEAK,
    "rest.fal.ai": REST,
    "rest.alpha.fal.ai": REST,
    "v3.fal.media": CDN,
}


def is_proxied(target: str) -> bool:
    """True if a request's target is the proxy route's."""
    path = target.partition("?")[0]
    return path == PROXY or path.startswith(f"{PROXY}/")


def own_target(address: str) -> str | None:
    """Return our own target (path and query) for an address of fal's, or None if it is none of them."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("https", "wss") or parts.username is not None or parts.port not in (None, 443):
            return None
    except ValueError:
        return None
    prefix = OF_HOST.get((parts.hostname or "").lower())
    if prefix is None:
        return None
    # as it was written, not as it was taken apart: escapes are the route's to read
    rest = address.partition("://")[2].partition("#")[0].partition("/")[2]
    target = prefix + rest
    return target if target.isascii() and target.isprintable() and " " not in target else None


def refusal(address: str | None) -> str:
    """Say what is wrong with a request that :func:`own_target` has nothing for."""
    if address is None:
        return f"a request to {PROXY} names fal's address in the header {H_TARGET}"
    return f"{H_TARGET} is {address[:200]!r}, but this gateway stands only for https://{' https://'.join(OF_HOST)}"
