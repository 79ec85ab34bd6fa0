"""The built-in repositories: all of fal's names lead to the local CDN (docs/contract.md, C111, C117 to C120)."""

from __future__ import annotations

import base64
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from fal_jupyter import settings
from fal_jupyter.domain.access.file_lifecycle import Lifecycle, lifecycle_of
from fal_jupyter.domain.text.nearest import nearest
from fal_jupyter.fal.toolkit.exceptions import FileUploadException
from fal_jupyter.fal.toolkit.file.media_types import media_type
from fal_jupyter.fal.toolkit.file.types import FileData, FileRepository, RepositoryId, Reservation
from fal_jupyter.filestore import FileStore, StoredFile, address_of, new_file_id, safe_name

DEFAULT_REPOSITORY: FileRepository | RepositoryId = "fal_v3"
FALLBACK_REPOSITORY: list[FileRepository | RepositoryId] = ["fal"]
_ELSEWHERE = {"gcp_storage": "Google's storage", "r2": "Cloudflare's storage"}


def _lifecycle(preference: Any) -> Lifecycle:
    """Read a preference. What cannot be understood of its lifetime means none; what cannot be of its access, no access."""
    if not isinstance(preference, dict):
        return Lifecycle()
    lifetime, access = (
        _understood({name: preference.get(name)}) for name in ("expiration_duration_seconds", "initial_acl")
    )
    return Lifecycle(lifetime.lifetime if lifetime else None, access.access if access else "forbid")


def _understood(preference: dict[str, Any]) -> Lifecycle | None:
    try:
        return lifecycle_of(preference)
    except ValueError:
        return None


class InMemoryRepository(FileRepository):
    """No place at all: the address is the bytes."""

    def save(self, data: FileData, object_lifecycle_preference: dict[str, Any] | None = None, **options: Any) -> str:
        """Return a ``data:`` URI."""
        return f"data:{data.content_type};base64,{base64.b64encode(data.data).decode()}"


class LocalRepository(FileRepository):
    """The local CDN: bytes go straight into its folder, the gateway serves them."""

    def save(self, data: FileData, object_lifecycle_preference: dict[str, Any] | None = None, **options: Any) -> str:
        """Keep bytes; outside of a runner, where no gateway is known, the address is the bytes."""
        here = settings.read()
        if not here.cdn:
            kind = media_type(data.content_type, data.data[:16], data.file_name)
            return InMemoryRepository().save(FileData(data.data, kind, data.file_name))
        with _explained_errors():
            return _store(here, data.data, data.content_type, data.file_name, object_lifecycle_preference).url(here.cdn)

    def save_file(
        self,
        file_path: str | Path,
        content_type: str,
        object_lifecycle_preference: dict[str, Any] | None = None,
        **options: Any,
    ) -> tuple[str, FileData | None]:
        """Keep a file, however large, without reading it into memory."""
        here, path = settings.read(), Path(file_path)
        if not here.cdn:
            return super().save_file(file_path, content_type)
        with _explained_errors():
            return _store(here, path, content_type, path.name, object_lifecycle_preference).url(here.cdn), None

    def reserve(
        self,
        file_name: str,
        content_type: str,
        object_lifecycle_preference: dict[str, Any] | None = None,
        request: Any = None,
        extra_headers: dict[str, str] | None = None,
    ) -> Reservation:
        """Return an address now; it answers when the bytes are there."""
        here = settings.read()
        if not here.cdn:
            raise FileUploadException("an address can be reserved in a runner only, where the gateway is known")
        file_id, name = new_file_id(), safe_name(file_name)

        def complete(data: bytes | Path) -> None:
            _store(here, data, content_type, name, object_lifecycle_preference, file_id)

        return Reservation(address_of(here.cdn, file_id, name), complete)


def _store(
    here: settings.Settings, data: bytes | Path, content_type: str, file_name: str, preference: Any, file_id: str = ""
) -> StoredFile:
    """Keep bytes, or a file of this machine without reading it into memory."""
    store, (lifetime, access) = FileStore(here.files, here.cdn_bytes), _lifecycle(preference)
    put: Any = store.put_path if isinstance(data, Path) else store.put
    stored: StoredFile = put(
        data, content_type=content_type, file_name=file_name, now=time.time(), file_id=file_id,
        lifetime=here.file_lifetime if lifetime is None else lifetime,
        access=access,
    )  # fmt: skip
    return stored


@contextmanager
def _explained_errors() -> Iterator[None]:
    """Report a file that cannot be stored as the real package does."""
    try:
        yield
    except OSError as error:
        raise FileUploadException(f"Error uploading file. Status 507: {error.strerror or error}") from error


class ElsewhereRepository(FileRepository):
    """Storage of another provider, which is not used here."""

    def __init__(self, where: str) -> None:
        self._where = where

    def save(self, data: FileData, object_lifecycle_preference: dict[str, Any] | None = None, **options: Any) -> str:
        """Not here."""
        raise FileUploadException(
            f"{self._where} is not used here: leave the repository out, or say repository='in_memory'"
        )


def get_builtin_repository(requested: RepositoryId | FileRepository) -> FileRepository:
    """Return the repository of that name.

    Raises:
        ValueError: there is none.
    """
    if isinstance(requested, FileRepository):
        return requested
    if requested in ("fal_v2", "cdn"):
        warnings.warn(
            f"`{requested}` file repository is deprecated, falling back to `fal_v3`.", DeprecationWarning, stacklevel=2
        )
        requested = "fal_v3"
    if requested in ("fal", "fal_v3"):
        return LocalRepository()
    if requested == "in_memory":
        return InMemoryRepository()
    if requested in _ELSEWHERE:
        return ElsewhereRepository(_ELSEWHERE[requested])
    near = nearest(requested, get_args(RepositoryId)) if isinstance(requested, str) else ""
    raise ValueError(
        f'"{requested}" is not a valid built-in file repository' + (f": did you mean {near!r}?" if near else "")
    )
