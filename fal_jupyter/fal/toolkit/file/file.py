"""``File``: a file at an address, as input and as output of endpoints (docs/contract.md, C112 to C120, C126)."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from fal_jupyter.fal.ref import get_current_app
from fal_jupyter.fal.toolkit.exceptions import FileUploadFallbackException
from fal_jupyter.fal.toolkit.fields import field_with, shown_as
from fal_jupyter.fal.toolkit.file.repositories import DEFAULT_REPOSITORY, FALLBACK_REPOSITORY, get_builtin_repository
from fal_jupyter.fal.toolkit.file.types import FileData, FileRepository, RepositoryId
from fal_jupyter.fal.toolkit.file.unpacking import unpack
from fal_jupyter.fal.toolkit.utils.download_utils import download_file

Fallback = FileRepository | RepositoryId | list[FileRepository | RepositoryId] | None
LIFECYCLE = "x-fal-object-lifecycle-preference"


def FileField(*args: Any, **kwargs: Any) -> Any:  # noqa: N802  # the real package's name
    """A pydantic field that forms show as a file."""
    return field_with(shown_as("file"), args, kwargs)


def _named(repository: FileRepository | RepositoryId) -> str:
    """Its name; never its fields, which may hold somebody's credentials."""
    return repository if isinstance(repository, str) else type(repository).__name__


def _preference(request: Any) -> Any:
    """The lifecycle that the caller asks for: of *request*, else of the request at work."""
    if request is not None:
        try:
            return json.loads(request.headers.get(LIFECYCLE) or "null")
        except (ValueError, RecursionError):
            return None
    app = get_current_app()
    current = app.current_request if app is not None else None
    return current.lifecycle_preference if current is not None else None


def _try_all(
    what: str,
    arguments: tuple[Any, ...],
    repository: FileRepository | RepositoryId,
    fallback: Fallback,
    options: dict[str, Any],
    fallback_options: dict[str, Any],
) -> Any:
    """Do *what* in the first repository that can."""
    others = fallback if isinstance(fallback, list) else [] if fallback is None else [fallback]
    attempts = [(repository, options), *((other, fallback_options) for other in others)]
    failures: list[str] = []
    for number, (requested, with_options) in enumerate(attempts, 1):
        builtin = get_builtin_repository(requested)
        try:
            return getattr(builtin, what)(*arguments, **with_options)
        except Exception as error:
            if len(attempts) == 1:
                raise
            failures.append(f"{_named(requested)}: {type(error).__name__}: {error}")
            if number == len(attempts):
                message = f"Failed to {what} to all {len(failures)} repositories. {'; '.join(failures)}"
                raise FileUploadFallbackException(message) from error
            print(f"Failed to {what} to repository {failures[-1]}, falling back to {_named(attempts[number][0])}")
    return None


class PendingFile:
    """A file whose address is known and whose bytes are to come: :meth:`complete` or :meth:`abort`.

    Attributes:
        url, content_type, file_name: what the file will have.
    """

    def __init__(self, kind: type[File], reservation: Any, content_type: str, file_name: str) -> None:
        self._kind, self._reservation = kind, reservation
        self.url, self.content_type, self.file_name = reservation.url, content_type, file_name

    def complete(self, data: bytes | str | Path) -> File:
        """The bytes (or the file that has them) are here; returns the file."""
        content = Path(data) if isinstance(data, str) else data
        self._reservation.complete(content)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        return self._kind(
            url=self.url, content_type=self.content_type, file_name=self.file_name, file_size=size, file_data=None
        )

    def abort(self) -> None:
        """There will be none."""
        self._reservation.abort()


SHOWN_ADDRESS = 60  # characters of an address in a short repr


