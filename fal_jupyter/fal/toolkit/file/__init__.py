"""Files."""

from __future__ import annotations

from fal_jupyter.fal.toolkit.file.file import CompressedFile, File, FileField
from fal_jupyter.fal.toolkit.file.types import FileData, FileRepository, RepositoryId, Reservation

__all__ = ["CompressedFile", "File", "FileData", "FileField", "FileRepository", "RepositoryId", "Reservation"]
