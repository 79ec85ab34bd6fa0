"""Downloads into the persistent folder, and clones of repositories (docs/contract.md, C127 to C129)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from email.message import Message
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from fal_jupyter import settings
from fal_jupyter.fal.toolkit.utils.fetching import Fetched, FetchError, FetchStatus, TooLarge, fetch

FAL_PERSISTENT_DIR = PurePath(settings.read().data)
"""What ``/data`` is in the cloud; here a folder of the state directory."""
FAL_REPOSITORY_DIR = FAL_PERSISTENT_DIR / ".fal" / "repos"
FAL_MODEL_WEIGHTS_DIR = FAL_PERSISTENT_DIR / ".fal" / "model_weights"

BROWSER = {"User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.8; rv:21.0) Gecko/20100101 Firefox/21.0"}
TEMP_HEADERS = BROWSER
_MIB = 1024 * 1024


class DownloadError(Exception):
    """A download failed; nothing of it is left."""


def _hash_url(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def name_of(url: str, fetched: Fetched) -> str:
    """The name that the server gives, else the end of the path, else a hash."""
    if disposition := fetched.headers.get("content-disposition"):
        message = Message()
        message["content-disposition"] = disposition
        if (name := message.get_filename()) and (plain := Path(name).name) not in ("", ".", ".."):
            return plain
    parts = urlsplit(url)
    plain = "" if parts.scheme == "data" else Path(parts.path).name
    return plain or _hash_url(url)


def download_file(
    url: str,
    target_dir: str | Path,
    *,
    force: bool = False,
    request_headers: dict[str, str] | None = None,
    filesize_limit: int | None = None,
) -> Path:
    """Download *url* into *target_dir* (below the persistent folder where it is relative) and give the file's path.

    A file of the same name and size is kept unless *force*.

    Args:
        filesize_limit: MiB.

    Raises:
        DownloadError: it cannot be downloaded; an address of a private network is refused.
    """
    directory = Path(target_dir)
    if not directory.is_absolute():
        directory = Path(FAL_PERSISTENT_DIR / directory)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    limit = filesize_limit * _MIB if filesize_limit is not None else None

    def check(headers: dict[str, str]) -> None:
        size = headers.get("content-length", "")
        if limit is not None and size.isascii() and size.isdigit() and len(size) < 19 and int(size) > limit:
            raise DownloadError(
                f"File to be downloaded is of size {int(size) / _MIB}, which is over the limit of {filesize_limit}"
            )

    descriptor, beside = tempfile.mkstemp(dir=directory, prefix=".fal_download.tmp.")
    target = directory
    try:
        with os.fdopen(descriptor, "wb") as file:
            fetched = fetch(url, file, headers={**BROWSER, **(request_headers or {})}, limit=limit, on_headers=check)
        target = directory / name_of(url, fetched)
        if target.exists() and target.stat().st_size == fetched.size and not force:
            return target
        action = "File already exists. Forcing download of" if force else "Downloading"
        print(f"{action} {_shown(url)} to {target}")
        os.replace(beside, target)
        return target
    except DownloadError:
        raise
    except FetchStatus as error:
        raise DownloadError(f"Failed to get remote file properties for {_shown(url)}") from error
    except TooLarge as error:
        raise DownloadError(f"Failed to download {_shown(url)} to {target}") from error
    except FetchError as error:
        raise DownloadError(str(error)) from error
    except Exception as error:
        raise DownloadError(f"Failed to download {_shown(url)} to {target}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def _shown(url: str) -> str:
    """An address as messages have it: a data URI without its bytes, which may be megabytes."""
    return (
        f"{url[: url.find(',') + 1]}… ({len(url)} characters)" if url[:5].lower() == "data:" and len(url) > 100 else url
    )


def download_model_weights(url: str, force: bool = False, request_headers: dict[str, str] | None = None) -> Path:
    """Download weights once: whatever is in their folder already is given without asking the network.

    Raises:
        DownloadError: they cannot be downloaded.
    """
    directory = Path(FAL_MODEL_WEIGHTS_DIR / _hash_url(url))
    if directory.exists() and not force:
        existing = next((path for path in sorted(directory.iterdir()) if not path.name.startswith(".fal")), None)
        if existing is not None:
            _mark_used(directory)
            return existing
    path = download_file(url, directory, force=force, request_headers=request_headers)
    _mark_used(directory)
    return path


def _mark_used(directory: Path) -> None:
    mark = directory / ".fal_used"
    if not mark.exists() or time.time() - mark.stat().st_mtime > 86400:
        mark.touch()


def clone_repository(
    https_url: str,
    *,
    commit_hash: str | None = None,
    target_dir: str | Path | None = None,
    repo_name: str | None = None,
    force: bool = False,
    include_to_path: bool = False,
) -> Path:
    """Clone a git repository with its submodules and give its folder; one that is there at that commit is used again.

    Args:
        commit_hash: eight characters or more.
        include_to_path: put the folder first on ``sys.path``.

    Raises:
        ValueError: the hash is too short.
        subprocess.CalledProcessError: git failed.
    """
    directory = Path(target_dir or FAL_REPOSITORY_DIR)
    name = repo_name or Path(urlsplit(https_url).path).stem
    if commit_hash:
        if len(commit_hash) < 8:
            raise ValueError(f"Commit hash '{commit_hash}' is too short.")
        name = name if repo_name else f"{name}-{commit_hash[:8]}"
    target = directory / name
    if target.exists():
        if not force and (not commit_hash or _commit_of(target).startswith(commit_hash)):
            return _on_path(target, include_to_path)
        print(
            f"Removing the existing repository: {target} ."
            if force
            else f"'{target}' is at another commit: cloning again."
        )
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, suffix=f"{name}.tmp") as beside:
        print(f"Cloning the repository '{https_url}' .")
        clone = Path(beside) / name
        _git("clone", "--recursive", "--", https_url, str(clone))
        if commit_hash:
            _git("-C", str(clone), "checkout", commit_hash)
            _git("-C", str(clone), "submodule", "update", "--init", "--recursive")
        if target.exists():
            shutil.rmtree(target)
        os.replace(clone, target)
    return _on_path(target, include_to_path)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _commit_of(repository: Path) -> str:
    try:
        return _git("-C", str(repository), "rev-parse", "HEAD")
    except subprocess.CalledProcessError:
        return ""


def _on_path(repository: Path, listed: bool) -> Path:
    if listed and (str(repository) not in sys.path):
        sys.path.insert(0, str(repository))
    return repository
