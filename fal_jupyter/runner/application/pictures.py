"""Converts PIL pictures that an endpoint returns to files. This is an extension; the real package answers 500 (docs/contract.md, C121)."""

from __future__ import annotations

import sys
from typing import Any


def as_files(result: object) -> object:
    """Return *result* with an ``Image`` file in place of each PIL picture in it, in dicts and lists of any depth."""
    kind = sys.modules["PIL.Image"].Image
    return _changed(result, kind) if _holds(result, kind, 4) else result


def _holds(value: object, kind: type, depth: int) -> bool:
    if isinstance(value, kind):
        return True
    if not depth:
        return False
    if isinstance(value, dict):
        return any(_holds(part, kind, depth - 1) for part in value.values())
    return (
        isinstance(value, list | tuple) and len(value) <= 1000 and any(_holds(part, kind, depth - 1) for part in value)
    )


def _changed(value: object, kind: type) -> Any:
    if isinstance(value, kind):
        from fal_jupyter.fal.toolkit.image import Image  # start-up

        picture: Any = value
        encoded: Any = picture.format if picture.format in ("PNG", "JPEG", "WEBP", "GIF") else "png"
        return Image.from_pil(picture, format=encoded.lower())
    if isinstance(value, dict):
        return {name: _changed(part, kind) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(part, kind) for part in value]
    return value
