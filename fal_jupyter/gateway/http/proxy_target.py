"""The route for the JavaScript client's ``proxyUrl``: ``/proxy``, any method, with fal's URL in a header.

Nothing is forwarded: the request is handled as a request for our own route, so its answer is the same, byte for
byte and streamed.
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
    """True if a request's target is the proxy route."""
    path = target.partition("?")[0]
    return path == PROXY or path.startswith(f"{PROXY}/")


def own_target(address: str) -> str | None:
    """Return our own target (path and query) for a URL of fal's, or None if it is not one of them."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("https", "wss") or parts.username is not None or parts.port not in (None, 443):
            return None
    except ValueError:
        return None
    prefix = OF_HOST.get((parts.hostname or "").lower())
    if prefix is None:
        return None
    # unparsed: the route decodes percent escapes
    rest = address.partition("://")[2].partition("#")[0].partition("/")[2]
    target = prefix + rest
    return target if target.isascii() and target.isprintable() and " " not in target else None


def refusal(address: str | None) -> str:
    """Return the error message for a request without a valid target (:func:`own_target`)."""
    if address is None:
        return f"a request to {PROXY} needs fal's URL in the header {H_TARGET}"
    return f"{H_TARGET} is {address[:200]!r}, but this gateway only replaces https://{' https://'.join(OF_HOST)}"
