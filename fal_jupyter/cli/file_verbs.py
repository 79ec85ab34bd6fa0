"""``files ls|upload|download|rm|mv``: the folder that apps know as ``/data`` in the cloud, below the state directory here."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from fal_jupyter.cli.tables import table
from fal_jupyter.domain.errors import BadSetting, FalJupyterError

_WORDS = {
    "ls": (0, 1, "files ls [DIR]"),
    "upload": (2, 2, "files upload LOCAL REMOTE"),
    "download": (2, 2, "files download REMOTE LOCAL"),
    "rm": (1, 1, "files rm REMOTE"),
    "mv": (2, 2, "files mv REMOTE REMOTE"),
}


def carry_out(args: argparse.Namespace, data: Path) -> tuple[Any, str]:
    """Give what was done, as data and as text.

    Raises:
        BadSetting: too few or many words, or a path that leaves the folder. FalJupyterError: the file system refuses.
    """
    words: list[str] = args.path
    least, most, usage = _WORDS[args.action]
    if not least <= len(words) <= most:
        raise BadSetting(f"{args.action} takes other words", hint=usage, where="files")
    try:
        return _do(args.action, words, data)
    except OSError as error:
        raise FalJupyterError(f"{error.filename or words[0]}: {error.strerror or error}", where="files") from None


def _do(action: str, words: list[str], data: Path) -> tuple[Any, str]:
    if action == "ls":
        return _list(below(data, words[0] if words else ""))
    if action == "upload":
        target = below(data, words[1])
        if words[1].endswith("/") or target.is_dir():
            target = target / Path(words[0]).name
        _copy(Path(words[0]), target)
        return {"uploaded": _name(target, data)}, f"{words[0]} is at /data/{_name(target, data)}."
    source = below(data, words[0])
    if action == "download":
        local = Path(words[1])
        local = local / source.name if local.is_dir() else local
        _copy(source, local)
        return {"downloaded": str(local)}, f"{words[0]} is at {local}."
    if source == data:
        raise BadSetting("this would take away all of /data", hint=_WORDS[action][2], where="files")
    if action == "mv":
        target = below(data, words[1])
        target = target / source.name if target.is_dir() else target
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return {"moved": _name(target, data)}, f"{words[0]} is now /data/{_name(target, data)}."
    if source.is_dir():
        shutil.rmtree(source)
    else:
        source.unlink()
    return {"removed": words[0]}, f"{words[0]} is gone."


def below(data: Path, remote: str) -> Path:
    """Give the path that *remote* is: relative to the folder, or absolute below ``/data``.

    Raises:
        BadSetting: it leads out of the folder, by ``..`` or by a link.
    """
    inner = remote.removeprefix("/data/") if remote != "/data" else ""
    found = (data / inner.lstrip("/")).resolve()
    if "\0" in remote or not found.is_relative_to(data.resolve()):
        raise BadSetting(f"{remote!r} leads out of /data", hint="name a path below it", where="files")
    return found


def _list(directory: Path) -> tuple[Any, str]:
    entries = [directory] if not directory.is_dir() else sorted(directory.iterdir())
    data = []
    for entry in entries:
        found = entry.lstat()
        is_directory = stat.S_ISDIR(found.st_mode)
        data.append({"name": entry.name + ("/" if is_directory else ""), "size": 0 if is_directory else found.st_size})
    rows = [[found["name"], "" if str(found["name"]).endswith("/") else f"{found['size']:,}"] for found in data]
    return data, table(["name", "bytes"], rows, right=["bytes"]) if rows else "Nothing is there."


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder; a file is complete when it appears under its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
        return
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _name(path: Path, data: Path) -> str:
    return str(path.relative_to(data.resolve()))
