"""String types of addresses: ``data:`` URIs and https URLs (docs/contract.md, C131)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fal_jupyter.fal.toolkit.image import read_image_from_url
from fal_jupyter.fal.toolkit.utils.download_utils import download_file

MAX_DATA_URI_LENGTH = 10 * 1024 * 1024
MAX_HTTPS_URL_LENGTH = 2048
_HTTPS = r"^https:\/\/(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,}(?::\d{1,5})?(?:\/[^\s]*)?$"


class _Address(str):
    __slots__ = ()
    _pattern, _longest, _format = "", 0, ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return {"type": "str", "pattern": cls._pattern, "max_length": cls._longest, "strip_whitespace": True}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        json_schema: dict[str, Any] = handler(schema)
        return {**json_schema, "format": cls._format}

    @contextmanager
    def as_temp_file(self) -> Iterator[Path]:
        """Download it for the length of a ``with`` block."""
        with tempfile.TemporaryDirectory() as directory:
            yield download_file(str(self), directory)


class DataUri(_Address):
    """A ``data:`` URI, 10 MiB at most."""

    _pattern, _longest, _format = "^data:", MAX_DATA_URI_LENGTH, "data-uri"


class HttpsUrl(_Address):
    """An https URL with a dotted host."""

    _pattern, _longest, _format = _HTTPS, MAX_HTTPS_URL_LENGTH, "https-url"


class _Picture:
    def to_pil(self) -> Any:
        """Load the picture."""
        return read_image_from_url(str(self))


class ImageHttpsUrl(_Picture, HttpsUrl):
    """The https URL of a picture."""


class ImageDataUri(_Picture, DataUri):
    """A picture as a ``data:`` URI."""


FileInput = HttpsUrl | DataUri
ImageInput = ImageHttpsUrl | ImageDataUri
