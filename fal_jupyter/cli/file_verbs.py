"""``files ls|upload|upload-url|download|rm|mv``: the folder that apps know as ``/data`` in the cloud, below the state directory here."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from fal_jupyter.cli.tables import table
from fal_jupyter.domain.errors import BadSetting, FalJupyterError
from fal_jupyter.settings import ALLOW_PRIVATE_VARIABLE

_WORDS = {
    "ls": (0, 1, "files ls [DIR]"),
    "list": (0, 1, "files list [DIR]"),
    "upload": (2, 2, "files upload LOCAL REMOTE"),
    "upload-url": (1, 2, "files upload-url URL [REMOTE]"),
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
    if action in ("ls", "list"):
        return _list(below(data, words[0] if words else ""))
    if action == "upload":
        target = below(data, words[1])
        if words[1].endswith("/") or target.is_dir():
            target = target / Path(words[0]).name
        _copy(Path(words[0]), target)
        return {"uploaded": _name(target, data)}, f"{words[0]} is at /data/{_name(target, data)}."
    if action == "upload-url":
        target = _fetched(words[0], words[1] if len(words) > 1 else "", data)
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


def _fetched(url: str, remote: str, data: Path) -> Path:
    """Put what is at *url* where *remote* says: a file, or (``""``, an existing folder, a slash at its end) a folder, in which it has
    the name that its server gives it.

    Raises:
        FalJupyterError: it is not fetched: an address of a private network, a failure of its server.
    """
    from fal_jupyter.fal.toolkit.utils.download_utils import BROWSER, name_of
    from fal_jupyter.fal.toolkit.utils.fetching import FetchError, fetch

    target = below(data, remote)
    folder = target if not remote or remote.endswith("/") or target.is_dir() else target.parent
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".fetched.{os.getpid()}.part"
    try:
        try:
            with unfinished.open("wb") as into:
                fetched = fetch(url, into, headers=BROWSER)
        except FetchError as error:
            private = f"{ALLOW_PRIVATE_VARIABLE}=1 allows addresses of this machine and its network"
            raise FalJupyterError(
                f"{url} is not fetched: {error}", hint=private if "non-routable" in str(error) else "", where="files"
            ) from None
        except OSError as error:
            told = getattr(error, "strerror", None) or str(error)
            raise FalJupyterError(f"{url} cannot be fetched: {told}", where="files") from None
        except ValueError as error:
            raise BadSetting(f"{url!r} is no address: {error}", hint=_WORDS["upload-url"][2], where="files") from None
        if folder == target:
            target = target / name_of(url, fetched)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _name(path: Path, data: Path) -> str:
    return str(path.relative_to(data.resolve()))
