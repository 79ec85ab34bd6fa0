"""Videos."""

from __future__ import annotations

from fal_jupyter.fal.toolkit.video.video import Video, VideoField

__all__ = ["Video", "VideoField"]
