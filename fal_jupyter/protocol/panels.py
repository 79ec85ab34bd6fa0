"""The control-plane requests of panels below a Jupyter server: the extension forwards nothing else, the gateway accepts nothing else on those connections."""

from __future__ import annotations

import re
from typing import Final

from fal_jupyter.protocol.api import ADMIN

_NAME = r"[a-z0-9][a-z0-9_.-]*"
_REQUEST = r"[0-9a-f-]{36}"
_ALLOWED: Final = tuple(
    (method, re.compile(path, re.ASCII))
    for method, path in (
        ("GET", rf"snapshot|apps|runners|keys|doctor|apps/{_NAME}|apps/{_NAME}/(scaling|logs|schema|events)"),
        ("GET", rf"requests/{_REQUEST}|requests/{_REQUEST}/(answer|input)"),
        ("POST", rf"apps/{_NAME}/(scaling|start|restart|unload|calls|keys|load)"),
        ("DELETE", rf"apps/{_NAME}|runners/{_NAME}|requests/{_REQUEST}|keys/\w{{1,64}}"),
    )
)


def admin_target(method: str, path: str) -> str | None:
    """Return the control plane's path for *method* on ``fal/api/{path}``, or None if panels may not do that."""
    for allowed, pattern in _ALLOWED:
        if allowed == method and pattern.fullmatch(path):
            return ADMIN + path
    return None
