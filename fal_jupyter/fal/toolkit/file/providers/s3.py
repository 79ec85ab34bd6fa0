"""Amazon's storage, which is not used here."""

from __future__ import annotations

from typing import Any

from fal_jupyter.fal.toolkit.file.providers import refuses
from fal_jupyter.fal.toolkit.file.repositories import ElsewhereRepository

__all__ = ["S3Repository"]


class S3Repository(ElsewhereRepository):
    """Can be made, with any settings, and keeps nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__("Amazon's storage")


__getattr__ = refuses("fal.toolkit.file.providers.s3")
