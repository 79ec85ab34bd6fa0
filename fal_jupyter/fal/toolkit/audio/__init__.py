"""Sounds."""

from __future__ import annotations

from fal_jupyter.fal.toolkit.audio.audio import Audio, AudioField

__all__ = ["Audio", "AudioField"]
