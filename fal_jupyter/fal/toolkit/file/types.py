"""What repositories are, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from mimetypes import guess_extension, guess_type
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

RepositoryId = Literal["fal", "fal_v2", "fal_v3", "in_memory", "gcp_storage", "r2", "cdn"]


class FileData:
    """Bytes with a type and a name; what is not given is guessed, and made up (C114)."""

    def __init__(self, data: bytes, content_type: str | None = None, file_name: str | None = None) -> None:
        self.data = data
        guessed = guess_type(file_name)[0] if content_type is None and file_name is not None else None
        self.content_type = content_type or guessed or "application/octet-stream"
        self.file_name = file_name or f"{uuid4().hex}{guess_extension(self.content_type, strict=False) or '.bin'}"


@dataclass(frozen=True)
class Reservation:
    """An address that is known before its bytes are."""

    url: str
    complete: Callable[[bytes | Path], object]
    abort: Callable[[], None] = field(default=lambda: None)


@dataclass
class FileRepository:
    """Where files are kept; users may bring their own."""

    def reserve(
        self,
        file_name: str,
        content_type: str,
        object_lifecycle_preference: dict[str, Any] | None = None,
        request: Any = None,
        extra_headers: dict[str, str] | None = None,
    ) -> Reservation:
        """Return an address before the bytes."""
        raise NotImplementedError(f"{type(self).__name__} cannot hand out a URL before the upload")

    def save(self, data: FileData, object_lifecycle_preference: dict[str, Any] | None = None, **options: Any) -> str:
        """Keep bytes and give their address; *options* are those of multipart uploads."""
        raise NotImplementedError

    def save_file(
        self,
        file_path: str | Path,
        content_type: str,
        object_lifecycle_preference: dict[str, Any] | None = None,
        **options: Any,
    ) -> tuple[str, FileData | None]:
        """Keep a file and give its address; its bytes too where they were read anyway."""
        path = Path(file_path)
        data = FileData(path.read_bytes(), content_type, path.name)
        return self.save(data, object_lifecycle_preference=object_lifecycle_preference, **options), data
