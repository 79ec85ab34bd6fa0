"""Small copies of pictures, for what is saved with a notebook."""

from __future__ import annotations

import io
from typing import Final

THUMBNAIL: Final = 12_000  # bytes of one
SIDES: Final = (160, 112, 72)  # pixels of the longer side, the first that fits
PIXELS: Final = 24_000_000  # that a picture may unfold to


def thumbnail(data: bytes) -> tuple[str, bytes, tuple[int, int]] | None:
    """A small copy of a picture: its type, its bytes, and the size of the original in pixels. None if that cannot be read or would be too
    large."""
    from PIL import Image, features  # start-up

    webp = features.check("webp")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as opened:
            whole = opened.size
            if whole[0] * whole[1] > PIXELS:
                return None
            opened.draft("RGB", (SIDES[0], SIDES[0]))  # a JPEG is read at a part of its size
            image = opened.convert("RGBA" if webp and (opened.has_transparency_data) else "RGB")
        for side in SIDES:
            image.thumbnail((side, side))
            into = io.BytesIO()
            image.save(into, "WEBP" if webp else "JPEG", quality=75)
            if into.tell() <= THUMBNAIL:
                return f"image/{'webp' if webp else 'jpeg'}", into.getvalue(), whole
    except Exception:  # whatever a broken file makes Pillow raise: it is named only
        return None
    return None


def dimensions(data: bytes) -> tuple[int, int]:
    """Return width and height of a picture; zeros if it is none, or Pillow is not installed."""
    try:
        from PIL import Image as Pillow  # start-up

        with Pillow.open(io.BytesIO(data)) as picture:
            return picture.size
    except Exception:  # Pillow raises whatever its plugins do
        return 0, 0
