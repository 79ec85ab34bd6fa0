"""``fal.sync_dir``: a local folder into the persistent folder, which runners see as ``/data``."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

from fal_jupyter.atomic_write import write_whole
from fal_jupyter.domain.errors import AppRuleBroken

_MARK = ".fal_hash"  # the real package leaves it too


def sync_dir(local_dir: str | Path, remote_dir: str, force_upload: bool = False) -> str:
    """Copy *local_dir* to *remote_dir* below ``/data``, unless it was copied as it is now.

    Files that are only in the target stay, as on fal. ``.git`` is left out; other than on fal, a ``.gitignore`` is not looked at.

    Args:
        local_dir: a folder; ``~`` is the home directory.
        remote_dir: an absolute path below ``/data``.
        force_upload: copy in any case.

    Returns:
        *remote_dir* relative to ``/data``, as in the real package.

    Raises:
        AppRuleBroken: *remote_dir* is not below ``/data`` (a ``ValueError`` too).
        NotADirectoryError: *local_dir* is not a folder.
    """
    from fal_jupyter.fal.toolkit import FAL_PERSISTENT_DIR  # start-up

    parts = PurePosixPath(remote_dir).parts
    if parts[:2] != ("/", "data") or len(parts) < 3 or ".." in parts:
        raise AppRuleBroken(
            "'remote_dir' must be an absolute path starting with `/data`, e.g. '/data/sync/my_dir'",
            where="fal.sync_dir",
        )
    source = Path(os.path.expanduser(local_dir))
    if not source.is_dir():
        raise NotADirectoryError(f"fal.sync_dir: {source} is not a folder")
    below = "/".join(parts[2:])
    target = Path(FAL_PERSISTENT_DIR, below)
    state = _digest(source)
    print(f"Syncing {local_dir} with {below}...")
    if not force_upload and (target / _MARK).is_file() and (target / _MARK).read_text() == state:
        print(f"{below} already uploaded and matches {local_dir}")
        return below
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", _MARK))
    write_whole(target / _MARK, state.encode())
    print("Done")
    return below


def _digest(folder: Path) -> str:
    """Hash the names and the contents of all files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if path.name != _MARK and ".git" not in name.parts:
            with path.open("rb") as file:
                digest.update(
                    f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode("utf-8", "surrogateescape")
                )
    return digest.hexdigest()
