"""CORS: which web pages may read an app's answers, and the headers for browsers (Fetch standard, 3.2).

No origin is allowed unless the app's owner names it. Origins are compared exactly: never by a prefix, never ``*``,
never ``null``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fal_jupyter.domain.errors import BadSetting

MAX_AGE = 600  # seconds that a browser may remember a preflight
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
# what fal's clients send, for a preflight that does not list its headers
USUAL = (
    "accept, authorization, content-type, range, x-fal-file-name, x-fal-object-lifecycle, x-fal-object-lifecycle-preference,"
    " x-fal-queue-priority, x-fal-request-timeout, x-fal-runner-hint, x-fal-target-url"
)
EXPOSED = ("content-disposition", "content-range", "etag", "retry-after")  # and every x-fal-… of the answer
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")

Pairs = Sequence[tuple[str, str]]


def origin_of(text: str, where: str = "--cors") -> str:
    """Return an origin as browsers write it: in lower case, without its scheme's default port.

    Raises:
        BadSetting: it is not ``scheme://host`` or ``scheme://host:port``.
    """
    lower = text.strip().lower()
    match = _ORIGIN.fullmatch(lower)
    port = match[3] if match is not None else None
    if match is None or (port is not None and not 0 < int(port) < 65536):
        whole = _ORIGIN.match(lower)
        behind = lower[whole.end() : whole.end() + 1] if whole is not None else ""
        hint = f"write {whole[0]}" if whole is not None and behind in ("/", "?", "#") else "write http://localhost:3000"
        sentence = f"{text!r} is not a web origin; expected scheme://host or scheme://host:port"
        raise BadSetting(sentence, hint=hint, where=where)
    scheme, host = match[1], match[2]
    if port is None or _DEFAULT_PORTS.get(scheme) == str(int(port)):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def origins_of(values: object, where: str = "cors") -> tuple[str, ...]:
    """Return the origins given by ``--cors`` or ``cors=``: one as text, or several; without duplicates, in order.

    Raises:
        BadSetting: one of them is not an origin.
    """
    origins: dict[str, None] = {}
    for text in [values] if isinstance(values, str) or not isinstance(values, Iterable) else values:
        if not isinstance(text, str):
            raise BadSetting(f"{text!r} is not a web origin", hint="cors='http://localhost:3000'", where=where)
        origins[origin_of(text, where)] = None
    return tuple(origins)


def preflight(origin: str, requested: str, *, private: bool) -> list[tuple[str, str]]:
    """Return the headers of the answer to a preflight request from the allowed *origin*.

    Args:
        requested: the header names that the page's request will have, as the browser listed them.
        private: the browser requests access to the private network (Private Network Access).
    """
    headers = [
        ("access-control-allow-origin", origin),
        ("access-control-allow-methods", METHODS),
        ("access-control-allow-headers", requested if _NAMES.fullmatch(requested) else USUAL),
        ("access-control-max-age", str(MAX_AGE)),
        ("vary", "Origin, Access-Control-Request-Headers"),
    ]
    return [*headers, ("access-control-allow-private-network", "true")] if private else headers


def opened(headers: Pairs, origin: str) -> list[tuple[str, str]]:
    """Return an answer's headers with the CORS headers for *origin*; with ``""`` (not allowed) only ``Vary`` is added, for caches.

    CORS headers of the app itself are removed: the owner's setting takes precedence.
    """
    passed, vary = [], []
    for name, value in headers:
        lower = name.lower()
        if lower == "vary":
            vary.append(value)
        elif not lower.startswith("access-control-"):
            passed.append((name, value))
    if not any(part.strip().lower() in ("origin", "*") for value in vary for part in value.split(",")):
        vary.append("Origin")
    passed.append(("vary", ", ".join(vary)))
    if not origin:
        return passed
    names = dict.fromkeys(name.lower() for name, _ in headers)
    exposed = [*(name for name in names if name.startswith("x-fal-")), *(name for name in EXPOSED if name in names)]
    passed.append(("access-control-allow-origin", origin))
    return [*passed, ("access-control-expose-headers", ", ".join(exposed))] if exposed else passed