class File(BaseModel):
    """A file by its address. A plain string is taken for one where it is an http, https or data URL."""

    url: str = Field(description="The URL where the file can be downloaded from.")
    content_type: str | None = Field(None, description="The mime type of the file.", examples=["image/png"])
    file_name: str | None = Field(
        None,
        description="The name of the file. It will be auto-generated if not provided.",
        examples=["z9RV14K95DvU.png"],
    )
    file_size: int | None = Field(None, description="The size of the file in bytes.", examples=[4404019])
    file_data: bytes | None = Field(None, description="File data", exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            scheme = urlsplit(value).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("http", "https", "data"):
            raise ValueError("value must be a valid URL")
        return {"url": value}

    def _short_repr(self) -> str:
        """Known fields, with long addresses shortened in the middle, for the text beside a displayed image; ``repr`` is fal's."""
        fields = []
        for name, value in self.__repr_args__():
            if isinstance(value, str) and len(value) > SHOWN_ADDRESS:
                value = f"{value[: SHOWN_ADDRESS // 2]}…{value[-SHOWN_ADDRESS // 2 :]}"
            if value is not None:
                fields.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(fields)})"

    # --- made here --------------------------------------------------------------------------------------------------
    @classmethod
    def _from_url(cls, url: str) -> File:
        """Return the file at *url*, of which nothing else is known. Private in fal too, yet its tutorials call it."""
        return cls(url=url, content_type=None, file_name=None, file_size=None, file_data=None)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        content_type: str | None = None,
        file_name: str | None = None,
        repository: FileRepository | RepositoryId = DEFAULT_REPOSITORY,
        fallback_repository: Fallback = FALLBACK_REPOSITORY,
        request: Any = None,
        save_kwargs: dict[str, Any] | None = None,
        fallback_save_kwargs: dict[str, Any] | None = None,
    ) -> File:
        """Keep bytes.

        Raises:
            FileUploadException: they cannot be kept.
            ValueError: there is no such repository.
        """
        file_data = FileData(data, content_type, file_name)
        preference = {"object_lifecycle_preference": _preference(request)}
        url = _try_all(
            "save", (file_data,), repository, fallback_repository,
            {**preference, **(save_kwargs or {})}, {**preference, **(fallback_save_kwargs or {})},
        )  # fmt: skip
        return cls(
            url=url,
            content_type=file_data.content_type,
            file_name=file_data.file_name,
            file_size=len(data),
            file_data=data,
        )

    @classmethod
    async def from_bytes_async(cls, data: bytes, *args: Any, **kwargs: Any) -> File:
        """:meth:`from_bytes`, in a thread."""
        return await asyncio.to_thread(cls.from_bytes, data, *args, **kwargs)

    @classmethod
    def from_path(
        cls,
        path: str | Path,
        content_type: str | None = None,
        repository: FileRepository | RepositoryId = DEFAULT_REPOSITORY,
        multipart: bool | None = None,
        fallback_repository: Fallback = FALLBACK_REPOSITORY,
        request: Any = None,
        save_kwargs: dict[str, Any] | None = None,
        fallback_save_kwargs: dict[str, Any] | None = None,
    ) -> File:
        """Keep a file of this machine; its type is not guessed from its name.

        Raises:
            FileNotFoundError: there is none at *path*.
            FileUploadException: it cannot be kept.
        """
        source = Path(path)
        if not source.exists():
            raise FileNotFoundError(f"File {source} does not exist")
        kind = content_type or "application/octet-stream"
        preference = {"object_lifecycle_preference": _preference(request), "multipart": multipart}
        url, data = _try_all(
            "save_file", (source, kind), repository, fallback_repository,
            {**preference, **(save_kwargs or {})}, {**preference, **(fallback_save_kwargs or {})},
        )  # fmt: skip
        return cls(
            url=url,
            content_type=kind,
            file_name=source.name,
            file_size=source.stat().st_size,
            file_data=data.data if data is not None else None,
        )

    @classmethod
    async def from_path_async(cls, path: str | Path, *args: Any, **kwargs: Any) -> File:
        """:meth:`from_path`, in a thread."""
        return await asyncio.to_thread(cls.from_path, path, *args, **kwargs)

    @classmethod
    def reserve(
        cls,
        content_type: str | None = None,
        file_name: str | None = None,
        request: Any = None,
        repository: FileRepository | RepositoryId = DEFAULT_REPOSITORY,
        extra_headers: dict[str, str] | None = None,
    ) -> PendingFile:
        """Return a file's address before its bytes are there.

        Raises:
            NotImplementedError: the repository cannot.
        """
        file_data = FileData(b"", content_type, file_name)
        reservation = get_builtin_repository(repository).reserve(
            file_data.file_name,
            file_data.content_type,
            object_lifecycle_preference=_preference(request),
            request=request,
            extra_headers=extra_headers,
        )
        return PendingFile(cls, reservation, file_data.content_type, file_data.file_name)

    # --- read -------------------------------------------------------------------------------------------------------
    def as_bytes(self) -> bytes:
        """Return the bytes of a file that was made here.

        Raises:
            ValueError: they are only at its address.
        """
        if self.file_data is None:
            raise ValueError("File has not been downloaded")
        return self.file_data

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Download the file to *path*.

        Raises:
            FileExistsError: there is one.
            DownloadError: it cannot be downloaded.
        """
        target = Path(path).resolve()
        if target.exists() and not overwrite:
            raise FileExistsError(f"File {target} already exists")
        if self.file_data is not None:
            target.write_bytes(self.file_data)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as beside:
            shutil.move(download_file(self.url, beside), target)
        return target

    async def save_async(self, path: str | Path, overwrite: bool = False) -> Path:
        """:meth:`save`, in a thread."""
        return await asyncio.to_thread(self.save, path, overwrite)


File.__doc__ = None


class CompressedFile(File):
    """A ZIP archive: iterating gives the files in it, unpacked once."""

    _unpacked: tempfile.TemporaryDirectory[str] | None = PrivateAttr(default=None)

    def _directory(self) -> Path:
        if self._unpacked is None:
            unpacked = tempfile.TemporaryDirectory()
            try:
                with tempfile.TemporaryDirectory() as beside:
                    unpack(self.save(Path(beside) / "archive.zip"), Path(unpacked.name))
            except BaseException:
                unpacked.cleanup()
                raise
            self._unpacked = unpacked
        return Path(self._unpacked.name)

    def __iter__(self) -> Iterator[Path]:  # type: ignore[override]
        return iter(sorted(self._directory().iterdir()))

    def glob(self, pattern: str) -> Iterator[Path]:
        """Return the files that fit *pattern*."""
        return self._directory().glob(pattern)


CompressedFile.__doc__ = None
