"""The safety checker of the real package: its models come from a hub that is not here."""

from __future__ import annotations

from typing import Any

from fal_jupyter.fal.toolkit.image import filter_by
from fal_jupyter.fal.unsupported import ComesLater


def run_safety_checker(pil_images: list[Any]) -> list[bool]:
    """Not here: its model is downloaded by the real package."""
    raise ComesLater(
        "the safety checker's model is not part of fal_jupyter",
        hint="say enable_safety_checker=False while you develop; on fal it runs",
    )


def run_safety_checker_v2(pil_images: list[Any], nsfw_threshold: float = 0.5) -> list[bool]:
    """Not here, like :func:`run_safety_checker`."""
    return run_safety_checker(pil_images)


def postprocess_images(
    pil_images: list[Any], enable_safety_checker: bool = True, safety_checker_version: int = 2
) -> dict[str, Any]:
    """Return the pictures and what was found in them."""
    marked = run_safety_checker(pil_images) if enable_safety_checker else [False] * len(pil_images)
    return {"images": filter_by(marked, pil_images), "has_nsfw_concepts": marked}
