"""``files ls|upload|upload-url|download|rm|mv``: the folder that backs ``/data``, below the state directory.

``files usage|clean`` cover the local CDN as well: results of apps, and uploads.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import shutil
import stat
import time
from pathlib import Path

from fal_jupyter.commands import numbers
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.errors import BadSetting, FalJupyterError
from fal_jupyter.fal.toolkit.utils.fetching import FetchError, fetch
from fal_jupyter.filestore import FileStore
from fal_jupyter.settings import ALLOW_PRIVATE_VARIABLE, CDN_BYTES_VARIABLE

_USAGES = {
    "ls": (0, 1, "files ls [DIR]"),
    "list": (0, 1, "files list [DIR]"),
    "upload": (2, 2, "files upload LOCAL REMOTE"),
    "upload-url": (1, 2, "files upload-url URL [REMOTE]"),
    "download": (2, 2, "files download REMOTE LOCAL"),
    "rm": (1, 1, "files rm REMOTE"),
    "mv": (2, 2, "files mv REMOTE REMOTE"),
    "usage": (0, 0, "files usage"),
    "clean": (0, 0, "files clean [--older 7d | --all]"),
}


def execute(args: argparse.Namespace, data: Path, store: FileStore) -> tuple[object, str]:
    """Execute the command and return its result as data and text.

    Raises:
        BadSetting: too few or too many words, or a path outside of ``/data``. FalJupyterError: the file system refuses.
    """
    words: list[str] = args.path
    minimum, maximum, usage = _USAGES[args.action]
    if not minimum <= len(words) <= maximum:
        raise BadSetting(f"wrong number of arguments for {args.action}", hint=usage, where="files")
    if (args.older is not None or args.all) and (args.action != "clean" or (args.older is not None and args.all)):
        raise BadSetting(
            "use --older AGE or --all with clean, and only one of them", hint=_USAGES["clean"][2], where="files"
        )
    if args.action == "usage":
        return _usage(data, store)
    if args.action == "clean":
        return _clean(store, 0.0 if args.all else args.older)
    try:
        return _do(args.action, words, data)
    except shutil.Error as error:
        raise FalJupyterError(_first_error(error, data), where="files") from None
    except OSError as error:
        name = _display_path(error.filename, data) if isinstance(error.filename, str | Path) else words[0]
        raise FalJupyterError(f"{name}: {error.strerror or error}", where="files") from None


def _usage(data: Path, store: FileStore) -> tuple[object, str]:
    count, size = 0, 0
    for folder, _, names in os.walk(data):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_size
                count += 1
    cdn = store.usage(time.time())
    usage = {
        "data": {"files": count, "bytes": size},
        "cdn": {**cdn._asdict(), "most_bytes": store.most_bytes},
    }
    limit = f"of {numbers.size(store.most_bytes)} ({CDN_BYTES_VARIABLE})" if store.most_bytes is not None else ""
    expired = f"{numbers.plural(cdn.expired, 'file')} expired" if cdn.expired else ""
    rows = [
        ["/data", numbers.count(count), numbers.size(size), ""],
        ["CDN", numbers.count(cdn.files), numbers.size(cdn.bytes), "; ".join(filter(None, (limit, expired)))],
    ]
    if cdn.unfinished:
        rows.append(["uploads under way", "", numbers.size(cdn.unfinished), ""])
    return usage, table(["where", "files", "size", ""], rows, right=["files", "size"])


def _clean(store: FileStore, older: float | None) -> tuple[object, str]:
    now = time.time()
    try:
        swept = store.sweep(now, lambda stored: older is not None and stored.created <= now - older)
    except OSError as error:
        raise FalJupyterError(f"the local CDN: {error.strerror or error}", where="files") from None
    text = f"{numbers.plural(swept.removed, 'file')} of the local CDN removed, {numbers.size(swept.freed)} freed."
    return {"removed": swept.removed, "freed": swept.freed}, text


def _do(action: str, words: list[str], data: Path) -> tuple[object, str]:
    if action in ("ls", "list"):
        return _list(below(data, words[0] if words else ""))
    if action == "upload":
        target = below(data, words[1])
        if words[1].endswith("/") or target.is_dir():
            target = below(data, str(target.relative_to(data.resolve()) / Path(words[0]).name))  # resolves links
        _copy(Path(words[0]), target)
        return {"uploaded": _name(target, data)}, f"{words[0]} is at /data/{_name(target, data)}."
    if action == "upload-url":
        target = _fetched(words[0], words[1] if len(words) > 1 else "", data)
        return {"uploaded": _name(target, data)}, f"{words[0]} is at /data/{_name(target, data)}."
    if action == "download":
        source, local = below(data, words[0]), Path(words[1])
        local = local / source.name if local.is_dir() else local
        _copy(source, local)
        return {"downloaded": str(local)}, f"{words[0]} is at {local}."
    source = below(data, words[0], follow=False)
    if source == data.resolve():
        raise BadSetting("this would remove all of /data", hint=_USAGES[action][2], where="files")
    source.lstat()  # check first, before a folder is created for the target
    if action == "mv":
        target = below(data, words[1])
        target = target / source.name if target.is_dir() else target
        if target != source:  # moving to itself is allowed
            _check_apart(source, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return {"moved": _name(target, data)}, f"{words[0]} is now /data/{_name(target, data)}."
    if _is_folder(source):
        shutil.rmtree(source)
    else:
        source.unlink()
    return {"removed": words[0]}, f"{words[0]} is removed."


def below(data: Path, remote: str, *, follow: bool = True) -> Path:
    """Return the local path of *remote*, which is relative or below ``/data``; without *follow*, a final link is not resolved.

    Raises:
        BadSetting: the path leads out of the folder, by ``..`` or a link.
    """
    inner = remote.removeprefix("/data/") if remote != "/data" else ""
    if "\0" in remote:
        raise _leads_out(remote)
    path = data / inner.lstrip("/")
    resolve_all = follow or path == data or path.name == ".."  # no final name to keep
    resolved = path.resolve() if resolve_all else path.parent.resolve() / path.name
    if not resolved.is_relative_to(data.resolve()):
        raise _leads_out(remote)
    return resolved


def _leads_out(remote: str) -> BadSetting:
    return BadSetting(f"{remote!r} leads out of /data", hint="name a path below it", where="files")


def _list(directory: Path) -> tuple[object, str]:
    entries = [directory] if not directory.is_dir() else sorted(directory.iterdir())
    data = []
    for entry in entries:
        status = entry.lstat()
        is_directory = stat.S_ISDIR(status.st_mode)
        data.append({"name": entry.name + ("/" if is_directory else ""), "size": 0 if is_directory else status.st_size})
    rows = [[status["name"], "" if str(status["name"]).endswith("/") else f"{status['size']:,}"] for status in data]
    return data, table(["name", "bytes"], rows, right=["bytes"]) if rows else "The folder is empty."


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder atomically, under a temporary name first. An existing folder keeps its other entries."""
    source.stat()  # check first, before a folder is created for the target
    _check_apart(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if source.is_dir():
            shutil.copytree(source, unfinished)
        else:
            shutil.copyfile(source, unfinished)
        _check_fits(unfinished, target)
        _move_into_place(unfinished, target)
    finally:
        _remove(unfinished)


def _check_apart(source: Path, target: Path) -> None:
    if _is_folder(source) and target.resolve().is_relative_to(source.resolve()):
        raise OSError(errno.EINVAL, "a folder cannot be copied into itself", str(source))


def _check_fits(new: Path, target: Path) -> None:
    """Refuse to replace a file by a folder or a folder by a file, before anything is changed."""
    if _is_folder(new) and _is_folder(target):
        for entry in new.iterdir():
            _check_fits(entry, target / entry.name)
    elif _is_folder(target):
        raise IsADirectoryError(errno.EISDIR, "a folder cannot be replaced by a file", str(target))
    elif _is_folder(new) and os.path.lexists(target):
        raise NotADirectoryError(errno.ENOTDIR, "a file cannot be replaced by a folder", str(target))


def _move_into_place(new: Path, target: Path) -> None:
    if _is_folder(new) and _is_folder(target):
        for entry in new.iterdir():
            _move_into_place(entry, target / entry.name)
    else:
        new.replace(target)


def _remove(unfinished: Path) -> None:
    if not _is_folder(unfinished):
        unfinished.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(unfinished):  # top-down
        os.chmod(folder, 0o700)  # entries of read-only folders cannot be removed
    shutil.rmtree(unfinished, ignore_errors=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _first_error(error: shutil.Error, data: Path) -> str:
    """Describe the first error of copying a folder."""
    if not isinstance(error.args[0], list):
        return str(error)
    (source, _, why), *more = error.args[0]
    reason = re.sub(r"^\[Errno \d+\] |: '.*'$", "", str(why))
    others = f" (and {len(more)} more)" if more else ""
    return f"{_display_path(source, data)}: {reason}{others}; nothing was copied"


def _display_path(path: str | Path, data: Path) -> str:
    """Format a path as the user knows it."""
    for root in (data, data.resolve()):
        if Path(path).is_relative_to(root):
            return str("/data" / Path(path).relative_to(root))
    return str(path)


def _fetched(url: str, remote: str, data: Path) -> Path:
    """Download *url* to the file *remote*, or into a folder (``""``, an existing folder, a trailing slash) under the server's file name.

    Raises:
        FalJupyterError: the address is private, or the download failed.
    """
    from fal_jupyter.fal.toolkit.utils.download_utils import BROWSER, name_of  # start-up

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
            reason = getattr(error, "strerror", None) or str(error)
            raise FalJupyterError(f"{url} cannot be fetched: {reason}", where="files") from None
        except ValueError as error:
            raise BadSetting(f"{url!r} is not a URL: {error}", hint=_USAGES["upload-url"][2], where="files") from None
        if folder == target:
            target = target / name_of(url, fetched)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _name(path: Path, data: Path) -> str:
    return str(path.relative_to(data.resolve()))
