"""Addresses of apps as fal's clients write them, and of queued requests below them."""

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
    """``owner/alias`` and what comes below it, beginning with ``/``."""

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
    """Take an endpoint id apart: ``owner/alias/below``, with or without a namespace before it, or ``<digits>-alias/below``.

    Args:
        path: without a leading slash, as it stands in the address (percent signs and all).
        own: the owner whose ``owner-alias`` form is accepted too.
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
    """True if *path* names a request by an id as we make them, whatever stands behind it."""
    return _OF_REQUEST.fullmatch(path) is not None


def job_address(path: str, own: str = "") -> JobAddress | None:
    """Take the address of a queued request apart, or give None if it is none. What stands between app and request does
    not matter: clients drop an endpoint's own path there."""
    match = _JOB.fullmatch(path)
    if match is None:
        return None
    app = app_address(match["app"], own)
    if not app.alias:
        return None
    return JobAddress(app.owner, app.alias, match["id"], match["what"] or "")


def is_hostile(path: str) -> bool:
    """True if a path has a ``..`` segment or a control character in it, percent-encoded or not.

    The one rule for paths of strangers. The Jupyter proxy adds to it what proxies read in different ways
    (:func:`fal_jupyter.server.targets.is_ambiguous`).
    """
    if not _SUSPECT.search(path):
        return False
    decoded = unquote(path)
    return any(part == ".." for part in decoded.replace("\\", "/").split("/")) or any(ord(c) < 32 for c in decoded)
