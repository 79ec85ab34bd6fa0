"""fal's own storage: here the local CDN."""

from __future__ import annotations

from fal_jupyter.fal.toolkit.file.providers import refuses
from fal_jupyter.fal.toolkit.file.repositories import InMemoryRepository, LocalRepository

__all__ = ["FalFileRepository", "FalFileRepositoryV3", "InMemoryRepository"]


class FalFileRepository(LocalRepository):
    """``repository="fal"``."""


class FalFileRepositoryV3(LocalRepository):
    """``repository="fal_v3"``."""


__getattr__ = refuses("fal.toolkit.file.providers.fal")
