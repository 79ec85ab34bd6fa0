"""``Video``: a file that is a video."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from fal_jupyter.fal.toolkit.constraints import VideoNormalizationConfig, VideoValidationConfig, to_xfal
from fal_jupyter.fal.toolkit.fields import field_with, shown_as
from fal_jupyter.fal.toolkit.file.file import File


def VideoField(  # noqa: N802  # the real package's name
    *args: Any,
    constraints: VideoValidationConfig | None = None,
    combined_constraints: VideoValidationConfig | None = None,
    normalization: VideoNormalizationConfig | None = None,
    ui: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """A pydantic field that forms show as a video; what it takes, and what is made of it, is under ``x-fal``."""
    extra: dict[str, Any] = to_xfal(constraints) if constraints is not None else {}
    for name, config in (("combined", combined_constraints), ("normalization", normalization)):
        if config is not None and (limits := to_xfal(config)):
            extra[name] = limits

    def add(schema: dict[str, Any]) -> None:
        shown_as("video", ui)(schema)
        if extra:
            schema["x-fal"] = extra

    return field_with(add, args, kwargs)


class Video(File):
    """Represents a video file."""

    model_config = ConfigDict(json_schema_extra={"ui": {"field": "video"}})


Video.__doc__ = None
