"""Pictures."""

from __future__ import annotations

import functools
import io
import traceback
from typing import TYPE_CHECKING, Any

from fal_jupyter.fal.toolkit.image.image import (
    IMAGE_SIZE_PRESETS,
    MAX_IMAGE_DOWNLOAD_SIZE,
    Image,
    ImageField,
    ImageFormat,
    ImageSize,
    ImageSizeField,
    ImageSizeInput,
    ImageSizePreset,
    get_image_size,
)
from fal_jupyter.fal.toolkit.utils.download_utils import BROWSER
from fal_jupyter.fal.toolkit.utils.fetching import fetch

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "IMAGE_SIZE_PRESETS",
    "MAX_IMAGE_DOWNLOAD_SIZE",
    "Image",
    "ImageField",
    "ImageFormat",
    "ImageSize",
    "ImageSizeField",
    "ImageSizeInput",
    "ImageSizePreset",
    "filter_by",
    "get_image_size",
    "preprocess_image",
    "read_image_from_url",
]


def filter_by(has_nsfw_concepts: list[bool], images: list[PILImage]) -> list[PILImage]:
    """Return the pictures, with a black one of the same size in place of each that is marked."""
    from PIL import Image as Pillow  # start-up

    return [
        Pillow.new("RGB", (image.width, image.height), (0, 0, 0)) if marked else image
        for marked, image in zip(has_nsfw_concepts, images, strict=False)
    ]


def preprocess_image(image_pil: PILImage, convert_to_rgb: bool = True, fix_orientation: bool = True) -> PILImage:
    """Return the first frame of a picture, as RGB and the right way up."""
    from PIL import ImageOps, ImageSequence  # start-up

    first: Any = next(iter(ImageSequence.Iterator(image_pil)))
    if convert_to_rgb:
        first = first.convert("RGB")
    return ImageOps.exif_transpose(first) if fix_orientation else first


@functools.lru_cache(maxsize=64)
def read_image_from_url(
    url: str, convert_to_rgb: bool = True, fix_orientation: bool = True, max_size: int = MAX_IMAGE_DOWNLOAD_SIZE
) -> PILImage:
    """Load a picture.

    Raises:
        HTTPException: 422, it cannot be loaded (the reason is printed).
    """
    from fastapi import HTTPException  # start-up
    from PIL import Image as Pillow  # start-up

    try:
        content = io.BytesIO()
        fetch(url, content, headers=BROWSER, limit=max_size)
        content.seek(0)
        image = Pillow.open(content)
        image.load()
    except Exception as error:
        traceback.print_exc()
        raise HTTPException(422, f"Could not load image from url: {url}") from error
    return preprocess_image(image, convert_to_rgb, fix_orientation)
