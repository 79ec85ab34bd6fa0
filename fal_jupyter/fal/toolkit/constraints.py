"""Limits of pictures and videos, described in the schema under ``x-fal``; nothing here enforces them (docs/contract.md, C122)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypedDict

_RANGES = ("width", "height", "area", "frames", "duration", "fps", "aspect_ratio")
_NOT_SENT = frozenset({"timeout"})  # how to fetch, not what to send


@dataclass(frozen=True)
class _Limits:
    def __post_init__(self) -> None:
        for what in _RANGES:
            low, high = getattr(self, f"min_{what}", None), getattr(self, f"max_{what}", None)
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{what} ({low}) must not exceed max_{what} ({high}).")
        low, high = getattr(self, "min_aspect_ratio", None), getattr(self, "max_aspect_ratio", None)
        if (low is None) != (high is None):
            raise ValueError("min_aspect_ratio and max_aspect_ratio must be provided together.")


@dataclass(frozen=True)
class ImageSizeConstraints(_Limits):
    """Sizes of pictures that a model can make."""

    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    multiple_of: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None


@dataclass(frozen=True)
class ImageValidationConfig(_Limits):
    """Pictures that an endpoint takes; *timeout* is in seconds."""

    max_file_size: int | None = None
    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None
    timeout: float = 20.0


@dataclass(frozen=True)
class VideoValidationConfig(_Limits):
    """Videos that an endpoint takes; areas in pixels a frame, durations in seconds."""

    max_file_size: int | None = None
    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None
    min_frames: int | None = None
    max_frames: int | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    min_fps: float | None = None
    max_fps: float | None = None


@dataclass(frozen=True)
class VideoNormalizationConfig(_Limits):
    """What a model makes of a video that it takes and has to change."""

    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    max_duration: float | None = None
    fps: float | None = None


class ImageValidationOptions(TypedDict, total=False):
    """The limits of :class:`ImageValidationConfig` as plain options."""

    max_file_size: int | None
    min_width: int | None
    min_height: int | None
    max_width: int | None
    max_height: int | None
    min_aspect_ratio: float | None
    max_aspect_ratio: float | None
    timeout: float | None


class VideoValidationOptions(TypedDict, total=False):
    """The limits of :class:`VideoValidationConfig` as plain options."""

    max_file_size: int | None
    min_width: int | None
    min_height: int | None
    max_width: int | None
    max_height: int | None
    min_area: int | None
    max_area: int | None
    min_aspect_ratio: float | None
    max_aspect_ratio: float | None
    min_frames: int | None
    max_frames: int | None
    min_duration: float | None
    max_duration: float | None
    min_fps: float | None
    max_fps: float | None


def to_xfal(
    config: ImageSizeConstraints | ImageValidationConfig | VideoValidationConfig | VideoNormalizationConfig,
) -> dict[str, Any]:
    """Return the limits that are set, as the schema has them under ``x-fal``."""
    limits = dataclasses.asdict(config)
    return {name: value for name, value in limits.items() if value is not None and name not in _NOT_SENT}
