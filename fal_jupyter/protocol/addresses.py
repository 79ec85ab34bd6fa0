"""Parses paths of apps as fal's clients write them, and of queued requests below them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

_SUSPECT = re.compile(r"[\x00-\x1f%]|\.\.")
NAMESPACES = frozenset({"workflows", "comfy"})
_LEGACY = re.compile(r"([0-9]+)-(.+)")
_JOB = re.compile(
    r"(?P<app>.*)/requests/(?P<id>[A-Za-z0-9-]{1,64})(?:/(?P<what>status/stream|status|cancel|response))?/?"
)
_OF_REQUEST = re.compile(r".*/requests/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:/.*)?")


class AppAddress(NamedTuple):
    """``owner/alias`` and the path below it, beginning with ``/``."""

    owner: str
    alias: str
    below: str


class JobAddress(NamedTuple):
    """A queued request of an app: *what* is ``""`` (its result), ``status``, ``status/stream``, ``cancel`` or ``response``."""

    owner: str
    alias: str
    request_id: str
    what: str


def app_address(path: str, own: str = "") -> AppAddress:
    """Parse an endpoint id: ``owner/alias/below``, with or without a namespace before it, or ``<digits>-alias/below``.

    Args:
        path: without a leading slash, as in the URL (percent-encoded).
        own: the owner for which the form ``owner-alias`` is also accepted.
    """
    first, _, rest = path.partition("/")
    if first in NAMESPACES and "/" in rest:
        first, _, rest = rest.partition("/")
    if first != own:
        if (legacy := _LEGACY.fullmatch(first)) is not None:
            return AppAddress(legacy[1], legacy[2], f"/{rest}")
        if own and first.startswith(f"{own}-"):
            return AppAddress(own, first[len(own) + 1 :], f"/{rest}")
    alias, slash, below = rest.partition("/")
    return AppAddress(first, alias, slash + below or "/")


def is_of_request(path: str) -> bool:
    """True if *path* contains a request id in our format, regardless of what follows."""
    return _OF_REQUEST.fullmatch(path) is not None


def job_address(path: str, own: str = "") -> JobAddress | None:
    """Parse the path of a queued request, or return None if it is not one. The part between app and request is
    ignored: clients put an endpoint's own path there."""
    match = _JOB.fullmatch(path)
    if match is None:
        return None
    app = app_address(match["app"], own)
    if not app.alias:
        return None
    return JobAddress(app.owner, app.alias, match["id"], match["what"] or "")


def is_hostile(path: str) -> bool:
    """True if a path has a ``..`` segment or a control character in it, percent-encoded or not.

    The only rule for untrusted paths. The Jupyter proxy additionally refuses paths that proxies interpret differently
    (:func:`fal_jupyter.server.targets.is_ambiguous`).
    """
    if not _SUSPECT.search(path):
        return False
    decoded = unquote(path)
    return any(part == ".." for part in decoded.replace("\\", "/").split("/")) or any(ord(c) < 32 for c in decoded)
