"""``Audio``: a file that is a sound."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from fal_jupyter.fal.toolkit.fields import field_with, shown_as
from fal_jupyter.fal.toolkit.file.file import File


def AudioField(*args: Any, **kwargs: Any) -> Any:  # noqa: N802  # the real package's name
    """A pydantic field that forms show as a sound."""
    return field_with(shown_as("audio"), args, kwargs)


class Audio(File):
    """Represents an audio file."""

    model_config = ConfigDict(json_schema_extra={"ui": {"field": "audio"}})


Audio.__doc__ = None
