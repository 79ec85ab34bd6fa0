"""Maps paths below ``{base_url}fal/`` to paths of the gateway. No IO, no request objects.

A target is always a path on our own socket: it has no host, port or scheme, so nothing else can be reached.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

from fal_jupyter.protocol.addresses import is_hostile

DATA: Final = ("run", "queue", "cdn", "ws")  # first parts of the data plane's paths, here and on the socket
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECRET_ARGUMENTS: Final = frozenset({"token", "_xsrf"})  # query parameters: Jupyter's credentials, not the program's

_PLAIN = re.compile(r"[A-Za-z0-9/_~!$&'()*+,;=:@-]*(?:\.(?!\.)[A-Za-z0-9/_~!$&'()*+,;=:@-]*)*")
_PRINTABLE = re.compile(r"[\x21-\x7e]*")


def is_ambiguous(path: str) -> bool:
    """True if *path* is hostile, has an encoded slash, or an invalid character: proxies interpret such paths differently."""
    if _PLAIN.fullmatch(path):
        return False
    lower = path.lower()
    return not _PRINTABLE.fullmatch(path) or "\\" in path or "%2f" in lower or "%5c" in lower or is_hostile(path)


def without_secrets(query: str) -> str:
    """Return *query* without Jupyter's credentials, however their names are encoded."""
    if not query:
        return ""
    return "&".join(
        part for part in query.split("&") if unquote_plus(part.partition("=")[0]).strip() not in SECRET_ARGUMENTS
    )


def is_query(query: str) -> bool:
    """True if *query* is valid in a request line."""
    return _PRINTABLE.fullmatch(query) is not None
