"""Which addresses below ``{base_url}fal/`` are passed on, and to which path of the gateway. No IO, no request objects.

A target is always a path on our one socket: there is no host, port or scheme in an address, so nothing else can be reached.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

DATA: Final = ("run", "queue", "cdn", "ws")  # first parts of the data plane's paths, here and on the socket
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECRET_ARGUMENTS: Final = frozenset({"token", "_xsrf"})  # of a query: Jupyter's credentials, not the program's

_PLAIN = re.compile(r"[A-Za-z0-9/_~!$&'()*+,;=:@-]*(?:\.(?!\.)[A-Za-z0-9/_~!$&'()*+,;=:@-]*)*")
_PRINTABLE = re.compile(r"[\x21-\x7e]*")


def is_hostile(path: str) -> bool:
    """True where *path* climbs, hides a slash, or has a character in it that no address has."""
    if _PLAIN.fullmatch(path):
        return False
    if not _PRINTABLE.fullmatch(path) or "\\" in path:
        return True
    lower = path.lower()
    if "%2f" in lower or "%5c" in lower:
        return True
    plain = unquote(path, errors="replace")
    return any(part == ".." for part in plain.split("/")) or any(ord(character) < 32 for character in plain)


def without_secrets(query: str) -> str:
    """Give *query* without the arguments by which Jupyter knows its user, however their names are written."""
    if not query:
        return ""
    return "&".join(
        part for part in query.split("&") if unquote_plus(part.partition("=")[0]).strip() not in SECRET_ARGUMENTS
    )


def is_query(query: str) -> bool:
    """True where *query* can stand in a request's first line."""
    return _PRINTABLE.fullmatch(query) is not None
