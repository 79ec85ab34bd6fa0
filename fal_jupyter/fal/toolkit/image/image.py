"""``Image``: a file that is a picture (docs/contract.md, C121 to C124)."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fal_jupyter.domain.text.nearest import nearest
from fal_jupyter.fal.toolkit.constraints import ImageSizeConstraints, to_xfal
from fal_jupyter.fal.toolkit.fields import field_with, shown_as
from fal_jupyter.fal.toolkit.file.file import Fallback, File
from fal_jupyter.fal.toolkit.file.media_types import media_type
from fal_jupyter.fal.toolkit.file.repositories import DEFAULT_REPOSITORY, FALLBACK_REPOSITORY
from fal_jupyter.fal.toolkit.file.types import FileRepository, RepositoryId
from fal_jupyter.fal.toolkit.utils.download_utils import BROWSER
from fal_jupyter.fal.toolkit.utils.fetching import fetch, local_bytes

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

MAX_SHOWN_BYTES = 8 * 1024 * 1024  # bytes of a picture that a notebook keeps
_SHOWABLE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MAX_IMAGE_DOWNLOAD_SIZE = 50 * 1024 * 1024
ImageFormat = Literal["png", "jpeg", "jpg", "webp", "gif"]
ImageSizePreset = Literal["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
_SAVING: dict[str, dict[str, int]] = {"png": {"compress_level": 1}, "jpeg": {"quality": 95}}  # quickly, and good


class ImageSize(BaseModel):
    """Width and height in pixels."""

    width: int = Field(default=512, description="The width of the generated image.", gt=0, le=14142)
    height: int = Field(default=512, description="The height of the generated image.", gt=0, le=14142)


ImageSize.__doc__ = None

IMAGE_SIZE_PRESETS: dict[ImageSizePreset, ImageSize] = {
    "square_hd": ImageSize(width=1024, height=1024),
    "square": ImageSize(width=512, height=512),
    "portrait_4_3": ImageSize(width=768, height=1024),
    "portrait_16_9": ImageSize(width=576, height=1024),
    "landscape_4_3": ImageSize(width=1024, height=768),
    "landscape_16_9": ImageSize(width=1024, height=576),
}
ImageSizeInput = ImageSize | ImageSizePreset


def get_image_size(source: ImageSizeInput) -> ImageSize:
    """Return the size that a preset's name means.

    Raises:
        TypeError: there is no such preset.
    """
    if isinstance(source, ImageSize):
        return source
    if isinstance(source, str) and source in IMAGE_SIZE_PRESETS:
        return IMAGE_SIZE_PRESETS[source]
    near = nearest(source, IMAGE_SIZE_PRESETS) if isinstance(source, str) else ""
    raise TypeError(f"Invalid value for ImageSize: {source}" + (f": did you mean {near!r}?" if near else ""))


def ImageField(*args: Any, **kwargs: Any) -> Any:  # noqa: N802  # the real package's name
    """A pydantic field that forms show as a picture."""
    return field_with(shown_as("image"), args, kwargs)


def ImageSizeField(  # noqa: N802  # the real package's name
    *args: Any, constraints: ImageSizeConstraints | None = None, ui: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """A pydantic field of a size, with the limits of what a model can make under ``x-fal``."""
    extra = to_xfal(constraints) if constraints is not None else {}

    def add(schema: dict[str, Any]) -> None:
        if extra:
            schema["x-fal"] = extra
        if ui:
            schema["ui"] = ui

    return field_with(add, args, kwargs)


class Image(File):
    """Represents an image file."""

    width: int | None = Field(None, description="The width of the image in pixels.", examples=[1024])
    height: int | None = Field(None, description="The height of the image in pixels.", examples=[1024])
    model_config = ConfigDict(json_schema_extra={"ui": {"field": "image"}})

    @classmethod
    def from_bytes(  # type: ignore[override]
        cls,
        data: bytes,
        format: ImageFormat,  # noqa: A002  # the real package's name
        size: ImageSize | None = None,
        file_name: str | None = None,
        repository: FileRepository | RepositoryId = DEFAULT_REPOSITORY,
        fallback_repository: Fallback = FALLBACK_REPOSITORY,
        request: Any = None,
        save_kwargs: dict[str, Any] | None = None,
        fallback_save_kwargs: dict[str, Any] | None = None,
    ) -> Image:
        """Keep an encoded picture; its dimensions are known if *size* is given."""
        image = super().from_bytes(
            data, f"image/{format}", file_name, repository, fallback_repository, request, save_kwargs, fallback_save_kwargs
        )  # fmt: skip
        assert isinstance(image, Image)
        image.width, image.height = (size.width, size.height) if size else (None, None)
        return image

    @classmethod
    def from_pil(
        cls,
        pil_image: PILImage,
        format: ImageFormat | None = None,  # noqa: A002  # the real package's name
        file_name: str | None = None,
        repository: FileRepository | RepositoryId = DEFAULT_REPOSITORY,
        fallback_repository: Fallback = FALLBACK_REPOSITORY,
        request: Any = None,
        save_kwargs: dict[str, Any] | None = None,
        fallback_save_kwargs: dict[str, Any] | None = None,
    ) -> Image:
        """Encode and keep a PIL picture, as PNG where neither *format* nor the picture says otherwise."""
        chosen: Any = format or pil_image.format or "png"
        size = ImageSize(width=pil_image.width, height=pil_image.height)
        encoded = io.BytesIO()
        pil_image.save(encoded, format=chosen, **_SAVING.get(chosen, {}))
        return cls.from_bytes(
            encoded.getvalue(), chosen, size, file_name, repository, fallback_repository, request, save_kwargs,
            fallback_save_kwargs,
        )  # fmt: skip

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, Any] | tuple[dict[str, Any], dict[str, Any]]:
        """Show the picture under a cell, where its bytes are here, with its alternative text for pages that are made of it."""
        data = self.file_data if self.file_data is not None else local_bytes(self.url, MAX_SHOWN_BYTES)
        bundle: dict[str, Any] = {"text/plain": self._short_repr()}
        kind = media_type(self.content_type, data[:16]) if data else ""
        if data and len(data) <= MAX_SHOWN_BYTES and kind in _SHOWABLE:
            bundle[kind] = base64.b64encode(data).decode()
            size = f", {self.width} × {self.height}" if self.width and self.height else ""
            return bundle, {kind: {"alt": f"picture{size}"}}
        return bundle

    def to_pil(self, mode: str = "RGB") -> PILImage:
        """Load the picture, the right way up.

        Raises:
            ImportError: Pillow is not installed.
            FetchError: its address is not fetched.
        """
        try:
            from PIL import Image as Pillow
            from PIL import ImageOps
        except ImportError:
            raise ImportError("The PIL package is required to use Image.to_pil().") from None
        content = io.BytesIO()
        if self.file_data is not None:
            content.write(self.file_data)
        else:
            fetch(self.url, content, headers=BROWSER, limit=MAX_IMAGE_DOWNLOAD_SIZE)
        content.seek(0)
        return ImageOps.exif_transpose(Pillow.open(content).convert(mode))
